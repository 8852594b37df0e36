"""What the drift certificate tells a reader: ``drift.csv``, ``drift.md`` and a sentence.

A spread over few trainings is itself known badly, and a difference within its noise may be large: both
are printed with how far they may reach.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from emergence.artifacts import write_table, write_text
from emergence.progress import clock
from emergence.verification.budget import Plan
from emergence.verification.drift_table import AXES
from emergence.verification.outcomes import deviations_off
from emergence.verification.underlying import UNREACHED

NOISE = 3.0
"""Differences of two evaluations are told from noise beyond so many of their standard errors."""
LIMIT = 2.0
"""Of one that is not, the upper limit is so many standard errors above it."""
CENTRAL = 0.68
"""Share of the chi-square distribution in the interval that is printed of a spread over seeds."""

HEAD = """\
How much each claimed number moves when what should not matter changes: the seed, the machine (the one \
that shipped the weights against the one that wrote this), TensorFlow's threads, the precision of the \
evaluation (single in place of double; of chains the one that they are not in), no compilation by XLA. \
What was varied at another time is kept, along the axes of evaluation only for the weights that are \
shipped now; drift.csv has the commit of each, a fingerprint of the weights that were evaluated, and \
of trainings the numbers of their seeds and, where they were kept, their values.

Of the seed it is the standard deviation of single trainings, in brackets their number (of spreads that \
were pooled, of other seeds each, one less than the trainings for each but the first) and where the \
true one lies (68 % by chi-square, as of normal numbers; half of the central 68 % of an ensemble is \
less sure, for ten from 0.91 to 1.66 times what is told); then how far another training may be off, in \
95 % of cases by Student's t: the tolerance by which verdicts are decided, wherever a bound lies. \
A fast certificate evaluates fewer samples, all of them the same, without chains and bulks; one of \
samplings evaluates these alone; both leave the machine out. Samples that are drawn in another \
precision, or without compilation, are other samples, and to chains any change of rounding is another \
draw: in brackets is the difference in its own standard errors. Up to three of them are noise, of \
which an upper limit is told (two standard errors above). P-values, and the relative and absolute \
errors of the diagram, have no errors of their own: where chains are drawn again, all that they differ \
by counts. Bulks are of the same true samples along every axis. *Room* is how far the number is from \
where the statement itself begins to hold or to fail of it, errors apart (of this training alone, also \
where the mean over trainings decides); *ratio* the room over the \
largest of the spreads that are more than noise. A dash: not varied, or not told. *Does not apply*: no \
network is evaluated for the number, or nearly all of it is read from records of chains that were \
drawn beforehand, which are the same along every axis; along precision also chains that only move in \
double."""


def write(frame: pd.DataFrame, scale: str, folder: Path) -> None:
    """Write drift.csv and drift.md. Raises ArtifactError where they cannot be written."""
    write_table(folder / "drift.csv", frame)
    write_text(folder / "drift.md", render_markdown(frame, scale))


def render_markdown(frame: pd.DataFrame, scale: str) -> str:
    """Return drift.md: how much was varied, what is unresolved, and a row per claim and number."""
    lines = [
        f"# Drift at scale {scale}",
        "",
        HEAD,
        "",
        coverage(frame),
        "",
        unresolved(frame),
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


def coverage(frame: pd.DataFrame) -> str:
    """Return in a sentence of how many numbers each axis was varied."""
    numbers = frame.drop_duplicates(["system", "measurement"])
    parts = []
    for axis in AXES:
        rows = frame[frame["axis"] == axis].drop_duplicates(["system", "measurement"])
        beyond = int((rows["weights"] == UNREACHED).sum())
        told = f"{axis} {int(rows['spread'].notna().sum())}"
        parts.append(f"{told} (it does not apply to {beyond} more)" if beyond else told)
    return f"Of {len(numbers)} numbers were varied along {', '.join(parts)}."


def unresolved(frame: pd.DataFrame) -> str:
    """Return in a sentence which differences are noise that may be larger than the room."""
    rows = frame[_is_noise(frame) & (_upper_limit(frame) > frame["room"])]
    if rows.empty:
        return "No difference within its noise could be larger than the room."
    axes = rows.groupby(["claim", "measurement"], sort=False)["axis"].unique()
    found = [f"`{name}` of {claim} ({', '.join(own)})" for (claim, name), own in axes.items()]
    return (
        f"Unresolved at the size of their room, as their upper limit exceeds it, are "
        f"{len(rows.drop_duplicates(['measurement', 'axis']))} differences of "
        f"{rows['measurement'].nunique()} numbers: {', '.join(found)}."
    )


def spread_interval(spread: float, trainings: int) -> tuple[float, float]:
    """The central 68 % interval of a standard deviation of so many normal numbers."""
    from scipy.stats import chi2

    tails = (1.0 + CENTRAL) / 2.0, (1.0 - CENTRAL) / 2.0
    low, high = (np.sqrt((trainings - 1) / chi2.ppf(tail, trainings - 1)) for tail in tails)
    return spread * float(low), spread * float(high)


def _cell(by_axis: pd.DataFrame, axis: str) -> str:
    if axis not in by_axis.index:
        return "–"
    row = by_axis.loc[axis]
    if row["weights"] == UNREACHED:
        return "does not apply"
    if pd.isna(row["spread"]):
        return "–"
    return f"{row['spread']:.2g}{''.join(_more(row, axis))}"


def _more(row: pd.Series, axis: str) -> Iterator[str]:
    """What stands behind a spread in brackets, if anything."""
    spread, noise, runs = row["spread"], row["noise"], row["runs"]
    if axis == "seeds":
        low, high = spread_interval(spread, runs)
        off = spread * deviations_off(runs - 1)
        yield f" ({runs}; {low:.2g} to {high:.2g}; off {off:.2g})" if spread > 0 else f" ({runs})"
    elif spread > 0 and noise > 0:
        limit = f", below {spread + LIMIT * noise:.2g}" if spread <= NOISE * noise else ""
        yield f" ({spread / noise:.1f} σ{limit})"


def _is_noise(frame: pd.DataFrame) -> pd.Series:
    """Which rows tell of nothing but other samples."""
    return frame["spread"] <= NOISE * frame["noise"]


def _upper_limit(frame: pd.DataFrame) -> pd.Series:
    """How large a difference within its noise may be."""
    return frame["spread"] + LIMIT * frame["noise"]


def told(frame: pd.DataFrame) -> str:
    """Return in a sentence how close the numbers come to their bounds."""
    # Where a share of the seeds or their mean is asked, the criterion itself counts how they scatter.
    by_all = frame["demanded"].str.contains("of the seeds|in the mean over trainings")
    counted = (frame["axis"] == "seeds") & by_all
    moved = frame.assign(spread=frame["spread"].mask(counted | _is_noise(frame)))
    worst = moved.groupby(["claim", "measurement", "demanded"]).agg(
        spread=("spread", "max"), room=("room", "first")
    )
    tight = worst[worst["spread"] > worst["room"]].index.get_level_values("claim").unique()
    missing = frame[frame["value"].isna()]["claim"].unique()
    numbers = f"{len(worst)} numbers of {frame['claim'].nunique()} claims"
    if len(missing):
        numbers += f" (not evaluated: {', '.join(missing)})"
    more = f" {coverage(frame)}"
    if len(tight):
        return (
            f"{numbers}; their drift exceeds the room of the criterion in {', '.join(tight)}.{more}"
        )
    return (
        f"{numbers}; the drift of each, as far as it was varied, is smaller than the room that its "
        f"criterion leaves.{more}"
    )


def told_of_seeds(
    seeds: int, part: Plan, anew: Collection[str], bound: Collection[str]
) -> list[str]:
    """What a reader should know of the runs from other seeds, a sentence per line.

    Args:
        seeds: how many.
        part: what is trained in the time there is.
        anew: claims whose shipped weights are made again.
        bound: claims of whose shipped weights nothing can be told.
    """
    lines = [f"{seeds} runs from other seeds."]
    if part.jobs:
        lines = [
            f"{seeds} runs from other seeds, {clock(part.seconds)} each, for the single trainings of "
            f"{', '.join(part.claims)}."
        ]
    if anew:
        lines.append(
            f"For {', '.join(anew)} what is shipped is made anew from each of them, by its own "
            "settings; how long that takes is not recorded."
        )
    if bound:
        lines.append(
            "Trainings that go on from shipped weights would only be continued from another seed: "
            f"nothing is told of {', '.join(sorted(bound))} (--anew CLAIM trains them)."
        )
    return lines
