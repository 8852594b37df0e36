"""Couplings in loops: a flow is compiled once for all of them, and its derivative as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def scan_couplings(
    couple: Callable[..., tuple[tf.Tensor, tf.Tensor]],
    order: Sequence[int],
    lattice: tf.Tensor,
    context: tf.Tensor,
    stacked: list[tf.Tensor],
    pieces: int = 1,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Couplings one after the other in a loop that is compiled once.

    Its derivative is a loop as well, which computes each coupling again from the lattice before it:
    only those are kept.

    Args:
        couple: (index, lattice, context, its parameters) → lattice, ln |Jacobian| ``[seeds, batch]``.
        order: indices of the couplings.
        lattice: ``[seeds, ..., batch]``.
        context: ``[seeds, contexts, batch]``.
        stacked: parameters, each ``[couplings, seeds, ...]``.
        pieces: into which the batch is cut, each going through all couplings before the next one,
            so that what a coupling computes stays in the processor's cache; divides the batch.
    """
    number = len(order)
    indices = tf.constant(order, tf.int32)

    def forward(lattice, context, stacked):
        """Lattice, ln |Jacobian|, and the lattice before each coupling."""

        def body(step, lattice, log_det, inputs):
            index = indices[step]
            inputs = inputs.write(step, lattice)
            own = [tf.gather(value, index) for value in stacked]
            lattice, change = couple(index, lattice, context, *own)
            return step + 1, lattice, log_det + change, inputs

        inputs = tf.TensorArray(lattice.dtype, number, element_shape=lattice.shape)
        log_det = tf.zeros([lattice.shape[0], lattice.shape[-1]], lattice.dtype)
        _, after, log_det, inputs = _loop(number, body, (tf.constant(0), lattice, log_det, inputs))
        return after, log_det, inputs.stack()

    def backward(inputs, context, stacked, lattice_bar, log_det_bar):
        """Derivatives by the lattice, the context and each of the parameters."""

        def back(step, lattice_bar, context_bar, *bars):
            place = number - 1 - step
            index = indices[place]
            given = [inputs[place], context, *(tf.gather(value, index) for value in stacked)]
            with tf.GradientTape() as tape:
                tape.watch(given)
                result = couple(index, *given)
            found = tape.gradient(
                result, given, [lattice_bar, log_det_bar], unconnected_gradients="zero"
            )
            bars = [bar.write(index, own) for bar, own in zip(bars, found[2:], strict=True)]
            return step + 1, found[0], context_bar + found[1], *bars

        bars = [
            tf.TensorArray(value.dtype, number, element_shape=value.shape[1:]) for value in stacked
        ]
        start = (tf.constant(0), lattice_bar, tf.zeros_like(context), *bars)
        _, lattice_bar, context_bar, *bars = _loop(number, back, start)
        return lattice_bar, context_bar, *(bar.stack() for bar in bars)

    @tf.custom_gradient
    def run(lattice: tf.Tensor, context: tf.Tensor, *stacked: tf.Tensor):
        if pieces == 1:
            after, log_det, inputs = forward(lattice, context, stacked)
            return (after, log_det), lambda *bars: backward(inputs, context, stacked, *bars)
        cut = [_cut(value, pieces) for value in (lattice, context)]
        part = cut[0].shape[1:]
        shapes = [part, [part[0], part[-1]], [number, *part]]
        after, log_det, inputs = _each(
            pieces,
            lattice.dtype,
            lambda piece: forward(cut[0][piece], cut[1][piece], stacked),
            shapes,
            [],
        )

        def gradient(lattice_bar: tf.Tensor, log_det_bar: tf.Tensor):
            bars = [_cut(value, pieces) for value in (lattice_bar, log_det_bar)]
            lattice_bar, context_bar, *found = _each(
                pieces,
                lattice_bar.dtype,
                lambda piece: backward(
                    inputs[piece], cut[1][piece], stacked, bars[0][piece], bars[1][piece]
                ),
                [part, cut[1].shape[1:]],
                [value.shape for value in stacked],
            )
            return _joined(lattice_bar), _joined(context_bar), *found

        return (_joined(after), _joined(log_det)), gradient

    return run(lattice, context, *stacked)


def by_coupling(parameters: tf.Tensor) -> tf.Tensor:
    """``[seeds, couplings, ...]`` → ``[couplings, seeds, ...]``."""
    return tf.transpose(parameters, [1, 0, *range(2, len(parameters.shape))])


def _cut(values: tf.Tensor, pieces: int) -> tf.Tensor:
    """``[..., batch]`` → ``[pieces, ..., batch / pieces]``."""
    parts = tf.reshape(values, [*values.shape[:-1], pieces, -1])
    rank = len(values.shape)
    return tf.transpose(parts, [rank - 1, *range(rank - 1), rank])


def _joined(parts: tf.Tensor) -> tf.Tensor:
    """Inverse of :func:`_cut`."""
    rank = len(parts.shape)
    whole = tf.transpose(parts, [*range(1, rank - 1), 0, rank - 1])
    return tf.reshape(whole, [*parts.shape[1:-1], -1])


def _each(
    pieces: int,
    dtype: tf.DType,
    body: Callable[[tf.Tensor], tuple],
    stacked: list[Any],
    summed: list[Any],
) -> list[tf.Tensor]:
    """What ``body`` gives for each piece: by their shapes, first what is stacked, then the sums."""
    first = len(stacked)
    start = [tf.TensorArray(dtype, pieces, element_shape=shape) for shape in stacked]
    start += [tf.zeros(shape, dtype) for shape in summed]

    def one(piece, *carried):
        found = body(piece)
        stacks = [c.write(piece, v) for c, v in zip(carried[:first], found[:first], strict=True)]
        sums = [c + v for c, v in zip(carried[first:], found[first:], strict=True)]
        return piece + 1, *stacks, *sums

    _, *carried = _loop(pieces, one, (tf.constant(0), *start))
    return [value.stack() for value in carried[:first]] + list(carried[first:])


def _loop(number: int, body: Callable[..., tuple], start: tuple) -> tuple:
    return tf.while_loop(
        lambda step, *_: step < number,
        body,
        start,
        maximum_iterations=number,
        parallel_iterations=1,
    )
