"""What a comparison of speeds is made of: the sizes, the rows, and the table people read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from rich.table import Table

ROUNDS = 5
"""Timings of each side, taken in turns; the median counts."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    seeds: int = 10
    """Of the ensemble that is trained batched and one by one."""

    windows: tuple[int, ...] = (8, 50)
    """Sites per window: where a curriculum begins and where it ends."""

    steps: int = 200
    """Of Adam in each timing."""

    eager_steps: int = 4
    jacobian_batch: int = 128
    race_seeds: int = 3
    race_errors: tuple[float, ...] = (1e-3, 1e-4)
    """Test errors to reach: the bar of the laptop scale, and its stretch."""

    race_seconds: float = 60.0
    """When a race is given up."""

    training_windows: int = 300
    only_stage: int | None = None
    """Which stage of every schedule is run, where not all are."""

    most_steps: int = 1_000_000
    """Of any stage."""


QUICK = Sizes(
    seeds=3, windows=(4,), steps=5, eager_steps=1, jacobian_batch=4, race_seeds=2,
    race_errors=(0.1,), race_seconds=1.0, training_windows=40, only_stage=1,
    most_steps=2,
)  # fmt: skip
"""So small that only running through means anything."""


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    ours: float
    """Seconds."""

    other: float | None
    """Seconds; None where the other way could not be run, for the reason in ``note``."""

    note: str
    bound: bool = False
    """Whether the other way was stopped before it got there, so that the ratio is a lower bound."""

    @property
    def ratio(self) -> float | None:
        """How many times as long the other way takes; below 1 it is the faster one."""
        return None if self.other is None else self.other / self.ours


def in_turns(*sides: Callable[[], float], rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each side; in turns, so that other work on the machine hits all alike.

    Args:
        sides: each runs once and returns its seconds.
        rounds: how often each has its turn.
    """
    times = [[side() for side in sides] for _ in range(rounds)]
    return [median(column) for column in zip(*times, strict=True)]


def render(rows: list[Row]) -> Table:
    """The table that people read."""
    table = Table(
        title="Ratios measured in this run",
        caption="Ratio: how many times as long the other way takes; below 1 it is the faster one.",
        show_lines=True,
    )
    table.add_column("What", ratio=3)
    for name in ("Ours", "The other way", "Ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("How, and what came out", ratio=6)
    for row in rows:
        at_least = "> " if row.bound else ""
        other, ratio = "not run", "–"
        if row.other is not None:
            other, ratio = (
                f"{at_least}{duration(row.other)}",
                f"{at_least}{row.ratio:{'.0f' if row.ratio >= 100 else '.2g'}}",
            )
        table.add_row(row.what, duration(row.ours), other, ratio, row.note)
    return table


def duration(seconds: float) -> str:
    """Seconds with three digits in the unit that suits them."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
