"""Correlation functions on the torus: algebraic in the critical phase, exponential beyond it.

Both laws are those of the torus, so that no distance has to be left out for being near half of it:

    algebraic    C(r) = A exp{−2πη [G₀(0) − G₀(r)]}, which is A' r^{−η} where 1 ≪ r ≪ L
    exponential  C(r) = A G_m(r), which is A' r^{−1/2} e^{−r/ξ} where ξ ≪ r ≪ L

with the lattice propagator G_m(r) = N⁻¹ Σ_k e^{ikr}/(k̂² + m²) of mass m along an axis, 2 sinh(1/2ξ) = m
(the law of Ornstein and Zernike), and G₀ the massless one without its zero mode. The *plain*
exponential A cosh[(L/2 − r)/ξ], e^{−r/ξ} and its image, is told beside them. Each has two parameters, so
that differences of χ² are differences of Akaike's criterion. Means of blocks of the chains give the
covariance between distances and, left out one at a time, all errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from emergence.analysing import Found
from emergence.artifacts import Arrays
from emergence.holography.actions import lattice_cosines
from emergence.holography.autocorrelation import estimate_mean
from emergence.holography.chain_records import origin_of
from emergence.holography.metropolis import reweight
from emergence.statistics import Measurement

if TYPE_CHECKING:
    from emergence.holography.analysis import Results


PHASES = {"algebraic": 0.40, "exponential": 0.16}
"""Hoppings well above and well below the Kosterlitz–Thouless point of the mean field, 0.280."""

BESIDE = {"algebraic_advantage": 0.18, "exponent": 0.37}
"""Hoppings at which the critical law is read too, as controls: of the other phase, and next to its own."""

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


def correlations(results: Results) -> Found:
    """At the largest side, both phases: correlation functions, fits, their difference.

    Of the cluster Monte Carlo, and of the chains in the bulk of a flow where there are any; beside
    them, without fits, the flow's own samples, raw and reweighted.
    """
    side = largest(results)
    rows, fits, sources = [], [], _sources(results, side)
    for phase, t in PHASES.items():
        rows += _of_flow(results, side, phase, t) if side else []
        for source, arrays in sources.items():
            index = _index(arrays, t)
            if index is None:
                continue
            blocks = _blocks(arrays["correlation"][index])
            if blocks is None:
                yield from _not_told(phase, source)
                continue
            frame = {"r": np.arange(side // 2 + 1), "value": blocks.value, "error": blocks.error}
            for law, shape in LAWS.items():
                found = blocks.fit(law)
                fits.append(_fit_row(blocks, law, found) | {"phase": phase, "source": source})
                frame[law] = found.amplitude * shape(side, found.parameter)
            where = _place(source, side)
            trusted = _trusted(arrays, index, source)
            about = {"phase": phase, "source": source, "t": t, "size": side}
            about |= _origin(results, source, side, arrays)
            rows.append(pd.DataFrame(frame).assign(**about, equilibrated=trusted))
            for name, found in _measurements(blocks, phase, source, where):
                yield name, found if trusted else replace(found, error=None, note=UNTRUSTED)
            if source == "reference" and phase == "algebraic":
                yield _stiffness_exponent(arrays, index, where)
    for source, arrays in sources.items():
        yield from _beside(arrays, source, _place(source, side))
    columns = ["phase", "source", "t", "size", *_NO_CHAINS, "equilibrated"]
    columns += ["r", "value", "error", *LAWS]
    yield "correlations", pd.concat(rows) if rows else pd.DataFrame(columns=columns)
    columns = ["phase", "source", "law", "parameter", "error", "amplitude", "chi_square", "freedom"]
    yield "correlation_fits", pd.DataFrame(fits, columns=columns)


_NO_CHAINS = {"shipped": False, "records": 0, "shipped_records": 0}


def _of_flow(results: Results, side: int, phase: str, t: float) -> Iterator[pd.DataFrame]:
    """The flow's own samples, and these with their weights where ten of them are effective."""
    name = f"line_{side}"
    arrays = results.flow(name, side).arrays if results.has(name, side) else {}
    index = _index(arrays, t) if "correlation" in arrays else None
    if index is None:
        return
    samples, log_weights = arrays["correlation"][index, 0], arrays["log_weights"][index, 0]
    shipped = bool(arrays["shipped"])
    for source, weights in (("raw", np.zeros_like(log_weights)), ("reweighted", log_weights)):
        found = [reweight({"c": each}, weights, lambda mean: mean["c"]) for each in samples.T]
        if found[0].underpowered:
            continue
        frame = {"r": np.arange(side // 2 + 1), "value": [each.value for each in found]}
        frame |= {"error": [each.error for each in found]}
        about = {"phase": phase, "source": source, "t": t, "size": side, "equilibrated": True}
        yield pd.DataFrame(frame).assign(**about, **_NO_CHAINS | {"shipped": shipped})


def _origin(results: Results, source: str, side: int, arrays: Arrays) -> dict[str, object]:
    """Whose weights and records a correlation function rests on; clusters need neither."""
    name = f"line_{side}"
    return _NO_CHAINS if source == "reference" else origin_of(results.chosen, name, arrays)


def _sources(results: Results, side: int | None) -> dict[str, Arrays]:
    """The clusters, and the chains of that side where there are any."""
    if side is None:
        return {}
    sources = {"reference": results.reference(side)}
    if f"line_{side}" in results.chosen.chains:
        sources["corrected"], _ = results.chains(f"line_{side}")
    return sources


def _place(source: str, side: int | None) -> str:
    return f"{'reference' if source == 'reference' else 'chains/line_'}{side}"


def _trusted(arrays: Arrays, index: int, source: str) -> bool:
    return source == "reference" or equilibrated(arrays["order"][index])


def _beside(arrays: Arrays, source: str, where: str) -> Found:
    """The readings of the critical phase at the hoppings :data:`BESIDE` it."""
    for reading, t in BESIDE.items():
        index, label = _index(arrays, t), f"correlation.{source}_{reading}_{t:g}"
        if index is None:
            continue
        blocks = _blocks(arrays["correlation"][index])
        if blocks is None:
            yield label, Measurement(label, None, note=TOO_FEW)
            continue
        of = Blocks.advantage if reading == "algebraic_advantage" else parameter("algebraic")
        value, error = blocks.jackknife(of)
        trusted = _trusted(arrays, index, source)
        note = "" if trusted else UNTRUSTED
        yield label, Measurement(label, value, error if trusted else None, source=where, note=note)


UNTRUSTED = "the chains have not equilibrated"
TOO_FEW = "too few blocks of chains that moved for the covariance of the distances"


def _blocks(means: np.ndarray) -> Blocks | None:
    """None where they are too few, or those of chains that stood still are the same."""
    try:
        return Blocks(means)
    except TooFewBlocks:
        return None


def _not_told(phase: str, source: str) -> Found:
    """What :func:`_measurements` would name, without a value."""
    names = {
        "algebraic": ("algebraic_advantage", "exponent"),
        "exponential": ("exponential_advantage", "length"),
    }
    for name in names[phase]:
        label = f"correlation.{source}_{name}"
        yield label, Measurement(label, None, note=TOO_FEW)


def equilibrated(order: np.ndarray) -> bool:
    """Whether chains ``[chains, time]`` of the order parameter have forgotten their start."""
    return estimate_mean(order).equilibrated


def largest(results: Results) -> int | None:
    """The largest side of the diagram that has distances enough for a fit."""
    return max((side for side in results.chosen.diagram.sides if side >= 8), default=None)


def _index(arrays: Arrays, t: float) -> int | None:
    found = np.flatnonzero(np.isclose(arrays["t"], t))
    return int(found[0]) if len(found) else None


def _fit_row(blocks: Blocks, law: str, found: LawFit) -> dict[str, object]:
    freedom = len(blocks.chosen) - 2
    value, error = blocks.jackknife(parameter(law))
    return {
        "law": law, "parameter": value, "error": error, "amplitude": found.amplitude,
        "chi_square": found.chi_square, "freedom": freedom,
    }  # fmt: skip


def _measurements(blocks: Blocks, phase: str, source: str, where: str) -> Found:
    """Δχ² in favour of the phase's own law, over the better exponential, and its parameter."""
    value, error = blocks.jackknife(Blocks.advantage)
    name, own = f"correlation.{source}", value if phase == "algebraic" else -value
    yield _named(f"{name}_{phase}_advantage", own, error, where)
    value, error = blocks.jackknife(parameter(phase))
    yield _named(f"{name}_{'exponent' if phase == 'algebraic' else 'length'}", value, error, where)


def _stiffness_exponent(reference: Arrays, index: int, where: str) -> tuple[str, Measurement]:
    """η = T/2πΥ of the measured helicity modulus (Nelson and Kosterlitz 1977)."""
    stiffness, error = (float(reference[f"helicity{part}"][index]) for part in ("", "_error"))
    exponent = 1.0 / (2.0 * np.pi * stiffness)
    return _named("correlation.stiffness_exponent", exponent, exponent * error / stiffness, where)


def _named(name: str, value: float, error: float, source: str) -> tuple[str, Measurement]:
    return name, Measurement(name, value, error, source=source)


PARTS = (correlations,)
