"""The helicity modulus in its crossover, where it is small and its relative error is not.

On a finite torus Υ/T falls from its universal jump to zero over a range of hoppings. Where it exceeds half
of the jump its relative error is asked for; at the hopping next below that one too, where chains of
their own (``crossover_<side>`` of the settings) add records to those of the whole line; further down its
absolute error.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from emergence.analysing import Found
from emergence.statistics import Measurement

DISORDERED = 1.0 / np.pi
"""Υ/T at half of its universal jump (Nelson and Kosterlitz 1977)."""

HELICITY = ["size", "t", "value", "error", "relative", "asked"]
"""Columns of the table of errors of the helicity modulus."""


def pooled(rows: pd.DataFrame, more: pd.DataFrame | None) -> pd.DataFrame:
    """Estimates of chains along the line, and of independent chains at some of its hoppings, in one.

    Args:
        rows: of the line: t, observable, value, error, equilibrated, and others that are kept.
        more: the same of the others; None adds nothing. What has no value, or is of another hopping,
            adds nothing either.

    Returns:
        ``rows`` with the means by inverse squared errors, and a column ``alone``, the error before: what
        hoppings share they share through it. What else a row tells, such as tau, is of the line.
    """
    rows = rows.assign(alone=rows["error"])
    if more is None:
        return rows
    keys = ["t", "observable"]
    found = more.set_index(keys).reindex(pd.MultiIndex.from_frame(rows[keys]))
    values = np.stack([rows["value"], found["value"]])
    errors = np.stack([rows["error"], found["error"]])
    known = np.isfinite(values) & (errors > 0.0)
    weights = np.where(known, 1.0 / np.where(known, errors, 1.0) ** 2, 0.0)
    total = weights.sum(axis=0)
    # What the line knows without an error nothing improves.
    joined = known[1] & (known[0] | ~np.isfinite(values[0]))
    scale = np.where(joined, total, 1.0)
    mean = (weights * np.where(known, values, 0.0)).sum(axis=0) / scale
    stuck = found["equilibrated"].isin([False]).to_numpy()
    return rows.assign(
        value=np.where(joined, mean, rows["value"]),
        error=np.where(joined, scale**-0.5, rows["error"]),
        equilibrated=rows["equilibrated"].to_numpy() & ~stuck,
    )


def helicity_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Υ/T of the chains at every hopping, its absolute and relative error, and which is asked for."""
    part = table[(table["kind"] == "corrected") & (table["observable"] == "helicity")]
    part = part.sort_values("t", ignore_index=True)[["t", "value", "error"]]
    deep = part["value"] < DISORDERED
    asked = np.where(deep, "absolute", "relative").astype(object)
    if deep.any():
        asked[part["value"][deep].idxmax()] = "both"
    return part.assign(relative=part["error"] / part["value"].abs(), asked=asked)


def crossover(told: pd.DataFrame, side: int, source: str, trusted: bool) -> Found:
    """The relative error at the hopping next below where it is asked for everywhere.

    Args:
        told: from :func:`helicity_errors`.
        trusted: whether all chains have equilibrated: of others neither the error is known.
    """
    name = f"diagram.crossover_error_helicity_{side}"
    both = told[(told["asked"] == "both") & np.isfinite(told["relative"])]
    if not len(both):
        note = "no hopping has a helicity modulus below half of its jump"
        yield name, Measurement(name, None, None, source=source, note=note)
        return
    nearest = both.iloc[0]
    note = f"relative; Υ/T is {nearest['value']:.3f} at t = {nearest['t']:g}"
    if not trusted:
        note += "; some chains have not equilibrated"
    error = 0.0 if trusted else None
    yield name, Measurement(name, nearest["relative"], error, source=source, note=note)
