"""What is read off grown chains beside their energy: correlations, memory, entropy, training.

Each function takes :class:`analysis.Results` and yields tables and measurements by name. What an
arm, a size or a scale does not have is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from emergence.analysing import WORST, Found
from emergence.retraining import diagonalisation, entanglement, exact_memory, free_fermions
from emergence.retraining import profiles as shapes
from emergence.retraining.models import Ising, Model
from emergence.statistics import Measurement, median_error

if TYPE_CHECKING:
    from emergence.retraining.analysis import Results, Run


MOST_FEW = 2
"""So many networks tell no spread: their median has the error of the sampling alone."""


SOLVED_SITES = 20
"""Chains up to which a diagonalisation gives the exact profile and correlations."""

FARTHEST = 32
"""Largest distance of the correlations that are drawn."""

RELATIVE_FLOOR = 1e-3
"""Responses below it are not compared: they are too rare for the samples."""


def measured(
    name: str, values: np.ndarray, errors: np.ndarray | float | None, source: str, note: str = ""
) -> Measurement:
    """The median over networks ``[seeds]``; one that is not finite counts as very bad.

    Args:
        errors: of each value, from sampling; None where there is no such error.
    """
    values = np.where(np.isfinite(values), values, WORST).astype(float).ravel()
    sampling = 0.0
    if errors is not None:
        each = np.broadcast_to(np.asarray(errors, dtype=float), values.shape)
        sampling = float(np.sqrt(np.mean(np.where(np.isfinite(each), each, WORST) ** 2)))
        sampling /= np.sqrt(values.size)
    few = values.size <= MOST_FEW
    if few:
        note = note or f"{values.size} network(s): the error is that of the sampling"
    spread = 0.0 if few else median_error(values)
    return Measurement(
        name=name,
        value=float(np.median(values)),
        error=float(np.hypot(sampling, spread)),
        values=None if few else tuple(values.tolist()),
        source=source,
        note=note,
    )


def one(name: str, values: np.ndarray, errors: np.ndarray | None, source: str) -> Found:
    """One measurement over the networks of a run."""
    yield name, measured(name, values, errors, source)


def with_last(found: Found) -> Found:
    """What was found, and once more, without its size, each measurement of the largest size."""
    last: dict[str, Measurement] = {}
    for name, item in found:
        yield name, item
        if isinstance(item, Measurement):
            last[name.rpartition("_")[0]] = item
    for name, item in last.items():
        yield name, replace(item, name=name)


def chains(results: Results, *arms: str) -> list[Run]:
    """The runs on open chains."""
    return [
        run for run in results.runs(*arms)
        if run.model.lattice.geometry == "chain" and not run.model.lattice.periodic
    ]  # fmt: skip


def rows(run: Run, **columns: np.ndarray) -> pd.DataFrame:
    """A tidy table from arrays ``[seeds, points]`` or ``[points]``, seed by seed."""
    seeds = max(len(a) for a in columns.values() if np.ndim(a) == 2)
    points = next(np.shape(a)[1] for a in columns.values() if np.ndim(a) == 2)
    frame = {
        "arm": run.arm,
        "size": run.size,
        "shipped": run.shipped,
        "seed": np.repeat(np.arange(seeds), points),
    }
    for name, values in columns.items():
        frame[name] = np.broadcast_to(values, (seeds, points)).ravel()
    return pd.DataFrame(frame)


def gathered(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """All rows, or an empty table with the columns that its figure expects."""
    if frames:
        return pd.concat(frames, ignore_index=True)
    return pd.DataFrame(columns=["arm", "size", "shipped", "seed", *columns], dtype=float)


def exact_correlations(model: Model, distances: np.ndarray) -> np.ndarray | None:
    """⟨s_i s_{i+r}⟩ about the middle of the exact ground state; None where out of reach."""
    if isinstance(model, Ising):
        return free_fermions.central_correlations(model, distances)
    if model.sites > SOLVED_SITES:
        return None
    parallel = diagonalisation.ground_state(model).parallel
    return np.array([parallel[i, j] for i, j in shapes.central_pairs(model.sites, distances)])


def correlation_functions(results: Results) -> Found:
    """⟨s_i s_{i+r}⟩ about the middle, of every size."""
    frames = []
    for run in chains(results):
        if not run.has("samples"):
            continue
        distances = np.arange(1, min(FARTHEST, run.model.sites // 2) + 1)
        truth = exact_correlations(run.model, distances)
        found = shapes.correlations(run.arrays["samples"], distances)
        columns = {
            "distance": distances,
            "value": found.value,
            "error": found.error,
            "exact": np.nan if truth is None else truth,
        }
        frames.append(rows(run, **columns))
        if isinstance(run.model, Ising):
            each = run.arrays["samples"].mean(axis=2, dtype=np.float64)
            noise = each.std(axis=1) / np.sqrt(each.shape[1])
            name = f"{run.arm}.magnetisation_{run.size}"
            yield from one(name, np.abs(each.mean(axis=1)), noise, run.source)
        if truth is not None:
            error = np.sqrt(np.mean((found.value - truth) ** 2, axis=1))
            noise = np.sqrt(np.mean(found.error**2, axis=1))
            yield from one(f"{run.arm}.correlation_error_{run.size}", error, noise, run.source)
    yield "correlations", gathered(frames, ["distance", "value", "error", "exact"])


def memory(results: Results) -> Found:
    """Response and gradient against distance, beside the exact conditionals and correlation."""
    frames = []
    for run in chains(results):
        if not run.has("response"):
            continue
        distances = run.arrays["distances"]
        conditional = np.full(len(distances), np.nan)
        if run.model.sites <= exact_memory.MOST_EXACT_SITES:
            conditional = exact_memory.exact_response(run.model)[distances - 1]
        truth = exact_correlations(run.model, distances)
        correlation = np.full(len(distances), np.nan) if truth is None else np.abs(truth)
        columns = {"distance": distances, "exact": conditional, "correlation": correlation}
        for name in ("response", "response_error", "response_untrained",
                     "gradient", "gradient_untrained"):  # fmt: skip
            columns[name] = run.arrays[name]
        frames.append(rows(run, **columns))
        yield from _memory_measurements(run, distances, conditional, correlation)
    columns = [
        "distance", "exact", "correlation", "response", "response_error", "response_untrained",
        "gradient", "gradient_untrained",
    ]  # fmt: skip
    yield "memory", gathered(frames, columns)


def _memory_measurements(
    run: Run, distances: np.ndarray, conditional: np.ndarray, correlation: np.ndarray
) -> Found:
    """How trained and untrained networks forget, against what there is to remember."""
    if np.isfinite(conditional).all() and np.isfinite(correlation).all() and len(distances) > 2:
        ratio = _exponent(distances, conditional) / _exponent(distances, correlation)
        name = f"{run.arm}.exact_memory_decay_ratio_{run.size}"
        yield from one(name, np.array([ratio]), None, run.source)
    for network, suffix in (("trained", ""), ("untrained", "_untrained")):
        response = run.arrays[f"response{suffix}"]
        name = f"{run.arm}.{network}_%s_{run.size}"
        error = run.arrays["response_error"] if not suffix else 0.0 * response
        if np.isfinite(conditional).all():
            mismatch, spread = _mismatch(response, error, conditional)
            yield from one(name % "memory_mismatch", mismatch, spread, run.source)
        if np.isfinite(correlation).all() and len(distances) > 2:
            ranks = [spearmanr(row, correlation).statistic for row in response]
            yield from one(name % "memory_rank", np.array(ranks), None, run.source)
            slopes = np.array([_exponent(distances, row) for row in response])
            noise = _exponent_error(distances, response, error)
            own = _exponent(distances, correlation)
            noise = None if suffix else noise / np.abs(own)
            yield from one(name % "memory_decay_ratio", slopes / own, noise, run.source)


def _mismatch(
    response: np.ndarray, error: np.ndarray, conditional: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square of ln(response / exact) over distances, and its error, ``[seeds]``."""
    kept = conditional >= RELATIVE_FLOOR
    floor = np.maximum(response[:, kept], 1e-12)
    logs = np.log(floor / conditional[kept])
    mismatch = np.sqrt(np.mean(logs**2, axis=1))
    noise = np.sqrt(np.sum((logs * error[:, kept] / floor) ** 2, axis=1))
    return mismatch, noise / (kept.sum() * np.maximum(mismatch, 1e-12))


def _exponent(distances: np.ndarray, values: np.ndarray) -> float:
    """η of values ~ distance^−η, by least squares of the logarithms."""
    return -float(np.polyfit(np.log(distances), np.log(np.maximum(values, 1e-12)), 1)[0])


def _exponent_error(distances: np.ndarray, values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Standard error of :func:`_exponent` of each row ``[seeds, D]``, by its weights of the logarithms."""
    places = np.log(distances) - np.log(distances).mean()
    weights = places / np.sum(places**2)
    return np.sqrt(np.sum((weights * errors / np.maximum(values, 1e-12)) ** 2, axis=1))


def entropies(results: Results) -> Found:
    """Rényi's second entropy of the first ℓ sites, against the exact one."""
    frames = []
    for run in chains(results):
        if not run.has("renyi"):
            continue
        lengths = run.arrays["lengths"]
        truth = entanglement.exact_entropy(run.model, lengths)
        value, error = run.arrays["renyi"], run.arrays["renyi_error"]
        columns = {
            "length": lengths,
            "value": value,
            "error": error,
            "exact": np.nan if truth is None else truth,
        }
        frames.append(rows(run, **columns))
        if truth is None:
            continue
        half = int(np.argmin(np.abs(lengths - run.model.sites // 2)))
        # The control: the entropy of the shortest block in the place of the half's.
        for label, cut in (("renyi_deviation", half), ("end_renyi_deviation", 0)):
            deviation = np.abs(value[:, cut] - truth[half]) / truth[half]
            name = f"{run.arm}.{label}_{run.size}"
            yield from one(name, deviation, error[:, cut] / truth[half], run.source)
    yield "entropy", gathered(frames, ["length", "value", "error", "exact"])


def training(results: Results) -> Found:
    """Energy per site against step over all sizes of an arm, and its zero-variance extrapolation."""
    frames, lines = [], []
    for arm in results.chosen.chains:
        before = 0
        for run in results.runs(arm):
            history = results.history(run)
            frames.append(_training_rows(run, history, before))
            before += int(history["step"].max()) if len(history) else 0
            for seed, part in history.groupby("seed"):
                found = shapes.zero_variance(part)
                lines.append((arm, run.size, run.shipped, seed, run.model.sites,
                              found.value, found.error,
                              np.nan if run.reference is None else run.reference.energy,
                              run.arrays["energy"][int(seed)],
                              run.arrays["variance"][int(seed)]))  # fmt: skip
    columns = ["total", "energy", "variance", "exact", "sites"]
    yield "training", gathered(frames, columns)
    columns = [
        "arm", "size", "shipped", "seed", "sites", "extrapolated", "error", "exact", "energy",
        "variance",
    ]  # fmt: skip
    yield "extrapolation", pd.DataFrame(lines, columns=columns)


def _training_rows(run: Run, history: pd.DataFrame, before: int) -> pd.DataFrame:
    exact_energy = np.nan if run.reference is None else run.reference.energy
    return pd.DataFrame(
        {
            "arm": run.arm,
            "size": run.size,
            "shipped": run.shipped,
            "seed": history["seed"],
            "total": before + history["step"],
            "energy": history["loss"],
            "variance": history["variance"],
            "exact": exact_energy,
            "sites": run.model.sites,
        }
    )
