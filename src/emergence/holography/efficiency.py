"""How fast each sampler moves: from a cold start, and by τ_int per step, per force and per second.

A *pair* is two runs of chains of one flow, ``<pair>_bulk`` and ``<pair>_boundary``; where the former
refreshes latents, ``<pair>_hamiltonian`` may follow trajectories there instead, and
``<pair>_untrained`` moves in the bulk of a flow with fresh weights. Beside them stand the cluster
algorithm and independence Metropolis with the flow's samples as proposals. A step is a trajectory, a
sweep, or a proposal. Seconds are processor seconds of one chain, and of an independent sample 2 τ_int
steps. The window of τ_int must have closed; if not, no error is known of it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from emergence.analysing import Found
from emergence.artifacts import Arrays
from emergence.holography.autocorrelation import Estimate, estimate_mean
from emergence.holography.chain_records import origin_of
from emergence.holography.cluster import run_ising
from emergence.holography.ising_exact import LARGEST_TRANSFER, transfer_rows
from emergence.holography.metropolis import independence_metropolis
from emergence.holography.points import action_of, cold_density
from emergence.randomness import derive_seed, generator
from emergence.settings import Settings
from emergence.settings.studies import SHORTEST_SERIES
from emergence.statistics import Measurement

if TYPE_CHECKING:
    from emergence.holography.analysis import Results


ISING, PHI4 = "magnetisation_squared", "order"
"""What is followed: m², or the order parameter |φ̄|."""

TIMING_ERROR = 0.2
"""Relative error that is taken for a processor time: an upper bound, as records keep the fastest of three
rounds only. `make bench` measures how much that scatters: by less than 0.06 on an idle machine, by up to
0.19 on one whose two cores other work takes."""

INDEPENDENCE_CHAINS = 4
"""Chains into which the flow's samples are cut as proposals."""

ABOUT = ("truth", "truth_error", "size", "shipped", "records", "shipped_records")
"""Further columns of the table of samplers."""

MISSED = 3.0
"""Standard errors: a mean farther from the true one tells of configurations that were left out."""

SPIN_RUN = {"chains": 8, "sweeps": 4000, "thermalisation": 200}
"""Cluster run of the Ising model where a transfer matrix is too large: m² to some three in a thousand."""


class Sampler(NamedTuple):
    """One way of sampling."""

    pair: str
    sampler: str
    """bulk, boundary, hamiltonian or untrained (in the bulk), cluster or independence."""
    tau: float
    """In steps."""
    tau_error: float
    """NaN where the window of τ_int did not close, or the mean is off: τ is then a lower bound."""
    forces: float
    """Evaluations of the force (leapfrogs), or of a density alone, in a step; NaN: not counted."""
    seconds: float
    """Of a step."""
    acceptance: float
    step: float
    mean: float
    error: float


def pairs(results: Results) -> list[str]:
    """Names with both a bulk and a boundary run."""
    runs = results.chosen.chains
    names = [name.removesuffix("_bulk") for name in runs if name.endswith("_bulk")]
    return [name for name in names if f"{name}_boundary" in runs]


def sampling(results: Results) -> Found:
    """Every sampler of every pair, and the chains from a cold start."""
    samplers, cold = [], []
    for pair in pairs(results):
        found = [
            _chains(results, pair, space) for space in spaces(results, pair)
        ] + _others(results, pair)  # fmt: skip
        truth, error = truth_of(results, pair)
        found = [_trusted(each, truth, error) for each in found]
        about = {"truth": truth, "truth_error": error}
        about["size"] = results.chosen.chains[f"{pair}_bulk"].size
        samplers += [each._asdict() | about | _origin(results, each) for each in found]
        for space in spaces(results, pair):
            arrays, timing = results.chains(f"{pair}_{space}")
            key = observable(arrays)
            if f"cold_{key}" in arrays:
                cold.append(_cold_rows(arrays[f"cold_{key}"][0], pair, space, timing, truth))
        yield from _measurements({each.sampler: each for each in found}, pair, truth, error)
        yield from _relaxations(results, pair, truth, error)
    yield "sampling", pd.DataFrame(samplers, columns=[*Sampler._fields, *ABOUT])
    columns = ["pair", "space", "trajectory", "seconds", "value", "error", "truth"]
    yield "cold", pd.concat(cold) if cold else pd.DataFrame(columns=columns)


def _origin(results: Results, each: Sampler) -> dict[str, object]:
    """Whose weights and records a sampler rests on; clusters need neither."""
    run = f"{each.pair}_{each.sampler}"
    if run not in results.chosen.chains:
        flow = results.chosen.flows[results.chosen.chains[f"{each.pair}_bulk"].flow]
        needed = each.sampler == "independence" and bool(flow.shipped)
        return {"shipped": needed, "records": 0, "shipped_records": 0}
    return origin_of(results.chosen, run, results.chains(run)[0])


def spaces(results: Results, pair: str) -> list[str]:
    """The runs of a pair."""
    every = ("bulk", "boundary", "hamiltonian", "untrained")
    return [space for space in every if f"{pair}_{space}" in results.chosen.chains]


def observable(arrays: Arrays) -> str:
    """The primary quantity that is followed."""
    return ISING if ISING in arrays else PHI4


def truth_of(results: Results, pair: str) -> tuple[float, float]:
    """Mean of what is followed, and its error: exact, or from clusters."""
    entry = results.chosen.chains[f"{pair}_bulk"]
    told = results.chosen.theories[results.chosen.flows[entry.flow].theory]
    if told.model == "ising":
        return spin_truth(results.settings, entry.size, told.temperature)
    reference = results.reference(entry.size)
    index = _nearest(reference["t"], results.chains(f"{pair}_bulk")[0]["t"][0])
    return float(reference[PHI4][index]), float(reference[f"{PHI4}_error"][index])


def spin_truth(settings: Settings, side: int, temperature: float) -> tuple[float, float]:
    """⟨m²⟩ of the Ising model: by the transfer matrix, or by a cluster run where that is too large."""
    if side <= LARGEST_TRANSFER:
        return transfer_rows(side, temperature).magnetisation_squared, 0.0
    seed = derive_seed(settings.seed, "holography", "spins", side)
    return _spin_run(side, temperature, seed)


@lru_cache
def _spin_run(side: int, temperature: float, seed: int) -> tuple[float, float]:
    _, square = run_ising(temperature, side, seed=seed, **SPIN_RUN)
    found = estimate_mean(square)
    return found.value, found.error


def _nearest(places: np.ndarray, place: float) -> int:
    return int(np.argmin(np.abs(places - place)))


def _chains(results: Results, pair: str, space: str) -> Sampler:
    arrays, timing = results.chains(f"{pair}_{space}")
    found = estimate_mean(arrays[observable(arrays)][0])
    return Sampler(
        pair, space, found.tau, _known(found),
        forces=timing["evaluations"],
        seconds=timing["seconds_per_trajectory"],
        acceptance=float(arrays["acceptance"][0]), step=float(arrays["step"][0]),
        mean=found.value, error=found.error,
    )  # fmt: skip


def _known(found: Estimate) -> float:
    return found.tau_error if found.equilibrated else np.nan


def _trusted(each: Sampler, truth: float, truth_error: float) -> Sampler:
    """The sampler; without an error of τ where its mean is off, as it then has not been everywhere."""
    off = abs(each.mean - truth) > MISSED * float(np.hypot(each.error, truth_error))
    return each._replace(tau_error=np.nan) if off else each


def _others(results: Results, pair: str) -> list[Sampler]:
    """The cluster algorithm, and independence Metropolis unless it is underpowered."""
    arrays, timing = results.chains(f"{pair}_bulk")
    entry = results.chosen.chains[f"{pair}_bulk"]
    key, found = observable(arrays), []
    if key == PHI4:
        reference = results.reference(entry.size)
        index = _nearest(reference["t"], arrays["t"][0])
        tau, tau_error, mean, error = (
            float(reference[f"order{part}"][index]) for part in ("_tau", "_tau_error", "", "_error")
        )
        found.append(
            Sampler(pair, "cluster", tau, tau_error, np.nan, timing["seconds_per_sweep"],
                    np.nan, np.nan, mean, error)
        )  # fmt: skip
    flow = results.flow(entry.flow, entry.size).arrays
    index = _nearest(flow["t"], arrays["t"][0])
    log_weights = flow["log_weights"][index, 0]
    length = len(log_weights) // INDEPENDENCE_CHAINS
    if length < SHORTEST_SERIES:
        return found
    cut = (INDEPENDENCE_CHAINS, length)
    proposals = log_weights[: length * INDEPENDENCE_CHAINS].reshape(cut)
    rng = generator(results.settings.seed, "holography", "independence", pair)
    chain = independence_metropolis(proposals, rng)
    if not chain.warning and "seconds_per_sample" in timing:
        values = flow[key][index, 0][: length * INDEPENDENCE_CHAINS].reshape(cut)
        got = estimate_mean(chain.series(values))
        found.append(
            Sampler(pair, "independence", got.tau, _known(got), np.nan,
                    timing["seconds_per_sample"], float(chain.accepted.mean()), np.nan,
                    got.value, got.error)
        )  # fmt: skip
    return found


def _cold_rows(
    series: np.ndarray, pair: str, space: str, timing: dict[str, float], truth: float
) -> pd.DataFrame:
    """Mean over the chains after each trajectory, and its error."""
    number = np.arange(1, series.shape[1] + 1)
    return pd.DataFrame({
        "pair": pair, "space": space, "trajectory": number,
        "seconds": number * timing["seconds_per_trajectory"],
        "value": series.mean(axis=0),
        "error": series.std(axis=0, ddof=1) / np.sqrt(len(series)),
        "truth": truth,
    })  # fmt: skip


def _measurements(found: dict[str, Sampler], pair: str, truth: float, error: float) -> Found:
    for name, each in found.items():
        known = None if np.isnan(each.tau_error) else each.tau_error
        yield _named(pair, f"{name}_tau", each.tau, known)
        yield _named(pair, f"{name}_mean", each.mean, each.error)
    if "hamiltonian" in found:
        yield _named(pair, "hamiltonian_step", found["hamiltonian"].step, 0.0)
    yield _named(pair, "truth", truth, error)
    bulk, boundary = found["bulk"], found["boundary"]
    yield _ratio(pair, "tau_ratio", boundary, bulk, 1.0, 0.0)
    forces = boundary.forces / bulk.forces
    yield _ratio(pair, "force_ratio", boundary, bulk, forces, 0.0)
    seconds = boundary.seconds / bulk.seconds
    cost = forces / seconds
    yield _named(pair, "evaluation_cost", cost, np.sqrt(2.0) * TIMING_ERROR * cost)
    yield _ratio(pair, "seconds_ratio", boundary, bulk, seconds, TIMING_ERROR)
    if "independence" in found:
        # A proposal is one evaluation of the densities.
        whole = found["independence"]
        yield _ratio(pair, "whole_field_ratio", whole, bulk, 1.0 / bulk.forces, 0.0)
        yield _ratio(pair, "whole_over_boundary", whole, boundary, 1.0 / boundary.forces, 0.0)
    else:
        for label in ("whole_field_ratio", "whole_over_boundary"):
            name = f"sampling.{pair}.{label}"
            yield name, Measurement(name, None, note="too few effective samples to propose")
    if "cluster" in found:
        cluster = found["cluster"]
        best = min((bulk, boundary), key=lambda each: each.tau * each.seconds)
        faster = best.seconds / cluster.seconds
        yield _ratio(pair, "cluster_advantage", best, cluster, faster, TIMING_ERROR)
        slower = cluster.seconds / bulk.seconds
        yield _ratio(pair, "cluster_over_bulk", cluster, bulk, slower, TIMING_ERROR)


def _ratio(
    pair: str, name: str, over: Sampler, under: Sampler, factor: float, timing: float
) -> tuple[str, Measurement]:
    value = factor * over.tau / under.tau
    parts = [over.tau_error / over.tau, under.tau_error / under.tau, timing, timing]
    relative = float(np.linalg.norm(parts))
    return _named(pair, name, value, None if np.isnan(relative) else value * relative)


def _relaxations(results: Results, pair: str, truth: float, truth_error: float) -> Found:
    """Σ over trajectories of (value − truth)/(start − truth), from the cold start, in each space.

    For a single exponential it is its relaxation time in trajectories; the error is the scatter of
    the chains and what that of the true value moves the sum by. A chain that never moves has the
    number of trajectories. Beside it the same in evaluations of the theory, and the mean over the chains
    after their first trajectory, before they have forgotten their start.
    """
    for space in spaces(results, pair):
        arrays, timing = results.chains(f"{pair}_{space}")
        key = observable(arrays)
        if f"cold_{key}" not in arrays:
            continue
        series = arrays[f"cold_{key}"][0]
        # All spins up have m² = 1; the ordered field's |φ̄| is |φ|, the square root of its density.
        entry = results.chosen.chains[f"{pair}_{space}"]
        told = results.chosen.theories[results.chosen.flows[entry.flow].theory]
        point = (float(arrays["t"][0]), float(arrays["mu"][0]))
        start = 1.0 if key == ISING else np.sqrt(cold_density(action_of(told, point)))
        totals = (series - truth).sum(axis=1) / (start - truth)
        error = first = None
        if len(totals) > 1:
            scatter = totals.std(ddof=1) / np.sqrt(len(totals))
            first = float(series[:, 0].std(ddof=1) / np.sqrt(len(series)))
            by_truth = (totals.mean() - series.shape[1]) / (start - truth) * truth_error
            error = float(np.hypot(scatter, by_truth))
        yield _named(pair, f"{space}_relaxation", totals.mean(), error)
        yield _named(pair, f"{space}_first", series[:, 0].mean(), first)
        forces = timing["evaluations"]
        scaled = None if error is None else error * forces
        yield _named(pair, f"{space}_relaxation_forces", totals.mean() * forces, scaled)


def _named(pair: str, name: str, value: float, error: float | None) -> tuple[str, Measurement]:
    name = f"sampling.{pair}.{name}"
    return name, Measurement(
        name, value, error, source=f"chains/{pair}_bulk, chains/{pair}_boundary"
    )


PARTS = (sampling,)
