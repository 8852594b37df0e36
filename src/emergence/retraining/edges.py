"""Bulk and edges of grown chains: the bulk energy, the energy of every bond, left against right."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emergence.errors import SettingsError
from emergence.retraining import diagonalisation, exact, free_fermions
from emergence.retraining import profiles as shapes
from emergence.retraining.models import Ising, Model
from emergence.retraining.profiles import Estimate
from emergence.retraining.readings import SOLVED_SITES, Found, chains, gathered, one, rows

if TYPE_CHECKING:
    from emergence.retraining.analysis import Results, Run


def _terms(run: Run, plain: bool = False) -> tuple[Estimate, Estimate]:
    prefix = "plain_" if plain else ""
    return tuple(
        Estimate(run.arrays[f"{prefix}{name}"], run.arrays[f"{prefix}{name}_error"])
        for name in ("diagonal", "moving")
    )


def _energy(run: Run) -> Estimate:
    return Estimate(run.arrays["energy"], run.arrays["energy_error"])


def _central(run: Run) -> Estimate:
    """Energy per site of the middle half, with the error of whole samples where it was kept."""
    if run.has("central"):
        return Estimate(run.arrays["central"], run.arrays["central_error"])
    return shapes.central_energy(run.model, *_terms(run))


def bulk(results: Results) -> Found:
    """Estimates of the bulk energy per site at every size, free of the edges and not."""
    frames = []
    for arm in results.chosen.chains:
        runs = chains(results, arm)
        infinite = infinite_energy(runs[0].model) if runs else None
        if infinite is None:
            continue
        found = {
            "raw": [(run, Estimate(*(x / run.model.sites for x in _energy(run)))) for run in runs],
            "central": [(run, _central(run)) for run in runs],
            "difference": _differences(runs),
            "fit": _fits(runs),
        }
        for name, estimates in found.items():
            for run, estimate in estimates:
                frames.append(_bulk_rows(run, name, estimate, infinite))
            yield from _bulk_measurements(f"{arm}.bulk_{name}", estimates, infinite)
    columns = ["value", "error", "estimator", "infinite", "exact"]
    yield "bulk", gathered(frames, columns)


def infinite_energy(model: Model) -> float | None:
    try:
        return exact.bulk_energy(model).energy
    except SettingsError:
        return None


def _differences(runs: list[Run]) -> list[tuple[Run, Estimate]]:
    """By neighbouring sizes, at the larger; networks of different number are not paired."""
    return [
        (
            larger,
            shapes.size_difference(
                _energy(smaller), _energy(larger), (smaller.model.sites, larger.model.sites)
            ),
        )
        for smaller, larger in pairwise(runs)
        if smaller.seeds == larger.seeds
    ]


def _fits(runs: list[Run]) -> list[tuple[Run, Estimate]]:
    """e∞ from all sizes up to each, from the third size on."""
    found = []
    for count in range(3, len(runs) + 1):
        used = runs[:count]
        if len({run.seeds for run in used}) > 1:
            break
        sites = np.array([run.model.sites for run in used])
        fits = [
            shapes.fit_sizes(
                sites,
                Estimate(*(np.array([x[seed] for x in parts]) / sites for parts in zip(
                    *(_energy(run) for run in used), strict=True))),
            )
            for seed in range(used[0].seeds)
        ]  # fmt: skip
        values, errors = (np.array([getattr(f, n)[0] for f in fits]) for n in (
            "coefficients", "errors"))  # fmt: skip
        found.append((used[-1], Estimate(values, errors)))
    return found


def _bulk_rows(run: Run, name: str, estimate: Estimate, infinite: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arm": run.arm,
            "size": run.size,
            "shipped": run.shipped,
            "seed": np.arange(run.seeds),
            "value": estimate.value,
            "error": estimate.error,
            "estimator": name,
            "infinite": infinite,
            "exact": np.nan if run.reference is None else run.reference.energy / run.model.sites,
        }
    )


def _bulk_measurements(name: str, estimates: list[tuple[Run, Estimate]], infinite: float) -> Found:
    """Distance from the infinite chain at every size, at the first and at the last."""
    if not estimates:
        return
    labels = [f"{name}_{run.size}" for run, _ in estimates]
    marked = [(f"{name}_first", estimates[0]), (f"{name}_last", estimates[-1])]
    for label, (run, estimate) in [*zip(labels, estimates, strict=True), *marked]:
        yield from one(label, np.abs(estimate.value - infinite), estimate.error, run.source)


def exact_profile(model: Model) -> np.ndarray | None:
    """Energy of every bond of the exact ground state, ``[N − 1]``; None where out of reach."""
    weights = shapes.bond_weights(model)
    if isinstance(model, Ising):
        matrix = free_fermions.correlation_matrix(model)
        terms = (free_fermions.bond_energies(model, matrix),
                 free_fermions.field_energies(model, matrix))  # fmt: skip
        return weights[0] @ terms[0] + weights[1] @ terms[1]
    if model.sites > SOLVED_SITES:
        return None
    return weights[0] @ diagonalisation.ground_state(model).bond_energies()


def profiles(results: Results) -> Found:
    """Bond energies (centre against edge) and their asymmetry, averaged over directions or not."""
    frames, sides = [], []
    for arm in results.chosen.chains:
        differences: dict[str, list[Estimate]] = {}
        both = results.chosen.chains[arm].averaged
        runs = chains(results, arm)
        for run in runs:
            truth = exact_profile(run.model)
            for state in ("averaged", "plain") if both else ("plain",):
                if state == "plain" and not run.has("plain_diagonal"):
                    continue
                profile = shapes.bond_profile(run.model, *_terms(run, state == "plain"))
                columns = {
                    "bond": np.arange(1, run.model.sites),
                    "value": profile.value,
                    "error": profile.error,
                    "exact": np.nan if truth is None else truth,
                }
                frames.append(rows(run, **columns).assign(state=state))
                difference = shapes.asymmetry(profile)
                if difference.value.shape[1]:
                    differences.setdefault(state, []).append(difference)
                    sides.append(_sides(run, difference).assign(state=state))
        yield from _edge_measurements(arm, runs)
        if both and "plain" in differences:
            for state, found in differences.items():
                yield from _asymmetry_measurements(arm, state, found)
    yield "profiles", gathered(frames, ["bond", "value", "error", "exact", "state"])
    yield "asymmetry", gathered(sides, ["bond", "value", "error", "state"])


def _sides(run: Run, difference: Estimate) -> pd.DataFrame:
    bond = np.arange(1, difference.value.shape[1] + 1)
    return rows(run, bond=bond, value=difference.value, error=difference.error)


def _edge_measurements(arm: str, runs: list[Run]) -> Found:
    """Relative distance from the bulk of the middle half and of the outermost bonds."""
    infinite = infinite_energy(runs[0].model) if runs else None
    if infinite is None:
        return
    for name, run in (("first", runs[0]), ("last", runs[-1])):
        scale = abs(infinite)
        middle = _central(run)
        ends = shapes.bond_profile(run.model, *_terms(run))
        edge = Estimate(ends.value[:, [0, -1]].mean(axis=1),
                        0.5 * np.hypot(ends.error[:, 0], ends.error[:, -1]))  # fmt: skip
        for part, estimate in (("centre", middle), ("edge", edge)):
            excess = np.abs(estimate.value - infinite) / scale
            label = f"{arm}.{part}_excess_{name}"
            yield from one(label, excess, estimate.error / scale, run.source)


def _asymmetry_measurements(arm: str, state: str, found: list[Estimate]) -> Found:
    """Pooled over all sizes; the root mean square of M pairs has a spread of 1/√(2M)."""
    seeds = min(len(part.value) for part in found)
    pooled = Estimate(*(np.concatenate([x[:seeds] for x in parts], axis=1) for parts in zip(
        *found, strict=True)))  # fmt: skip
    strength = shapes.asymmetry_strength(pooled)
    spread = np.full(seeds, 1.0 / np.sqrt(2.0 * pooled.value.shape[1]))
    source = f"chains/{arm}"
    yield from one(f"{arm}.{state}_asymmetry_in_errors", strength.in_errors, spread, source)
    noise = np.sqrt(np.mean(pooled.error**2, axis=1))
    yield from one(f"{arm}.{state}_asymmetry", strength.absolute, noise * spread, source)
