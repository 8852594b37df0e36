"""The figures of retraining, each drawn from the tables of the analysis and nothing else.

Those here look at what a grown wave function knows: correlations, memory, edges, direction,
entanglement. Energies and training are in ``growth_figures``, squares and the original's networks in
``square_figures``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from emergence import artifacts, plotting
from emergence.plotting import ROLES, SEQUENCE, Drawing
from emergence.retraining import growth_figures, square_figures
from emergence.retraining.growth_figures import any_shipped, empty, legend, marks, over_seeds

CHAINS = {"ising": "critical Ising", "heisenberg": "Heisenberg"}
MOST_SIZES = 4
"""Sizes drawn in one panel: the largest ones and the smallest."""


def _sizes(part: pd.DataFrame) -> list[int]:
    """The smallest size and the largest others, at most ``MOST_SIZES``."""
    every = sorted(set(part["size"]))
    return every if len(every) <= MOST_SIZES else [every[0], *every[1 - MOST_SIZES :]]


def correlations(tables: Path, stem: Path) -> None:
    """⟨s_i s_{i+r}⟩ about the middle of chains against distance, beside the exact ones."""
    table = artifacts.read_table(tables / "correlations.csv")
    fig, axes = plotting.figure(1, 2, height=2.9)
    for axis, (arm, title) in zip(axes, CHAINS.items(), strict=True):
        part = table[table["arm"] == arm]
        axis.set_title(title)
        if empty(axis, part):
            continue
        axis.set(xscale="log", yscale="log")
        named = False
        for index, size in enumerate(_sizes(part)):
            one = part[part["size"] == size]
            one = one.assign(value=one["value"].abs())
            exact = one[one["exact"].notna()].drop_duplicates("distance")
            if len(exact):
                label = None if named else "exact"
                named = True
                plotting.reference_line(axis, exact["distance"], exact["exact"].abs(), label=label)
            points = over_seeds(one, "distance", "value", "error")
            resolved = points[points["y"] > points["error"]]
            marks(axis, resolved, SEQUENCE[index], f"N = {size}")
        axis.set(
            xlabel="distance r (sites)", ylabel=r"$|\langle s_i s_{i+r}\rangle|$ about the middle"
        )
        legend(axis, any_shipped(part), loc="lower left")
    plotting.panel_letters(axes)
    plotting.save(fig, stem, table)


def forgetting(tables: Path, stem: Path) -> None:
    """Response and gradient against distance, trained and untrained, beside the exact ones."""
    table = artifacts.read_table(tables / "memory.csv")
    part = table[table["arm"] == "ising"]
    fig, axes = plotting.figure(1, 3, height=2.9)
    silent = [empty(axis, part) for axis in axes]
    if all(silent):
        plotting.panel_letters(axes)
        plotting.save(fig, stem, table)
        return
    sizes = sorted(set(part["size"]))
    summed = [s for s in sizes if part[part["size"] == s]["exact"].notna().all()]
    small, large = (summed or sizes)[-1], sizes[-1]
    _responses(axes[0], part[part["size"] == small], f"N = {small}")
    _responses(axes[1], part[part["size"] == large], f"N = {large}")
    one = part[part["size"] == large]
    for column, label, role in (
        ("gradient", "trained", "learnt"),
        ("gradient_untrained", "untrained", "control"),
    ):
        points = over_seeds(one, "distance", column)
        marks(axes[2], points[points["y"] > 1e-12], ROLES[role], label)
    _correlation(axes[2], one)
    axes[2].set_title(f"N = {large}")
    axes[2].set(xscale="log", yscale="log", xlabel="distance d (sites)",
                ylabel=r"$\|\partial\,\mathrm{log\,odds}_i\,/\,\partial h_{i-d}\|$")  # fmt: skip
    _room_below(axes[2])
    legend(axes[2], any_shipped(one), loc="lower left", fontsize=6)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, table)


def _correlation(axis: Axes, one: pd.DataFrame) -> None:
    exact = one[one["correlation"].notna()].drop_duplicates("distance")
    if len(exact):
        plotting.reference_line(
            axis, exact["distance"], exact["correlation"], linestyle="--",
            label=r"exact $|\langle s_i s_{i-d}\rangle|$",
        )  # fmt: skip


def _responses(axis: Axes, one: pd.DataFrame, title: str) -> None:
    axis.set(xscale="log", yscale="log")
    exact = one[one["exact"].notna()].drop_duplicates("distance")
    if len(exact):
        plotting.reference_line(axis, exact["distance"], exact["exact"], label="exact conditionals")
    _correlation(axis, one)
    points = over_seeds(one, "distance", "response", "response_error")
    marks(axis, points[points["y"] > 1e-9], ROLES["learnt"], "trained")
    points = over_seeds(one, "distance", "response_untrained")
    marks(axis, points[points["y"] > 1e-9], ROLES["control"], "untrained")
    axis.set_title(title)
    axis.set(xlabel="distance d (sites)", ylabel=r"$|\Delta p(s_i)|$ after a flip at $i-d$")
    _room_below(axis)
    legend(axis, any_shipped(one), loc="lower left", fontsize=6)


def _room_below(axis: Axes) -> None:
    """For the legend: two fifths of a logarithmic axis."""
    bottom, top = axis.get_ylim()
    axis.set_ylim(bottom=bottom * (bottom / top) ** 0.67)


def edge_profile(tables: Path, stem: Path) -> None:
    """Energy of each bond, and how it nears the bulk's with the distance from the edge."""
    table = artifacts.read_table(tables / "profiles.csv")
    table = table[(table["state"] == "averaged") & table["arm"].isin(CHAINS)]
    middle = artifacts.read_table(tables / "bulk.csv")
    middle = middle[(middle["estimator"] == "central") & middle["arm"].isin(CHAINS)]
    fig, axes = plotting.figure(2, 2, height=4.8)
    infinite = {"ising": -4.0 / np.pi, "heisenberg": 0.25 - np.log(2.0)}
    nearing = {"ising": _binned_excess, "heisenberg": _alternating_excess}
    for row, (arm, title) in enumerate(CHAINS.items()):
        part = table[table["arm"] == arm]
        whole, decay = axes[row]
        whole.set_title(title)
        if empty(whole, part) | empty(decay, part):
            continue
        largest = part[part["size"] == part["size"].max()]
        _profile(whole, largest, infinite[arm])
        decay.set_xscale("log")
        decay.set_xlabel("bond, counted from the edge")
        nearing[arm](decay, part, infinite[arm], middle[middle["arm"] == arm])
        legend(decay, any_shipped(part), fontsize=6)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, {"profiles": table, "middle": middle})


def _binned_excess(axis: Axes, part: pd.DataFrame, infinite: float, middle: pd.DataFrame) -> None:
    """Bonds of the largest size, gathered in doubling bins of the distance from the edge.

    Errors of the bonds in a bin are added as if independent, which makes them too large; those of
    the middle half are of whole samples.
    """
    size = int(part["size"].max())
    one = _folded(part[part["size"] == size])
    groups = one.assign(bin=np.floor(np.log2(one["bond"]))).groupby(["seed", "bin"])
    bins = groups.agg(
        bond=("bond", lambda bonds: np.exp(np.log(bonds).mean())), value=("value", "mean"),
        error=("error", lambda errors: np.sqrt((errors**2).sum()) / len(errors)),
        exact=("exact", "mean"), shipped=("shipped", "max"),
    ).reset_index()  # fmt: skip
    bins = bins.assign(excess=bins["value"] - infinite)
    axis.set_yscale("symlog", linthresh=1e-3)
    if one["exact"].notna().any():
        first = one[one["seed"] == one["seed"].min()]
        plotting.reference_line(axis, first["bond"], first["exact"] - infinite, label="exact")
    marks(axis, over_seeds(bins, "bond", "excess", "error"), ROLES["learnt"],
          f"N = {size}, bonds in doubling bins")  # fmt: skip
    half = middle[middle["size"] == size]
    half = half.assign(excess=half["value"] - infinite, bond=0.375 * size)
    marks(axis, over_seeds(half, "bond", "excess", "error"), SEQUENCE[1],
          f"N = {size}, middle half", "D")  # fmt: skip
    axis.set_ylabel("energy of the bond − e∞  (units of J)")


def _alternating_excess(
    axis: Axes, part: pd.DataFrame, infinite: float, middle: pd.DataFrame
) -> None:
    """Strength of the alternation: the largest sizes, and the largest with an exact profile."""
    axis.set_yscale("log")
    solved = part[part["exact"].notna()]["size"]
    sizes = sorted(set(part["size"]))[1 - MOST_SIZES :]
    if len(solved):
        sizes = sorted({*sizes, solved.max()})
    for index, size in enumerate(sizes):
        one = _folded(part[part["size"] == size])
        one = one.assign(excess=(one["value"] - infinite).abs())
        points = over_seeds(one, "bond", "excess", "error")
        resolved = points[points["y"] > 2.0 * points["error"]]
        marks(axis, resolved, SEQUENCE[index], f"N = {size}")
        exact = one[one["exact"].notna()].drop_duplicates("bond")
        if len(exact):
            distance = (exact["exact"] - infinite).abs()
            plotting.reference_line(axis, exact["bond"], distance, label=f"exact, N = {size}")
    axis.set_title("where two standard errors resolve it", fontsize=7)
    axis.set_ylabel("|energy of the bond − e∞|  (units of J)")


def _folded(profile: pd.DataFrame) -> pd.DataFrame:
    """Each bond of one size together with its mirror image, seed by seed."""
    nearer = np.minimum(profile["bond"], profile["size"] - profile["bond"])
    sides = profile.assign(bond=nearer, square=profile["error"] ** 2).groupby(["seed", "bond"])
    found = sides.agg(
        value=("value", "mean"), exact=("exact", "mean"), square=("square", "mean"),
        count=("square", "size"), shipped=("shipped", "max"),
    ).reset_index()  # fmt: skip
    return found.assign(error=np.sqrt(found["square"] / found["count"]))


def _profile(axis: Axes, largest: pd.DataFrame, infinite: float) -> None:
    size = int(largest["size"].max())
    plotting.reference_line(axis, y=infinite, linestyle=":", label="infinite chain, e∞")
    exact = largest[largest["exact"].notna()].drop_duplicates("bond")
    if len(exact):
        plotting.reference_line(axis, exact["bond"], exact["exact"], label="exact")
    marks(axis, over_seeds(largest, "bond", "value", "error"), ROLES["learnt"], f"N = {size}")
    axis.set(xlabel="bond", ylabel="energy of the bond  (units of J)")
    bottom, top = axis.get_ylim()
    axis.set_ylim(top=top + 0.3 * (top - bottom))  # room for the legend
    legend(axis, any_shipped(largest), loc="upper center", fontsize=6, ncols=3)


def directional_bias(tables: Path, stem: Path) -> None:
    """Left minus right bond energies, of the network alone and averaged over directions."""
    table = artifacts.read_table(tables / "asymmetry.csv")
    energies = artifacts.read_table(tables / "energies.csv")
    table = table[table["arm"].isin(CHAINS)]
    fig, axes = plotting.figure(1, 3, height=2.9)
    looks = {"plain": ("control", "s", "forwards only"), "averaged": ("learnt", "o", "averaged")}
    for axis, (arm, title) in zip(axes, CHAINS.items(), strict=False):
        part = table[table["arm"] == arm]
        if len(part):
            part = part[part["size"] == part["size"].max()]
            title = f"{title}, N = {int(part['size'].max())}"
        axis.set_title(title)
        if empty(axis, part):
            continue
        plotting.reference_line(axis, y=0.0, label="exact")
        for state, (role, marker, label) in looks.items():
            chosen = part[part["state"] == state]
            if len(chosen):
                points = over_seeds(chosen, "bond", "value", "error")
                marks(axis, points, ROLES[role], label, marker)
        axis.set(
            xlabel="bond, counted from the edge", ylabel="left − right bond energy  (units of J)"
        )
        legend(axis, any_shipped(part), fontsize=6)
    _excess_of_the_plain(axes[2], energies)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, table)


def _excess_of_the_plain(axis: Axes, energies: pd.DataFrame) -> None:
    part = energies[energies["arm"].isin(CHAINS) & energies["relative_error"].notna()]
    part = part[part["kind"].isin(["grown", "plain"])]
    if empty(axis, part):
        return
    axis.set_yscale("log")
    shapes = {"ising": "o", "heisenberg": "^"}
    for kind, role, word in (("plain", "control", "forwards"), ("grown", "learnt", "averaged")):
        for arm, marker in shapes.items():
            chosen = part[(part["kind"] == kind) & (part["arm"] == arm)]
            if len(chosen):
                points = over_seeds(chosen, "sites", "relative_error", "relative_uncertainty")
                marks(axis, points, ROLES[role], f"{CHAINS[arm]}, {word}", marker)
    growth_figures.sizes_axis(axis, part["sites"])
    axis.set_ylabel("relative error of the energy")
    axis.set_ylim(top=100.0 * axis.get_ylim()[1])
    legend(axis, any_shipped(part), loc="upper right", fontsize=6)


def entanglement(tables: Path, stem: Path) -> None:
    """Rényi's second entropy of the first ℓ sites, beside the exact one."""
    table = artifacts.read_table(tables / "entropy.csv")
    fig, axes = plotting.figure(1, 2, height=2.9)
    for axis, (arm, title) in zip(axes, CHAINS.items(), strict=True):
        part = table[table["arm"] == arm]
        axis.set_title(title)
        if empty(axis, part):
            continue
        for index, size in enumerate(_sizes(part)):
            one = part[(part["size"] == size) & np.isfinite(part["value"])]
            exact = one[one["exact"].notna()].drop_duplicates("length")
            if len(exact):
                label = "exact" if index == 0 else None
                plotting.reference_line(axis, exact["length"], exact["exact"], label=label)
            marks(axis, over_seeds(one, "length", "value", "error"), SEQUENCE[index], f"N = {size}")
        plotting.reference_line(
            axis, y=0.0, color=ROLES["control"], linestyle=":", label="independent spins"
        )
        axis.set(xlabel="first ℓ sites", ylabel="Rényi entropy S₂ (natural logarithm)")
        legend(axis, any_shipped(part), loc="lower right", bbox_to_anchor=(1.0, 0.08), fontsize=6)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, table)


FIGURES: dict[str, Drawing] = {
    **growth_figures.FIGURES,
    **square_figures.FIGURES,
    "correlations": correlations,
    "forgetting": forgetting,
    "edge_profile": edge_profile,
    "directional_bias": directional_bias,
    "entanglement": entanglement,
}
"""Name → function(tables, stem); the workflow draws each under its name."""
