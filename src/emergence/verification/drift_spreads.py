"""How far a number moves: over trainings from other seeds, and between two evaluations of one training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emergence.statistics import Measurement, scatter
from emergence.verification.underlying import SWITCHES

OF_WEIGHTS = ("machine", *SWITCHES)
"""Axes along which the same weights are evaluated."""
REDRAWN = ("precision", "compiled")
"""Axes along which samples of a network are other samples: the others draw the same ones."""
FEWEST_TRAININGS = 2
"""Of which a spread over seeds is told, with their number: the true one may be five times that of two."""

Found = Mapping[str, Measurement]


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


def redrawn(source: str, axis: str) -> bool:
    """Whether a change along an axis, where it changes anything, draws other samples.

    Args:
        source: of a measurement. To chains any rounding is another draw, and with them times are
            measured again; bulks push the same true samples, and move latents by the same draws.
    """
    if source.startswith("chains/"):
        return axis in OF_WEIGHTS
    return axis in REDRAWN and not source.startswith("bulks/")


def between(key: str, base: Found, other: Found) -> tuple[float, int, float]:
    """What a change makes of a number, and the standard error of that; NaN where not evaluated.

    An ensemble's error is the scatter of its seeds, which a change leaves the same: no noise. Nor is
    there any where value and error are the same to the last bit: so are the samples then.
    """
    if key not in other or None in (base[key].value, other[key].value):
        return np.nan, 1, np.nan
    errors = (base[key].error, other[key].error)
    same = (base[key].value, base[key].error) == (other[key].value, other[key].error)
    drawn = base[key].values is None and None not in errors and not same
    noise = float(np.hypot(*errors)) if drawn else np.nan
    return abs(other[key].value - base[key].value), 2, noise
