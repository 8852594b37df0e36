"""The phase diagram by Hamiltonian trajectories among the latents of a flow that is told t.

A trajectory follows the gradient of the density that the flow gives its latents (:mod:`.hmc`), so that
whatever the flow gets wrong makes hills there. The paper's affine couplings make gentle ones; those of
splines are steeper than any step that gets anywhere, and their latents are refreshed instead
(:mod:`.refresh`), as :mod:`.diagram` has them. Chains ``hamiltonian_<side>`` of the settings are read here,
against the same clusters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emergence.analysing import Found
from emergence.holography.chain_records import origin_of
from emergence.holography.diagram import (
    OBSERVABLES,
    corrected_rows,
    probability,
    pulls_of,
    reference_rows,
)
from emergence.statistics import Measurement

if TYPE_CHECKING:
    from emergence.holography.analysis import Results

COLUMNS = [
    "kind", "t", "observable", "value", "error", "tau", "equilibrated", "size", "shipped", "records",
    "shipped_records",
]  # fmt: skip
"""Of the table, as of that of the diagram."""


def name_of(side: int) -> str:
    """The entry of chains of one torus."""
    return f"hamiltonian_{side}"


def trajectories(results: Results) -> Found:
    """Every observable at the hoppings of these chains, and how well they agree with the clusters."""
    tables = []
    for side in results.chosen.diagram.sides:
        drawn = results.chains(name_of(side))
        if drawn is None:
            continue
        rows = corrected_rows(drawn[0], side).assign(
            kind="hamiltonian", size=side, **origin_of(results.chosen, name_of(side), drawn[0])
        )
        tables.append(rows)
        yield from agreement(rows, reference_rows(results.reference(side)), side)
    found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)
    yield "trajectories", found.reindex(columns=COLUMNS)


def agreement(rows: pd.DataFrame, reference: pd.DataFrame, side: int) -> Found:
    """p-values of χ² against the clusters and against those of the next hopping, and largest errors.

    Args:
        rows: of :func:`.diagram.corrected_rows`; hoppings move independently of each other.
        reference: of :func:`.diagram.reference_rows`, at these hoppings and others.
    """
    trusted = bool(rows["equilibrated"].all())
    source = f"chains/{name_of(side)}"
    found: dict[str, float] = {}
    pulls = pulls_of(pd.concat([rows.assign(kind="corrected"), reference])).groupby("observable")
    for label, column in (("", "corrected"), ("displaced_", "displaced")):
        values = {name: probability(part[column]) for name, part in pulls}
        found |= {f"{label}p_{name}": value for name, value in values.items()}
        found[f"{label}p_smallest"] = min(values.values())
    for observable, part in rows[rows["observable"].isin(OBSERVABLES)].groupby("observable"):
        largest = (part["error"] / part["value"].abs()).max()
        if np.isfinite(largest):
            found[f"relative_error_{observable}"] = float(largest)
    note = "" if trusted else "some chains have not equilibrated"
    for name, value in sorted(found.items()):
        label = f"trajectories.{name}_{side}"
        error = 0.0 if trusted else None
        yield label, Measurement(label, value, error, source=source, note=note)


PARTS = (trajectories,)
