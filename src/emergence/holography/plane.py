"""The map of t and μ that one conditional flow generates, beside the cluster Monte Carlo, point by point.

As along the line of the phase diagram (:mod:`.diagram`): the flow's own samples (*raw*), the same with
their importance weights (*reweighted*), and chains that refresh its latents (*corrected*), where the
settings have any. What the flow is told is where it is asked, so that one set of weights serves the map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import chi2

from emergence.analysing import Found
from emergence.artifacts import Arrays
from emergence.holography.autocorrelation import estimate_all
from emergence.holography.diagram import series_of
from emergence.holography.metropolis import reweight
from emergence.holography.observables import PRIMARY, formulas
from emergence.statistics import Measurement

if TYPE_CHECKING:
    from emergence.holography.analysis import Flow, Results


PLANE = ("order", "susceptibility", "binder")
"""Observables of the map of t and μ."""

COLUMNS = ["t", "mu", "interaction", "observable"]
"""Of the table of a scale without a map."""


def plane(results: Results) -> Found:
    """Raw, reweighted and corrected observables beside the cluster Monte Carlo, and their agreement."""
    reference = results.plane()
    if reference is None:
        yield "plane", pd.DataFrame(columns=COLUMNS)
        return
    chosen = results.chosen.plane
    flow = results.flow(chosen.flow, chosen.side)
    drawn = results.chains("plane")
    theory = results.chosen.theories[results.chosen.flows[chosen.flow].theory]
    rows = [
        {"interaction": theory.lam, "shipped": flow.shipped}
        | {
            "reference": reference[name][index],
            "reference_error": reference[f"{name}_error"][index],
        }
        | row
        | (corrected[name] if corrected else {})
        for index in range(len(flow.arrays["t"]))
        for corrected in [_of_chains(drawn[0], index, chosen.side) if drawn else None]
        for name, row in _of_flow(flow, index).items()
    ]
    table = pd.DataFrame(rows)
    yield "plane", table
    yield from agreement(table)
    if drawn:
        yield from agreement(table, "corrected")
        yield from precision(table)


def _of_flow(flow: Flow, index: int) -> dict[str, dict[str, object]]:
    """Observable → the row of a point, of the flow's own samples without and with their weights."""
    samples = {name: flow.arrays[name][index, 0] for name in PRIMARY}
    log_weights = flow.arrays["log_weights"][index, 0]
    rows = {}
    for name in PLANE:
        function = formulas(flow.size)[name]
        found = reweight(samples, log_weights, function)
        raw = reweight(samples, np.zeros_like(log_weights), function)
        rows[name] = {
            "t": flow.arrays["t"][index], "mu": flow.arrays["mu"][index], "observable": name,
            "raw": raw.value, "raw_error": raw.error,
            "reweighted": np.nan if found.underpowered else found.value,
            "reweighted_error": np.nan if found.underpowered else found.error,
            "effective": found.effective,
        }  # fmt: skip
    return rows


def _of_chains(arrays: Arrays, index: int, side: int) -> dict[str, dict[str, float]]:
    """Observable → what chains in the bulk have of a point; nothing where they have not equilibrated."""
    found = estimate_all(series_of(arrays, index), {name: formulas(side)[name] for name in PLANE})
    trusted = all(each.equilibrated for each in found.values())
    return {
        name: {
            "corrected": each.value if trusted else np.nan,
            "corrected_error": each.error if trusted else np.nan,
            "tau": each.tau,
        }
        for name, each in found.items()
    }


def agreement(table: pd.DataFrame, kind: str = "reweighted") -> Found:
    """p-values of the map against the clusters, and against those of the next hopping.

    Args:
        table: of :func:`plane`.
        kind: what is compared, ``reweighted`` or ``corrected``; a point without a value does not count.
    """
    prefix = "" if kind == "reweighted" else f"{kind}_"
    values: dict[str, dict[str, float | None]] = {"": {}, "displaced_": {}}
    for name, part in table.groupby("observable", sort=False):
        part = part.sort_values(["mu", "t"])
        near = part[["reference", "reference_error"]]
        # For the last hopping of a μ the one before it.
        moved = near.groupby(part["mu"]).shift(-1).fillna(near.groupby(part["mu"]).shift(1))
        for label, reference in (("", near), ("displaced_", moved)):
            values[label][name] = _probability(part, kind, reference)
    count = table.groupby("observable")[kind].agg(["count", "size"]).iloc[0]
    what = "ten effective samples" if kind == "reweighted" else "chains that have equilibrated"
    note = f"{count['count']} of {count['size']} points have {what}"
    name = "plane.effective_share" if kind == "reweighted" else f"plane.{kind}_share"
    source = "reference/plane" if kind == "reweighted" else "chains/plane, reference/plane"
    share = float(count["count"] / count["size"])
    yield name, Measurement(name, share, 0.0, source=source, note=note)
    for label, found in values.items():
        named = {f"{label}{name}_pvalue": value for name, value in found.items()}
        told = [value for value in found.values() if value is not None]
        named[f"{label}p_smallest"] = min(told) if told else None
        for name, value in named.items():
            name = f"plane.{prefix}{name}"
            error = None if value is None else 0.0
            yield name, Measurement(name, value, error, source=source, note=note)


def _probability(part: pd.DataFrame, kind: str, reference: pd.DataFrame) -> float | None:
    """p-value of χ² of the differences from a reference where both are known; None where none is."""
    error = np.hypot(part[f"{kind}_error"], reference["reference_error"])
    pulls = ((part[kind] - reference["reference"]) / error).dropna()
    return float(chi2.sf(np.sum(pulls**2), len(pulls))) if len(pulls) else None


def precision(table: pd.DataFrame) -> Found:
    """Of each observable the largest relative error of the chains at any point."""
    for observable, part in table.groupby("observable", sort=False):
        name = f"plane.corrected_relative_error_{observable}"
        largest = (part["corrected_error"] / part["corrected"].abs()).max()
        if not np.isfinite(largest):
            note = "no chains have equilibrated"
            yield name, Measurement(name, None, None, source="chains/plane", note=note)
            continue
        yield name, Measurement(name, float(largest), 0.0, source="chains/plane")


PARTS = (plane,)
