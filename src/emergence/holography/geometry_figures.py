"""Figures of what the bulk shares: its geometry, and where a step of the RG sends information."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from emergence import artifacts, plotting
from emergence.holography import marks
from emergence.holography.bulk_figures import (
    LARGEST,
    LOOKS,
    bulks,
    name_bounds,
    nothing,
    title,
)
from emergence.plotting import ROLES, SEQUENCE, Drawing

SLOPES = {
    "same layer": ("o", "slope within layers, up to L/2"),
    "vertical": ("s", "slope across layers"),
}
QUARTER = "x"
SAME = r"distance, $|\Delta x|/2^\ell$"
ACROSS = r"ratio of scales, $2^{\ell'-\ell}$"

FREE = {"critical": "free_massless"}
"""The exact free field beside a phase; its only map is Haar's. (The gapped one's slope takes all room.)"""
UNRESOLVED = 5.0
"""Error of 1/ξ beyond which nothing is drawn: too few pairs share any information."""


SHOWN = ("trained", "optimal", "haar")
"""Maps whose decays are drawn; the slopes of all stand beside them."""


def geometry(tables: Path, stem: Path) -> None:
    """Decay within and across layers under a critical boundary, with both fits, map by map.

    Beside them the two slopes of every map, of the critical and of the gapped boundary.
    """
    table = artifacts.read_table(tables / "geometry_pairs.csv")
    fits = artifacts.read_table(tables / "geometry_fits.csv")
    names = bulks(table, *LARGEST)[:2]
    fig, axes = plotting.figure(len(SHOWN), 3, height=2.3 * len(SHOWN), squeeze=False)
    if nothing(fig, stem, table):
        return
    about = table["bulk"] == names[0]
    for row, name in zip(axes, SHOWN, strict=True):
        part = table[about & (table["map"] == name)]
        own = fits[(fits["bulk"] == names[0]) & (fits["map"] == name) & (fits["cut"] == "half")]
        for axis, kind, x in ((row[0], "same layer", SAME), (row[1], "vertical", ACROSS)):
            _decay(axis, part[part["kind"] == kind], own[own["kind"] == kind], kind)
            axis.set(xlabel=x, ylabel="mutual information (nats)")
            axis.set_title(f"{LOOKS[name][2]}, {kind}", fontsize=6, loc="right")
    for axis, name in zip(axes[:, 2], names, strict=False):
        exact = FREE.get(name.split("_")[0])
        _slopes(axis, fits[fits["bulk"].isin([name, exact])])
        axis.set_title(title(table[table["bulk"] == name]), fontsize=6, loc="right")
    for axis in axes[len(names) :, 2]:
        axis.axis("off")
    _keys(axes[-1, 2], axes[:, :2].ravel(), axes[:, 2])
    plotting.panel_letters([axis for axis in axes.ravel() if axis.axison])
    plotting.save(fig, stem, {"pairs": table, "fits": fits})


def _keys(place: Axes, decays: Iterable[Axes], slopes: Iterable[Axes]) -> None:
    """The one legend of all panels, in the corner that none of them takes."""
    name_bounds(place)
    place.plot([], [], color=ROLES["baseline"], linewidth=0.7, label="fit, if two points or more")
    handles, labels = plotting.entries([*decays, place, *slopes])
    place.legend(handles, labels, fontsize=6, loc="center", borderaxespad=0.0)


def _decay(axis: Axes, part: pd.DataFrame, fits: pd.DataFrame, kind: str) -> None:
    axis.set(xscale="log", yscale="log")
    group = "level" if kind == "same layer" else "other"
    for index, (level, one) in enumerate(part.groupby(group)):
        colour = SEQUENCE[index % len(SEQUENCE)]
        # Pairs across layers are told apart by the upper one; below level 1 there is level 0 alone.
        lower = level if kind == "same layer" else level - 1
        # Below two errors there is only the bound.
        seen = one[one["value"] > 2.0 * one["error"]]
        hidden = one[one["value"] <= 2.0 * one["error"]]
        axis.errorbar(seen["x"], seen["value"], yerr=seen["error"], color=colour, marker="o",
                      linestyle="none",
                      label=f"level {lower}, or below level {lower + 1}")  # fmt: skip
        bound = np.maximum(hidden["value"], 0.0) + 2.0 * hidden["error"]
        axis.plot(hidden["x"], bound, color=colour, marker="v", linestyle="none",
                  markerfacecolor="white", markersize=3)  # fmt: skip
        fit = fits[fits["group"] == level]
        if len(fit):
            power = 2.0 if kind == "same layer" else 1.0
            x = np.geomspace(one["x"].min(), one["x"].max() * 1.001, 20)
            y = np.exp(fit["intercept"].iloc[0]) * x ** (-power * fit["rate"].iloc[0])
            axis.plot(x, y, color=colour, linewidth=0.7)
    shown = np.maximum(part["value"], 2.0 * part["error"])
    if len(part) and (shown > 0.0).all():
        # A fit may plunge where nothing is resolved.
        axis.set_ylim(0.5 * shown.min(), 3.0 * shown.max())


def _slopes(axis: Axes, fits: pd.DataFrame) -> None:
    """1/ξ of both directions, map by map; within layers from pairs up to L/2, and up to L/4.

    A slope whose error is larger than :data:`UNRESOLVED` is no slope, and would take all room.
    """
    present = [name for name in LOOKS if name in set(fits["map"])]
    fits = fits[fits["rate_error"] <= UNRESOLVED]
    for place, name in enumerate(present):
        colour = LOOKS[name][0]
        if not (fits["map"] == name).any():
            axis.text(place, 0.0, "not resolved", rotation=90, ha="center", va="bottom", fontsize=6)
        for (kind, (marker, _)), shift in zip(SLOPES.items(), (-0.15, 0.15), strict=True):
            # Across layers there is no cut.
            cuts = (("half", marker, -0.05), ("quarter", QUARTER, 0.05))
            for cut, mark, nudge in cuts if kind == "same layer" else cuts[:1]:
                one = fits[(fits["map"] == name) & (fits["kind"] == kind) & (fits["cut"] == cut)]
                if len(one):
                    axis.errorbar(
                        place + shift + nudge, one["rate"].iloc[0], yerr=one["rate_error"].iloc[0],
                        color=colour, marker=mark, linestyle="none",
                    )  # fmt: skip
    within, across = SLOPES.values()
    for marker, label in (within, (QUARTER, "slope within layers, up to L/4"), across):
        axis.plot([], [], marker, color=ROLES["baseline"], label=label)
    plotting.reference_line(axis, y=0.0, linewidth=0.5)
    axis.set_xticks(range(len(present)), [LOOKS[n][2].split(" ")[0] for n in present], rotation=30)
    axis.set_xlim(-0.6, len(present) - 0.4)
    axis.set_ylabel("1/ξ from the slope")


def information_budget(tables: Path, stem: Path) -> None:
    """RMI and BMI of the first step of every map over what A and B share, and all bulk information."""
    table = artifacts.read_table(tables / "budgets.csv")
    totals = artifacts.read_table(tables / "bulk_information.csv")
    names = bulks(table, "exact", "free", "critical")[:3]
    fig, axes = plotting.figure(2, 2, height=5.2)
    if nothing(fig, stem, table):
        return
    for axis, name in zip(axes.flat, names, strict=False):
        part = table[(table["bulk"] == name) & (table["step"] == "decimator")]
        _bars(axis, part)
        exact = "free field, m² = 1/4, exact, 8 × 8"
        axis.set_title(exact if name == "exact" else title(part), fontsize=7, loc="right")
    for axis in axes.flat[len(names) : 3]:
        axis.axis("off")
    _everything(axes[1, 1], totals)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, {"budgets": table, "bulk information": totals})


def _bars(axis: Axes, part: pd.DataFrame) -> None:
    """Coarse and bulk information stacked, the exact other half beside, all over the total."""
    wide = part.pivot(index="map", columns="quantity", values=["value", "error"])
    present = [name for name in LOOKS if name in wide.index]
    looks = {
        "coarse": (SEQUENCE[0], r"RMI: $I(\varphi'_A : \varphi_B)$"),
        "bulk": (SEQUENCE[1], r"BMI: $I(\zeta_A : \zeta_B)$"),
        "conditional": (SEQUENCE[2], r"$I(\zeta_A : \varphi_B\,|\,\varphi'_A)$"),
    }
    for place, name in enumerate(present):
        value, error = wide.loc[name, "value"], wide.loc[name, "error"]
        total = value["total"]
        for other, shift in (("bulk", -0.2), ("conditional", 0.2)):
            for quantity, bottom in (("coarse", 0.0), (other, value["coarse"])):
                colour, label = looks[quantity]
                first = place == 0 and not (quantity == "coarse" and shift > 0.0)
                axis.bar(
                    place + shift, value[quantity] / total, 0.36, bottom / total, color=colour,
                    yerr=error[quantity] / total, label=label if first else None,
                    error_kw={"linewidth": 0.8},
                )  # fmt: skip
    plotting.reference_line(axis, y=1.0, label=r"$I(\varphi_A : \varphi_B)$", zorder=3)
    axis.set_xticks(range(len(present)), [LOOKS[n][2].split(" ")[0] for n in present])
    axis.set_ylabel("share of the information")
    top = max(1.0, axis.get_ylim()[1])
    axis.set_ylim(0.0, 1.55 * top)
    axis.legend(fontsize=6, loc="upper left", ncols=2)


def _everything(axis: Axes, totals: pd.DataFrame) -> None:
    """Multi-information of all latents by map, of every study."""
    part = totals[totals["quantity"] == "multi"] if len(totals) else totals
    axis.set_yscale("log")
    names = bulks(part, "free", "critical", "gapped")
    for place, name in enumerate(names):
        for index, (key, (colour, marker, label)) in enumerate(LOOKS.items()):
            one = part[(part["bulk"] == name) & (part["map"] == key) & (part["value"] > 0.0)]
            if len(one):
                shipped = key == "trained" and marks.is_shipped(one)
                axis.errorbar(
                    place - 0.2 + 0.1 * index, one["value"].iloc[0], yerr=one["error"].iloc[0],
                    color=colour, marker=marker, markerfacecolor="white" if shipped else colour,
                    linestyle="none",
                    label=f"{label}, {marks.weights(one)}" if key == "trained" else label,
                )  # fmt: skip
    axis.set_xticks(range(len(names)), [name.replace("_32", "\n32 × 32") for name in names])
    axis.set_xlim(-0.5, len(names) - 0.5)
    axis.set_ylabel("multi-information of the bulk (nats)")
    # Beside the panel's letter: no map's points leave a corner free.
    axis.legend(
        *plotting.entries([axis]), fontsize=5.5, loc="lower center", bbox_to_anchor=(0.55, 1.0),
        ncols=2, columnspacing=0.8, handletextpad=0.3,
    )  # fmt: skip


FIGURES: dict[str, Drawing] = {"geometry": geometry, "information_budget": information_budget}
