"""A whole hierarchy of block bijectors in one loop: compiled once for all levels, and its derivative too.

A bijector acts on 2×2 blocks of a level's lattice in place, so that every level needs the same thing: some
sites of the torus taken out, couplings one after the other, and the sites put back. *Turns* of equally many
blocks do that, whatever the level, with the parameters of its layer; what XLA compiles is one turn. Written
out level by level the same network needs several times the memory and the time of compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from emergence.holography.scan import counted_loop

ROWS = 2048
"""Blocks times samples of a turn: what a coupling computes of so many stays in a processor's cache."""

OVERHEAD = 256
"""Rows whose computation takes as long as what else a turn has to do."""

Couple = Callable[..., tuple[tf.Tensor, tf.Tensor]]
"""(layer, coupling, values ``[seeds, reals, rows]``, context ``[seeds, contexts, rows]``, its parameters)
→ values, ln |Jacobian| ``[seeds, rows]``."""


@dataclass(frozen=True)
class Turns:
    """Which blocks each turn takes, in the order from the bulk to the boundary."""

    layer: np.ndarray
    """Whose parameters, ``[turns]``: twice the level, and one more for the disentangler."""
    read: np.ndarray
    """Sites (row · L + column), ``[turns, 4, blocks]``; a turn that lacks blocks repeats its first."""
    written: np.ndarray
    """The same; of what is repeated, sites beyond the torus."""
    counted: np.ndarray
    """1 where a block is one of the torus, 0 where it is repeated, ``[turns, blocks]``."""

    @property
    def blocks(self) -> int:
        """Of each turn."""
        return self.read.shape[2]


@lru_cache
def turns_of(side: int, batch: int) -> Turns:
    """Turns of all levels of the L×L torus, of as many blocks as suit the batch."""
    layers = [
        (2 * level + offset, _sites(side, 2**level, offset))
        for level in reversed(range(side.bit_length() - 1))
        for offset in (0, 1)
    ]
    size = _blocks(side, batch)
    layer, read, written, counted = [], [], [], []
    beyond = side**2 + np.arange(4 * size).reshape(4, size)
    for index, sites in layers:
        for first in range(0, sites.shape[1], size):
            part = sites[:, first : first + size]
            lacking = size - part.shape[1]
            layer.append(index)
            read.append(np.concatenate([part, np.repeat(part[:, :1], lacking, axis=1)], axis=1))
            written.append(np.concatenate([part, beyond[:, size - lacking :]], axis=1))
            counted.append(np.arange(size) < part.shape[1])
    return Turns(
        np.array(layer, np.int32), np.array(read, np.int32), np.array(written, np.int32),
        np.array(counted, np.float64),
    )  # fmt: skip


def _sites(side: int, stride: int, offset: int) -> np.ndarray:
    """Sites of the blocks of a level's layer, ``[4, blocks]``, as :func:`.bijectors.to_blocks` has them."""
    number = side // stride
    corner = 2 * np.arange(number // 2)
    row, column = (each.ravel() for each in np.meshgrid(corner, corner, indexing="ij"))
    return np.stack([
        (row + offset + y) % number * stride * side + (column + offset + x) % number * stride
        for y in (0, 1)
        for x in (0, 1)
    ])  # fmt: skip


def _blocks(side: int, batch: int) -> int:
    """Blocks of a turn: the power of two that takes least time."""
    numbers = [4**level for level in range(side.bit_length() - 1)]
    sizes = [2**power for power in range(2 * len(numbers) - 1)]
    few = [size for size in sizes if size * batch <= ROWS] or sizes[:1]
    return min(
        few, key=lambda size: sum(-(-n // size) for n in numbers) * (OVERHEAD + size * batch)
    )


def run_blocks(
    couple: Couple,
    turns: Turns,
    order: list[int],
    lattice: tf.Tensor,
    context: tf.Tensor,
    stacked: list[tf.Tensor],
    *,
    inverse: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Every turn one after the other, on the lattice in place.

    The derivative is a loop as well, which computes each coupling again from the values before it: only
    those are kept.

    Args:
        couple: one coupling, or its inverse.
        order: of the couplings of a turn.
        lattice: ``[seeds, c, L, L, batch]``.
        context: ``[seeds, contexts, batch]``.
        stacked: parameters, each ``[layers, couplings, seeds, ...]``.
        inverse: whether the turns go from the boundary to the bulk.

    Returns:
        The lattice, and ln |Jacobian| ``[seeds, batch]``.
    """
    loop = _Loop(couple, turns, order, inverse, lattice.shape, lattice.dtype)
    seeds, components, side, _, batch = lattice.shape
    flat = tf.transpose(tf.reshape(lattice, [seeds, components, side**2, batch]), [2, 0, 1, 3])
    spare = tf.zeros([4 * turns.blocks, *flat.shape[1:]], lattice.dtype)
    spread = tf.repeat(context[:, :, None], turns.blocks, axis=2)
    spread = tf.reshape(spread, [seeds, context.shape[1], turns.blocks * batch])
    flat, log_det = loop.run(tf.concat([flat, spare], axis=0), spread, *stacked)
    flat = tf.transpose(flat[: side**2], [1, 2, 0, 3])
    return tf.reshape(flat, lattice.shape), log_det


class _Loop:
    """The loops over turns and, within each, over couplings."""

    def __init__(
        self,
        couple: Couple,
        turns: Turns,
        order: list[int],
        inverse: bool,
        shape: tf.TensorShape,
        dtype: tf.DType,
    ) -> None:
        self._couple, self._number, self._blocks = couple, len(order), turns.blocks
        self._order = tf.constant(order, tf.int32)
        way = slice(None, None, -1) if inverse else slice(None)
        self._turns = len(turns.layer)
        self._layer, self._read, self._written = (
            tf.constant(table[way]) for table in (turns.layer, turns.read, turns.written)
        )
        self._counted = tf.constant(turns.counted[way], dtype)
        self._seeds, self._components, _, _, self._batch = shape
        self._size = [self._seeds, 4 * self._components, self._blocks * self._batch]
        self._dtype = dtype

    def run(self, lattice: tf.Tensor, spread: tf.Tensor, *stacked: tf.Tensor) -> tuple:
        """``lattice`` is ``[sites and spare ones, seeds, c, batch]``, ``spread`` by rows."""

        @tf.custom_gradient
        def whole(lattice: tf.Tensor, spread: tf.Tensor, *stacked: tf.Tensor) -> Any:
            after, log_det, kept = self._forward(lattice, spread, stacked)

            def gradient(lattice_bar: tf.Tensor, log_det_bar: tf.Tensor) -> tuple:
                return self._backward(kept, spread, stacked, lattice_bar, log_det_bar)

            return (after, log_det), gradient

        return whole(lattice, spread, *stacked)

    def _forward(self, lattice: tf.Tensor, spread: tf.Tensor, stacked: tuple) -> tuple:
        """Lattice, ln |Jacobian|, and the values before each coupling of each turn."""
        shape = [self._number, *self._size]
        kept = tf.TensorArray(self._dtype, self._turns, element_shape=shape)
        log_det = tf.zeros([self._seeds, self._batch], self._dtype)

        def turn(index, lattice, log_det, kept):
            own = self._own(index, stacked)
            values = self._taken(lattice, self._read[index])

            def one(step, values, rows, inputs):
                inputs = inputs.write(step, values)
                values, change = self._coupled(index, step, values, spread, own)
                return step + 1, values, rows + change, inputs

            zero = tf.zeros([self._seeds, self._size[2]], self._dtype)
            inputs = tf.TensorArray(self._dtype, self._number, element_shape=self._size)
            start = (tf.constant(0), values, zero, inputs)
            _, values, rows, inputs = counted_loop(self._number, one, start)
            kept = kept.write(index, inputs.stack())
            change = tf.reduce_sum(self._masked(index, rows), axis=1)
            return index + 1, self._put(lattice, index, values), log_det + change, kept

        start = (tf.constant(0), lattice, log_det, kept)
        _, lattice, log_det, kept = counted_loop(self._turns, turn, start)
        return lattice, log_det, kept.stack()

    def _backward(
        self,
        kept: tf.Tensor,
        spread: tf.Tensor,
        stacked: tuple,
        lattice_bar: tf.Tensor,
        log_det_bar: tf.Tensor,
    ) -> tuple:
        """Derivatives by the lattice, the context and each of the parameters."""

        def turn(step, lattice_bar, spread_bar, *bars):
            index = self._turns - 1 - step
            own, inputs = self._own(index, stacked), kept[index]
            # What was written beyond the torus is nobody's, and what was repeated counts once.
            values_bar = self._masked(index, self._taken(lattice_bar, self._written[index]))
            values_bar = tf.reshape(values_bar, self._size)
            rows_bar = log_det_bar[:, None] * self._counted[index][:, None]
            rows_bar = tf.reshape(rows_bar, [self._seeds, self._size[2]])

            def back(step, values_bar, spread_bar, *found):
                place = self._number - 1 - step
                coupling = self._order[place]
                given = [inputs[place], spread, *(tf.gather(value, coupling) for value in own)]
                with tf.GradientTape() as tape:
                    tape.watch(given)
                    result = self._couple(self._layer[index], coupling, *given)
                slopes = tape.gradient(
                    result, given, [values_bar, rows_bar], unconnected_gradients="zero"
                )
                found = [bar.write(coupling, s) for bar, s in zip(found, slopes[2:], strict=True)]
                return step + 1, slopes[0], spread_bar + slopes[1], *found

            found = [
                tf.TensorArray(value.dtype, self._number, element_shape=value.shape[1:])
                for value in own
            ]
            start = (tf.constant(0), values_bar, spread_bar, *found)
            _, values_bar, spread_bar, *found = counted_loop(self._number, back, start)
            place = self._layer[index][None, None]
            bars = [
                tf.tensor_scatter_nd_add(bar, place, own.stack()[None])
                for bar, own in zip(bars, found, strict=True)
            ]
            return step + 1, self._put(lattice_bar, index, values_bar), spread_bar, *bars

        bars = [tf.zeros_like(value) for value in stacked]
        start = (tf.constant(0), lattice_bar, tf.zeros_like(spread), *bars)
        _, lattice_bar, spread_bar, *bars = counted_loop(self._turns, turn, start)
        return lattice_bar, spread_bar, *bars

    def _coupled(
        self, index: tf.Tensor, step: tf.Tensor, values: tf.Tensor, spread: tf.Tensor, own: list
    ) -> tuple[tf.Tensor, tf.Tensor]:
        coupling = self._order[step]
        here = [tf.gather(value, coupling) for value in own]
        return self._couple(self._layer[index], coupling, values, spread, *here)

    def _own(self, index: tf.Tensor, stacked: tuple) -> list[tf.Tensor]:
        """Parameters of the turn's layer, ``[couplings, seeds, ...]``."""
        return [tf.gather(value, self._layer[index]) for value in stacked]

    def _taken(self, lattice: tf.Tensor, sites: tf.Tensor) -> tf.Tensor:
        """Blocks of the lattice, ``[seeds, reals, rows]``."""
        found = tf.gather(lattice, tf.reshape(sites, [-1]))
        found = tf.reshape(found, [4, self._blocks, self._seeds, self._components, self._batch])
        return tf.reshape(tf.transpose(found, [2, 0, 3, 1, 4]), self._size)

    def _put(self, lattice: tf.Tensor, index: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """The lattice with blocks put back."""
        shape = [self._seeds, 4, self._components, self._blocks, self._batch]
        values = tf.transpose(tf.reshape(values, shape), [1, 3, 0, 2, 4])
        values = tf.reshape(values, [-1, self._seeds, self._components, self._batch])
        sites = tf.reshape(self._written[index], [-1, 1])
        return tf.tensor_scatter_nd_update(lattice, sites, values)

    def _masked(self, index: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """``[seeds, ..., rows]`` → ``[seeds, ..., blocks, batch]``, what is repeated zero."""
        parts = tf.reshape(rows, [*rows.shape[:-1], -1, self._batch])
        return parts * self._counted[index][:, None]
