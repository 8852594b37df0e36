"""The drift certificate: how much each claimed number moves when what should not matter changes.

Along each axis (:mod:`.drift_runs`) the spread of every number that a claim is decided by, beside
the room that its criterion leaves. Over seeds the spread is the standard deviation of single
trainings; along the other axes, and between the machine that shipped the weights and this one, it is
the difference that the change makes, and is kept with the weights that were evaluated
(:mod:`.underlying`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from emergence.artifacts import read_numbers, read_table
from emergence.errors import ArtifactError
from emergence.provenance import code_in_use
from emergence.statistics import read_measurements
from emergence.verification.claims import Ledger, load_ledgers
from emergence.verification.comparison import Spreads
from emergence.verification.criteria import keys_of
from emergence.verification.drift_runs import (
    FAST,
    FOLDER,
    OF_SAMPLING,
    SAMPLED,
    SAMPLING,
    SEED,
    WEIGHTS,
)
from emergence.verification.drift_spreads import (
    OF_WEIGHTS,
    Found,
    between,
    over_seeds,
    redrawn,
    with_earlier_seeds,
)
from emergence.verification.outcomes import evaluate
from emergence.verification.underlying import SWITCHES, UNREACHED, Weights, reached

AXES = ("seeds", "machine", *SWITCHES)
COLUMNS = [
    "system", "claim", "measurement", "value", "axis", "spread", "runs", "noise", "demanded", "room",
]  # fmt: skip
TIED = ["weights", "commit", "trained"]
"""What else each row has: a fingerprint of the weights that were evaluated, the code's commit, and the
numbers of the seeds that single trainings were from, 0 for the run that shipped the weights."""
UNKNOWN = "unknown"
"""In place of the commit, where none was kept."""


def measure(
    scale: str,
    judged_as: str,
    ledgers: Path,
    results: Path,
    shipped: Path,
    weights: Weights,
) -> pd.DataFrame:
    """Return the spread of every number along every axis that was run.

    Args:
        scale: of the weights, for messages.
        judged_as: whose claims are meant.
        ledgers: the folder of ledgers.
        results: root of the results, with ``drift/runs.json``.
        shipped: folder of the shipped weights, for the numbers of the machine they come from.
        weights: fingerprints of the weights that are shipped there, by number.

    Returns:
        A row per claim, number and axis, with the columns :data:`COLUMNS` and ``weights``: ``runs``
        are the values that the spread is of, ``noise`` the standard error of the difference of two
        evaluations of other samples, NaN where they are the same, ``demanded`` the criterion in words,
        ``room`` how far the value is from where the statement itself begins to hold or to fail of it.

    Raises:
        ArtifactError: the runs were not planned or not made, or are of other weights, or a measurement
            is corrupt.
        LedgerError: a ledger is malformed.
    """
    listed = results / FOLDER / "runs.json"
    if not listed.is_file():
        raise ArtifactError(f"{listed} is missing.", f"Run `make drift SCALE={scale}`.")
    axis_of = read_numbers(listed)
    planned = read_numbers(listed.with_name(WEIGHTS))
    if any(
        planned.get(system, {}).get(key) != of
        for (system, key, *axis), of in weights.items()
        if not axis
    ):
        raise ArtifactError(
            f"The runs in {results} were planned for other weights than those in {shipped}.",
            f"Run `make drift SCALE={scale}`.",
        )
    rows = []
    for ledger in load_ledgers(ledgers):
        runs = {name: _read(results / name, ledger.system) for name in axis_of}
        base_name = next((name for name, axis in axis_of.items() if axis == "base"), None)
        changed, first = {}, _read(shipped, ledger.system) or {}
        # Where only trainings were run from other seeds, the run that shipped the weights is the base.
        base = runs[base_name] if base_name else first
        if base_name == SAMPLED:
            base = _of_sampling(base, ledger.system)
        if base is None:
            raise ArtifactError(
                f"{results} holds no evaluation of {ledger.system} to compare with.",
                f"Run `make drift SCALE={scale}`.",
            )
        # Fewer samples than the run that shipped the weights are other samples; trainings from other
        # seeds are evaluated like that run. Machines are compared where all is evaluated.
        if base_name not in (FAST, SAMPLED, None):
            changed["machine"], first = first, base
        again = {}
        for name, found in runs.items():
            if axis_of[name] == "seeds":
                again[int(name.removeprefix(SEED))] = found or {}
            elif axis_of[name] != "base":
                changed[axis_of[name]] = found or {}
        # Seeds that follow those of an earlier certificate: that one has the first run already.
        trained = again if again and min(again) > 1 else {0: first, **again}
        rows += _rows(ledger, judged_as, {**first, **base}, base, changed, trained, weights)
    return _frame(rows, weights)


def _frame(rows: list[tuple], weights: Weights) -> pd.DataFrame:
    """Rows with the weights that each is of; over seeds they differ by nature."""
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "trained"])
    # Two criteria of a claim may be held against the same number.
    about = ["system", "claim", "measurement", "demanded", "axis"]
    frame = frame.drop_duplicates(about, ignore_index=True)
    return frame.assign(weights=_weights_of(frame, weights))


def _weights_of(frame: pd.DataFrame, weights: Weights) -> pd.Series:
    """The fingerprint that each row must have; none over seeds."""
    of = [
        UNREACHED
        if not reached(row.system, row.measurement, row.axis, weights)
        else weights.get((row.system, row.measurement))
        if row.axis in OF_WEIGHTS
        else None
        for row in frame.itertuples()
    ]
    return pd.Series(of, index=frame.index, dtype="str")


def dated(frame: pd.DataFrame) -> pd.DataFrame:
    """With the commit of the code in use beside every spread."""
    commit = pd.Series(code_in_use()["commit"], index=frame.index, dtype="str")
    return frame.assign(commit=commit.where(frame["spread"].notna()))


def refreshed(
    earlier: pd.DataFrame,
    judged_as: str,
    ledgers: Path,
    shipped: Path,
    weights: Weights,
) -> pd.DataFrame:
    """An earlier certificate with the numbers that are shipped now, and the room that these have.

    Args:
        earlier: as of :func:`measure`, with the column ``commit``.
        judged_as: whose claims are meant.
        ledgers: the folder of ledgers.
        shipped: folder of the shipped weights and measurements.
        weights: fingerprints of these weights, by number.

    Raises:
        ArtifactError: a measurement is corrupt.
        LedgerError: a ledger is malformed.
    """
    rows = []
    for ledger in load_ledgers(ledgers):
        found = _read(shipped, ledger.system) or {}
        rows += _rows(ledger, judged_as, found, found, {}, {0: found}, weights)
    return joined(dated(_frame(rows, weights)), earlier, weights)


def _read(folder: Path, system: str) -> Found | None:
    path = folder / system / "measurements.json"
    return read_measurements(path) if path.is_file() else None


def _of_sampling(base: Found | None, system: str) -> Found | None:
    """The numbers of chains and bulks: what else such a run has is part of a flow's evaluation.

    None where there should be some and nothing was evaluated.
    """
    if base is None:
        return None if system in OF_SAMPLING else {}
    kinds = tuple(kind.removeprefix(f"{system}/") for kind in SAMPLING)
    return {key: each for key, each in base.items() if each.source.startswith(kinds)}


def _rows(
    ledger: Ledger,
    judged_as: str,
    known: Found,
    base: Found,
    changed: Mapping[str, Found],
    trained: Mapping[int, Found],
    weights: Weights,
) -> list[tuple]:
    """A row per claim, number and axis.

    Args:
        known: the numbers of the base and, since a fast evaluation has no chains and bulks, the others
            of the run that shipped the weights.
        base: what the runs along the other axes are compared with.
        changed: those runs, by axis.
        trained: trainings, by the number of their seed.
    """
    rows = []
    for claim in ledger.claims:
        for criterion in claim.criteria if judged_as in claim.scales else ():
            keys = keys_of(criterion)
            if not all(key in known for key in keys):
                # What was not evaluated has no drift either, but is named.
                about = (ledger.system, claim.id)
                rows += [
                    (
                        *about,
                        key,
                        np.nan,
                        "seeds",
                        np.nan,
                        0,
                        np.nan,
                        criterion.allowed(),
                        np.nan,
                        "",
                    )
                    for key in keys
                ]
                continue
            left = evaluate(criterion, known.__getitem__).room
            left = np.nan if left is None else left
            for key in keys:
                value = known[key].value
                about = (ledger.system, claim.id, key, np.nan if value is None else value)
                spreads = {"seeds": over_seeds(key, known, trained)}
                for axis, found in changed.items() if key in base else ():
                    spread, runs, noise = between(key, base, found)
                    drawn = redrawn(base[key].source, axis)
                    spreads[axis] = spread, runs, noise if drawn else np.nan, ""
                beyond = [
                    axis for axis in SWITCHES if not reached(ledger.system, key, axis, weights)
                ]
                spreads |= dict.fromkeys(beyond, (np.nan, 0, np.nan, ""))
                rows += [
                    (
                        *about,
                        axis,
                        *spreads[axis][:-1],
                        criterion.allowed(),
                        left,
                        spreads[axis][-1],
                    )
                    for axis in AXES
                    if axis in spreads
                ]
    return rows


def joined(frame: pd.DataFrame, earlier: pd.DataFrame, weights: Weights) -> pd.DataFrame:
    """What an earlier certificate knows of axes that these runs did not vary, put in.

    A spread is of how a number is obtained, not of its value or of what is claimed of it, and is kept
    with the commit of the code that it was measured by; so is one over more trainings than these runs
    had, unless these are from other seeds, with which it is pooled. One of evaluations is given up where
    it is not known to be of the weights that are shipped now, of which ``weights`` has the fingerprints.
    """
    earlier = earlier.reindex(columns=[*earlier.columns, *(set(TIED) - set(earlier.columns))])
    earlier = earlier.assign(
        commit=earlier["commit"].astype("str").fillna(UNKNOWN),
        trained=earlier["trained"].astype("str").fillna(""),
    )
    frame = with_earlier_seeds(_dated_as_before(frame, earlier), earlier)
    earlier = earlier[~stale(earlier, weights)]
    number, row = ["system", "measurement"], ["system", "claim", "measurement", "demanded"]
    known = earlier[earlier["spread"].notna()].drop_duplicates([*number, "axis"])
    about = [*number, "axis"]
    varied = frame[frame["spread"].notna()].drop_duplicates(about).set_index(about)["runs"]
    # Of two spreads over seeds the one over more trainings tells more.
    fewer = varied.reindex(known.set_index(about).index).to_numpy()
    more = (known["axis"] == "seeds") & (known["runs"] > fewer)
    known = known[np.isnan(fewer.astype(float)) | more]
    rows = frame.drop_duplicates(row)[[*row, "value", "room"]]
    known = known.drop(columns=["claim", "demanded", "value", "room"])
    known = rows.merge(known, on=number).reindex(columns=list(frame))
    rest = frame[~frame.set_index([*row, "axis"]).index.isin(known.set_index([*row, "axis"]).index)]
    # In the order of the ledger, and of the axes within each number.
    places = {key: place for place, key in enumerate(rows.set_index(row).index)}
    both = pd.concat([rest, known], ignore_index=True)
    both = both.astype(dict.fromkeys(set(TIED) & set(both), "str"))
    order = [
        (places[tuple(one[:-1])], AXES.index(one[-1]))
        for one in both[[*row, "axis"]].to_numpy().tolist()
    ]
    return both.iloc[sorted(range(len(both)), key=order.__getitem__)].reset_index(drop=True)


def _dated_as_before(frame: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """With the earlier commit where ensembles, which bring their spread along, have that of before."""
    about = ["system", "claim", "measurement", "demanded", "axis", "spread"]
    over_seeds = earlier[earlier["axis"] == "seeds"].drop_duplicates(about)
    commits = over_seeds.set_index(about)["commit"]
    places = pd.Index(pd.MultiIndex.from_frame(frame[about]))
    same = places.isin(commits.index) & frame["spread"].notna()
    kept = commits.reindex(places).to_numpy()
    return frame.assign(
        commit=frame["commit"].mask(same, pd.Series(kept, frame.index, dtype="str"))
    )


def stale(frame: pd.DataFrame, weights: Weights) -> pd.Series:
    """Which spreads were measured by evaluating other weights than these, or nobody knows which."""
    other = frame["weights"].isna() | (frame["weights"] != _weights_of(frame, weights))
    return frame["axis"].isin(OF_WEIGHTS) & frame["spread"].notna() & other


def read_spreads(path: Path) -> Spreads:
    """Return what drift.csv knows of the spread over trainings; nothing where there is no such file.

    Raises:
        ArtifactError: the file is corrupt.
    """
    if not path.is_file():
        return {}
    frame = read_table(path, columns=COLUMNS, numbers=("spread", "runs"))
    known = frame[(frame["axis"] == "seeds") & frame["spread"].notna() & frame["runs"].notna()]
    return {
        (row.system, row.measurement): (float(row.spread), int(row.runs))
        for row in known.itertuples()
    }
