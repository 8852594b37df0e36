"""Figure ``bulk_mass``: how little the layers of the bulk share, beside the boundary that they come from.

Below, single pairs of latents without assuming a law, and the prior that the bulk learns.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from emergence import artifacts, plotting
from emergence.holography.bulk_figures import (
    LARGEST,
    LOOKS,
    bulks,
    name_bounds,
    nothing,
    part_limit,
    title,
)
from emergence.plotting import ROLES, SEQUENCE, Drawing


def bulk_mass(tables: Path, stem: Path) -> None:
    """Information within a layer of latents against that of the boundary, and correlation lengths.

    Below: single pairs of latents without assuming a law, and the prior that the bulk learns.
    """
    table = artifacts.read_table(tables / "bulk_correlations.csv")
    lengths = artifacts.read_table(tables / "bulk_lengths.csv")
    links = artifacts.read_table(tables / "bulk_links.csv")
    priors = artifacts.read_table(tables / "bulk_prior.csv")
    couplings = artifacts.read_table(tables / "bulk_couplings.csv")
    names = bulks(table, *LARGEST)[:2]
    fig, axes = plotting.figure(2, 4, height=5.9, width_ratios=[1.5, 1.5, 0.7, 0.9])
    if nothing(fig, stem, table):
        return
    for axis, name in zip(axes[0], names, strict=False):
        part = table[(table["bulk"] == name) & (table["cells"] <= part_limit(table, name))]
        _against_distance(axis, part)
        axis.set_title(title(part), fontsize=6, loc="right")
    for axis in axes[0, len(names) : 2]:
        axis.set_visible(False)
    _boundary_lengths(axes[0, 2], lengths[lengths["map"] == "boundary"], names)
    _lengths(axes[0, 3], lengths[lengths["map"] != "boundary"], names)
    for axis in axes[0, 2:]:
        axis.set(yscale="log", xlim=(-0.6, len(names) - 0.4))
        axis.set_xticks(range(len(names)), [name.split("_")[0] for name in names], rotation=30)
    wide = axes[1, 2].get_gridspec()[1, 2:]
    for axis in axes[1, 2:]:
        axis.remove()
    below = [*axes[1, :2], fig.add_subplot(wide)]
    _links(below[0], links[links["bulk"] == names[0]])
    _priors(below[1], priors)
    own = couplings[couplings["bulk"] == names[0]] if len(couplings) else couplings
    _couplings(below[2], own)
    handles, labels = plotting.entries(axes[0])
    fig.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=6)
    plotting.panel_letters([axis for axis in [*axes[0], *below] if axis.get_visible()])
    plotting.save(
        fig, stem,
        {"information": table, "lengths": lengths, "pairs": links, "priors": priors,
         "couplings": couplings},
    )  # fmt: skip


BELOW = {"fontsize": 6, "loc": "upper left", "bbox_to_anchor": (-0.15, -0.24)}
"""Where a panel of the lower row has its legend: none of its points may be behind it."""
ESTIMATORS = {"neighbour": (1.0, "nearest neighbours"), "gaussian": (0.0, "Gaussian")}
"""Opacity of the face, and name."""


def _links(axis: Axes, links: pd.DataFrame) -> None:
    """The pairs of latents whose phases are correlated most, by both estimators."""
    if plotting.empty(axis, links):
        return
    places = list(dict.fromkeys(zip(links["level"], links["other"], strict=True)))
    for key, part in links.groupby("map", sort=False):
        colour, marker, label = LOOKS[key]
        for shift, (estimator, (filled, words)) in zip(
            (-0.1, 0.1), ESTIMATORS.items(), strict=True
        ):
            one = part[part["estimator"] == estimator]
            axis.errorbar(
                np.arange(len(one)) + shift, one["value"], yerr=one["error"], color=colour,
                marker=marker, linestyle="none", label=f"{label.split(' ')[0]}, {words}",
                markerfacecolor=colour if filled else "white",
            )  # fmt: skip
    plotting.reference_line(axis, y=0.0, linewidth=0.5)
    axis.set_xticks(range(len(places)), [f"{a}, {b}" for a, b in places])
    axis.set(xlabel="levels of the pair", ylabel="mutual information (nats)")
    axis.set_title("    most correlated latents", fontsize=7)
    axis.legend(**BELOW)


FITS = {
    "forward": (ROLES["reference"], "_", "KL(theory‖flow)"),
    "gain": (ROLES["baseline"], "s", "removed, of the fitted samples"),
    "held_out": (ROLES["control"], "v", "of others, all couplings"),
    "selected": (ROLES["learnt"], "o", "of others, those above noise"),
    "trained": (SEQUENCE[2], "D", "of KL(flow‖theory), by training"),
}
"""Colour, mark and name of what a prior of the bulk removes, and of what there is to remove."""


def _priors(axis: Axes, priors: pd.DataFrame) -> None:
    """What a prior fitted to the latents removes of the flow's distance to the theory."""
    if plotting.empty(axis, priors):
        return
    names = bulks(priors, "free", "critical", "critical_32")
    axis.set_yscale("symlog", linthresh=0.1, linscale=0.5)
    for index, (fit, (colour, marker, label)) in enumerate(FITS.items()):
        one = priors[priors["fit"] == fit]
        if one.empty:
            continue
        place = [names.index(name) - 0.28 + 0.14 * index for name in one["bulk"]]
        axis.errorbar(place, one["value"], yerr=one["error"], color=colour, marker=marker,
                      linestyle="none", label=label)  # fmt: skip
    plotting.reference_line(axis, y=0.0, linewidth=0.5)
    briefly = {"_32": "\n32²", "critical": "crit.", "gapped": "gap."}
    short = names
    for long, brief in briefly.items():
        short = [name.replace(long, brief) for name in short]
    axis.set_xticks(range(len(names)), short, fontsize=6)
    axis.set_xlim(-0.6, len(names) - 0.4)
    axis.set_ylabel("KL, and what is removed (nats)")
    axis.legend(**BELOW)


def _couplings(axis: Axes, couplings: pd.DataFrame) -> None:
    """Partial correlations of cells of one layer in the fitted prior, against their distance."""
    if plotting.empty(axis, couplings):
        return
    same = couplings[couplings["level"] == couplings["other"]]
    axis.set(xscale="log", yscale="log", xlabel="distance (cells of the layer)")
    for index, (level, one) in enumerate(same.groupby("level")):
        cells = one["separation"] / 2.0 ** (level + 1)
        seen = one["coupling"] > 2.0 * one["error"]
        axis.errorbar(cells[seen], one["coupling"][seen], yerr=one["error"][seen], marker="o",
                      color=SEQUENCE[index], linestyle="none", label=f"level {level}")  # fmt: skip
        bound = one["coupling"][~seen] + 2.0 * one["error"][~seen]
        axis.plot(cells[~seen], bound, color=SEQUENCE[index], marker="v", linestyle="none",
                  markerfacecolor="white", markersize=3)  # fmt: skip
    axis.set_ylabel("coupling (partial correlation)")
    axis.set_title(f"    {title(couplings)}", fontsize=7)
    name_bounds(axis)
    axis.legend(**BELOW | {"ncols": 2})


def _boundary_lengths(axis: Axes, lengths: pd.DataFrame, names: list[str]) -> None:
    """In sites, beside those of the latents, which are in cells of 2^(ℓ+1) sites."""
    for place, name in enumerate(names):
        for one in lengths[lengths["bulk"] == name].itertuples():
            axis.errorbar(place, one.length, yerr=one.error, marker="o", color=ROLES["reference"],
                          linestyle="none", label="boundary, its length")  # fmt: skip
    axis.set_ylabel("length of the boundary (sites)")


def _lengths(axis: Axes, lengths: pd.DataFrame, names: list[str]) -> None:
    """The longest of each map's layers, in cells of that layer."""
    for place, name in enumerate(names):
        part = lengths[lengths["bulk"] == name]
        for index, (key, (colour, marker, label)) in enumerate(LOOKS.items()):
            one = part[(part["map"] == key) & part["length"].gt(0.0)]
            if len(one):
                longest = one.loc[one["length"].idxmax()]
                axis.errorbar(
                    place - 0.2 + 0.1 * index, longest["length"], yerr=longest["error"],
                    color=colour, marker=marker, linestyle="none", label=label,
                )  # fmt: skip
    axis.set_ylabel("length of the latents (cells)")


def _against_distance(axis: Axes, part: pd.DataFrame) -> None:
    axis.set(xscale="log", yscale="log")
    boundary = part[(part["map"] == "boundary") & (part["value"] > 2.0 * part["error"])]
    axis.errorbar(
        boundary["cells"], boundary["value"], yerr=boundary["error"], color=ROLES["reference"],
        marker=".", label="boundary, by sites",
    )  # fmt: skip
    trained = part[part["map"] == "trained"]
    for index, (level, one) in enumerate(trained.groupby("level")):
        # Below two errors there is only the bound.
        seen = one[one["value"] > 2.0 * one["error"]]
        hidden = one[one["value"] <= 2.0 * one["error"]]
        colour = SEQUENCE[index]
        axis.errorbar(seen["cells"], seen["value"], yerr=seen["error"], color=colour, marker="o",
                      linestyle="none", label=f"latents, cells of level {level}")  # fmt: skip
        bound = np.maximum(hidden["value"], 0.0) + 2.0 * hidden["error"]
        axis.plot(hidden["cells"], bound, color=colour, marker="v", linestyle="none",
                  markerfacecolor="white", markersize=3)  # fmt: skip
    axis.set(xlabel="distance (sites; cells)", ylabel="mutual information (nats)")
    name_bounds(axis)


FIGURES: dict[str, Drawing] = {"bulk_mass": bulk_mass}
