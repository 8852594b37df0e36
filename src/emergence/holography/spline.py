"""Exactly U(1)-equivariant bijector of 2×2 blocks: circular splines for angles, affine for radii.

A site is (s, θ), see :class:`~emergence.holography.bijectors.PolarChart`. A coupling moves one site
of every block, in the local frame of its neighbours: the field H = Σ_j w_j e^{αs_j + iθ_j} of those
is what the angle is measured from, and a network sees the neighbours in that frame alone. This is
the form of the theory's own conditional law: given the neighbours, the angle of a site is von Mises
about arg H and, given the angle, its radius is near a Gaussian moved by t|H| cos(θ − arg H).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from emergence.holography.bijectors import (
    Bijector,
    TwoWay,
    dense,
    elu,
    from_blocks,
    he_uniform,
    held,
    to_blocks,
    wrap,
)
from emergence.holography.circular_spline import circular_spline, knots
from emergence.holography.scan import by_coupling, scan_couplings
from emergence.updates import Parameters

FARTHEST = 12.0
"""Standard deviations of s beyond which a neighbour is read as if it were there."""

AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
"""Displacements of the eight surrounding sites."""


@dataclass(frozen=True)
class PolarSpline(TwoWay):
    """Couplings of (s, θ), one site of each block after the other.

    A coupling's new angle is arg H + spline(θ − arg H) + turn; its new s is s·e^a + b with a and b
    linear in the cosine and sine of the new angle. All of them come from one network.
    """

    order: tuple[int, ...] = (3, 1, 2)
    """Which site of the block each coupling moves."""
    fresh: bool = False
    """Whether only site 0 is informed at first (a decimator) and uninformed sites are not read."""
    surroundings: bool = True
    """Read the eight sites around; otherwise only the three others of the own block."""
    bins: int = 8
    width: int = 32
    depth: int = 2
    """Hidden layers."""
    components: int = 2

    @property
    def features(self) -> int:
        """|H|, and of each neighbour its two components in the frame of H, and s."""
        return 1 + 3 * len(AROUND)

    def initial_parameters(
        self, rng: np.random.Generator, seeds: int, contexts: int = 0
    ) -> dict[str, np.ndarray]:
        """Random hidden layers, the last one zero: the identity."""
        size, wide = [seeds, len(self.order)], self.width
        near = [1.0 if abs(y) + abs(x) == 1 else 0.5 for y, x in AROUND]
        parameters = {
            "field": np.broadcast_to(near, [*size, len(AROUND)]).copy(),
            "amplitude": np.zeros(size),
            "in/weight": he_uniform(rng, [*size, wide, self.features + contexts]),
            "in/bias": np.zeros([*size, wide]),
            "out/weight": np.zeros([*size, 3 * self.bins + 7, wide]),
            "out/bias": np.zeros([*size, 3 * self.bins + 7]),
        }
        if self.depth > 1:
            parameters["hidden/weight"] = he_uniform(rng, [*size, self.depth - 1, wide, wide])
            parameters["hidden/bias"] = np.zeros([*size, self.depth - 1, wide])
        return parameters

    def informed(self) -> np.ndarray:
        """1 where a coupling reads the site around its own, ``[couplings, 8]``."""
        informed = np.ones((len(self.order), len(AROUND)))
        for index, position in enumerate(self.order):
            row, column = divmod(position, 2)
            known = {0, *self.order[:index]} if self.fresh else {0, 1, 2, 3}
            for slot, (y, x) in enumerate(AROUND):
                site = 2 * ((row + y) % 2) + (column + x) % 2
                own_block = 0 <= row + y <= 1 and 0 <= column + x <= 1
                informed[index, slot] = site in known and (self.surroundings or own_block)
        return informed

    def _run(
        self, parameters: Parameters, blocks: tf.Tensor, context: tf.Tensor | None, inverse: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        lattice, log_det = run_layers(
            [(self, parameters)], from_blocks(blocks), context, inverse=inverse
        )
        return to_blocks(lattice), log_det

    def joins(self, other: Bijector) -> bool:
        """Whether couplings of both can be run in one loop: by the same code."""
        plain = {"order": (), "fresh": False, "surroundings": True}
        return isinstance(other, PolarSpline) and replace(self, **plain) == replace(other, **plain)

    def _couple(
        self,
        parameters: Parameters,
        mask: tf.Tensor,
        lattice: tf.Tensor,
        context: tf.Tensor,
        inverse: bool,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Move the first site of every block of the lattice ``[seeds, 2, n, n, batch]``."""
        blocks = to_blocks(lattice)
        normal, angle = blocks[:, 0, 0], blocks[:, 0, 1]
        features = self._features(parameters, mask, _around(blocks[:, 1:]), context)
        normal, angle, log_det = self._move(parameters, *features, normal, angle, inverse)
        moved = tf.stack([normal, angle], axis=1)[:, None]
        log_det = tf.reshape(log_det, [normal.shape[0], -1, normal.shape[-1]])
        lattice = from_blocks(tf.concat([moved, blocks[:, 1:]], axis=1))
        return lattice, tf.reduce_sum(log_det, axis=1)

    def _move(
        self,
        parameters: Parameters,
        direction: tf.Tensor,
        strength: tf.Tensor,
        features: tf.Tensor,
        normal: tf.Tensor,
        angle: tf.Tensor,
        inverse: bool,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """s and θ ``[seeds, h, w, batch]`` of the active sites after one coupling, or before it.

        Returns:
            s, θ, and ln |Jacobian| of each site ``[seeds, rows]``.
        """
        shape = angle.shape
        raw = self._network(parameters, features)
        # Where H vanishes it has no direction: there the map of the angle is the identity.
        gate = strength / tf.sqrt(1.0 + strength**2)
        spline = knots(raw[:, : 3 * self.bins] * gate[:, None], self.bins)
        turn = raw[:, -7] * gate
        normal = tf.reshape(normal, direction.shape)
        angle = wrap(tf.reshape(angle, direction.shape) - direction)
        if inverse:
            normal, scale = _slide(normal, angle, raw[:, -6:], inverse=True)
            angle, log_slope = circular_spline(wrap(angle - turn), *spline, inverse=True)
        else:
            angle, log_slope = circular_spline(angle, *spline)
            angle = wrap(angle + turn)
            normal, scale = _slide(normal, angle, raw[:, -6:], inverse=False)
        angle = wrap(angle + direction)
        return tf.reshape(normal, shape), tf.reshape(angle, shape), log_slope + scale

    def _features(
        self, parameters: Parameters, mask: tf.Tensor, seen: tf.Tensor, context: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """arg H and |H| ``[seeds, rows]``, and the network's features ``[seeds, features, rows]``.

        Args:
            mask: 1 for the neighbours that are read, ``[8]``.
            seen: (s, cos θ, sin θ) of the neighbours, ``[seeds, 8, 3, h, w, batch]``.
        """
        seeds, number, _, high, wide, batch = seen.shape
        seen = tf.reshape(seen, [seeds, number, 3, -1])
        mask = mask[:, None]
        # A site far out in the tail of the prior must not carry its neighbours to infinity.
        normal = mask * tf.clip_by_value(seen[:, :, 0], -FARTHEST, FARTHEST)
        size = mask * tf.exp(parameters["amplitude"][:, None, None] * normal)
        vector = size[:, :, None] * seen[:, :, 1:]
        total = tf.reduce_sum(parameters["field"][..., None, None] * vector, axis=1)
        # The tiny number keeps the derivative finite where H = 0 exactly.
        strength = tf.sqrt(tf.reduce_sum(total**2, axis=1) + 1e-12)
        along = total / strength[:, None]
        across = tf.stack([along[:, 1], -along[:, 0]], axis=1)
        every = [seeds, context.shape[1], high, wide, batch]
        spread = tf.broadcast_to(context[:, :, None, None], every)
        features = [
            strength[:, None] / 4.0,
            tf.reduce_sum(vector * along[:, None], axis=2),
            tf.reduce_sum(vector * across[:, None], axis=2),
            normal,
            tf.reshape(spread, [seeds, context.shape[1], high * wide * batch]),
        ]
        direction = tf.math.atan2(total[:, 1], total[:, 0] + 1e-12)
        return direction, strength, tf.concat(features, axis=1)

    def _network(self, parameters: Parameters, features: tf.Tensor) -> tf.Tensor:
        hidden = elu(dense(parameters["in/weight"], parameters["in/bias"], features))
        for layer in range(self.depth - 1):
            weight, bias = parameters["hidden/weight"], parameters["hidden/bias"]
            hidden = elu(dense(weight[:, layer], bias[:, layer], hidden))
        return dense(parameters["out/weight"], parameters["out/bias"], hidden)


def _around(sites: tf.Tensor) -> tf.Tensor:
    """(s, cos θ, sin θ) of the eight sites around the first one of every block.

    Args:
        sites: the second, third and fourth of every block, ``[seeds, 3, 2, h, w, batch]``.

    Returns:
        ``[seeds, 8, 3, h, w, batch]`` in the order of ``AROUND``.
    """
    angle = sites[:, :, 1]
    seen = tf.stack([sites[:, :, 0], tf.cos(angle), tf.sin(angle)], axis=2)
    right, below, corner = tf.unstack(seen, axis=1)
    left = tf.roll(right, 1, axis=3)
    above, above_right = tf.roll(below, 1, axis=2), tf.roll(corner, 1, axis=2)
    above_left, below_left = tf.roll(above_right, 1, axis=3), tf.roll(corner, 1, axis=3)
    order = [above_left, above, above_right, left, right, below_left, below, corner]
    return tf.stack(order, axis=1)


def _slide(
    normal: tf.Tensor, angle: tf.Tensor, raw: tf.Tensor, inverse: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """s·e^a + b with a and b linear in (1, cos, sin) of the angle, or back; ln of the slope."""
    basis = tf.stack([tf.ones_like(angle), tf.cos(angle), tf.sin(angle)], axis=1)
    scale = 2.0 * tf.tanh(0.5 * tf.reduce_sum(raw[:, :3] * basis, axis=1))
    shift = tf.reduce_sum(raw[:, 3:] * basis, axis=1)
    scale, shift = held(scale, shift)
    if inverse:
        return (normal - shift) * tf.exp(-scale), -scale
    return normal * tf.exp(scale) + shift, scale


def run_layers(
    layers: Sequence[tuple[PolarSpline, Parameters]],
    lattice: tf.Tensor,
    context: tf.Tensor | None,
    *,
    inverse: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Bijectors one after the other in one loop, so that one coupling is compiled for all of them.

    Args:
        layers: that join each other, with their parameters; blocks of each are offset by one site
            from those of the one before, along both axes.
        lattice: ``[seeds, c, n, n, batch]``.
        context: ``[seeds, contexts, batch]``.

    Returns:
        The lattice, and ln |Jacobian| of each sample ``[seeds, batch]``.
    """
    if context is None:
        context = tf.zeros([lattice.shape[0], 0, lattice.shape[-1]], lattice.dtype)
    masks = np.concatenate([spline.informed() for spline, _ in layers])
    # The site that a coupling moves, on the blocks of the first of the bijectors.
    sites = [
        [site // 2 + offset, site % 2 + offset]
        for offset, (spline, _) in enumerate(layers)
        for site in spline.order
    ]
    names, bijector = sorted(layers[0][1]), layers[0][0]
    fixed = [tf.constant(masks, lattice.dtype), tf.constant(sites)]

    def couple(
        index: tf.Tensor, lattice: tf.Tensor, context: tf.Tensor, *own: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        mask, site = (tf.gather(table, index) for table in fixed)
        here = dict(zip(names, own, strict=True))
        # Rolled so that the site that moves is the first of its block.
        rolled = tf.roll(lattice, -site, axis=[2, 3])
        rolled, log_det = bijector._couple(here, mask, rolled, context, inverse)
        return tf.roll(rolled, site, axis=[2, 3]), log_det

    order = list(range(len(sites)))[:: -1 if inverse else 1]
    stacked = [
        tf.concat([by_coupling(parameters[name]) for _, parameters in layers], axis=0)
        for name in names
    ]
    return scan_couplings(couple, order, lattice, context, stacked)
