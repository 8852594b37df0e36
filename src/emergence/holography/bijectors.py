"""What the hierarchical flow asks of a block bijector and of its coordinates at the boundary.

Blocks are ``[seeds, 4, c, h, w, batch]``: the sites (0,0), (0,1), (1,0), (1,1) of a 2×2 block, c
coordinates per site, h×w blocks. Samples come last, so that compiled loops run over them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from emergence.holography.densities import RadialLaw
from emergence.updates import Parameters

LOG_TWO_PI = float(np.log(2.0 * np.pi))


class Bijector(Protocol):
    """A bijection of 2×2 blocks, the same at every block; the identity at the start of a training."""

    components: int
    """Coordinates per site."""

    def initial_parameters(
        self, rng: np.random.Generator, seeds: int, contexts: int
    ) -> dict[str, np.ndarray]:
        """Name → float64 ``[seeds, ...]``; ``contexts`` is the number of context features."""

    def forward(
        self, parameters: Parameters, blocks: tf.Tensor, context: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """From latents towards the field.

        Args:
            blocks: ``[seeds, 4, c, h, w, batch]``.
            context: features of each sample, ``[seeds, contexts, batch]``.

        Returns:
            Blocks of the same shape, and ln |Jacobian| of each sample ``[seeds, batch]``.
        """

    def inverse(
        self, parameters: Parameters, blocks: tf.Tensor, context: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Inverse of :meth:`forward`, with its own ln |Jacobian| ``[seeds, batch]``."""


class TwoWay:
    """A bijector whose directions are one pass, ``_run``, with the couplings in either order."""

    def forward(
        self, parameters: Parameters, blocks: tf.Tensor, context: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """See :class:`~emergence.holography.bijectors.Bijector`."""
        return self._run(parameters, blocks, context, inverse=False)

    def inverse(
        self, parameters: Parameters, blocks: tf.Tensor, context: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """See :class:`~emergence.holography.bijectors.Bijector`."""
        return self._run(parameters, blocks, context, inverse=True)


class Chart(Protocol):
    """Coordinates of the flow: their prior, and the field they stand for at the boundary."""

    components: int

    def sample(self, seed: tf.Tensor, shape: list[int], dtype: tf.DType) -> tf.Tensor:
        """Prior draws ``[*shape, components]`` from a stateless seed ``[2]``."""

    def log_prior(self, latents: tf.Tensor) -> tf.Tensor:
        """``[seeds, batch, L, L, c]`` → ``[seeds, batch]``."""

    def move(self, latents: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Random steps from ``[batch, L, L, c]`` that leave the prior in balance.

        Args:
            step: b of each sample, ``[batch]``: a small step, or at 1 a fresh draw.
        """

    def to_field(self, coordinates: tf.Tensor, mu: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Field ``[seeds, batch, L, L, components]``, ln |Jacobian| ``[seeds, batch]``.

        Args:
            mu: μ of each sample, ``[seeds, batch]``.
        """

    def from_field(self, field: tf.Tensor, mu: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Inverse of :meth:`to_field`."""


def dense(weight: tf.Tensor, bias: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """``weight`` ``[..., out, in]`` times ``values`` ``[..., in, rows]`` plus ``bias``."""
    return tf.matmul(weight, values) + bias[..., None]


@tf.custom_gradient
def elu(values: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """x where positive, e^x − 1 elsewhere, and its derivative from the value alone.

    TensorFlow's own keeps its relative precision around zero, which a network does not need, and takes
    twice as long: of the narrow networks of real NVP, two thirds of a training step.
    """
    result = tf.nn.relu(values) + (tf.exp(tf.minimum(values, 0.0)) - 1.0)
    return result, lambda bar: bar * (1.0 + tf.minimum(result, 0.0))


def held(*values: tf.Tensor) -> list[tf.Tensor]:
    """The same values ``[seeds, rows]``, computed once.

    XLA writes what is elementwise into every loop that reads it, and computes it as often: a spline's
    derivative, read by each of its parameters, then costs three times as much. It does not look through
    a product of matrices, so values go through one with the identity, and so do their derivatives.
    """
    identity = tf.eye(len(values), dtype=values[0].dtype)

    @tf.custom_gradient
    def hold(*values: tf.Tensor) -> tuple[Any, Any]:
        return _times(identity, values), lambda *bars: _times(identity, bars)

    return hold(*values)


def _times(matrix: tf.Tensor, values: tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
    return tf.unstack(tf.matmul(matrix, tf.stack(values, axis=1)), axis=1)


def he_uniform(rng: np.random.Generator, shape: list[int]) -> np.ndarray:
    """Weights ``[..., out, in]`` that keep the variance under rectifiers (He et al. 2015)."""
    bound = np.sqrt(3.0 / shape[-1])
    return rng.uniform(-bound, bound, shape)


def wrap(angle: tf.Tensor) -> tf.Tensor:
    """The same angle within [−π, π]."""
    turns = tf.stop_gradient(tf.round(angle / (2.0 * np.pi)))
    return angle - 2.0 * np.pi * turns


def to_blocks(lattice: tf.Tensor) -> tf.Tensor:
    """``[seeds, c, n, n, batch]`` → ``[seeds, 4, c, n/2, n/2, batch]``."""
    sites = [lattice[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    return tf.stack(sites, axis=1)


def from_blocks(blocks: tf.Tensor) -> tf.Tensor:
    """Inverse of :func:`to_blocks`."""
    seeds, _, components, high, wide, batch = blocks.shape
    grid = tf.reshape(blocks, [seeds, 2, 2, components, high, wide, batch])
    grid = tf.transpose(grid, [0, 3, 4, 1, 5, 2, 6])
    return tf.reshape(grid, [seeds, components, 2 * high, 2 * wide, batch])


def sum_sites(values: tf.Tensor) -> tf.Tensor:
    """``[seeds, batch, ...]`` → ``[seeds, batch]``."""
    return tf.reduce_sum(values, axis=list(range(2, len(values.shape))))


def _normal_prior(latents: tf.Tensor) -> tf.Tensor:
    return sum_sites(-0.5 * (latents**2 + LOG_TWO_PI))


def _normal_step(latents: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """√(1 − b²)·z + b·N(0, 1): N(0, 1) stays what it is, and every step is as likely backwards."""
    noise = tf.random.stateless_normal(latents.shape, seed, dtype=latents.dtype)
    return tf.sqrt(1.0 - step**2) * latents + step * noise


@dataclass(frozen=True)
class PlaneChart:
    """The coordinates are the field; prior N(0, 1) of every real."""

    components: int = 2

    def sample(self, seed: tf.Tensor, shape: list[int], dtype: tf.DType) -> tf.Tensor:
        """See :class:`Chart`."""
        return tf.random.stateless_normal([*shape, self.components], seed, dtype=dtype)

    def log_prior(self, latents: tf.Tensor) -> tf.Tensor:
        """See :class:`Chart`."""
        return _normal_prior(latents)

    def move(self, latents: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See :class:`Chart`."""
        return _normal_step(latents, step[:, None, None, None], seed)

    def to_field(self, coordinates: tf.Tensor, mu: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See :class:`Chart`."""
        return coordinates, tf.zeros_like(mu)

    def from_field(self, field: tf.Tensor, mu: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See :class:`Chart`."""
        return field, tf.zeros_like(mu)


@dataclass(frozen=True)
class RingChart:
    """Two N(0, 1) reals per site, stretched along the radius to the single-site law.

    |z|²/2 is exponential; its quantile is that of |φ|. The radial start for bijectors of the plane.
    """

    law: RadialLaw
    components: int = 2
    exponential: RadialLaw = field(default_factory=lambda: RadialLaw(1.0, 0.0), repr=False)

    def sample(self, seed: tf.Tensor, shape: list[int], dtype: tf.DType) -> tf.Tensor:
        """See :class:`Chart`."""
        return tf.random.stateless_normal([*shape, 2], seed, dtype=dtype)

    def log_prior(self, latents: tf.Tensor) -> tf.Tensor:
        """See :class:`Chart`."""
        return _normal_prior(latents)

    def move(self, latents: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See :class:`Chart`."""
        return _normal_step(latents, step[:, None, None, None], seed)

    def to_field(self, coordinates: tf.Tensor, mu: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See :class:`Chart`."""
        mu = mu[..., None, None]
        return _stretch(coordinates / np.sqrt(2.0), mu, self.exponential, self.law, -np.log(2.0))

    def from_field(self, field: tf.Tensor, mu: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See :class:`Chart`."""
        mu = mu[..., None, None]
        value, log_det = _stretch(field, mu, self.law, self.exponential, np.log(2.0))
        return np.sqrt(2.0) * value, log_det


def _stretch(
    plane: tf.Tensor, mu: tf.Tensor, law: RadialLaw, into: RadialLaw, per_site: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Move every point along its ray from one radial law to another."""
    old = tf.sqrt(tf.reduce_sum(plane**2, axis=-1) + 1e-30)
    normal, volume = law.normal(old, mu)
    new, new_volume = into.radius(normal, mu)
    return plane * (new / old)[..., None], sum_sites(new_volume - volume + float(per_site))


@dataclass(frozen=True)
class PolarChart:
    """(s, θ) per site: s ~ N(0, 1) fixes the radius by the single-site law, θ is uniform."""

    law: RadialLaw
    components: int = 2

    def sample(self, seed: tf.Tensor, shape: list[int], dtype: tf.DType) -> tf.Tensor:
        """See :class:`Chart`."""
        seeds = tf.random.split(seed, 2)
        normal = tf.random.stateless_normal(shape, seeds[0], dtype=dtype)
        angle = tf.random.stateless_uniform(shape, seeds[1], -np.pi, np.pi, dtype=dtype)
        return tf.stack([normal, angle], axis=-1)

    def log_prior(self, latents: tf.Tensor) -> tf.Tensor:
        """See :class:`Chart`."""
        return sum_sites(-0.5 * latents[..., 0] ** 2 - 1.5 * LOG_TWO_PI)

    def move(self, latents: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See :class:`Chart`."""
        seeds, step = tf.random.split(seed, 2), step[:, None, None]
        shape, dtype = latents.shape[:3], latents.dtype
        turn = step * tf.random.stateless_uniform(shape, seeds[1], -np.pi, np.pi, dtype=dtype)
        normal = _normal_step(latents[..., 0], step, seeds[0])
        return tf.stack([normal, wrap(latents[..., 1] + turn)], axis=-1)

    def to_field(self, coordinates: tf.Tensor, mu: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See :class:`Chart`."""
        radius, log_volume = self.law.radius(coordinates[..., 0], mu[..., None, None])
        angle = coordinates[..., 1]
        direction = tf.stack([tf.cos(angle), tf.sin(angle)], axis=-1)
        return radius[..., None] * direction, sum_sites(log_volume)

    def from_field(self, field: tf.Tensor, mu: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See :class:`Chart`."""
        radius = tf.sqrt(tf.reduce_sum(field**2, axis=-1))
        normal, log_volume = self.law.normal(radius, mu[..., None, None])
        angle = tf.math.atan2(field[..., 1], field[..., 0])
        return tf.stack([normal, angle], axis=-1), -sum_sites(log_volume)
