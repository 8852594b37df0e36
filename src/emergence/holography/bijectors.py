"""What the hierarchical flow asks of a block bijector and of its coordinates at the boundary.

Blocks are ``[seeds, 4, c, h, w, batch]``: the sites (0,0), (0,1), (1,0), (1,1) of a 2×2 block, c
coordinates per site, h×w blocks. Samples come last, so that compiled loops run over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import tensorflow as tf

from emergence.errors import SettingsError
from emergence.holography.single_site import SingleSiteLaw
from emergence.updates import Parameters

LOG_TWO_PI = float(np.log(2.0 * np.pi))

THIN = -12.0
"""A ring so many standard deviations from zero is a Gaussian in |φ|² to double precision."""


class Bijector(Protocol):
    """A bijection of 2×2 blocks, the same at every block; identical at the start of a training."""

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


class Chart(Protocol):
    """Coordinates of the flow: their prior, and the field they stand for at the boundary."""

    components: int

    def sample(self, seed: tf.Tensor, shape: list[int], dtype: tf.DType) -> tf.Tensor:
        """Prior draws ``[*shape, components]`` from a stateless seed ``[2]``."""

    def log_prior(self, latents: tf.Tensor) -> tf.Tensor:
        """``[seeds, batch, L, L, c]`` → ``[seeds, batch]``."""

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


class MonotoneTable:
    """An increasing function as a cubic Hermite spline, with the derivative of that very spline.

    Args:
        function: (value, derivative) at the nodes, elementwise.
        low, high: range of the nodes; beyond them the function goes on as a straight line.
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
        low: float,
        high: float,
        nodes: int = 4097,
    ) -> None:
        self.low, self.high, self.cells = low, high, nodes - 1
        self.step = (high - low) / self.cells
        abscissae = np.linspace(low, high, nodes)
        self.values, derivative = function(abscissae)
        self.slopes = derivative * self.step
        # Starting points of the inverse: abscissae at equal steps of the value.
        self.targets = np.linspace(self.values[0], self.values[-1], nodes)
        self.guesses = np.interp(self.targets, self.values, abscissae)

    def __call__(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """f(x) and ln f′(x)."""
        inside = tf.clip_by_value(x, self.low, self.high)
        position = (inside - self.low) / self.step
        cell = tf.clip_by_value(tf.cast(position, tf.int32), 0, self.cells - 1)
        u = position - tf.cast(cell, x.dtype)
        left, right = (self._at(self.values, cell + i, x.dtype) for i in (0, 1))
        first, last = (self._at(self.slopes, cell + i, x.dtype) for i in (0, 1))
        rise = right - left
        cubic = first + last - 2.0 * rise
        square = 3.0 * rise - 2.0 * first - last
        value = left + u * (first + u * (square + u * cubic))
        slope = (first + u * (2.0 * square + 3.0 * u * cubic)) / self.step
        return value + slope * (x - inside), tf.math.log(slope)

    def inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """x with f(x) = y, and ln f′(x); differentiable."""
        target = tf.stop_gradient(y)
        span = (self.targets[-1] - self.targets[0]) / self.cells
        cell = tf.cast((target - self.targets[0]) / span, tf.int32)
        x = self._at(self.guesses, tf.clip_by_value(cell, 0, self.cells), y.dtype)
        for _ in range(8):
            value, log_slope = self(x)
            x = x - (value - target) * tf.exp(-log_slope)
        x = tf.stop_gradient(x)
        value, log_slope = self(x)
        # One more Newton step carries the derivative 1/f′ of the inverse.
        x = x + (y - tf.stop_gradient(value)) * tf.exp(-tf.stop_gradient(log_slope))
        return x, self(x)[1]

    @staticmethod
    def _at(table: np.ndarray, index: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        return tf.gather(tf.constant(table, dtype), index)


def _log_density_of(law: SingleSiteLaw) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """s → ln |φ|² and its derivative."""

    def function(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        radius = law.radius(normal)
        # r dr/ds = e^volume, so d ln r²/ds = 2 e^volume/r².
        return 2.0 * np.log(radius), 2.0 * np.exp(law.log_volume(normal, radius)) / radius**2

    return function


REACH = 8.5
"""Tables of the single-site law cover so many standard deviations of s."""


@dataclass(frozen=True)
class RadialLaw:
    """The map s ~ N(0, 1) ↔ |φ| of the single-site law at hopping zero, elementwise.

    For a thin ring |φ|² is Gaussian and the map is in closed form, for any μ of any sample. For
    others it is a table, good to 1e-10, of one μ.

    Raises:
        SettingsError: if the law has no integral.
    """

    mu: float
    """The μ of the table; for thin rings the largest that will be asked for."""
    lam: float
    table: MonotoneTable | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        law = SingleSiteLaw(self.mu, self.lam)
        table = None if self.thin else MonotoneTable(_log_density_of(law), -REACH, REACH)
        object.__setattr__(self, "table", table)

    @property
    def thin(self) -> bool:
        """Whether the closed form holds."""
        return self.lam > 0.0 and self.mu / np.sqrt(2.0 * self.lam) <= THIN

    def check_range(self, low: float, high: float) -> None:
        """Refuse couplings whose radial law the closed form does not cover.

        Raises:
            SettingsError: if μ varies and the ring is not thin throughout.
        """
        wide = SingleSiteLaw(high, self.lam) and high / np.sqrt(2.0 * self.lam) > THIN
        if low != high and wide:
            raise SettingsError(
                f"A conditional flow up to mu = {high} meets rings that are not thin.",
                f"Keep mu below {THIN * np.sqrt(2.0 * self.lam):.0f} at lambda = {self.lam}.",
            )

    def radius(self, normal: tf.Tensor, mu: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """|φ| and ln(r dr/ds), the latter of the map (s, θ) → (Re φ, Im φ)."""
        if self.table is not None:
            log_density, log_slope = self.table(normal)
            return tf.exp(0.5 * log_density), log_density + log_slope - float(np.log(2.0))
        width = float(np.sqrt(2.0 * self.lam))
        distance, log_slope = _positive(normal - mu / width)
        return tf.sqrt(distance / width), log_slope - float(np.log(2.0 * width))

    def normal(self, radius: tf.Tensor, mu: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """s and ln(r dr/ds) at it: the inverse of :meth:`radius`."""
        density = radius**2
        if self.table is not None:
            log_density = tf.math.log(density)
            normal, log_slope = self.table.inverse(log_density)
            return normal, log_density + log_slope - float(np.log(2.0))
        width = float(np.sqrt(2.0 * self.lam))
        distance, log_slope = _positive_inverse(width * density)
        return distance + mu / width, log_slope - float(np.log(2.0 * width))


_KNEE = 3.0


def _positive(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """x, bent below 3 so that it stays positive, and the ln of its slope; no draw gets there."""
    bent = tf.minimum(x / _KNEE - 1.0, 0.0)
    return tf.where(x < _KNEE, _KNEE * tf.exp(bent), x), bent


def _positive_inverse(y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    bent = tf.math.log(tf.minimum(y / _KNEE, 1.0))
    return tf.where(y < _KNEE, _KNEE * (bent + 1.0), y), bent


def _normal_prior(latents: tf.Tensor) -> tf.Tensor:
    return sum_sites(-0.5 * (latents**2 + LOG_TWO_PI))


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
