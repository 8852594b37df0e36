"""How far a number moves: over trainings from other seeds, and between two evaluations of one training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from emergence.statistics import FEWEST, Measurement, scatter
from emergence.verification.seeds import Spread, as_cell, deviation, from_cell
from emergence.verification.underlying import SWITCHES

OF_WEIGHTS = ("machine", *SWITCHES)
"""Axes along which the same weights are evaluated."""
REDRAWN = ("precision", "compiled")
"""Axes along which samples of a network are other samples: the others draw the same ones."""
FEWEST_TRAININGS = 2
"""Of which a spread over seeds is told, with their number: the true one may be five times that of two."""

Found = Mapping[str, Measurement]


class Change(NamedTuple):
    """How far a number moves along one axis."""

    spread: float = np.nan
    runs: int = 0
    """The values that the spread is of."""
    noise: float = np.nan
    """Standard error of the difference of two evaluations, where their samples differ."""
    trained: str = ""
    """Numbers of the seeds that single trainings were from, 0 for the run that shipped the weights."""
    values: str = ""
    """What those from other seeds came to, see :func:`~emergence.verification.seeds.as_cell`."""


def over_seeds(
    key: str, base: Found, shipped: Found, again: Mapping[int, Found], kept: Spread
) -> Change:
    """How much single trainings scatter, and what they came to; NaN where there are too few.

    Of ensembles :func:`~emergence.statistics.scatter`, of trainings run again the standard deviation. Of
    those before, whose values are not all kept, only their spread can be pooled with this one
    (:func:`with_earlier_seeds`), which is then of the new ones alone.

    Args:
        key: the number.
        base: that tells whether it is an ensemble's.
        shipped: the run that shipped the weights.
        again: trainings from other seeds, by the number of the seed.
        kept: what is known of it from earlier ones.
    """
    values = base[key].values
    if values is not None:
        spread = scatter(values)
        return Change(np.nan if spread is None else spread, len(values))
    new = {
        number: (run[key].value, run[key].error)
        for number, run in again.items()
        if key in run and _same_arm(base[key], run[key]) and run[key].value is not None
    }
    others = {**kept.values, **new}
    found = others if kept.seeds <= {0, *others} else new
    singles = {number: value for number, (value, _) in sorted(found.items())}
    counted = found is new and 0 in kept.seeds and min(again, default=1) > 1
    if not counted and key in shipped and shipped[key].value is not None:
        singles = {0: shipped[key].value, **singles}
    if len(singles) < FEWEST_TRAININGS:
        return Change(runs=len(singles), values=as_cell(others))
    trained = " ".join(map(str, singles))
    return Change(deviation(singles.values()), len(singles), np.nan, trained, as_cell(others))


Over = tuple[float, int, str]
"""A spread over seeds: the standard deviation, of how many trainings, the numbers of their seeds."""


def pooled(one: Over, other: Over) -> Over | None:
    """Two spreads of one number as one; None where a seed is in both, or is not known.

    The variances within each, weighted by their degrees of freedom. Of both together it is one less
    than there were trainings, since each had a mean of its own.
    """
    mine, theirs = (numbers.split() for _, _, numbers in (one, other))
    if not mine or not theirs or set(mine) & set(theirs):
        return None
    freedom = np.array([runs - 1 for _, runs, _ in (one, other)])
    squares = np.array([spread**2 for spread, _, _ in (one, other)])
    spread = float(np.sqrt(freedom @ squares / freedom.sum()))
    return spread, int(freedom.sum()) + 1, " ".join(sorted({*mine, *theirs}, key=int))


def with_earlier_seeds(frame: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Spreads over seeds together with those that are known of trainings from others.

    With the commits of both, of which the recipes may differ.
    """
    number, over = ["system", "measurement"], ["spread", "runs", "trained"]
    rows = earlier[(earlier["axis"] == "seeds") & earlier["spread"].notna()]
    known = rows.drop_duplicates(number).set_index(number)
    frame = frame.copy()
    for place, row in frame[(frame["axis"] == "seeds") & frame["spread"].notna()].iterrows():
        about = tuple(row[number])
        if about in known.index:
            both = pooled(tuple(row[over]), tuple(known.loc[about, over]))
            if both:
                frame.loc[place, over] = both
                frame.loc[place, "commit"] = f"{known.loc[about, 'commit']} {row['commit']}"
    return frame


def wide_enough(frame: pd.DataFrame) -> pd.DataFrame:
    """Spreads over seeds that are no less than that of the values that are kept, the committed one included.

    A pooled spread knows nothing of how far the means of its parts lie apart: where the values themselves
    scatter by more, their standard deviation tells it, with their seeds.
    """
    frame = frame.copy()
    for place, row in frame[(frame["axis"] == "seeds") & (frame["values"] != "")].iterrows():
        others = from_cell(row["values"])
        known = [row["value"], *(value for value, _ in others.values())]
        if len(known) < FEWEST or not np.isfinite(known).all():
            continue
        spread = deviation(known)
        # Those of all its seeds are kept as they are: rounding is no difference.
        if spread > row["spread"] * (1.0 + 1e-9):
            trained = " ".join(map(str, (0, *sorted(others))))
            frame.loc[place, ["spread", "runs", "trained"]] = spread, len(known), trained
    return frame


def _same_arm(one: Measurement, other: Measurement) -> bool:
    """Whether two numbers of one name are read off the same arm.

    A run of fewer arms reads some off the largest torus that it has; the worst of an arm's sizes may
    be another one.
    """
    return one.source.split("/")[:2] == other.source.split("/")[:2]


def redrawn(source: str, axis: str) -> bool:
    """Whether a change along an axis, where it changes anything, draws other samples.

    Args:
        source: of a measurement. To chains any rounding is another draw, and with them times are
            measured again; bulks push the same true samples, and move latents by the same draws.
    """
    if source.startswith("chains/"):
        return axis in OF_WEIGHTS
    return axis in REDRAWN and not source.startswith("bulks/")


def between(key: str, base: Found, other: Found) -> Change:
    """What a change makes of a number, and the standard error of that; NaN where not evaluated.

    An ensemble's error is the scatter of its seeds, which a change leaves the same: no noise. Nor is
    there any where value and error are the same to the last bit: so are the samples then.
    """
    if key not in other or None in (base[key].value, other[key].value):
        return Change(runs=1)
    errors = (base[key].error, other[key].error)
    same = (base[key].value, base[key].error) == (other[key].value, other[key].error)
    drawn = base[key].values is None and None not in errors and not same
    noise = float(np.hypot(*errors)) if drawn else np.nan
    return Change(abs(other[key].value - base[key].value), 2, noise)
