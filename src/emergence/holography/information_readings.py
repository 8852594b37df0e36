"""Where the information of a region goes in a step of the renormalisation group, map by map.

Exactly for the free field and linear maps, by determinants; from true samples for the others. All
budgets are of region A = one block of the torus. A wide disentangler or a decimator that reads the
blocks around is no map of A alone: the chain rule then has a defect, as large as what they carry
across the border, and it stands beside that of the slides' identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd

from emergence.analysing import Found
from emergence.holography.bulk_information import (
    BUDGET,
    linear_budgets,
    multi_information,
    random_block,
)
from emergence.holography.bulk_readings import Study, studies
from emergence.holography.bulk_stored import MAPS
from emergence.holography.information import (
    HAAR,
    InformationBudget,
    block_transform,
    free_field_covariance,
    information_budget,
)
from emergence.holography.linear_map import LinearMap
from emergence.holography.optimal_map import linear_multi_information, optimal_linear_map
from emergence.randomness import generator
from emergence.statistics import Measurement

REFERENCE_SIDE, REFERENCE_MASS = 8, 0.25
"""The free field of the reference values: side and m², real components."""

RANDOM_MAPS = 16
"""Random orthogonal blocks whose budgets are averaged."""

SOURCE = "free field, exact"


@cache
def exact_budgets(seed: int) -> dict[str, list[InformationBudget]]:
    """Budgets of the reference free field by map; many of them for the random one."""
    covariance = free_field_covariance(REFERENCE_SIDE, REFERENCE_MASS)
    rng = generator(seed, "holography", "exact budgets")
    maps = {"haar": HAAR, "untrained": np.eye(4)}
    maps |= {f"random {index}": random_block(rng) for index in range(RANDOM_MAPS)}
    best = optimal_linear_map(
        reference_spectrum(), disentangle=False, starts=2, iterations=500, rng=rng
    )
    maps["optimal"] = best.map.decimators[0]
    found: dict[str, list[InformationBudget]] = {}
    for name, budget in linear_budgets(covariance, maps).items():
        found.setdefault(name.split()[0], []).append(budget)
    return found


def reference_spectrum() -> np.ndarray:
    """⟨|φ_k|²⟩ of the reference free field, ``[L, L]``."""
    side = REFERENCE_SIDE
    row = free_field_covariance(side, REFERENCE_MASS)[0].reshape(side, side)
    return np.fft.fft2(row).real


def exact(results) -> Iterator[tuple[str, Measurement]]:
    """The chain rule by determinants, and what the slides' identity misses of it."""
    found = exact_budgets(results.settings.seed)
    for name, budgets in found.items():
        for quantity in BUDGET:
            values = [getattr(budget, quantity) for budget in budgets]
            yield _exactly(f"budget.{name}_{quantity}", values, "nats")
        slides = [budget.coarse + budget.bulk for budget in budgets]
        yield _exactly(f"budget.{name}_slides_sum", slides, "nats")
        relative = [abs(budget.slides_defect) / budget.total for budget in budgets]
        yield _exactly(f"budget.{name}_relative_defect", relative)
    worst = max(abs(one.chain_defect) for budgets in found.values() for one in budgets)
    yield _exactly("budget.worst_chain_defect", [worst], "nats")
    # A broken control: the details of A taken from the field before the step.
    yield _exactly("budget.mismatched_chain_defect", [mismatched()], "nats")
    for name, value in exact_multi_informations(results.settings.seed).items():
        yield _exactly(f"budget.{name}_multi", value, "nats")


def _exactly(name: str, values: list[float], unit: str = "") -> tuple[str, Measurement]:
    if len(values) > 1:
        return name, Measurement.from_seeds(name, values, unit=unit, source=SOURCE)
    return name, Measurement(name, values[0], 0.0, unit=unit, source=SOURCE)


def mismatched() -> float:
    """|Chain defect| where the details do not belong to the coarse sites: no invertible step.

    The field's own budget is asked of another step's details: Haar's coarse sites and, for the
    conditional part, three sites of the block whose sum with them is not the block.
    """
    covariance = free_field_covariance(REFERENCE_SIDE, REFERENCE_MASS)
    haar = information_budget(covariance, block_transform(covariance))
    sites = information_budget(covariance, block_transform(covariance, np.eye(4)))
    return abs(haar.total - haar.coarse - sites.conditional)


def exact_multi_informations(seed: int) -> dict[str, list[float]]:
    """Multi-information of all latents of the reference free field, nats per real component."""
    spectrum = reference_spectrum()
    covariance = free_field_covariance(REFERENCE_SIDE, REFERENCE_MASS)
    rng = generator(seed, "holography", "exact multi-information")
    levels = REFERENCE_SIDE.bit_length() - 1
    random = [LinearMap(np.array([random_block(rng) for _ in range(levels)]))
              for _ in range(RANDOM_MAPS)]  # fmt: skip
    tree = optimal_linear_map(spectrum, disentangle=False, starts=2, iterations=500, rng=rng)
    whole = optimal_linear_map(spectrum, starts=2, iterations=500, rng=rng)
    return {
        "haar": [linear_multi_information(spectrum, LinearMap.haar(REFERENCE_SIDE))],
        "untrained": [multi_information(covariance)],
        "random": [linear_multi_information(spectrum, one) for one in random],
        "optimal_tree": [tree.multi_information],
        "optimal": [whole.multi_information],
    }


def budgets(results) -> Found:
    """Budgets, defects and bulk information of every map: exact, and of every study."""
    rows = []
    for name, found in exact_budgets(results.settings.seed).items():
        for quantity in BUDGET:
            values = np.array([getattr(budget, quantity) for budget in found])
            rows.append(
                {
                    "bulk": "exact", "size": REFERENCE_SIDE, "t": np.nan, "shipped": False,
                    "map": name, "step": "decimator", "quantity": quantity,
                    "value": np.median(values),
                    "error": 0.0 if len(values) == 1 else values.std(ddof=1),
                }
            )  # fmt: skip
    for study in studies(results):
        for name in MAPS:
            for step, key in (("decimator", "budget"), ("whole", "budget_whole")):
                table = study.arrays[f"{name}_{key}"]
                for quantity, (value, error) in zip(BUDGET, table, strict=True):
                    rows.append(
                        study.row(map=name, step=step, quantity=quantity, value=value, error=error)
                    )
            yield from _defects(study, name)
    yield "budgets", pd.DataFrame(rows)


def _defects(study: Study, name: str) -> Found:
    """Defects of a map over I(φ_A:φ_B), of its decimator and of its whole first step."""
    for label, key in (("", "budget"), ("whole_", "budget_whole")):
        table = dict(zip(BUDGET, study.arrays[f"{name}_{key}"], strict=True))
        total = table["total"][0]
        for defect in ("chain_defect", "slides_defect"):
            value, error = table[defect]
            yield from study.measured(
                f"{name}_{label}relative_{defect}", abs(value) / total, error / total
            )
        for quantity in ("coarse", "bulk"):
            yield from study.measured(f"{name}_{label}{quantity}", *table[quantity], unit="nats")


def bulk_information(results) -> Found:
    """What all latents of a map share: multi-information, and the sum over pairs of cells."""
    rows = []
    for study in studies(results):
        for name in MAPS:
            arrays = study.arrays
            count, replicas = arrays[f"{name}_pair_count"], arrays[f"{name}_pair_replicas"]
            pairs = float(count @ arrays[f"{name}_pair_value"])
            spread = float((replicas @ count).std(ddof=1))
            for quantity, (value, error) in (
                ("multi", arrays[f"{name}_multi"]),
                ("pairs", (pairs, spread)),
            ):
                if not np.isfinite(value):
                    continue
                rows.append(study.row(map=name, quantity=quantity, value=value, error=error))
                yield from study.measured(f"{name}_{quantity}", value, error, unit="nats")
        if "radial_multi" in study.arrays:
            value, error = study.arrays["radial_multi"]
            rows.append(study.row(map="trained", quantity="radial", value=value, error=error))
            yield from study.measured("trained_radial_multi", value, error, unit="nats")
    yield "bulk_information", pd.DataFrame(rows)


LINKS = ["bulk", "map", "level", "other", "estimator", "value", "error", "floor"]
"""What the figure reads of single pairs of latents."""


def single_pairs(results) -> Found:
    """Mutual information of the pairs of :func:`.bulk_study.links`, by nearest neighbours and Gaussian.

    Of each estimator the mean over the pairs, and as resolution the largest error of one pair.
    """
    rows = []
    for study in studies(results):
        for name in MAPS:
            levels = study.arrays.get(f"{name}_link_levels", np.zeros((0, 2)))
            if not len(levels):
                continue
            for estimator in ("neighbour", "gaussian"):
                found = study.arrays[f"{name}_link_{estimator}"]
                for (level, other), (value, error, floor) in zip(levels, found, strict=True):
                    told = {"value": value, "error": error, "floor": floor}
                    about = {"map": name, "level": int(level), "other": int(other)}
                    rows.append(study.row(**about, estimator=estimator, **told))
                value, error = found[:, 0].mean(), np.linalg.norm(found[:, 1]) / len(found)
                label = f"{name}_link_{estimator}"
                yield from study.measured(label, value, error, unit="nats")
                worst = float(found[:, 1].max())
                yield from study.measured(f"{label}_resolution", worst, 0.0, unit="nats")
    yield "bulk_links", pd.DataFrame(rows) if rows else pd.DataFrame(columns=LINKS)


PARTS = (exact, budgets, bulk_information, single_pairs)
