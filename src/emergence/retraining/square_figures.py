"""Figures of squares and of the original's networks, each beside an exact or Monte Carlo energy."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from emergence import artifacts, plotting
from emergence.plotting import ROLES, SEQUENCE, Drawing
from emergence.retraining.growth_figures import (
    any_shipped,
    empty,
    legend,
    marks,
    of_arms,
    over_seeds,
)


def two_dimensions(tables: Path, stem: Path) -> None:
    """Energies of squares beside exact diagonalisation and quantum Monte Carlo."""
    table = artifacts.read_table(tables / "energies.csv")
    squares = table[(table["geometry"] == "square") & (table["kind"] == "grown")]
    squares = squares.assign(
        per_site=squares["energy"] / squares["sites"],
        per_site_error=squares["error"] / squares["sites"],
    )
    fig, axes = plotting.figure(1, 3, height=2.8)
    for axis, arms, title in (
        (axes[0], ["ising_square"], "Ising, h = 3, periodic"),
        (axes[1], ["heisenberg_square"], "Heisenberg, open"),
    ):
        part = of_arms(squares, *arms)
        axis.set_title(title)
        if empty(axis, part):
            continue
        reference = part.drop_duplicates("size").sort_values("size")
        axis.errorbar(
            reference["size"], reference["reference"] / reference["sites"],
            yerr=reference["reference_error"] / reference["sites"], color=ROLES["reference"],
            marker="_", markersize=14, linestyle="none", label=_methods(reference),
        )  # fmt: skip
        marks(axis, over_seeds(part, "size", "per_site", "per_site_error"), ROLES["learnt"],
              "grown")  # fmt: skip
        axis.set(xlabel="L of L × L", ylabel="E/N  (units of J)")
        axis.set_xticks(sorted(set(part["size"])))
        axis.margins(x=0.3, y=0.35)
        legend(axis, any_shipped(part), loc="best", fontsize=6)
    _square_errors(axes[2], table)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, squares)


def _methods(reference: pd.DataFrame) -> str:
    words = reference["method"].str.replace(r"\s*\(.*\)", "", regex=True).unique()
    return " / ".join(words)


def _square_errors(axis: Axes, table: pd.DataFrame) -> None:
    names = {"ising_square": "Ising", "heisenberg_square": "Heisenberg"}
    part = of_arms(table[table["kind"].isin(["grown", "untrained"])], *names)
    part = part[part["relative_error"].notna()]
    if empty(axis, part):
        return
    axis.set_yscale("log")
    for index, (arm, label) in enumerate(names.items()):
        for kind, marker in (("grown", "o"), ("untrained", "s")):
            chosen = part[(part["arm"] == arm) & (part["kind"] == kind)]
            if len(chosen):
                points = over_seeds(chosen, "size", "relative_error", "relative_uncertainty")
                colour = SEQUENCE[2 * index] if kind == "grown" else SEQUENCE[2 * index + 1]
                marks(axis, points, colour, f"{label}, {kind}", marker)
    axis.set(xlabel="L of L × L", ylabel="relative error of the energy")
    axis.set_xticks(sorted(set(part["size"])))
    axis.set_ylim(top=300.0 * axis.get_ylim()[1])
    axis.margins(x=0.3)
    legend(axis, any_shipped(part), loc="upper right", fontsize=6)


def original_network(tables: Path, stem: Path) -> None:
    """The original's networks, which learn the sign, beside ours at about the same sizes."""
    table = artifacts.read_table(tables / "energies.csv")
    table = table[table["relative_error"].notna()]
    fig, axes = plotting.figure(1, 2, height=2.8, sharey=True)
    panels = (
        ("Heisenberg chain, open", "paper_chain", "heisenberg", "sites N"),
        ("Heisenberg square, open", "paper_square", "heisenberg_square", "L of L × L"),
    )
    for axis, (title, theirs, ours, label) in zip(axes, panels, strict=True):
        part = of_arms(table, theirs)
        axis.set_title(title)
        if empty(axis, part):
            continue
        axis.set_yscale("symlog", linthresh=1e-6, linscale=0.4)
        plotting.reference_line(axis, y=0.0, label="exact")
        beside = of_arms(table, ours)
        beside = beside[beside["size"] <= 2 * part["size"].max()]
        for chosen, colour, marker, word in (
            (
                part[part["kind"] == "untrained"].assign(shipped=False),
                ROLES["baseline"],
                "s",
                "original's, untrained",
            ),
            (part[part["kind"] == "grown"], SEQUENCE[1], "^", "original's network, learnt phase"),
            (beside[beside["kind"] == "grown"], ROLES["learnt"], "o", "ours, Marshall's sign"),
        ):
            if len(chosen):
                points = over_seeds(chosen, "size", "relative_error", "relative_uncertainty")
                marks(axis, points, colour, word, marker)
        axis.set_xticks(sorted({*part["size"], *beside["size"]}))
        axis.set_xlabel(label)
        axis.set_ylim(-3e-7, 10.0)
        axis.margins(x=0.3)
    drawn = of_arms(table, *(name for panel in panels for name in panel[1:3]))
    legend(fig, any_shipped(drawn), list(axes), loc="outside lower center", fontsize=6, ncols=3)
    axes[0].set_ylabel("relative error of the energy")
    plotting.panel_letters(axes)
    plotting.save(fig, stem, drawn)


FIGURES: dict[str, Drawing] = {
    "two_dimensions": two_dimensions,
    "original_network": original_network,
}
