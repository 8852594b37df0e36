"""Real NVP on the 4c reals of a 2×2 block, the bijector of the paper (and of arXiv:1802.02840).

A coupling keeps a random half x_p of the coordinates and maps the rest to x_a·e^a + b, with a and b
from two networks of x_p (Dinh et al., arXiv:1605.08803). a is bounded by a learnable number per
coordinate that starts at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from emergence.holography.bijectors import Bijector, TwoWay, dense, elu, he_uniform
from emergence.holography.block_loop import run_blocks, turns_of
from emergence.holography.scan import by_coupling, scan_couplings
from emergence.updates import Parameters


@dataclass(frozen=True)
class RealNVP(TwoWay):
    """Affine couplings between random halves of a block's coordinates."""

    components: int = 2
    """Reals per site."""
    couplings: int = 8
    width: int = 32
    depth: int = 2
    """Hidden layers."""
    mask_seed: int = 0
    """Fixes the random halves; every second coupling moves what the one before kept."""

    @property
    def size(self) -> int:
        """Reals per block."""
        return 4 * self.components

    def masks(self) -> np.ndarray:
        """1 where a coordinate is kept, ``[couplings, reals]``."""
        rng = np.random.default_rng(self.mask_seed)
        masks = np.zeros((self.couplings, self.size))
        for index in range(self.couplings):
            if index % 2:
                masks[index] = 1.0 - masks[index - 1]
            else:
                masks[index, rng.permutation(self.size)[: self.size // 2]] = 1.0
        return masks

    def initial_parameters(
        self, rng: np.random.Generator, seeds: int, contexts: int = 0
    ) -> dict[str, np.ndarray]:
        """Random hidden layers, the last one of the shifts zero: the identity."""
        size, wide = [seeds, self.couplings, 2], self.width
        out = he_uniform(rng, [*size, self.size, wide])
        out[:, :, 1] = 0.0
        parameters = {
            "bound": np.zeros([seeds, self.couplings, self.size]),
            "in/weight": he_uniform(rng, [*size, wide, self.size + contexts]),
            "in/bias": np.zeros([*size, wide]),
            "out/weight": out,
            "out/bias": np.zeros([*size, self.size]),
        }
        if self.depth > 1:
            parameters["hidden/weight"] = he_uniform(rng, [*size, self.depth - 1, wide, wide])
            parameters["hidden/bias"] = np.zeros([*size, self.depth - 1, wide])
        return parameters

    def joins(self, other: Bijector) -> bool:
        """Whether couplings of both can be run in one loop: they differ in their halves only."""
        return isinstance(other, RealNVP) and replace(self, mask_seed=0) == replace(
            other, mask_seed=0
        )

    def _run(
        self, parameters: Parameters, blocks: tf.Tensor, context: tf.Tensor | None, inverse: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        shape = blocks.shape
        seeds, batch = shape[0], shape[-1]
        values = tf.reshape(blocks, [seeds, self.size, -1])
        context = _told(context, blocks)
        spread = context[:, :, None, None] + tf.zeros([1, 1, *shape[3:5], 1], blocks.dtype)
        spread = tf.reshape(spread, [seeds, context.shape[1], values.shape[2]])
        names, masks = sorted(parameters), tf.constant(self.masks(), blocks.dtype)

        def couple(
            index: tf.Tensor, values: tf.Tensor, spread: tf.Tensor, *own: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            here = dict(zip(names, own, strict=True))
            return self._couple(here, tf.gather(masks, index), values, spread, inverse)

        stacked = [by_coupling(parameters[name]) for name in names]
        values, log_det = scan_couplings(couple, self._order(inverse), values, spread, stacked)
        log_det = tf.reduce_sum(tf.reshape(log_det, [seeds, -1, batch]), axis=1)
        return tf.reshape(values, shape), log_det

    def _order(self, inverse: bool) -> list[int]:
        return list(range(self.couplings))[:: -1 if inverse else 1]

    def _couple(
        self,
        parameters: Parameters,
        mask: tf.Tensor,
        values: tf.Tensor,
        context: tf.Tensor,
        inverse: bool,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One coupling of ``[seeds, reals, rows]`` with its ln |Jacobian| ``[seeds, rows]``."""
        kept = mask[:, None]
        scale, shift = self._network(parameters, kept * values, context)
        scale, shift = (1.0 - kept) * scale, (1.0 - kept) * shift
        if inverse:
            return (values - shift) * tf.exp(-scale), -tf.reduce_sum(scale, axis=1)
        return values * tf.exp(scale) + shift, tf.reduce_sum(scale, axis=1)

    def _network(
        self, parameters: Parameters, kept: tf.Tensor, context: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """a and b, ``[seeds, reals, rows]`` each, from networks run side by side."""
        given = tf.concat([kept, context], axis=1)
        weight, bias = parameters["in/weight"], parameters["in/bias"]
        # Both networks read the same: their first layers are one matrix.
        joint = tf.reshape(weight, [weight.shape[0], 2 * self.width, weight.shape[3]])
        hidden = dense(joint, tf.reshape(bias, [bias.shape[0], -1]), given)
        hidden = elu(tf.reshape(hidden, [bias.shape[0], 2, self.width, -1]))
        for layer in range(self.depth - 1):
            weight, bias = parameters["hidden/weight"], parameters["hidden/bias"]
            hidden = elu(dense(weight[:, :, layer], bias[:, :, layer], hidden))
        out = dense(parameters["out/weight"], parameters["out/bias"], hidden)
        return parameters["bound"][..., None] * tf.tanh(out[:, 0]), out[:, 1]


def run_levels(
    layers: Sequence[tuple[RealNVP, Parameters]],
    lattice: tf.Tensor,
    context: tf.Tensor | None,
    *,
    inverse: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """All levels of a flow in one loop.

    Args:
        layers: that join each other, with their parameters: of each level, from the boundary on, the
            decimator and the disentangler.
        lattice: coordinates ``[seeds, c, L, L, batch]``, of the bulk or (inverse) of the boundary.
        context: ``[seeds, contexts, batch]``.

    Returns:
        The lattice, and ln |Jacobian| of each sample ``[seeds, batch]``.
    """
    bijector, names = layers[0][0], sorted(layers[0][1])
    masks = tf.constant(np.stack([each.masks() for each, _ in layers]), lattice.dtype)

    def couple(
        layer: tf.Tensor,
        coupling: tf.Tensor,
        values: tf.Tensor,
        context: tf.Tensor,
        *own: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        mask = masks[layer, coupling]
        return bijector._couple(dict(zip(names, own, strict=True)), mask, values, context, inverse)

    stacked = [tf.stack([by_coupling(own[name]) for _, own in layers]) for name in names]
    turns = turns_of(lattice.shape[2], lattice.shape[4])
    context = _told(context, lattice)
    order = bijector._order(inverse)
    return run_blocks(couple, turns, order, lattice, context, stacked, inverse=inverse)


def _told(context: tf.Tensor | None, values: tf.Tensor) -> tf.Tensor:
    """Context ``[seeds, contexts, batch]``, of none where there is none."""
    empty = tf.zeros([values.shape[0], 0, values.shape[-1]], values.dtype)
    return empty if context is None else context
