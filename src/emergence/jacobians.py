"""Derivatives of residuals by every parameter, for the Gauss-Newton steps of the training loop.

Whatever the network, one batched pass with a copy of it per parameter finds them. Where a state rolls
along a window by matrices, its derivatives roll along with it (forward sensitivities), which is one
loop instead of the four of a derivative of a derivative; the rest is read off site by site.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

Parameters = dict[str, tf.Tensor]
"""Name → tensor ``[seeds, ...]``."""


class LeastSquares(Protocol):
    """A problem whose loss is the mean square of residuals."""

    def residuals(self, parameters: Parameters, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """``[seeds, residuals]``, the windows of the batch one after the other."""


class RolledLeastSquares(LeastSquares, Protocol):
    """Residuals read site by site off a state that rolls along each window from its start.

    The parameters ``start_names`` act through the state at the start alone, ``update`` through the
    rolling alone, the others where the residuals are read.
    """

    rolls: bool
    """Whether this problem has the state; if not, a copy of it is made for each parameter."""
    start_names: frozenset[str]

    def start(self, parameters: Parameters, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """State at the start of each window, ``[seeds, windows, size]``."""

    def roll(
        self, parameters: Parameters, start: tf.Tensor, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """States ``[seeds, windows, sites, size]`` that the residuals are read off, and derivatives.

        Derivatives ``[sites, seeds, entries of update + size, size, windows]``: by the entries of
        ``update``, in their order, then by the components of the start.
        """

    def read(self, parameters: Parameters, states: tf.Tensor) -> tf.Tensor:
        """What is compared with the data, ``[seeds, windows, sites, values of a site]``.

        Each is a function of the state of its site and of the parameters.
        """

    def scale(self, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """What the differences from the data are divided by, ``[seeds, windows]``."""

    def residuals_at(
        self, parameters: Parameters, states: tf.Tensor, batch: tuple[tf.Tensor, ...]
    ) -> tf.Tensor:
        """The residuals of given states, shaped as :meth:`read`."""


def flatten(parameters: Parameters) -> tf.Tensor:
    """``[seeds, parameters]`` in the order of the names."""
    return tf.concat(
        [tf.reshape(parameters[n], [tf.shape(parameters[n])[0], -1]) for n in sorted(parameters)],
        axis=1,
    )


def unflatten(flat: tf.Tensor, shapes: dict[str, tuple[int, ...]]) -> Parameters:
    """Inverse of :func:`flatten`; ``shapes`` are without the seed axis."""
    parameters, offset = {}, 0
    for name in sorted(shapes):
        size = int(np.prod(shapes[name], dtype=int))
        parameters[name] = tf.reshape(flat[:, offset : offset + size], (-1, *shapes[name]))
        offset += size
    return {name: parameters[name] for name in shapes}


def push_forward(
    function: Callable[..., tf.Tensor], primals: list[tf.Tensor], tangents: list[tf.Tensor]
) -> tf.Tensor:
    """Directional derivative of ``function(*primals)``, shaped as its value.

    The gradient, with respect to a dummy cotangent, of a gradient that is linear in it:
    forward-mode accumulators do not pass through a compiled loop, two backward passes do.
    """
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(primals)
            values = function(*primals)
        cotangent = tf.zeros_like(values)
        outer.watch(cotangent)
        pulled_back = inner.gradient(
            values, primals, output_gradients=cotangent, unconnected_gradients="zero"
        )
    return outer.gradient(
        pulled_back, cotangent, output_gradients=tangents, unconnected_gradients="zero"
    )


def jacobian(
    residuals: Callable[[Parameters, tuple[tf.Tensor, ...]], tf.Tensor],
    flat: tf.Tensor,
    batch: tuple[tf.Tensor, ...],
    shapes: dict[str, tuple[int, ...]],
) -> tf.Tensor:
    """Derivatives of the residuals in every parameter direction, all in one batched pass.

    The seed axis is reused: one copy of the network per seed and direction.

    Returns:
        ``[seeds, parameters, residuals]``.
    """
    seeds, size = flat.shape
    copies = tf.repeat(flat, size, axis=0)
    repeated = tuple(tf.repeat(part, size, axis=0) for part in batch)
    directions = tf.tile(tf.eye(size, dtype=flat.dtype), [seeds, 1])
    pushed = push_forward(
        lambda copies: residuals(unflatten(copies, shapes), repeated), [copies], [directions]
    )
    return tf.reshape(pushed, [seeds, size, -1])


def of_problem(
    problem: LeastSquares,
    flat: tf.Tensor,
    batch: tuple[tf.Tensor, ...],
    shapes: dict[str, tuple[int, ...]],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Derivatives of a problem's residuals, in the cheapest way, and the residuals.

    Returns:
        ``[seeds, parameters, residuals]`` and ``[seeds, residuals]``.
    """
    if getattr(problem, "rolls", False):
        return jacobian_of_rolled(problem, flat, batch, shapes)
    values = problem.residuals(unflatten(flat, shapes), batch)
    return jacobian(problem.residuals, flat, batch, shapes), values


def jacobian_of_rolled(
    problem: RolledLeastSquares,
    flat: tf.Tensor,
    batch: tuple[tf.Tensor, ...],
    shapes: dict[str, tuple[int, ...]],
) -> tuple[tf.Tensor, tf.Tensor]:
    """:func:`of_problem` where the residuals are read off a rolling state: the chain rule along it."""
    parameters = unflatten(flat, shapes)
    early = {name: shapes[name] for name in shapes if name in problem.start_names}
    late = {name: shapes[name] for name in shapes if name not in {*early, "update"}}
    start = problem.start(parameters, batch)
    seeds, windows, size = start.shape
    by_start = jacobian(
        lambda some, batch: tf.reshape(problem.start(some, batch), [-1, windows * size]),
        flatten({name: parameters[name] for name in early}), batch, early,
    )  # fmt: skip
    states, moved = problem.roll(parameters, start, batch)
    slopes, read = _read_derivatives(problem, parameters, states, late)
    slopes = tf.transpose(slopes, [2, 0, 4, 3, 1])
    # Summed over the state's few components as whole arrays, the windows innermost.
    rows = tf.add_n([moved[:, :, :, a, None] * slopes[:, :, None, a] for a in range(size)])
    rows = tf.transpose(rows, [1, 2, 4, 0, 3])
    entries = rows.shape[1] - size
    rows = tf.reshape(rows, [seeds, rows.shape[1], windows, -1])
    by_start = tf.reshape(by_start, [seeds, -1, windows, size])
    through = tf.einsum("spbj,sjbr->spbr", by_start, rows[:, entries:])
    blocks = split(through, early) | split(read, late) | {"update": rows[:, :entries]}
    joined = tf.concat([blocks[name] for name in sorted(blocks)], axis=1)
    joined = joined / problem.scale(batch)[:, None, :, None]
    values = tf.reshape(problem.residuals_at(parameters, states, batch), [seeds, -1])
    return tf.reshape(joined, [seeds, joined.shape[1], -1]), values


def _read_derivatives(
    problem: RolledLeastSquares,
    parameters: Parameters,
    states: tf.Tensor,
    late: dict[str, tuple[int, ...]],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Derivatives of what is read, by the state of its site and by the parameters ``late``.

    Every site has the parameters to itself, so that one pass back per value of a site gives the
    derivatives of all sites.

    Returns:
        ``[seeds, windows, sites, values, size]`` and ``[seeds, parameters, windows, sites · values]``.
    """
    seeds, windows, sites, size = states.shape
    number = seeds * windows * sites
    rows = tf.reshape(states, [number, 1, 1, size])
    own = {name: tf.repeat(parameters[name], windows * sites, axis=0) for name in late}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([rows, own])
        values = tf.unstack(problem.read(own, rows), axis=3)
    found = [tape.gradient(value, [rows, own], unconnected_gradients="zero") for value in values]
    slopes = tf.stack([by_state for by_state, _ in found], axis=3)
    read = tf.stack([flatten(by_own) for _, by_own in found], axis=1)
    read = tf.reshape(read, [seeds, windows, sites * len(values), -1])
    return (
        tf.reshape(slopes, [seeds, windows, sites, len(values), size]),
        tf.transpose(read, [0, 3, 1, 2]),
    )


def split(rows: tf.Tensor, shapes: dict[str, tuple[int, ...]]) -> Parameters:
    """Blocks of the second axis that belong to each parameter, in the order of the names."""
    blocks, offset = {}, 0
    for name in sorted(shapes):
        size = int(np.prod(shapes[name], dtype=int))
        blocks[name] = rows[:, offset : offset + size]
        offset += size
    return blocks
