"""The spline bijector written with gather and scatter: what ``make bench`` measures ours against.

The same network with the same parameters, as it is most plainly written: an index table for the
sites that a coupling moves and for the neighbours that it reads, one coupling after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from emergence.holography.bijectors import Bijector, from_blocks, to_blocks
from emergence.holography.spline import AROUND, PolarSpline
from emergence.updates import Parameters


@dataclass(frozen=True)
class GatheredSpline(PolarSpline):
    """:class:`PolarSpline` by index tables."""

    def joins(self, other: Bijector) -> bool:
        """Never: the tables of each coupling are its own."""
        del other
        return False

    def _run(
        self, parameters: Parameters, blocks: tf.Tensor, context: tf.Tensor | None, inverse: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        lattice = from_blocks(blocks)
        seeds, components, side, _, batch = lattice.shape
        if context is None:
            context = tf.zeros([seeds, 0, batch], blocks.dtype)
        flat = tf.reshape(lattice, [seeds, components, side**2, batch])
        log_det = tf.zeros([seeds, batch], blocks.dtype)
        for index in range(len(self.order))[:: -1 if inverse else 1]:
            own = {name: value[:, index] for name, value in parameters.items()}
            flat, change = self._one(own, index, flat, context, inverse)
            log_det += change
        return to_blocks(tf.reshape(flat, lattice.shape)), log_det

    def _one(
        self,
        parameters: Parameters,
        index: int,
        flat: tf.Tensor,
        context: tf.Tensor,
        inverse: bool,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Move the sites of one coupling; ``flat`` is ``[seeds, 2, sites, batch]``."""
        seeds, _, sites, batch = flat.shape
        active, around = _tables(self.order[index], round(sites**0.5))
        near = tf.gather(flat, around, axis=2)
        near = tf.stack([near[:, 0], tf.cos(near[:, 1]), tf.sin(near[:, 1])], axis=2)
        mask = tf.constant(self.informed()[index], flat.dtype)
        features = self._features(parameters, mask, near[:, :, :, :, None], context)
        moving = tf.gather(flat, active, axis=2)[:, :, :, None]
        normal, angle, log_det = self._move(
            parameters, *features, moving[:, 0], moving[:, 1], inverse
        )
        moved = tf.stack([normal, angle], axis=1)[:, :, :, 0]
        sites_first = tf.tensor_scatter_nd_update(
            tf.transpose(flat, [2, 0, 1, 3]), active[:, None], tf.transpose(moved, [2, 0, 1, 3])
        )
        log_det = tf.reduce_sum(tf.reshape(log_det, [seeds, -1, batch]), axis=1)
        return tf.transpose(sites_first, [1, 2, 0, 3]), log_det


def _tables(position: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Sites at a position of their blocks ``[sites / 4]``, and those around each, ``[8, sites / 4]``."""
    row, column = divmod(position, 2)
    rows, columns = (
        each.ravel()
        for each in np.meshgrid(np.arange(row, side, 2), np.arange(column, side, 2), indexing="ij")
    )
    around = [(rows + y) % side * side + (columns + x) % side for y, x in AROUND]
    return rows * side + columns, np.stack(around)
