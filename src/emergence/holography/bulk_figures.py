"""Figures of the bulk: its mass, its footprints on the boundary, and its fields layer by layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emergence import artifacts, plotting
from emergence.holography import marks
from emergence.plotting import ROLES, SEQUENCE, Drawing

LOOKS = {
    "trained": (ROLES["learnt"], "o", "trained flow"),
    "haar": (SEQUENCE[2], "^", "Haar"),
    "optimal": (SEQUENCE[1], "D", "best orthogonal blocks"),
    "random": (SEQUENCE[3], "v", "random blocks"),
    "untrained": (ROLES["control"], "s", "untrained (identity)"),
    "free": (SEQUENCE[4], "P", "free field, exactly, by Haar"),
}
"""Colour, mark and name of each map, the same in every figure of the bulk."""

CYCLIC = "twilight"
"""Colours of an angle: cyclic, and told apart by lightness alone."""


def title(part: pd.DataFrame) -> str:
    """What the boundary of one study is, and whose weights the trained map has."""
    one = part.iloc[0]
    phase = one["bulk"].split("_")[0]
    name = {"free": "free field"}.get(phase, phase)
    size = int(one["size"])
    return f"{name}, t = {one['t']:g}, {size} × {size},\n{marks.weights(part)}"


LARGEST = ("critical_32", "gapped_32", "critical", "gapped")
"""Studies that figures show first: of the largest torus, where it was studied."""


def bulks(table: pd.DataFrame, *most: str) -> list[str]:
    """Studies of a table, in its order; those named first, if they are there."""
    there = list(dict.fromkeys(table["bulk"])) if len(table) else []
    return [name for name in most if name in there] + [n for n in there if n not in most]


def nothing(figure: Figure, stem: Path, table: pd.DataFrame) -> bool:
    """Whether this scale studied no bulk; the figure then says so."""
    if len(table):
        return False
    figure.text(0.5, 0.5, plotting.NOT_RUN, ha="center")
    plotting.save(figure, stem, table)
    return True


def part_limit(table: pd.DataFrame, name: str) -> float:
    """Half of the torus, in sites: farther pairs are nearer the other way round."""
    return float(table.loc[table["bulk"] == name, "size"].iloc[0]) / 2.0


def name_bounds(axis: Axes) -> None:
    """Say in the legend what the open triangles are."""
    axis.plot([], [], "v", color=ROLES["baseline"], markerfacecolor="white", markersize=3,
              label="bound, two errors")  # fmt: skip


def footprints(tables: Path, stem: Path) -> None:
    """Mean |Δφ| on the boundary where one latent of each level is drawn anew, and its area."""
    table = artifacts.read_table(tables / "footprints.csv")
    areas = artifacts.read_table(tables / "footprint_areas.csv")
    name = next(iter(bulks(table, *LARGEST)), "")
    part = table[(table["bulk"] == name) & (table["map"] == "trained")]
    levels = sorted(set(part["level"])) or [0]
    fig, axes = plotting.figure(
        1, len(levels) + 1, height=2.4, width_ratios=[1.0] * len(levels) + [2.2]
    )
    if nothing(fig, stem, table):
        return
    for axis, level in zip(axes, levels, strict=False):
        one = part[part["level"] == level]
        image = one.pivot(index="y", columns="x", values="moved")
        shown = axis.imshow(image, cmap=plotting.ORDERED, vmin=0.0)
        axis.set(xticks=[], yticks=[], xlabel=f"level {level}")
        bar = fig.colorbar(shown, ax=axis, orientation="horizontal", shrink=0.85, pad=0.04)
        bar.ax.tick_params(labelsize=6)
        bar.locator = _few()
        bar.update_ticks()
        bar.set_label(r"mean $|\Delta\varphi|$", fontsize=6)
    areas = areas[areas["bulk"] == name]
    _areas(axes[-1], areas)
    fig.legend(*plotting.entries(axes[-1:]), loc="outside lower center", ncols=6, fontsize=6)
    fig.suptitle(title(areas).replace("\n", " "), fontsize=7)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, {"maps": part, "areas": areas})


def _few():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(2)


def _areas(axis: Axes, areas: pd.DataFrame) -> None:
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    sites = int(areas["size"].iloc[0]) ** 2
    scale = 2.0 ** areas["level"].unique()
    for name, (colour, marker, label) in LOOKS.items():
        one = areas[areas["map"] == name]
        if len(one):
            axis.errorbar(2.0 ** one["level"], one["participation"],
                          yerr=one["participation_error"], color=colour, marker=marker,
                          linestyle="none", label=label)  # fmt: skip
            if name == "trained":
                axis.plot(2.0 ** one["level"], one["half_maximum"], color=SEQUENCE[4], marker="*",
                          linestyle="none", markersize=5, zorder=3,
                          label="trained flow, above half of the maximum")  # fmt: skip
    plotting.reference_line(axis, scale, 4.0 * scale**2, label=r"$4\cdot 4^{\ell}$")
    plotting.reference_line(axis, y=sites, linestyle=":", label="whole torus")
    axis.set_xticks(scale, [f"{one:g}" for one in scale])
    axis.set(xlabel=r"$2^{\ell}$", ylabel="area (sites)")
    axis.set_ylim(0.7, 3.0 * sites)


def layers(tables: Path, stem: Path) -> None:
    """One sample of the clusters, pushed up by the trained map to its coarsest field, in each phase.

    Vortices of either sign are marked at every level.
    """
    table = artifacts.read_table(tables / "layers.csv")
    names = bulks(table, *LARGEST)[:2]
    levels = sorted(set(table["level"]), reverse=True) if len(table) else [0]
    fig, axes = plotting.figure(
        max(1, len(names)), len(levels), height=1.6 * max(1, len(names)) + 0.4, squeeze=False
    )
    if nothing(fig, stem, table):
        return
    for row, name in zip(axes, names, strict=True):
        part = table[(table["bulk"] == name) & (table["sample"] == 0)]
        for axis, level in zip(row, levels, strict=True):
            shown = _angles(axis, part[part["level"] == level])
            words = "boundary" if level == 0 else f"coarse field {level}"
            axis.set_title(words, fontsize=7)
        row[0].set_ylabel(title(part), fontsize=6)
    bar = fig.colorbar(shown, ax=axes, shrink=0.6, ticks=[-np.pi, 0.0, np.pi], label="angle of φ")
    bar.ax.set_yticklabels(["−π", "0", "π"])
    keys = [
        Line2D([], [], linestyle="none", label=label, **_vortex(sign))
        for sign, label in ((1, "vortex (+1)"), (-1, "antivortex (−1)"))
    ]
    fig.legend(handles=keys, loc="outside lower center", ncols=2, fontsize=6)
    fig.suptitle(
        "true sample (boundary, by clusters) pushed up through the trained map", fontsize=7
    )
    plotting.save(fig, stem, table[table["bulk"].isin(names) & (table["sample"] == 0)])


def _angles(axis: Axes, one: pd.DataFrame):
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)
    if not len(one):
        axis.axis("off")
        return None
    image = one.pivot(index="y", columns="x", values="angle")
    shown = axis.imshow(image, cmap=CYCLIC, vmin=-np.pi, vmax=np.pi)
    for sign in (1, -1):
        found = one[one["vorticity"] == sign]
        # Half a site right of and below its site: the middle of the plaquette.
        axis.plot(found["x"] + 0.5, found["y"] + 0.5, linestyle="none", **_vortex(sign))
    half = 0.5
    axis.set_xlim(-half, image.shape[1] - half)
    axis.set_ylim(image.shape[0] - half, -half)
    return shown


def _vortex(sign: int) -> dict[str, object]:
    """How a vortex is marked."""
    return {
        "marker": "o", "markersize": 3, "markerfacecolor": "white" if sign > 0 else "black",
        "markeredgecolor": ROLES["control"], "markeredgewidth": 0.7,
    }  # fmt: skip


FIGURES: dict[str, Drawing] = {"footprints": footprints, "layers": layers}
