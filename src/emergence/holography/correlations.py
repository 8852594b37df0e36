"""Correlation functions on the torus: algebraic in the critical phase, exponential beyond it.

Laws and fits are those of :mod:`.correlation_laws`. Means of blocks of the chains give the covariance
between distances and, left out one at a time, all errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emergence.analysing import Found
from emergence.artifacts import Arrays
from emergence.holography.autocorrelation import estimate_mean
from emergence.holography.chain_records import origin_of
from emergence.holography.correlation_laws import LAWS, Blocks, LawFit, TooFewBlocks, parameter
from emergence.holography.metropolis import reweight
from emergence.holography.trajectories import name_of
from emergence.statistics import Measurement

if TYPE_CHECKING:
    from emergence.holography.analysis import Results


PHASES = {"algebraic": 0.40, "exponential": 0.16}
"""Hoppings well above and well below the Kosterlitz–Thouless point of the mean field, 0.280."""

BESIDE = {"algebraic_advantage": 0.18, "exponent": 0.37}
"""Hoppings at which the critical law is read too, as controls: of the other phase, and next to its own."""


def correlations(results: Results) -> Found:
    """At the largest side, both phases: correlation functions, fits, their difference.

    Of the cluster Monte Carlo, and of the chains in the bulk of a flow where there are any; beside
    them, without fits, the flow's own samples, raw and reweighted. All but the fits once more at the
    smallest side, where weights tell more.
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
    yield "correlations_small", _small(results, columns[: -len(LAWS)])
    columns = ["phase", "source", "law", "parameter", "error", "amplitude", "chi_square", "freedom"]
    yield "correlation_fits", pd.DataFrame(fits, columns=columns)


def _small(results: Results, columns: list[str]) -> pd.DataFrame:
    """The correlation functions of the smallest side that has any, if it is not the largest."""
    side = min((one for one in results.chosen.diagram.sides if one >= 4), default=None)
    if side is None or side == largest(results):
        return pd.DataFrame(columns=columns)
    rows = [table for phase, t in PHASES.items() for table in _of_flow(results, side, phase, t)]
    sources = _sources(results, side)
    if moved := results.chains(name_of(side)):
        sources["hamiltonian"] = moved[0]
    for source, arrays in sources.items():
        for phase, t in PHASES.items():
            index = _index(arrays, t)
            if index is None:
                continue
            means = arrays["correlation"][index]
            error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
            frame = {"r": np.arange(side // 2 + 1), "value": means.mean(axis=0), "error": error}
            about = {"phase": phase, "source": source, "t": t, "size": side}
            about |= _origin(results, source, side, arrays)
            about["equilibrated"] = _trusted(arrays, index, source)
            rows.append(pd.DataFrame(frame).assign(**about))
    return pd.concat(rows) if rows else pd.DataFrame(columns=columns)


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
    name = name_of(side) if source == "hamiltonian" else f"line_{side}"
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
