"""The table of the drift certificate: its columns, and a later one joined with an earlier one.

A row is of a claim, a number and an axis (:mod:`.drift`). What later runs did not vary is kept, with the
commit of the code that it was measured by, as long as the weights are the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from emergence.artifacts import read_table
from emergence.errors import ArtifactError
from emergence.provenance import code_in_use
from emergence.verification.drift_spreads import OF_WEIGHTS, with_earlier_seeds
from emergence.verification.seeds import Spread, Spreads, from_cell
from emergence.verification.underlying import SWITCHES, UNREACHED, Weights, reached

AXES = ("seeds", "machine", *SWITCHES)
COLUMNS = [
    "system", "claim", "measurement", "value", "axis", "spread", "runs", "noise", "demanded", "room",
]  # fmt: skip
TIED = ["weights", "commit", "trained", "values"]
"""What else each row has: a fingerprint of the weights that were evaluated, the code's commit, the
numbers of the seeds that single trainings were from, 0 for the run that shipped the weights, and what
those from other seeds came to (:func:`~emergence.verification.seeds.as_cell`)."""
UNKNOWN = "unknown"
"""In place of the commit, where none was kept."""


def framed(rows: list[tuple], weights: Weights) -> pd.DataFrame:
    """Rows with the weights that each is of; over seeds they differ by nature."""
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "trained", "values"])
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
        values=earlier["values"].astype("str").fillna(""),
    )
    frame = with_earlier_seeds(_dated_as_before(frame, earlier), earlier)
    earlier = earlier[~stale(earlier, weights)]
    number, row = ["system", "measurement"], ["system", "claim", "measurement", "demanded"]
    known = earlier[earlier["spread"].notna()].drop_duplicates([*number, "axis"])
    about = [*number, "axis"]
    varied = frame[frame["spread"].notna()].drop_duplicates(about).set_index(about)
    varied = varied.reindex(known.set_index(about).index)
    # Of two spreads over seeds the one over more trainings tells more: of more degrees of freedom, and
    # where these are as many of more seeds, which pooled spreads lose one of.
    fewer = _trainings(known) > _trainings(varied)
    known = known[varied["spread"].isna().to_numpy() | (known["axis"] == "seeds") & fewer]
    rows = frame.drop_duplicates(row)[[*row, "value", "room"]]
    known = known.drop(columns=["claim", "demanded", "value", "room"])
    known = rows.merge(known, on=number).reindex(columns=list(frame))
    known = known.assign(values=_values_of(frame, known))
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


def _trainings(rows: pd.DataFrame) -> np.ndarray:
    """By which spreads over seeds are ordered: their runs, then their seeds."""
    seeds = rows["trained"].astype("str").fillna("").str.split().str.len()
    return (rows["runs"] + seeds / 1000.0).to_numpy(dtype=float)


def _values_of(frame: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """What the trainings of some rows came to: what a later frame knows, else what they have."""
    about = ["system", "measurement", "axis"]
    told = frame[frame["values"] != ""].drop_duplicates(about).set_index(about)["values"]
    later = told.reindex(pd.MultiIndex.from_frame(rows[about])).to_numpy()
    return np.where(pd.isna(later), rows["values"], later)


def _dated_as_before(frame: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """With the commit of earlier trainings, beside that of new ones if there are any: of ensembles,
    which bring theirs along, where they scatter as they did, of single ones where a seed is known."""
    frame, number = frame.copy(), ["system", "measurement"]
    over_seeds = earlier[(earlier["axis"] == "seeds") & earlier["spread"].notna()]
    known = over_seeds.drop_duplicates(number).set_index(number)
    for place, row in frame[(frame["axis"] == "seeds") & frame["spread"].notna()].iterrows():
        about = tuple(row[number])
        if about not in known.index:
            continue
        before, trained = known.loc[about], set(row["trained"].split())
        earlier_ones = set(before["trained"].split())
        if trained <= earlier_ones if trained else row["spread"] == before["spread"]:
            frame.loc[place, "commit"] = before["commit"]
        elif earlier_ones and earlier_ones <= trained:
            frame.loc[place, "commit"] = f"{before['commit']} {row['commit']}"
    return frame


def stale(frame: pd.DataFrame, weights: Weights) -> pd.Series:
    """Which spreads were measured by evaluating other weights than these, or nobody knows which."""
    other = frame["weights"].isna() | (frame["weights"] != _weights_of(frame, weights))
    return frame["axis"].isin(OF_WEIGHTS) & frame["spread"].notna() & other


def read_spreads(path: Path) -> Spreads:
    """Return what drift.csv knows of the spread over trainings; nothing where there is no such file.

    Raises:
        ArtifactError: the file is corrupt.
    """
    known = read_kept(path)
    return {about: one for about, one in known.items() if not np.isnan(one.spread)}


def read_kept(path: Path) -> Spreads:
    """The same with numbers of which only values of trainings are known; their spread is NaN.

    Raises:
        ArtifactError: the file is corrupt.
    """
    return kept_of(read_earlier(path), path) if path.is_file() else {}


def read_earlier(path: Path) -> pd.DataFrame:
    """Return a certificate. Raises ArtifactError where the file is missing or corrupt."""
    return read_table(path, columns=COLUMNS, numbers=("spread", "runs"))


def kept_of(frame: pd.DataFrame, path: Path = Path("drift.csv")) -> Spreads:
    """What a certificate knows of trainings.

    Args:
        frame: the certificate.
        path: of the file that it is from, for messages.

    Raises:
        ArtifactError: a spread, or a value of a training, is none.
    """
    rows = frame[frame["axis"] == "seeds"].drop_duplicates(["system", "measurement"])
    rows = rows.reindex(columns=[*COLUMNS, *TIED])
    cells = rows[["trained", "values"]].astype("str").fillna("")
    found = {}
    for row, trained, values in zip(rows.itertuples(), *cells.to_numpy().T, strict=True):
        try:
            seeds, spread = frozenset(map(int, trained.split())), float(row.spread)
            if not (np.isnan(spread) or (spread >= 0.0 and row.runs >= 2)):
                raise ValueError(f"a spread of {spread:g} over {row.runs:g} trainings is none")
            runs = 0 if np.isnan(spread) else int(row.runs)
            one = Spread(spread, runs, from_cell(values), seeds)
        except ValueError as error:
            raise ArtifactError(
                f"{path} is corrupt at '{row.measurement}' of {row.system}: {error}.",
                "Restore it from the repository, or measure it again with `make drift`.",
            ) from None
        if runs or one.values:
            found[row.system, row.measurement] = one
    return found
