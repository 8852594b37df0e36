"""What the analysis of a system yields: tables behind the figures, measurements of the ledger.

Each part of an analysis is a generator over the results of a run; a part whose arms a scale leaves
out yields less, and the ledger then says that its claims were not run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import pandas as pd

from emergence.statistics import Measurement

Tables = dict[str, pd.DataFrame]
"""Tidy tables by the name of their file, without its suffix."""

Found = Iterator[tuple[str, pd.DataFrame | Measurement]]
"""What a part of an analysis yields, each with its name."""

Results = TypeVar("Results")
"""The finished run of one system, as its analysis reads it."""

WORST = 1e6
"""What a value that is not finite counts as: worse than any bound of the ledger."""


def named(*measurements: Measurement) -> Found:
    """Yield measurements under their own names."""
    for measurement in measurements:
        yield measurement.name, measurement


def gather(
    parts: Iterable[Callable[[Results], Found]], results: Results
) -> tuple[Tables, list[Measurement]]:
    """Run the parts of an analysis one after the other.

    Returns:
        The tables by name, and the measurements, both in the order in which they were found.

    Raises:
        ArtifactError: a result is missing or corrupt.
    """
    tables: Tables = {}
    measurements: list[Measurement] = []
    for part in parts:
        for name, item in part(results):
            if isinstance(item, pd.DataFrame):
                tables[name] = item
            else:
                measurements.append(item)
    return tables, measurements
