"""The drift certificate: how much each claimed number moves when what should not matter changes.

Along each axis (:mod:`.drift_runs`) the spread of every number that a claim is decided by, beside
the room that its criterion leaves. Over seeds the spread is the standard deviation of single
trainings; along the other axes, and between the machine that shipped the weights and this one, it is
the difference that the change makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from emergence.artifacts import read_numbers, read_table, write_table, write_text
from emergence.errors import ArtifactError
from emergence.provenance import code_in_use
from emergence.statistics import Measurement, read_measurements, scatter
from emergence.verification.claims import Ledger, load_ledgers
from emergence.verification.comparison import Spreads
from emergence.verification.criteria import keys_of
from emergence.verification.drift_runs import FAST, FOLDER
from emergence.verification.outcomes import evaluate

AXES = ("seeds", "machine", "threads", "precision", "compiled")
COLUMNS = [
    "system", "claim", "measurement", "value", "axis", "spread", "runs", "noise", "demanded", "room",
]  # fmt: skip
REDRAWN = ("precision", "compiled")
"""Axes along which samples are other samples: the others draw the same ones."""
FEWEST_TRAININGS = 2
"""Of which a spread over seeds is told, with their number: of two it is known to a factor of two or so."""
NOISE = 3.0
"""Differences of two evaluations are told from noise beyond so many of their standard errors."""

Found = Mapping[str, Measurement]


def measure(
    scale: str, judged_as: str, ledgers: Path, results: Path, shipped: Path
) -> pd.DataFrame:
    """Return the spread of every number along every axis that was run.

    Args:
        scale: of the weights, for messages.
        judged_as: whose claims are meant.
        ledgers: the folder of ledgers.
        results: root of the results, with ``drift/runs.json``.
        shipped: folder of the shipped weights, for the numbers of the machine they come from.

    Returns:
        A row per claim, number and axis, with the columns :data:`COLUMNS`: ``runs`` are the values
        that the spread is of, ``noise`` the standard error of the difference of two evaluations
        of other samples, NaN where they are the same, ``demanded`` the criterion in words, ``room``
        how far the value is from where the statement itself begins to hold or to fail of it.

    Raises:
        ArtifactError: the runs were not planned or not made, or a measurement is corrupt.
        LedgerError: a ledger is malformed.
    """
    listed = results / FOLDER / "runs.json"
    if not listed.is_file():
        raise ArtifactError(f"{listed} is missing.", f"Run `make drift SCALE={scale}`.")
    axis_of = read_numbers(listed)
    rows = []
    for ledger in load_ledgers(ledgers):
        runs = {name: _read(results / name, ledger.system) for name in axis_of}
        base_name = next((name for name, axis in axis_of.items() if axis == "base"), None)
        changed, first = {}, _read(shipped, ledger.system) or {}
        # Where only trainings were run from other seeds, the run that shipped the weights is the base.
        base = runs[base_name] if base_name else first
        if base is None:
            raise ArtifactError(
                f"{results} holds no evaluation of {ledger.system} to compare with.",
                f"Run `make drift SCALE={scale}`.",
            )
        # Fewer samples than the run that shipped the weights are other samples; trainings from other
        # seeds are evaluated like that run.
        if base_name not in (FAST, None):
            changed["machine"], first = first, base
        again = []
        for name, found in runs.items():
            if axis_of[name] == "seeds":
                again.append(found or {})
            elif axis_of[name] != "base":
                changed[axis_of[name]] = found or {}
        rows += _rows(ledger, judged_as, base, changed, [first, *again])
    return pd.DataFrame(rows, columns=COLUMNS)


def refreshed(earlier: pd.DataFrame, judged_as: str, ledgers: Path, shipped: Path) -> pd.DataFrame:
    """An earlier certificate with the numbers that are shipped now, and the room that these have.

    Args:
        earlier: as of :func:`measure`, with the column ``commit``.
        judged_as: whose claims are meant.
        ledgers: the folder of ledgers.
        shipped: folder of the shipped weights and measurements.

    Raises:
        ArtifactError: a measurement is corrupt.
        LedgerError: a ledger is malformed.
    """
    rows = []
    for ledger in load_ledgers(ledgers):
        found = _read(shipped, ledger.system) or {}
        rows += _rows(ledger, judged_as, found, {}, [found])
    frame = pd.DataFrame(rows, columns=COLUMNS).assign(commit=code_in_use()["commit"])
    # Ensembles bring their spread along; where it is what it was, so is the code that measured it.
    about = ["system", "claim", "measurement", "demanded", "axis", "spread"]
    commits = earlier.drop_duplicates(about).set_index(about)["commit"]
    same = pd.Index(pd.MultiIndex.from_frame(frame[about])).isin(commits.index)
    frame.loc[same, "commit"] = commits.reindex(
        pd.MultiIndex.from_frame(frame.loc[same, about])
    ).to_numpy()
    return joined(frame, earlier)


def _read(folder: Path, system: str) -> Found | None:
    path = folder / system / "measurements.json"
    return read_measurements(path) if path.is_file() else None


def _rows(
    ledger: Ledger,
    judged_as: str,
    base: Found,
    changed: Mapping[str, Found],
    trained: list[Found],
) -> list[tuple]:
    rows = []
    # A fast evaluation has no chains and bulks; runs from other seeds have, and so had the first.
    known = {**trained[0], **base}
    for claim in ledger.claims:
        for criterion in claim.criteria if judged_as in claim.scales else ():
            keys = keys_of(criterion)
            if not all(key in known for key in keys):
                # What was not evaluated has no drift either, but is named.
                about = (ledger.system, claim.id)
                rows += [
                    (*about, key, np.nan, "seeds", np.nan, 0, np.nan, criterion.allowed(), np.nan)
                    for key in keys
                ]
                continue
            left = evaluate(criterion, known.__getitem__).room
            for key in keys:
                value = known[key].value
                about = (ledger.system, claim.id, key, np.nan if value is None else value)
                spreads = {"seeds": over_seeds(key, known, trained)}
                for axis, found in changed.items() if key in base else ():
                    spread, runs, noise = between(key, base, found)
                    spreads[axis] = spread, runs, noise if axis in REDRAWN else np.nan
                rows += [
                    (*about, axis, *spreads[axis], criterion.allowed(), left)
                    for axis in AXES
                    if axis in spreads
                ]
    return rows


def over_seeds(key: str, base: Found, trained: list[Found]) -> tuple[float, int, float]:
    """How much single trainings scatter, and their number; NaN where there are too few.

    Those are ``trained``, each from a seed of its own. The third is the noise that is known of it:
    none.

    Of ensembles :func:`~emergence.statistics.scatter`, of trainings run again the standard deviation.
    """
    values = base[key].values
    if values is not None:
        spread = scatter(values)
        return np.nan if spread is None else spread, len(values), np.nan
    singles = [run[key].value for run in trained if key in run and _same_arm(base[key], run[key])]
    singles = [value for value in singles if value is not None]
    enough = len(singles) >= FEWEST_TRAININGS
    return float(np.std(singles, ddof=1)) if enough else np.nan, len(singles), np.nan


def _same_arm(one: Measurement, other: Measurement) -> bool:
    """Whether two numbers of one name are read off the same arm.

    A run of fewer arms reads some off the largest torus that it has; the worst of an arm's sizes may
    be another one.
    """
    return one.source.split("/")[:2] == other.source.split("/")[:2]


def between(key: str, base: Found, other: Found) -> tuple[float, int, float]:
    """What a change makes of a number, and the standard error of that; NaN where not evaluated.

    An ensemble's error is the scatter of its seeds, which a change leaves the same: no noise.
    """
    if key not in other or None in (base[key].value, other[key].value):
        return np.nan, 1, np.nan
    errors = (base[key].error, other[key].error)
    drawn = base[key].values is None and None not in errors
    noise = float(np.hypot(*errors)) if drawn else np.nan
    return abs(other[key].value - base[key].value), 2, noise


def joined(frame: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """What an earlier certificate knows of axes that these runs did not vary, put in.

    A spread is of how a number is obtained, not of its value or of what is claimed of it, and is kept
    with the commit of the code that it was measured by.
    """
    number, row = ["system", "measurement"], ["system", "claim", "measurement", "demanded"]
    known = earlier[earlier["spread"].notna()].drop_duplicates([*number, "axis"])
    varied = frame[frame["spread"].notna()].set_index([*number, "axis"]).index
    known = known[~known.set_index([*number, "axis"]).index.isin(varied)]
    rows = frame.drop_duplicates(row)[[*row, "value", "room"]]
    known = known.drop(columns=["claim", "demanded", "value", "room"])
    known = rows.merge(known, on=number).reindex(columns=list(frame))
    rest = frame[~frame.set_index([*row, "axis"]).index.isin(known.set_index([*row, "axis"]).index)]
    # In the order of the ledger, and of the axes within each number.
    places = {key: place for place, key in enumerate(rows.set_index(row).index)}
    both = pd.concat([rest, known], ignore_index=True)
    order = [
        (places[tuple(one[:-1])], AXES.index(one[-1]))
        for one in both[[*row, "axis"]].to_numpy().tolist()
    ]
    return both.iloc[sorted(range(len(both)), key=order.__getitem__)].reset_index(drop=True)


def write(frame: pd.DataFrame, scale: str, folder: Path) -> None:
    """Write drift.csv and drift.md. Raises ArtifactError where they cannot be written."""
    write_table(folder / "drift.csv", frame)
    write_text(folder / "drift.md", render_markdown(frame, scale))


def read_spreads(path: Path) -> Spreads:
    """Return what drift.csv knows of the spread over trainings; nothing where there is no such file.

    Raises:
        ArtifactError: the file is corrupt.
    """
    if not path.is_file():
        return {}
    frame = read_table(path, columns=COLUMNS)
    known = frame[(frame["axis"] == "seeds") & frame["spread"].notna()]
    return {
        (row.system, row.measurement): (float(row.spread), int(row.runs))
        for row in known.itertuples()
    }


def render_markdown(frame: pd.DataFrame, scale: str) -> str:
    """Return drift.md: a row per claim and number, a column per axis."""
    lines = [
        f"# Drift at scale {scale}",
        "",
        "How much each claimed number moves when what should not matter changes: the seed (standard "
        "deviation of single trainings, their number in brackets; two of them tell it to a factor of "
        "two or so), the machine (the one that shipped the weights against the one that wrote this), "
        "TensorFlow's threads, single precision of the "
        "evaluation, no compilation by XLA. A fast certificate evaluates fewer samples, all of them the "
        "same, and leaves the machine out. Samples that are drawn in single precision, or without "
        "compilation, are other samples: in brackets is the difference in its own standard errors, "
        "and up to three of them are noise. What was varied at another time is kept; drift.csv has the "
        "commit of each. *Room* is how far the number is from where the statement itself begins to hold or "
        "to fail of it, errors apart; *ratio* the room over the largest of the spreads that are "
        "more than noise. A dash: not varied. Chains and bulks are not evaluated fast: to them any "
        "change of rounding is another draw.",
        "",
        f"| claim | number | value | {' | '.join(AXES)} | demanded | room | ratio |",
        "|" + "---|" * (6 + len(AXES)),
    ]
    for (claim, name, demanded), rows in frame.groupby(
        ["claim", "measurement", "demanded"], sort=False
    ):
        by_axis = rows.set_index("axis")
        cells = [_cell(by_axis, axis) for axis in AXES]
        left, largest = rows["room"].iloc[0], rows.loc[~_is_noise(rows), "spread"].max()
        ratio = f"{left / largest:.3g}" if largest > 0 and pd.notna(left) else "–"
        told = f"{left:.3g}" if pd.notna(left) else "–"
        value = rows["value"].iloc[0]
        value = "not evaluated" if pd.isna(value) else f"{value:.6g}"
        parts = (claim, f"`{name}`", value, *cells, demanded, told, ratio)
        lines.append(f"| {' | '.join(part.replace('|', chr(92) + '|') for part in parts)} |")
    return "\n".join(lines) + "\n"


def _cell(by_axis: pd.DataFrame, axis: str) -> str:
    if axis not in by_axis.index or pd.isna(by_axis["spread"][axis]):
        return "–"
    told = f"{by_axis['spread'][axis]:.2g}"
    if axis == "seeds":
        return f"{told} ({by_axis['runs'][axis]})"
    spread, noise = by_axis["spread"][axis], by_axis["noise"][axis]
    return f"{told} ({spread / noise:.1f} σ)" if spread > 0 and noise > 0 else told


def _is_noise(frame: pd.DataFrame) -> pd.Series:
    """Which rows tell of nothing but other samples."""
    return frame["spread"] <= NOISE * frame["noise"]


def told(frame: pd.DataFrame) -> str:
    """Return in a sentence how close the numbers come to their bounds."""
    # Where a share of the seeds is demanded, the criterion itself counts how they scatter.
    counted = (frame["axis"] == "seeds") & frame["demanded"].str.contains("of the seeds")
    moved = frame.assign(spread=frame["spread"].mask(counted | _is_noise(frame)))
    worst = moved.groupby(["claim", "measurement", "demanded"]).agg(
        spread=("spread", "max"), room=("room", "first")
    )
    tight = worst[worst["spread"] > worst["room"]].index.get_level_values("claim").unique()
    missing = frame[frame["value"].isna()]["claim"].unique()
    numbers = f"{len(worst)} numbers of {frame['claim'].nunique()} claims"
    if len(missing):
        numbers += f" (not evaluated: {', '.join(missing)})"
    evaluated = frame[frame["value"].notna()]
    idle = evaluated[evaluated["spread"].isna()].groupby("axis", sort=False).size()
    unvaried = ", ".join(f"{axis} of {count}" for axis, count in idle.items())
    more = f" Not varied: {unvaried}." if unvaried else ""
    if len(tight):
        return (
            f"{numbers}; their drift exceeds the room of the criterion in {', '.join(tight)}.{more}"
        )
    return (
        f"{numbers}; the drift of each, as far as it was varied, is smaller than the room that its "
        f"criterion leaves.{more}"
    )
