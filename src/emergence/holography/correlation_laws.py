"""Laws of correlation functions on a torus, and fits of them to correlated distances.

Both laws are those of the torus, so that no distance has to be left out for being near half of it:

    algebraic    C(r) = A exp{−2πη [G₀(0) − G₀(r)]}, which is A' r^{−η} where 1 ≪ r ≪ L
    exponential  C(r) = A G_m(r), which is A' r^{−1/2} e^{−r/ξ} where ξ ≪ r ≪ L

with the lattice propagator G_m(r) = N⁻¹ Σ_k e^{ikr}/(k̂² + m²) of mass m along an axis, 2 sinh(1/2ξ) = m
(the law of Ornstein and Zernike), and G₀ the massless one without its zero mode. The *plain*
exponential A cosh[(L/2 − r)/ξ], e^{−r/ξ} and its image, is told beside them. Each has two parameters, so
that differences of χ² are differences of Akaike's criterion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize_scalar

from emergence.holography.actions import lattice_cosines

DISTANCES = (2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Fitted, up to half of the side: few enough for their covariance to be known."""


def massive(side: int, mass: float) -> np.ndarray:
    """G_m(r) along an axis for r = 0 … L/2, ``[L/2 + 1]``; for m = 0 without the zero mode."""
    squared = 4.0 - 2.0 * lattice_cosines(side) + mass**2
    inverse = np.zeros_like(squared)
    np.divide(1.0, squared, out=inverse, where=squared > 1e-12)
    return np.fft.ifft2(inverse).real[0, : side // 2 + 1]


def algebraic(side: int, exponent: float) -> np.ndarray:
    """exp{−2πη [G₀(0) − G₀(r)]}, ``[L/2 + 1]``."""
    propagator = massive(side, 0.0)
    return np.exp(-2.0 * np.pi * exponent * (propagator[0] - propagator))


def exponential(side: int, length: float) -> np.ndarray:
    """G_m(r)/G_m(0) at the mass of a correlation length, ``[L/2 + 1]``."""
    propagator = massive(side, 2.0 * np.sinh(0.5 / length))
    return propagator / propagator[0]


def plain(side: int, length: float) -> np.ndarray:
    """cosh[(L/2 − r)/ξ] over its value at r = 0, ``[L/2 + 1]``."""
    half = 0.5 * side
    distance = np.arange(side // 2 + 1)
    near, far = np.exp(-distance / length), np.exp((distance - 2.0 * half) / length)
    return (near + far) / (1.0 + np.exp(-2.0 * half / length))


LAWS: dict[str, Callable[[int, float], np.ndarray]] = {
    "algebraic": algebraic,
    "exponential": exponential,
    "plain": plain,
}

EXPONENTS = (1e-3, 20.0)
SHORTEST, LONGEST = 0.1, 4.0
"""Searched η, the shortest ξ in lattice units and the longest in sides. Where ξ exceeds the side, G_m
is nearly a constant plus G₀, the first two terms of a power law: a torus tells them apart only by what
comes after these."""


@lru_cache
def _grid(law: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the parameter, and the law at each, ``[places, L/2 + 1]``."""
    low, high = EXPONENTS if law == "algebraic" else (SHORTEST, LONGEST * side)
    places = np.linspace(np.log(low), np.log(high), 60)
    return places, np.stack([LAWS[law](side, float(np.exp(place))) for place in places])


@dataclass(frozen=True)
class LawFit:
    """One law fitted to one correlation function."""

    chi_square: float
    amplitude: float
    parameter: float
    """η, or ξ in lattice units."""


class TooFewBlocks(ValueError):
    """The covariance of the distances cannot be told, or has no inverse."""


class Blocks:
    """A correlation function from the means of blocks ``[blocks, L/2 + 1]``.

    Raises:
        TooFewBlocks: all but ``spare`` are too few for the covariance of the distances, or all are equal.
    """

    def __init__(self, blocks: np.ndarray, spare: int = 1) -> None:
        self.blocks = np.asarray(blocks, dtype=float)
        number, distances = self.blocks.shape
        self.side = 2 * (distances - 1)
        self.chosen = np.array([r for r in DISTANCES if r <= self.side // 2])
        if number < len(self.chosen) + 3 + spare:
            raise TooFewBlocks(
                f"{number} blocks tell no covariance of {len(self.chosen)} distances."
            )
        self.value = self.blocks.mean(axis=0)
        self.error = self.blocks.std(axis=0, ddof=1) / np.sqrt(number)
        covariance = np.cov(self.blocks[:, self.chosen].T) / number
        # The inverse of a covariance from few blocks is too large by this (Hartlap 2007).
        share = (number - len(self.chosen) - 2.0) / (number - 1.0)
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError as error:
            raise TooFewBlocks("Blocks of chains that stood still are all the same.") from error
        self._whiten = np.sqrt(share) * np.linalg.inv(factor)

    def fit(self, law: str) -> LawFit:
        """Least squares with the covariance of the blocks; the amplitude is solved for exactly."""
        data = self._whiten @ self.value[self.chosen]

        def solved(shape: np.ndarray) -> tuple[float, float]:
            model = self._whiten @ shape[self.chosen]
            amplitude = float(model @ data / (model @ model))
            return float(np.sum((data - amplitude * model) ** 2)), amplitude

        def at(logarithm: float) -> tuple[float, float]:
            return solved(LAWS[law](self.side, float(np.exp(logarithm))))

        places, shapes = _grid(law, self.side)
        best = int(np.argmin([solved(shape)[0] for shape in shapes]))
        bounds = (places[max(best - 1, 0)], places[min(best + 1, len(places) - 1)])
        found = minimize_scalar(
            lambda place: at(place)[0], bounds=bounds, method="bounded", options={"xatol": 1e-8}
        )
        chi_square, amplitude = at(found.x)
        return LawFit(chi_square, amplitude, float(np.exp(found.x)))

    def advantage(self) -> float:
        """Δχ² in favour of the power law, over the better of the two exponentials."""
        decaying = min(self.fit(law).chi_square for law in ("exponential", "plain"))
        return decaying - self.fit("algebraic").chi_square

    def jackknife(self, function: Callable[[Blocks], float]) -> tuple[float, float]:
        """(value, error) of a function, the covariance told anew without each block: taken as known it
        leaves the error a quarter too small."""
        number = len(self.blocks)
        every = (Blocks(np.delete(self.blocks, each, axis=0), spare=0) for each in range(number))
        values = np.array([function(each) for each in every])
        error = np.sqrt((number - 1.0) * np.mean((values - values.mean()) ** 2))
        return float(function(self)), float(error)


def parameter(law: str) -> Callable[[Blocks], float]:
    """What reads η or ξ off a correlation function."""
    return lambda each: each.fit(law).parameter
