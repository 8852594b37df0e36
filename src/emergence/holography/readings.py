"""What is read off trained flows: distance to the theory, effective samples, partition functions.

Each function takes :class:`analysis.Results` and yields tables and measurements by name. What a
scale does not have is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emergence.analysing import Found
from emergence.holography import published
from emergence.holography.metropolis import expected_acceptance
from emergence.holography.partition import best_partition
from emergence.holography.points import centre_of
from emergence.holography.weights import FEW, Evaluation
from emergence.randomness import generator
from emergence.statistics import Measurement, median_error

if TYPE_CHECKING:
    from emergence.holography.analysis import Flow, Results


LOW = f"a lower bound, as ln Z is that of {FEW}"

PAIR = ("critical", "real_nvp")
"""The two flows of the critical theory that are compared at equal time."""


def evaluations(results: Results, flow: Flow) -> list[dict[str, object]]:
    """One row per point and seed: KL, effective fraction, acceptance, ln Z and its exact value."""
    arm = results.chosen.flows[flow.arm]
    shared = {
        "arm": flow.arm,
        "network": arm.network,
        "size": flow.size,
        "parameters": int(flow.arrays["parameters"]),
        "steps": int(flow.arrays["steps"]),
        "batch": int(flow.arrays["batch"]),
        "seconds": flow.seconds_per_step * int(flow.arrays["steps"]),
        "shipped": flow.shipped,
    }
    rows = []
    for index, point in enumerate(zip(flow.arrays["t"], flow.arrays["mu"], strict=True)):
        best = best_partition(results, flow, point)
        for seed, log_weights in enumerate(flow.arrays["log_weights"][index]):
            found = Evaluation(log_weights)
            divergence, error = found.divergence(best.value, best.error)
            untrained = np.nan
            if index == 0:
                untrained = best.value - flow.arrays["untrained_log_weights"][seed].mean()
            rows.append(
                shared
                | {
                    "t": point[0],
                    "mu": point[1],
                    "seed": seed,
                    "divergence": divergence,
                    "divergence_error": error,
                    "divergence_low": best.low,
                    "log_partition_from": best.source,
                    "untrained_divergence": untrained,
                    "effective_fraction": found.effective_fraction,
                    "effective_fraction_error": found.effective_error,
                    "acceptance": expected_acceptance(log_weights),
                    "log_partition": found.log_partition,
                    "log_partition_error": found.error,
                    "exact": best.value if best.source == "exact" else np.nan,
                    "shuffled": shuffled_log_partition(flow, index, seed),
                    "underpowered": found.underpowered,
                    "samples": found.samples,
                }
            )
    return rows


def shuffled_log_partition(flow: Flow, index: int, seed: int) -> float:
    """ln Z from weights whose densities belong to other samples: what a wrong likelihood gives."""
    log_weights = flow.arrays["log_weights"][index, seed]
    log_density = flow.arrays["log_density"][index, seed]
    order = generator(0, "shuffled", flow.arm, flow.size).permutation(len(log_density))
    return Evaluation(log_weights + log_density - log_density[order]).log_partition


def flows(results: Results) -> Found:
    """Every flow against its theory; per arm and side its KL, effective fraction and ln Z."""
    table = pd.DataFrame([row for flow in results.flows() for row in evaluations(results, flow)])
    yield "flows", table
    if table.empty:  # a part of a scale may hold no flow
        return
    for (arm, size), part in table.groupby(["arm", "size"], sort=False):
        if results.chosen.theories[results.chosen.flows[arm].theory].conditional:
            yield from over_couplings(arm, size, part)
            continue
        few = FEW if part["underpowered"].any() else ""
        low = LOW if part["divergence_low"].any() else ""
        read = _Reader(part, f"flows/{arm}/{size}")
        yield read(f"{arm}.parameters_{size}", "parameters")
        yield read(f"{arm}.divergence_{size}", "divergence", "divergence_error", untold=low)
        yield read(f"{arm}.untrained_divergence_{size}", "untrained_divergence", untold=low)
        name = "effective_fraction"
        yield read(f"{arm}.{name}_{size}", name, f"{name}_error", untold=few)
        if part["exact"].notna().all():
            off = {
                "deviation": (part["log_partition"] - part["exact"]).abs(),
                "shuffled_deviation": (part["shuffled"] - part["exact"]).abs(),
            }
            read = _Reader(part.assign(**off), f"flows/{arm}/{size}")
            error = "log_partition_error"
            yield read(f"{arm}.ln_z_deviation_{size}", "deviation", error, untold=few)
            yield read(f"{arm}.shuffled_ln_z_deviation_{size}", "shuffled_deviation", untold=few)


def over_couplings(arm: str, size: int, part: pd.DataFrame) -> Found:
    """The least and the largest KL of a flow that is told its couplings, over the points it is asked at."""
    known = part[np.isfinite(part["divergence"])]
    for word, choose in (("least", pd.Series.idxmin), ("largest", pd.Series.idxmax)):
        name = f"{arm}.{word}_divergence_{size}"
        if known.empty:
            yield (
                name,
                Measurement(name, None, source=f"flows/{arm}/{size}", note="nothing is known"),
            )
            continue
        row = known.loc[choose(known["divergence"])]
        note = f"at t = {row['t']:g}, μ = {row['mu']:g}"
        if low := bool(row["divergence_low"]):
            note += f"; {LOW}"
        error = None if low else float(row["divergence_error"])
        value = float(row["divergence"])
        yield (
            name,
            Measurement(name, value, error, unit="nats", source=f"flows/{arm}/{size}", note=note),
        )


class _Reader:
    """Medians over the flows of one arm at one side, with the errors of sampling and spread."""

    def __init__(self, part: pd.DataFrame, source: str) -> None:
        self.part, self.source = part, source

    def __call__(
        self, name: str, column: str, error: str = "", *, untold: str = ""
    ) -> tuple[str, Measurement]:
        """One measurement; ``untold`` says why its scatter is not known, which leaves it underpowered."""
        values = self.part[column].to_numpy(dtype=float)
        count = len(values)
        sampling = float(np.sqrt(np.mean(self.part[error] ** 2) / count)) if error else 0.0
        spread = median_error(values) or 0.0
        several = tuple(values) if count > 2 and not untold else None
        total = float(np.hypot(sampling, spread))
        note = untold or ("" if several else f"{count} flow(s): the error is the sampling's")
        measurement = Measurement(
            name, float(np.median(values)), None if untold else total, several,
            source=self.source, note=note,
        )  # fmt: skip
        return name, measurement


def symmetry(results: Results) -> Found:
    """U(1) splines against real NVP: KL along both trainings, at the time each has taken."""
    best, other = PAIR
    columns = ["arm", "size", "seed", "step", "seconds", "divergence", "effective_fraction"]
    sizes = results.chosen.flows[best].sizes if results.has(best) else {}
    shared = [size for size in sizes if results.has(other, size)]
    rows, spent = [pd.DataFrame(columns=columns)], dict.fromkeys(PAIR, 0.0)
    for size in shared:
        base = _subtracted(results, size)
        for arm in PAIR:
            flow = results.flow(arm, size)
            history = results.history(flow)
            seconds = spent[arm] + flow.seconds_per_step * history["step"]
            divergence = history["loss"] + base
            part = history.assign(arm=arm, size=size, seconds=seconds, divergence=divergence)
            rows.append(part[columns])
            spent[arm] += flow.seconds_per_step * int(flow.arrays["steps"])
        ratio = spent[other] / spent[best]
        name = f"symmetry.time_ratio_{size}"
        # What this run spent is what it spent: it is no estimate of anything.
        note = "processor time of all steps up to this side, real NVP over splines, of this run"
        told = (ratio, 0.0) if np.isfinite(ratio) else (None, None)  # trainings too brief to time
        yield name, Measurement(name, *told, source=f"flows/{other}/{size}", note=note)
    curves = pd.concat(rows[1:] or rows, ignore_index=True)
    yield "symmetry", curves
    for size in shared:
        yield from equal_time(curves[curves["size"] == size], size)


CHECKPOINTS = 5
"""Of a training, over which KL is averaged at a time: the loss of a single batch scatters."""


def equal_time(curves: pd.DataFrame, size: int) -> Found:
    """KL of both trainings when each has had as much time, with all sides before, as the briefer one.

    Args:
        curves: their rows of the table ``symmetry`` at this side; the time ends at the last row.
    """
    ends = curves.groupby("arm")["seconds"].max()
    found = {}
    for arm in PAIR:
        own = curves[(curves["arm"] == arm) & (curves["seconds"] <= 1.000001 * ends.min())]
        losses = own.groupby("step")["divergence"].mean().tail(CHECKPOINTS)
        found[arm] = (losses.mean(), losses.std(ddof=1) / np.sqrt(max(len(losses), 1)))
    found["gap"] = (
        found[PAIR[1]][0] - found[PAIR[0]][0],
        np.hypot(*(e for _, e in found.values())),
    )
    for what, (value, error) in found.items():
        name, source = f"symmetry.{what}_equal_time_{size}", f"flows/{PAIR[1]}/{size}"
        note = f"after {ends.min():.0f} s of both, by the loss; the error is that of the batches"
        if np.isfinite(error):
            measured = Measurement(name, value, error, unit="nats", source=source, note=note)
        else:
            why = "too few checkpoints in the time that both had at this side"
            measured = Measurement(name, None, unit="nats", source=source, note=why)
        yield name, measured


def _subtracted(results: Results, size: int) -> float:
    """What makes KL of the recorded loss ⟨ln q + S⟩ − Nλρ₀²: ln Z by the best weights, less that."""
    theory = results.chosen.theories[results.chosen.flows[PAIR[0]].theory]
    _, mu = centre_of(theory)
    flow = results.flow(PAIR[0], size)
    best = best_partition(results, flow, (flow.arrays["t"][0], flow.arrays["mu"][0]))
    return best.value - size**2 * max(-mu, 0.0) ** 2 / (4.0 * theory.lam)


def ising(results: Results) -> Found:
    """The authors' Ising flows, for comparison."""
    yield "published_ising", published.ISING


PARTS = (flows, symmetry, ising)
