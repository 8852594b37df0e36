"""Bulk and edges of grown chains: the bulk energy, the energy of every bond, left against right."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emergence.analysing import Found
from emergence.errors import SettingsError
from emergence.retraining import diagonalisation, exact, free_fermions
from emergence.retraining import profiles as shapes
from emergence.retraining.models import Ising, Model
from emergence.retraining.profiles import Estimate
from emergence.retraining.readings import SOLVED_SITES, chains, gathered, one, rows

if TYPE_CHECKING:
    from emergence.retraining.analysis import Results, Run


def _estimate(run: Run, name: str) -> Estimate:
    """Arrays of a run with the standard errors beside them."""
    return Estimate(run.arrays[name], run.arrays[f"{name}_error"])


def _per_site(run: Run) -> Estimate:
    return Estimate(*(part / run.model.sites for part in _estimate(run, "energy")))


def bulk(results: Results) -> Found:
    """Estimates of the bulk energy per site at every size, free of the edges and not."""
    frames = []
    for arm in results.chosen.chains:
        runs = chains(results, arm)
        infinite = infinite_energy(runs[0].model) if runs else None
        if infinite is None:
            continue
        found = {
            "raw": [(run, _per_site(run)) for run in runs],
            "central": [(run, _estimate(run, "central")) for run in runs],
            "difference": _differences(runs),
            "fit": _fits(runs),
        }
        for name, estimates in found.items():
            for run, estimate in estimates:
                frames.append(_bulk_rows(run, name, estimate, infinite))
            yield from _bulk_measurements(f"{arm}.bulk_{name}", estimates, infinite)
        untrained = _differences(runs, "untrained_")
        yield from _bulk_measurements(f"{arm}.untrained_bulk_difference", untrained, infinite)
    columns = ["value", "error", "estimator", "infinite", "exact"]
    yield "bulk", gathered(frames, columns)


def infinite_energy(model: Model) -> float | None:
    try:
        return exact.bulk_energy(model).energy
    except SettingsError:
        return None


def _differences(runs: list[Run], kind: str = "") -> list[tuple[Run, Estimate]]:
    """By neighbouring sizes, at the larger; networks of different number are not paired.

    Args:
        kind: "untrained_" of freshly initialised networks.
    """
    return [
        (
            larger,
            shapes.size_difference(
                *(
                    Estimate(run.arrays[f"{kind}energy"], run.error_of(kind))
                    for run in (smaller, larger)
                ),
                (smaller.model.sites, larger.model.sites),
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
                    *(_estimate(run, "energy") for run in used), strict=True))),
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
    if isinstance(model, Ising):
        matrix = free_fermions.correlation_matrix(model)
        return shapes.bond_profile(
            model,
            free_fermions.bond_energies(model, matrix),
            free_fermions.field_energies(model, matrix),
        )
    if model.sites > SOLVED_SITES:
        return None
    weights = shapes.bond_weights(model)
    return weights[0] @ diagonalisation.ground_state(model).bond_energies()


BONDS = {"averaged": "bonds", "plain": "plain_bonds"}
"""What the table of bond energies calls them → the arrays of a run."""

SIDES = {"sampled": "sides", "averaged": "mirrored_sides", "plain": "plain_sides"}
"""What the table of left minus right calls each way to it → the arrays: of independent samples of
the average; of the average and of the network alone, with each sample counted from either side."""


def profiles(results: Results) -> Found:
    """Bond energies (centre against edge) and their asymmetry, averaged over directions or not."""
    frames, sides = [], []
    for arm in results.chosen.chains:
        runs, averaged = chains(results, arm), results.chosen.chains[arm].averaged
        for run in runs:
            truth = exact_profile(run.model)
            for state, name in (BONDS if averaged else {"plain": "bonds"}).items():
                frames.append(_bonds(run, _estimate(run, name), truth).assign(state=state))
            for state, name in (SIDES if averaged else {"plain": "sides"}).items():
                sides.append(_sides(run, _estimate(run, name)).assign(state=state))
        yield from _edge_measurements(arm, runs)
        if averaged and runs:
            yield from _asymmetry_measurements(arm, runs)
    yield "profiles", gathered(frames, ["bond", "value", "error", "exact", "state"])
    yield "asymmetry", gathered(sides, ["bond", "value", "error", "state"])


def _bonds(run: Run, profile: Estimate, truth: np.ndarray | None) -> pd.DataFrame:
    columns = {
        "bond": np.arange(1, run.model.sites),
        "value": profile.value,
        "error": profile.error,
        "exact": np.nan if truth is None else truth,
    }
    return rows(run, **columns)


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
        middle, ends = _estimate(run, "central"), _estimate(run, "bonds")
        edge = Estimate(ends.value[:, [0, -1]].mean(axis=1),
                        0.5 * np.hypot(ends.error[:, 0], ends.error[:, -1]))  # fmt: skip
        for part, estimate in (("centre", middle), ("edge", edge)):
            excess = np.abs(estimate.value - infinite) / scale
            label = f"{arm}.{part}_excess_{name}"
            yield from one(label, excess, estimate.error / scale, run.source)


def _asymmetry_measurements(arm: str, runs: list[Run]) -> Found:
    """Pooled over all sizes; the root mean square of M pairs has a spread of 1/√(2M)."""
    for state, name in SIDES.items():
        found = [_estimate(run, name) for run in runs]
        seeds = min(len(part.value) for part in found)
        pooled = Estimate(*(np.concatenate([x[:seeds] for x in parts], axis=1) for parts in zip(
            *found, strict=True)))  # fmt: skip
        strength = shapes.asymmetry_strength(pooled)
        spread = np.full(seeds, 1.0 / np.sqrt(2.0 * pooled.value.shape[1]))
        noise = np.sqrt(np.mean(pooled.error**2, axis=1))
        label, source = f"{arm}.{state}_asymmetry", f"chains/{arm}"
        yield from one(f"{label}_in_errors", strength.in_errors, spread, source)
        yield from one(label, strength.absolute, noise * spread, source)
