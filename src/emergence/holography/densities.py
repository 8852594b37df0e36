"""The actions of :mod:`emergence.holography.actions` as TensorFlow functions, and what is subtracted.

A field is ``[seeds, batch, L, L, components]``: (Re φ, Im φ) of a complex field, one component of a
real one. Couplings may differ from sample to sample, so that one conditional flow learns a whole
phase diagram. Deep in the ordered phase S is −400 per site while what matters is of order one:
single precision needs the constant −λρ₀² of the potential's minimum taken out first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import tensorflow as tf

from emergence.errors import SettingsError
from emergence.holography.actions import ComplexPhi4, FreeField, IsingDualField
from emergence.holography.single_site import SingleSiteLaw

Couplings = tf.Tensor
"""(t, μ) of every sample, ``[seeds, batch, 2]``; ignored by theories without couplings."""


class Theory(Protocol):
    """What a flow is trained on."""

    components: int
    """Reals per site."""

    def couplings(self, seeds: int, batch: int, dtype: tf.DType) -> Couplings:
        """The theory's own (t, μ) for every sample, ``[seeds, batch, 2]``."""

    def action(self, field: tf.Tensor, couplings: Couplings) -> tf.Tensor:
        """S + constant of fields ``[seeds, batch, L, L, components]``, ``[seeds, batch]``."""

    def constant(self, couplings: Couplings, side: int) -> tf.Tensor:
        """What :meth:`action` adds to S, ``[seeds, batch]``: ln Z of S is ln Z of it plus this."""


def bond_sum(field: tf.Tensor) -> tf.Tensor:
    """Σ_⟨ij⟩ Re φ_i*φ_j over all bonds, ``[seeds, batch]``; on two sites each counts twice."""
    neighbours = tf.roll(field, -1, axis=2) + tf.roll(field, -1, axis=3)
    return tf.reduce_sum(field * neighbours, axis=[2, 3, 4])


@dataclass(frozen=True)
class Phi4Theory:
    """Complex φ⁴ (:class:`ComplexPhi4`), also with couplings of each sample's own.

    ``action`` is −t Σ Re φ_i*φ_j + Σ λ(ρ − ρ₀)² + max(μ, 0)ρ with ρ₀ = max(−μ, 0)/2λ.

    Raises:
        SettingsError: if the theory is unstable.
    """

    t: float
    mu: float
    lam: float
    components: int = 2

    def __post_init__(self) -> None:
        ComplexPhi4(self.t, self.mu, self.lam)

    @classmethod
    def of(cls, action: ComplexPhi4 | FreeField) -> Phi4Theory:
        """The theory of an action; the free field is λ = 0."""
        return cls(action.t, action.mu, getattr(action, "lam", 0.0))

    def couplings(self, seeds: int, batch: int, dtype: tf.DType) -> Couplings:
        """See :class:`Theory`."""
        return tf.broadcast_to(tf.constant([self.t, self.mu], dtype), [seeds, batch, 2])

    def action(self, field: tf.Tensor, couplings: Couplings) -> tf.Tensor:
        """See :class:`Theory`."""
        t, mu = couplings[..., 0], couplings[..., 1]
        density = tf.reduce_sum(field**2, axis=-1)
        mass = mu if self.lam == 0.0 else tf.nn.relu(mu)
        onsite = mass[..., None, None] * density
        if self.lam > 0.0:
            minimum = tf.nn.relu(-mu) / (2.0 * self.lam)
            onsite += self.lam * (density - minimum[..., None, None]) ** 2
        return tf.reduce_sum(onsite, axis=[2, 3]) - t * bond_sum(field)

    def constant(self, couplings: Couplings, side: int) -> tf.Tensor:
        """Nλρ₀², ``[seeds, batch]``."""
        mu = couplings[..., 1]
        if self.lam == 0.0:
            return tf.zeros_like(mu)
        return side * side * tf.nn.relu(-mu) ** 2 / (4.0 * self.lam)


@dataclass(frozen=True)
class IsingTheory:
    """The Ising model as a continuous field (:class:`IsingDualField`)."""

    temperature: float
    margin: float = 0.1
    components: int = 1

    def __post_init__(self) -> None:
        IsingDualField(self.temperature, self.margin)

    def couplings(self, seeds: int, batch: int, dtype: tf.DType) -> Couplings:
        """Zeros: there is nothing to vary."""
        return tf.zeros([seeds, batch, 2], dtype)

    def action(self, field: tf.Tensor, couplings: Couplings) -> tf.Tensor:
        """½ xᵀK⁻¹x − Σ ln cosh x_i, ``[seeds, batch]``."""
        del couplings
        side = field.shape[2]
        modes = fourier_basis(side)
        eigenvalues = IsingDualField(self.temperature, self.margin).eigenvalues(side)
        basis = tf.constant(modes, field.dtype)
        field = field[..., 0]
        # A real basis of both axes diagonalises K: two products of L×L matrices, no FFT.
        amplitude = tf.einsum("ax,snxy,by->snab", basis, field, basis, optimize="optimal")
        quadratic = 0.5 * tf.constant(1.0 / eigenvalues, field.dtype) * amplitude**2
        size = tf.abs(field)
        log_cosh = size + tf.math.log1p(tf.exp(-2.0 * size)) - float(np.log(2.0))
        return tf.reduce_sum(quadratic - log_cosh, axis=[2, 3])

    def constant(self, couplings: Couplings, side: int) -> tf.Tensor:
        """Zero, ``[seeds, batch]``."""
        del side
        return tf.zeros_like(couplings[..., 0])


def fourier_basis(side: int) -> np.ndarray:
    """Orthonormal cas functions (cos kx + sin kx)/√L, ``[L (momentum), L (site)]`` in FFT order.

    cas(kx) and cas(−kx) span the modes ±k, on which a symmetric circulant matrix is a number.
    """
    phase = 2.0 * np.pi * np.outer(np.arange(side), np.arange(side)) / side
    return (np.cos(phase) + np.sin(phase)) / np.sqrt(side)


THIN = -12.0
"""A ring so many standard deviations from zero is a Gaussian in |φ|² to double precision."""


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
        if low != high and not RadialLaw(high, self.lam).thin:
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
