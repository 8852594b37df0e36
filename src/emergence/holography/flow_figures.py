"""Figures of the flows themselves: exact likelihood, networks compared, the Ising benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emergence import artifacts, plotting
from emergence.plotting import ROLES


def likelihood(tables: Path, stem: Path) -> None:
    """ln Z by importance weights minus its exact value, for every theory that has one."""
    table = artifacts.read_table(tables / "flows.csv")
    part = table[table["exact"].notna()]
    fig, axis = plotting.figure(width="single")
    axis.errorbar(
        [f"{row.arm}\n{row.size} × {row.size}" for row in part.itertuples()],
        part["log_partition"] - part["exact"],
        yerr=part["log_partition_error"],
        color=ROLES["learnt"],
        linestyle="none",
        marker="o",
        label="importance weights",
    )
    plotting.reference_line(axis, y=0.0, label="exact")
    axis.set(ylabel="ln Z − exact")
    axis.legend()
    plotting.save(fig, stem, table)


FIGURES: dict[str, Callable[[Path, Path], None]] = {"likelihood": likelihood}
