"""What is read off trained flows: distance to the theory, effective samples, partition functions.

Each function takes :class:`analysis.Results` and yields tables and measurements by name. What a
scale does not have is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emergence.holography import exact, ising_exact
from emergence.holography.actions import ComplexPhi4, FreeField, IsingDualField
from emergence.holography.metropolis import expected_acceptance
from emergence.holography.points import action_of
from emergence.holography.weights import Evaluation
from emergence.statistics import Measurement, median_error

if TYPE_CHECKING:
    from emergence.holography.analysis import Flow, Results

Found = Iterator[tuple[str, pd.DataFrame | Measurement]]


def exact_log_partition(
    action: ComplexPhi4 | FreeField | IsingDualField, side: int
) -> float | None:
    """ln Z where it is known: the free field, the Ising field, and everything on the 2×2 torus."""
    if isinstance(action, FreeField):
        return exact.free_log_partition(action, side)
    if isinstance(action, IsingDualField):
        return ising_exact.dual_log_partition(action, side)
    return exact.small_torus(action).log_partition if side == 2 else None


def evaluations(results: Results, flow: Flow) -> list[dict[str, object]]:
    """One row per point and seed: KL, effective fraction, acceptance, ln Z and its exact value."""
    theory = results.chosen.theories[results.chosen.flows[flow.arm].theory]
    rows = []
    for index, point in enumerate(zip(flow.arrays["t"], flow.arrays["mu"], strict=True)):
        known = exact_log_partition(action_of(theory, point), flow.size)
        for seed, log_weights in enumerate(flow.arrays["log_weights"][index]):
            found = Evaluation(log_weights)
            divergence, error = found.divergence(known)
            rows.append(
                {
                    "arm": flow.arm, "network": results.chosen.flows[flow.arm].network,
                    "size": flow.size, "t": point[0], "mu": point[1], "seed": seed,
                    "divergence": divergence, "divergence_error": error,
                    "effective_fraction": found.effective_fraction,
                    "acceptance": expected_acceptance(log_weights),
                    "log_partition": found.log_partition, "log_partition_error": found.error,
                    "exact": np.nan if known is None else known,
                    "underpowered": found.underpowered, "samples": found.samples,
                    "parameters": int(flow.arrays["parameters"]),
                    "steps": int(flow.arrays["steps"]), "batch": int(flow.arrays["batch"]),
                    "seconds": flow.seconds_per_step * int(flow.arrays["steps"]),
                    "shipped": flow.shipped,
                }
            )  # fmt: skip
    return rows


def flows(results: Results) -> Found:
    """Every flow against its theory; per arm and side its KL, effective fraction and ln Z."""
    table = pd.DataFrame([row for flow in results.flows() for row in evaluations(results, flow)])
    yield "flows", table
    for (arm, size), part in table.groupby(["arm", "size"], sort=False):
        if results.chosen.theories[results.chosen.flows[arm].theory].conditional:
            continue
        source = f"flows/{arm}/{size}"
        note = "fewer than ten effective samples" if part["underpowered"].any() else ""
        columns = {"divergence": "divergence_error", "effective_fraction": None}
        for column, error in columns.items():
            yield from _over_seeds(f"{arm}.{column}_{size}", part, column, error, source, note)
        if part["exact"].notna().all():
            part = part.assign(deviation=(part["log_partition"] - part["exact"]).abs())
            yield from _over_seeds(
                f"{arm}.log_partition_deviation_{size}", part, "deviation",
                "log_partition_error", source, note,
            )  # fmt: skip


def _over_seeds(
    name: str, part: pd.DataFrame, column: str, error: str | None, source: str, note: str
) -> Found:
    """Median over the flows of one arm, with the errors of sampling and of the spread."""
    values = part[column].to_numpy(dtype=float)
    sampling = 0.0 if error is None else float(np.sqrt(np.mean(part[error] ** 2) / len(part)))
    spread = median_error(values) or 0.0
    yield (
        name,
        Measurement(
            name,
            float(np.median(values)),
            float(np.hypot(sampling, spread)),
            values=tuple(values) if len(values) > 2 else None,
            source=source,
            note=note,
        ),
    )


def training(results: Results) -> Found:
    """Free energy against step, less its value at the end of the longest training of that theory."""
    rows = []
    for flow in results.flows():
        history = results.history(flow)
        rows.append(history.assign(arm=flow.arm, size=flow.size))
    yield "training", pd.concat(rows, ignore_index=True)


PARTS = (flows, training)
