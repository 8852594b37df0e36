"""Figures of the growth itself: energies against size and step, and the bulk energy.

Filled marks are networks that this run trained from its first step; hollow ones, named in the
legend, were trained beforehand at a larger cost and shipped with the project.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emergence import artifacts, plotting
from emergence.plotting import ROLES, SEQUENCE, Drawing
from emergence.statistics import median_error

SHIPPED = "shipped weights (hollow)"
FLOOR = 1e-9
"""Errors below it are drawn at it: no sampling resolves them."""


def over_seeds(table: pd.DataFrame, x: str, y: str, error: str | None = None) -> pd.DataFrame:
    """Median over the networks at each ``x``, with the errors of sampling and of the spread.

    Returns:
        Columns ``x``, ``y``, ``error``, ``shipped``, in rising ``x``.
    """
    rows = []
    for place, part in table.groupby(x):
        values = part[y].to_numpy(dtype=float)
        sampling = 0.0 if error is None else float(np.sqrt((part[error] ** 2).mean() / len(part)))
        spread = median_error(values) or 0.0
        shipped = bool(part["shipped"].astype(bool).any())
        rows.append((place, float(np.median(values)), float(np.hypot(sampling, spread)), shipped))
    return pd.DataFrame(rows, columns=["x", "y", "error", "shipped"])


def marks(
    axis: Axes,
    points: pd.DataFrame,
    colour: str,
    label: str | None,
    marker: str = "o",
    line: str = "none",
) -> None:
    """Points with error bars; hollow where the weights were shipped."""
    first = True
    axis.plot(points["x"], points["y"], color=colour, linestyle=line, linewidth=0.8)
    for shipped, part in points.groupby("shipped", sort=True):
        axis.errorbar(
            part["x"], part["y"], yerr=part["error"], color=colour, linestyle="none",
            marker=marker, markerfacecolor="white" if shipped else colour, markersize=3.5,
            label=label if first else None,
        )  # fmt: skip
        first = False


def legend(
    place: Axes | Figure, shipped: bool, panels: Iterable[Axes] = (), **options: object
) -> None:
    """The legend of a panel, or of several in one, with the hollow mark explained where there is one."""
    handles, labels = plotting.entries(panels or [place])
    if shipped:
        hollow = Line2D([], [], marker="o", color=ROLES["baseline"], markerfacecolor="white",
                        linestyle="none", markersize=3.5)  # fmt: skip
        handles, labels = [*handles, hollow], [*labels, SHIPPED]
    if handles:
        place.legend(handles, labels, **options)


def any_shipped(table: pd.DataFrame) -> bool:
    return bool(len(table)) and bool(table["shipped"].astype(bool).any())


empty = partial(plotting.empty, shared=True)
"""Whether there is nothing to draw in a panel, which may share its axes with others."""


def sizes_axis(axis: Axes, sizes: pd.Series, label: str = "sites N") -> None:
    """A logarithmic axis that names the sizes, but for one that the next is too near to."""
    axis.set_xscale("log")
    named = sorted(set(sizes))
    crowded = [after < 1.5 * size for size, after in pairwise(named)] + [False]
    words = ["" if close else f"{size:g}" for size, close in zip(named, crowded, strict=True)]
    axis.set_xticks(named, words)
    axis.set_xticks([], minor=True)
    axis.set_xlabel(label)


def of_arms(table: pd.DataFrame, *arms: str) -> pd.DataFrame:
    return table[table["arm"].isin(arms)]


_LOOKS = {
    "untrained": (ROLES["baseline"], "s", "untrained"),
    "shuffled": (SEQUENCE[3], "P", "shuffled weights of the size before"),
    "zero-shot": (SEQUENCE[1], "^", "zero-shot (weights of the size before)"),
    "grown": (ROLES["learnt"], "o", "grown"),
}
_LINES = {"j1j2": ("-", "J2 = 0.2"), "majumdar_ghosh": ("--", "J2 = 0.5")}


def energy_error(tables: Path, stem: Path) -> None:
    """Relative error of the energy against size, on the Ising, the Heisenberg and J1–J2 chains."""
    table = artifacts.read_table(tables / "energies.csv")
    table = table[(table["geometry"] == "chain") & table["relative_error"].notna()]
    fig, axes = plotting.figure(1, 3, height=3.0, sharey=True)
    panels = {
        "critical Ising": ["ising"],
        "Heisenberg": ["heisenberg", "heisenberg_200"],
        "J1–J2": ["j1j2", "majumdar_ghosh"],
    }
    for axis, (title, arms) in zip(axes, panels.items(), strict=True):
        part = of_arms(table, *arms)
        axis.set_title(title)
        if empty(axis, part):
            continue
        # Linear below the smallest bound, so that exact has a place: zero.
        axis.set_yscale("symlog", linthresh=1e-6, linscale=0.4)
        plotting.reference_line(axis, y=0.0, label="exact")
        if title == "J1–J2":
            _both_couplings(axis, part)
        else:
            _kinds(axis, part)
        if title == "critical Ising":
            scratch = of_arms(table[table["kind"] == "grown"], "ising_scratch")
            points = over_seeds(scratch, "sites", "relative_error", "relative_uncertainty")
            marks(axis, points, ROLES["control"], "from scratch, equal cost", "D")
        sizes_axis(axis, part["sites"])
        axis.set_ylim(-3e-7, 10.0)
    drawn = of_arms(table, "ising_scratch", *(arm for arms in panels.values() for arm in arms))
    legend(fig, any_shipped(drawn), list(axes), loc="outside lower center", fontsize=6, ncols=4)
    axes[0].set_ylabel("relative error of the energy")
    plotting.panel_letters(axes)
    plotting.save(fig, stem, table)


def _kinds(axis: Axes, table: pd.DataFrame, line: str = "-", named: bool = True) -> None:
    """What is known of each kind of network, in its look."""
    for kind, (colour, marker, label) in _LOOKS.items():
        chosen = table[table["kind"] == kind]
        if len(chosen):
            points = over_seeds(chosen, "sites", "relative_error", "relative_uncertainty")
            marks(axis, points, colour, label if named else None, marker, line)


def _both_couplings(axis: Axes, table: pd.DataFrame) -> None:
    """Kinds told apart by their looks as elsewhere, couplings by their lines."""
    present = [arm for arm in _LINES if len(of_arms(table, arm))]
    for arm in present:
        _kinds(axis, of_arms(table, arm), _LINES[arm][0], named=arm == present[0])
    for arm in present:
        line, label = _LINES[arm]
        axis.plot([], [], color=ROLES["baseline"], linestyle=line, linewidth=0.8, label=label)


def bulk_energy(tables: Path, stem: Path) -> None:
    """Distance of estimates of the bulk energy from the infinite chain's, against size."""
    table = artifacts.read_table(tables / "bulk.csv")
    table = of_arms(table, "ising", "heisenberg", "heisenberg_200")
    table = table.assign(excess=np.maximum((table["value"] - table["infinite"]).abs(), FLOOR))
    fig, axes = plotting.figure(1, 2, height=2.9)
    looks = {
        "raw": (ROLES["baseline"], "s", "E/N, with its edges"),
        "central": (SEQUENCE[1], "^", "middle half of the chain"),
        "difference": (ROLES["learnt"], "o", "difference of two sizes"),
        "fit": (SEQUENCE[2], "D", "fit e∞ + a/N (+ b/N²)"),
    }
    titles = {"critical Ising": ["ising"], "Heisenberg": ["heisenberg", "heisenberg_200"]}
    for axis, (title, arms) in zip(axes, titles.items(), strict=True):
        part = of_arms(table, *arms)
        axis.set_title(title)
        if empty(axis, part):
            continue
        axis.set_yscale("log")
        for name, (colour, marker, label) in looks.items():
            chosen = part[part["estimator"] == name]
            if len(chosen):
                marks(axis, over_seeds(chosen, "size", "excess", "error"), colour, label, marker)
        raw = part[part["estimator"] == "raw"].drop_duplicates("size").sort_values("size")
        distance = (raw["exact"] - raw["infinite"]).abs()
        plotting.reference_line(axis, raw["size"], distance, label="exact E/N")
        _exact_differences(axis, raw)
        sizes_axis(axis, part["size"], "sites N (the larger of two)")
        axis.set_ylabel("|estimate − e∞|  (units of J)")
        axis.set_ylim(top=50.0 * axis.get_ylim()[1])
        legend(axis, any_shipped(part), loc="upper right", fontsize=6)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, table)


def _exact_differences(axis: Axes, raw: pd.DataFrame) -> None:
    """What the difference of two sizes gives for exact energies."""
    total, sites = (raw["exact"] * raw["size"]).to_numpy(), raw["size"].to_numpy()
    if len(sites) > 1:
        exact = np.abs(np.diff(total) / np.diff(sites) - raw["infinite"].iloc[0])
        plotting.reference_line(
            axis, sites[1:], np.maximum(exact, FLOOR), linestyle="--", label="exact difference"
        )


def training(tables: Path, stem: Path) -> None:
    """Energy above the exact one against step, and its extrapolation to zero variance."""
    table = artifacts.read_table(tables / "training.csv")
    lines = artifacts.read_table(tables / "extrapolation.csv")
    present = [arm for arm in ("ising", "heisenberg") if arm in set(table["arm"])]
    fig, axes = plotting.figure(2, 2, height=4.6, squeeze=False)
    for row, arm in enumerate(("ising", "heisenberg")):
        against_step, against_variance = axes[row]
        part = of_arms(table, arm)
        part = part[part["exact"].notna()]
        if empty(against_step, part) | empty(against_variance, part):
            continue
        part = part.assign(excess=(part["energy"] - part["exact"]) / part["sites"])
        against_step.set_yscale("log")
        for index, (size, run) in enumerate(part.groupby("size")):
            colour = SEQUENCE[index % len(SEQUENCE)]
            for seed, one in run.groupby("seed"):
                label = f"N = {size}" if seed == run["seed"].min() else None
                style = {"color": colour, "linewidth": 0.6, "label": label}
                against_step.plot(one["total"], one["excess"].abs(), **style)
                # A batch's energy may lie below that of the ground state, by its noise.
                below = one[one["excess"] < 0.0]
                against_step.plot(below["total"], below["excess"].abs(), "o", color=colour,
                                  markersize=2.5, markerfacecolor="white")  # fmt: skip
        against_step.plot([], [], "o", color=ROLES["baseline"], markersize=2.5,
                          markerfacecolor="white", label="E below exact")  # fmt: skip
        against_step.set(xlabel="step, over all sizes", ylabel="|E − exact|/N  (units of J)")
        against_step.set_title(f"{arm.capitalize()} chain")
        legend(against_step, False, fontsize=6)
        _to_zero(against_variance, part, lines[lines["arm"] == arm])
    plotting.panel_letters(axes)
    plotting.save(fig, stem, {"training": of_arms(table, *present), "extrapolation": lines})


def _to_zero(axis: Axes, part: pd.DataFrame, lines: pd.DataFrame) -> None:
    """The last checkpoints of the largest size, and where their line meets zero variance."""
    largest = part[part["size"] == part["size"].max()]
    for seed, one in largest.groupby("seed"):
        late = one[one["variance"] <= 10.0 * one["variance"].min()]
        label = "checkpoints" if seed == largest["seed"].min() else None
        axis.plot(late["variance"] / late["sites"], 1e4 * late["excess"], ".", markersize=3,
                  color=ROLES["learnt"], alpha=0.6, label=label)  # fmt: skip
    found = lines[(lines["size"] == largest["size"].max()) & lines["extrapolated"].notna()]
    if len(found):
        scale = 1e4 / found["sites"]
        axis.errorbar(
            np.zeros(len(found)), scale * (found["extrapolated"] - found["exact"]),
            yerr=scale * found["error"], color=ROLES["control"], marker="D", linestyle="none",
            label="extrapolated (not variational)",
        )  # fmt: skip
        # At a variance of its own: of the average over the point group, on samples of the evaluation.
        axis.plot(found["variance"] / found["sites"], scale * (found["energy"] - found["exact"]),
                  "o", color=SEQUENCE[2], label="final, variational")  # fmt: skip
    plotting.reference_line(axis, y=0.0, label="exact")
    axis.set_title(f"N = {largest['size'].max()}")
    axis.set(
        xlabel="variance of the local energy / N  (J²)", ylabel="10⁴ (E − exact)/N  (units of J)"
    )
    axis.locator_params(axis="x", nbins=4)
    legend(axis, any_shipped(largest), fontsize=6)


FIGURES: dict[str, Drawing] = {
    "energy_error": energy_error,
    "bulk_energy": bulk_energy,
    "training": training,
}
