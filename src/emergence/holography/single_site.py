"""The single-site law exp(−μ|φ|² − λ|φ|⁴), complex φ⁴ at t = 0, and its map from a Gaussian.

In ρ = |φ|² it is a Gaussian cut off at zero, so its distribution function is known in closed form.
Everything is kept as a logarithm: for a thin ring (μ ≪ 0) the cut is some 30 standard deviations
below the mean and exp(−μρ) overflows; for μ > 0 the mean of the Gaussian is itself cut away.
The flow starts its radii here: s ~ N(0, 1) and a uniform angle give the exact theory at t = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtri_exp

from emergence.holography.actions import ComplexPhi4

_ABSCISSAE, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_ABSCISSAE, _WEIGHTS = 0.5 * (_ABSCISSAE + 1.0), 0.5 * _WEIGHTS

NEWTON_STEPS = 60
"""At most so many; three to six are used."""


def _log_normal(normal: np.ndarray) -> np.ndarray:
    return -0.5 * (normal**2 + np.log(2.0 * np.pi))


def _log_erfcx(x: float) -> float:
    """ln(exp(x²) erfc x), also where it overflows."""
    if x >= 0.0:
        return float(np.log(erfcx(x)))
    return float(np.log(2.0) + x * x + log_ndtr(-np.sqrt(2.0) * x))


@dataclass(frozen=True)
class SingleSiteLaw:
    """Distribution of one site's |φ| at hopping zero.

    Raises:
        SettingsError: if exp(−S) has no integral (λ < 0, or λ = 0 with μ ≤ 0).
    """

    mu: float
    """Coefficient of |φ|²."""
    lam: float
    """Coefficient of |φ|⁴."""

    def __post_init__(self) -> None:
        ComplexPhi4(t=0.0, mu=self.mu, lam=self.lam)

    @property
    def _mean(self) -> float:
        """h = μ/(2√λ): minus the mean of the uncut Gaussian in units of √2 deviations."""
        return self.mu / (2.0 * np.sqrt(self.lam)) if self.lam else np.inf

    @property
    def _log_area(self) -> float:
        """ln ∫₀^∞ exp(−μρ − λρ²) dρ."""
        if self.lam == 0.0:
            return float(-np.log(self.mu))
        return float(np.log(0.5) + 0.5 * np.log(np.pi / self.lam) + _log_erfcx(self._mean))

    @property
    def log_partition(self) -> float:
        """ln ∫ d²φ exp(−μ|φ|² − λ|φ|⁴)."""
        return float(np.log(np.pi)) + self._log_area

    def log_density(self, radius: np.ndarray) -> np.ndarray:
        """ln p(φ) in the plane, per d²φ; ``radius`` of any shape."""
        rho = np.square(np.asarray(radius, dtype=np.float64))
        return -rho * (self.mu + self.lam * rho) - self.log_partition

    def log_cdf(self, radius: np.ndarray) -> np.ndarray:
        """ln P(|φ| < radius), accurate in the lower tail too."""
        return self._log_lower(np.square(np.asarray(radius, dtype=np.float64)))

    def log_survival(self, radius: np.ndarray) -> np.ndarray:
        """ln P(|φ| > radius), accurate in the upper tail too."""
        return self._log_upper(np.square(np.asarray(radius, dtype=np.float64)))

    def radius(self, normal: np.ndarray) -> np.ndarray:
        """The increasing map from N(0, 1) to |φ|, elementwise; ``normal`` of any shape."""
        normal = np.asarray(normal, dtype=np.float64)
        log_rho = np.log(self._guess(normal))
        for _ in range(NEWTON_STEPS):
            rho = np.exp(log_rho)
            reached = self._normal(rho)
            log_slope = log_rho + self._log_rho_density(rho) - _log_normal(reached)
            step = (normal - reached) * np.exp(-log_slope)
            # A unit step multiplies ρ by e: farther than that the linearisation means nothing.
            step = np.clip(step, -1.0, 1.0)
            log_rho = log_rho + step
            if np.all(np.abs(step) < 1e-14 * (1.0 + np.abs(log_rho))):
                break
        return np.exp(0.5 * log_rho)

    def normal(self, radius: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`radius`."""
        return self._normal(np.square(np.asarray(radius, dtype=np.float64)))

    def log_volume(self, normal: np.ndarray, radius: np.ndarray | None = None) -> np.ndarray:
        """ln |∂(Re φ, Im φ)/∂(s, θ)| = ln(r dr/ds) of the polar map, elementwise.

        Args:
            normal: s.
            radius: ``self.radius(normal)`` where it is known already.
        """
        normal = np.asarray(normal, dtype=np.float64)
        rho = np.square(self.radius(normal) if radius is None else radius)
        return _log_normal(normal) - self._log_rho_density(rho) - np.log(2.0)

    def _log_rho_density(self, rho: np.ndarray) -> np.ndarray:
        return -rho * (self.mu + self.lam * rho) - self._log_area

    def _log_upper(self, rho: np.ndarray) -> np.ndarray:
        linear, h = self.mu * rho, self._mean
        if self.lam == 0.0:
            return -linear
        shifted = h + np.sqrt(self.lam) * rho
        if h >= 0.0:
            return -linear - self.lam * rho**2 + np.log(erfcx(shifted) / erfcx(h))
        return log_ndtr(-np.sqrt(2.0) * shifted) - log_ndtr(-np.sqrt(2.0) * h)

    def _log_lower(self, rho: np.ndarray) -> np.ndarray:
        linear, quadratic, h = self.mu * rho, self.lam * rho**2, self._mean
        with np.errstate(divide="ignore", invalid="ignore"):
            if h >= 0.0:
                far = np.log(-np.expm1(self._log_upper(rho)))
            else:
                upper = log_ndtr(np.sqrt(2.0) * (h + np.sqrt(self.lam) * rho))
                cut = log_ndtr(np.sqrt(2.0) * h) - upper
                far = upper + np.log1p(-np.exp(cut)) - log_ndtr(-np.sqrt(2.0) * h)
            # Near zero those differences cancel; the integral itself is smooth there.
            exponent = linear[..., None] * _ABSCISSAE + quadratic[..., None] * _ABSCISSAE**2
            near_zero = np.abs(linear) + quadratic <= 1.0
            mean = np.exp(-np.where(near_zero[..., None], exponent, 0.0)) @ _WEIGHTS
            near = np.log(rho) - self._log_area + np.log(mean)
        return np.where(near_zero, near, far)

    def _normal(self, rho: np.ndarray) -> np.ndarray:
        lower, upper = self._log_lower(rho), self._log_upper(rho)
        return np.where(lower < upper, ndtri_exp(lower), -ndtri_exp(upper))

    def _guess(self, normal: np.ndarray) -> np.ndarray:
        """ρ near the solution: exact up to rounding for a ring, within a factor elsewhere."""
        log_lower, log_upper = log_ndtr(normal), -log_ndtr(-normal)
        h = self._mean
        if h >= 0.0:
            root = np.sqrt(self.mu**2 + 4.0 * self.lam * log_upper)
            guess = 2.0 * log_upper / (self.mu + root)
        else:
            cut, kept = log_ndtr(np.sqrt(2.0) * h), log_ndtr(-np.sqrt(2.0) * h)
            below = ndtri_exp(np.logaddexp(cut, np.minimum(log_lower, 0.0) + kept))
            above = -ndtri_exp(kept - log_upper)
            guess = np.where(normal < 0.0, below, above) / np.sqrt(2.0 * self.lam)
            guess = guess - self.mu / (2.0 * self.lam)
        # Where the density is still that at zero, P(ρ) = ρ/area.
        flat = np.exp(np.minimum(log_lower + self._log_area, 100.0))
        return np.where((abs(self.mu) + self.lam * flat) * flat < 0.1, flat, guess)
