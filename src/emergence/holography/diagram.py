"""The phase diagram that flows generate, beside the cluster Monte Carlo of the same tori.

At every hopping of the diagram each observable is measured four times: on the flow's own samples
(*raw*), on the same samples with their importance weights (*reweighted*; no number where fewer than
ten of them are effective), by chains in the flow's bulk (*corrected*, exact
whatever the flow is; cluster estimators on their records, :mod:`.improved`, take away noise and leave the
chains as they are), and by clusters (*reference*). Corrected and reference must agree.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from emergence.analysing import Found
from emergence.artifacts import Arrays
from emergence.holography.autocorrelation import estimate_all, fluctuations
from emergence.holography.chain_records import origin_of
from emergence.holography.crossover import DISORDERED, HELICITY, crossover, helicity_errors, pooled
from emergence.holography.improved import IMPROVED
from emergence.holography.metropolis import reweight
from emergence.holography.observables import PRIMARY, formulas
from emergence.statistics import Measurement, shrunk_correlation

if TYPE_CHECKING:
    from emergence.holography.analysis import Flow, Results


OBSERVABLES = ("order", "susceptibility", "binder", "helicity", "correlation_length")
"""What the claim is about."""

TESTED = {"correlation_length": "correlation_length_squared"}
"""Observables compared through another one: ξ² is linear in its means where ξ has no real value."""

BLOCKS = 10
"""Of each chain, by which correlations between hoppings are told."""

PULLS = ["observable", "t", "corrected", "raw", "displaced", "neighbour", "size"]
"""Columns of the table of pulls."""

RESOLVED = 1.0
"""Lattice units: shorter correlation lengths are not told by the smallest momentum of the torus."""


def sides(results: Results) -> list[int]:
    """Sides with a conditional flow ``line_<side>`` and a reference."""
    return [side for side in results.chosen.diagram.sides if results.has(f"line_{side}", side)]


def diagram(results: Results) -> Found:
    """Every observable against t, and how well corrected and reference agree.

    Without chains only the flow's own samples are compared.
    """
    tables, pulls, helicity = [], [], []
    for side in sides(results):
        name = f"line_{side}"
        table, shared = _table(results, side)
        own = pulls_of(table).assign(size=side)
        tables.append(table)
        pulls.append(own)
        runs = [one for one in (name, f"crossover_{side}") if one in results.chosen.chains]
        source = ", ".join(f"chains/{run}" for run in runs)
        yield from _measurements(table, own, shared, side, source)
        told = helicity_errors(table)
        helicity.append(told.assign(size=side))
        if runs:
            drawn = table[table["kind"] == "corrected"]
            yield from crossover(told, side, source, bool(drawn["equilibrated"].all()))
    columns = [
        "kind",
        "t",
        "observable",
        "value",
        "error",
        "tau",
        "equilibrated",
        "size",
        "shipped",
        "records",
        "shipped_records",
    ]
    yield "diagram", _gathered(tables, columns)
    yield "pulls", _gathered(pulls, PULLS)
    yield "helicity_errors", _gathered(helicity, HELICITY)


def _table(results: Results, side: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Every row of one torus, and the correlations between hoppings (:func:`correlations`)."""
    name, more = f"line_{side}", results.chains(f"crossover_{side}")
    flow, drawn = results.flow(name, side), results.chains(name)
    rows = [reference_rows(results.reference(side)), flow_rows(flow)]
    about: dict[str, object] = {"shipped": flow.shipped, "records": 0, "shipped_records": 0}
    hoppings = flow.arrays["t"]
    if drawn:
        added = corrected_rows(more[0], side) if more else None
        rows.insert(1, pooled(corrected_rows(drawn[0], side), added))
        about, hoppings = origin_of(results.chosen, name, drawn[0]), drawn[0]["t"]
    table = pd.concat(rows)
    # A flow may be of a part of the line only.
    table = table[table["t"].isin(hoppings)].copy()
    # Only chains have a start to forget.
    others = table["kind"] != "corrected"
    table["equilibrated"] = others | (table["equilibrated"].isin([True]) if drawn else True)
    table = table.assign(size=side, **about)
    # Clusters know of no weights, and only chains have records.
    table["shipped"] &= table["kind"] != "reference"
    table.loc[others, ["records", "shipped_records"]] = 0
    return table, correlations(drawn[0], table, side) if drawn else {}


def _gathered(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """All rows, or an empty table with the columns that its figure expects."""
    if not frames:
        return pd.DataFrame(columns=columns)
    return pd.concat(frames, ignore_index=True).reindex(columns=columns)


def _rows(kind: str, t: float, values: dict[str, tuple[float, float, float]]) -> list[dict]:
    return [
        {"kind": kind, "t": t, "observable": name, "value": value, "error": error, "tau": tau}
        for name, (value, error, tau) in values.items()
    ]


def reference_rows(reference: Arrays) -> pd.DataFrame:
    """The cluster Monte Carlo: kind, t, observable, value, error, tau (sweeps)."""
    rows = []
    for index, t in enumerate(reference["t"]):
        found = {
            name: tuple(reference[f"{name}{part}"][index] for part in ("", "_error", "_tau"))
            for name in (*OBSERVABLES, *TESTED.values())
        }
        rows += _rows("reference", t, found)
    return pd.DataFrame(rows)


def corrected_rows(chains: Arrays, side: int) -> pd.DataFrame:
    """The chains of :func:`.chains.run`, as :func:`reference_rows`; tau in trajectories."""
    chosen = {name: formulas(side)[name] for name in (*OBSERVABLES, *TESTED.values())}
    rows = []
    for index, t in enumerate(chains["t"]):
        found = estimate_all(series_of(chains, index), chosen)
        values = {name: (each.value, each.error, each.tau) for name, each in found.items()}
        # ξ has no value, and no window, where noise makes ξ² negative; ξ² is judged in its place.
        trusted = all(each.equilibrated for name, each in found.items() if name not in TESTED)
        rows += [row | {"equilibrated": trusted} for row in _rows("corrected", t, values)]
    return pd.DataFrame(rows)


def series_of(chains: Arrays, index: int) -> dict[str, np.ndarray]:
    """Name → ``[chains, time]`` of all that was recorded at one point, cluster estimators included."""
    names = [*PRIMARY, *(name for name in IMPROVED if name in chains)]
    return {name: chains[name][index] for name in names}


def correlations(chains: Arrays, table: pd.DataFrame, side: int) -> dict[str, np.ndarray]:
    """Correlations of the differences from the reference between hoppings, ``[t, t]`` by observable.

    Chains that exchange latents share what they find, so their estimates are correlated; those of the
    reference are not, nor those of further chains at one hopping, which weigh as their errors let them.
    Told from blocks of the chains, each a tenth of one.
    """
    found = {}
    order = np.argsort(chains["t"])  # as the pulls are
    for observable in OBSERVABLES:
        name = TESTED.get(observable, observable)
        formula = formulas(side)[name]
        each = np.stack([fluctuations(series_of(chains, index), formula) for index in order])
        length = max(1, each.shape[2] // BLOCKS)
        blocks = each[..., : each.shape[2] // length * length]
        blocks = blocks.reshape(*each.shape[:2], -1, length).mean(axis=3)
        part = table[table["observable"] == name].set_index(["kind", "t"])
        error, reference = (
            part.loc[kind].loc[chains["t"][order], "error"].to_numpy()
            for kind in ("corrected", "reference")
        )
        alone = part.loc["corrected"].loc[chains["t"][order], "alone"].to_numpy()
        # Where the line alone knows no error, it shares none.
        known = np.isfinite(alone) & (alone > 0.0)
        own = np.where(
            known, error**2 / (np.where(known, alone, 1.0) * np.hypot(error, reference)), 0.0
        )
        shared = shrunk_correlation(blocks.reshape(len(each), -1)) * np.outer(own, own)
        np.fill_diagonal(shared, 1.0)
        found[observable] = shared
    return found


def flow_rows(flow: Flow) -> pd.DataFrame:
    """The flow's samples without and with their weights, as :func:`reference_rows`.

    A reweighted value is missing where it is underpowered.
    """
    chosen = {name: formulas(flow.size)[name] for name in (*OBSERVABLES, *TESTED.values())}
    rows = []
    for index, t in enumerate(flow.arrays["t"]):
        samples = {name: flow.arrays[name][index, 0] for name in PRIMARY}
        log_weights = flow.arrays["log_weights"][index, 0]
        for kind, weights in (("raw", np.zeros_like(log_weights)), ("reweighted", log_weights)):
            found = {name: reweight(samples, weights, formula) for name, formula in chosen.items()}
            values = {
                name: (np.nan,) * 3 if each.underpowered else (each.value, each.error, 0.5)
                for name, each in found.items()
            }
            rows += _rows(kind, t, values)
    return pd.DataFrame(rows)


def pulls_of(table: pd.DataFrame) -> pd.DataFrame:
    """Differences from the reference in combined standard errors.

    Returns:
        Columns observable, t, ``corrected`` and ``raw`` (at the same hopping), and what must differ:
        ``displaced`` (corrected against the reference of the next hopping) and ``neighbour`` (the
        reference against that).
    """
    wide = table.pivot_table(
        index=["observable", "t"], columns="kind", values=["value", "error"], dropna=False
    )
    frames = []
    for observable in OBSERVABLES:
        part = wide.loc[TESTED.get(observable, observable)]
        reference = [part[column, "reference"].to_numpy() for column in ("value", "error")]
        shifted = [_of_next(each) for each in reference]
        found = {"observable": observable, "t": part.index.to_numpy()}
        for kind in [one for one in ("corrected", "raw") if ("value", one) in part]:
            value, error = (part[column, kind].to_numpy() for column in ("value", "error"))
            found[kind] = (value - reference[0]) / np.hypot(error, reference[1])
            if kind == "corrected":
                found["displaced"] = (value - shifted[0]) / np.hypot(error, shifted[1])
        found["neighbour"] = (reference[0] - shifted[0]) / np.hypot(reference[1], shifted[1])
        frames.append(pd.DataFrame(found))
    return pd.concat(frames, ignore_index=True)


def _of_next(values: np.ndarray) -> np.ndarray:
    """At the next hopping, for the last at that before it; nothing where there is only one."""
    return np.append(values[1:], values[-2:-1]) if len(values) > 1 else np.full(1, np.nan)


def probability(pulls: pd.Series, correlation: np.ndarray | None = None) -> float:
    """p-value of χ² of pulls; what has no number does not count, and 0 if none has.

    Args:
        correlation: of each two pulls; by default they are independent.
    """
    known = np.isfinite(pulls.to_numpy())
    values = pulls.to_numpy()[known]
    if not len(values):
        return 0.0
    shared = np.eye(len(values)) if correlation is None else correlation[np.ix_(known, known)]
    return float(chdtrc(len(values), float(values @ np.linalg.solve(shared, values))))


def _measurements(
    table: pd.DataFrame,
    pulls: pd.DataFrame,
    shared: dict[str, np.ndarray],
    side: int,
    source: str,
) -> Found:
    """Per observable the p-value over all hoppings, their smallest, and the largest errors."""
    corrected = table[table["kind"] == "corrected"]
    trusted = bool(corrected["equilibrated"].all())
    sources = dict.fromkeys(("corrected", "displaced"), source)
    sources |= {"neighbour": f"reference/{side}", "raw": f"flows/line_{side}/{side}"}
    for kind in [one for one in ("corrected", "displaced", "neighbour", "raw") if one in pulls]:
        drawn = kind in ("corrected", "displaced")
        origin = sources[kind]
        if kind in ("displaced", "neighbour") and pulls[kind].isna().all():
            # Nothing was compared, so that nothing differs: no p-value, which would be 0, tells it.
            name = f"diagram.{kind}_p_smallest_{side}"
            note = "a single hopping has no neighbour"
            yield name, Measurement(name, None, None, source=origin, note=note)
            continue
        exact = partial(_exact, trusted=trusted or not drawn)
        found = {
            name: probability(part[kind], shared[name] if drawn else None)
            for name, part in pulls.groupby("observable")
        }
        for observable in OBSERVABLES:
            yield from exact(f"diagram.{kind}_p_{observable}_{side}", found[observable], origin)
        yield from exact(f"diagram.{kind}_p_smallest_{side}", min(found.values()), origin)
    largest = pulls["raw"].abs().max()
    yield from _exact(f"diagram.raw_largest_pull_{side}", largest, sources["raw"], trusted=True)
    for observable in OBSERVABLES if len(corrected) else ():
        part = corrected[corrected["observable"] == observable]
        size = part["error"] / part["value"].abs()
        if observable == "helicity":
            deep = part["value"] < DISORDERED
            absolute = part["error"][deep].max() if deep.any() else 0.0
            name = f"diagram.absolute_error_helicity_{side}"
            yield from _exact(name, absolute, source, trusted=trusted)
            size = size[~deep]
        elif observable == "correlation_length":
            size = size[part["value"] >= RESOLVED]
        name = f"diagram.relative_error_{observable}_{side}"
        yield from _exact(name, size.max(), source, trusted=trusted)


def _exact(name: str, value: float, source: str, trusted: bool) -> Found:
    """A measurement without an error, none where there was nothing to measure.

    Of chains that have not equilibrated nothing is known: neither is the error.
    """
    if np.isfinite(value):
        note = "" if trusted else "some chains have not equilibrated"
        yield name, Measurement(name, value, 0.0 if trusted else None, source=source, note=note)


PARTS = (diagram,)
