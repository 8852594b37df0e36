"""Figures of the bulk: its mass, its footprints on the boundary, and its fields layer by layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emergence import artifacts, plotting
from emergence.plotting import ROLES, SEQUENCE, Drawing

LOOKS = {
    "trained": (ROLES["learnt"], "o", "trained flow"),
    "haar": (SEQUENCE[2], "^", "Haar"),
    "optimal": (SEQUENCE[1], "D", "best orthogonal blocks"),
    "random": (SEQUENCE[3], "v", "random blocks"),
    "untrained": (ROLES["control"], "s", "untrained (identity)"),
}
"""Colour, mark and name of each map, the same in every figure of the bulk."""

CYCLIC = "twilight"
"""Colours of an angle: cyclic, and told apart by lightness alone."""


def title(part: pd.DataFrame) -> str:
    """What the boundary of one study is."""
    one = part.iloc[0]
    phase = one["bulk"].split("_")[0]
    name = {"free": "free field"}.get(phase, phase)
    size = int(one["size"])
    return f"{name}, t = {one['t']:g}, {size} × {size}"


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


def bulk_mass(tables: Path, stem: Path) -> None:
    """Information within a layer of latents against that of the boundary, and correlation lengths."""
    table = artifacts.read_table(tables / "bulk_correlations.csv")
    lengths = artifacts.read_table(tables / "bulk_lengths.csv")
    names = bulks(table, *LARGEST)[:2]
    fig, axes = plotting.figure(1, len(names) + 1, height=2.9, squeeze=False)
    if nothing(fig, stem, table):
        return
    axes = axes[0]
    for axis, name in zip(axes, names, strict=False):
        part = table[(table["bulk"] == name) & (table["cells"] <= part_limit(table, name))]
        _against_distance(axis, part)
        axis.set_title(f"    {title(part)}", fontsize=7)
    _lengths(axes[-1], lengths[lengths["bulk"].isin(names)], names)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, {"information": table, "lengths": lengths})


def part_limit(table: pd.DataFrame, name: str) -> float:
    """Half of the torus, in sites: farther pairs are nearer the other way round."""
    return float(table.loc[table["bulk"] == name, "size"].iloc[0]) / 2.0


def _against_distance(axis: Axes, part: pd.DataFrame) -> None:
    axis.set(xscale="log", yscale="log")
    boundary = part[(part["map"] == "boundary") & (part["value"] > 2.0 * part["error"])]
    axis.errorbar(
        boundary["cells"], boundary["value"], yerr=boundary["error"], color=ROLES["reference"],
        marker=".", label="boundary, sites",
    )  # fmt: skip
    trained = part[part["map"] == "trained"]
    for index, (level, one) in enumerate(trained.groupby("level")):
        # Below two errors there is only the bound.
        seen = one[one["value"] > 2.0 * one["error"]]
        hidden = one[one["value"] <= 2.0 * one["error"]]
        colour = SEQUENCE[index]
        axis.errorbar(seen["cells"], seen["value"], yerr=seen["error"], color=colour, marker="o",
                      linestyle="none", label=f"latents, level {level}")  # fmt: skip
        bound = np.maximum(hidden["value"], 0.0) + 2.0 * hidden["error"]
        axis.plot(hidden["cells"], bound, color=colour, marker="v", linestyle="none",
                  markerfacecolor="white", markersize=3)  # fmt: skip
    axis.set(xlabel="distance (sites, or cells of the layer)", ylabel="mutual information (nats)")
    room_below(axis)
    name_bounds(axis)
    axis.legend(fontsize=6, loc="lower left")


def name_bounds(axis: Axes) -> None:
    """Say in the legend what the open triangles are."""
    axis.plot([], [], "v", color=ROLES["baseline"], markerfacecolor="white", markersize=3,
              label="bound, two errors")  # fmt: skip


def room_below(axis: Axes, share: float = 0.8) -> None:
    """For the legend of a logarithmic axis."""
    low, high = axis.get_ylim()
    axis.set_ylim(low * (low / high) ** share, high)


def _lengths(axis: Axes, lengths: pd.DataFrame, names: list[str]) -> None:
    axis.set_yscale("log")
    for place, name in enumerate(names):
        part = lengths[lengths["bulk"] == name]
        for index, (key, (colour, marker, label)) in enumerate(LOOKS.items()):
            one = part[(part["map"] == key) & part["length"].gt(0.0)]
            if len(one):
                longest = one.loc[one["length"].idxmax()]
                axis.errorbar(
                    place - 0.16 + 0.08 * index, longest["length"], yerr=longest["error"],
                    color=colour, marker=marker, linestyle="none",
                    label=label if place == 0 else None,
                )  # fmt: skip
        boundary = part[part["map"] == "boundary"].iloc[0]
        axis.errorbar(place - 0.28, boundary["length"], yerr=boundary["error"], marker="_",
                      markersize=9, color=ROLES["reference"], linestyle="none",
                      label="boundary" if place == 0 else None)  # fmt: skip
    axis.set_xticks(range(len(names)), [name.split("_")[0] for name in names])
    axis.set_xlim(-0.6, len(names) - 0.4)
    axis.set_ylabel("correlation length (sites, cells)")
    low, high = axis.get_ylim()
    axis.set_ylim(low, high * (high / low) ** 0.75)
    axis.legend(fontsize=6, loc="upper right")


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
                axis.plot(2.0 ** one["level"], one["half_maximum"], color=colour, marker=marker,
                          markerfacecolor="white", linestyle="none", markersize=3, zorder=3,
                          label="trained, half maximum")  # fmt: skip
    plotting.reference_line(axis, scale, 4.0 * scale**2, label=r"$4\cdot 4^{\ell}$")
    plotting.reference_line(axis, y=sites, linestyle=":", label="whole torus")
    axis.set_xticks(scale, [f"{one:g}" for one in scale])
    axis.set(xlabel=r"$2^{\ell}$", ylabel="area of the footprint (sites)")
    axis.set_ylim(0.7, 500.0 * sites)
    axis.legend(fontsize=5.5, loc="upper left", ncols=2, columnspacing=0.6, handlelength=1.2)


def layers(tables: Path, stem: Path) -> None:
    """One true sample from its coarsest field to the boundary; vortices of either sign are marked."""
    table = artifacts.read_table(tables / "layers.csv")
    names = bulks(table, *LARGEST)[:2]
    levels = sorted(set(table["level"]), reverse=True) if len(table) else [0]
    fig, axes = plotting.figure(
        max(1, len(names)), len(levels), height=1.6 * max(1, len(names)) + 0.25, squeeze=False
    )
    if nothing(fig, stem, table):
        return
    for row, name in zip(axes, names, strict=True):
        part = table[(table["bulk"] == name) & (table["sample"] == 0)]
        for axis, level in zip(row, levels, strict=True):
            shown = _angles(axis, part[part["level"] == level])
            words = "boundary" if level == 0 else f"coarse field {level}"
            axis.set_title(words, fontsize=7)
        row[0].set_ylabel(f"{name.split('_')[0]}, t = {part['t'].iloc[0]:g}")
    bar = fig.colorbar(shown, ax=axes, shrink=0.6, ticks=[-np.pi, 0.0, np.pi], label="angle of φ")
    bar.ax.set_yticklabels(["−π", "0", "π"])
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
    for sign, marker, face in ((1, "o", "white"), (-1, "o", "black")):
        found = one[one["vorticity"] == sign]
        # Half a site right of and below its site: the middle of the plaquette.
        axis.plot(found["x"] + 0.5, found["y"] + 0.5, marker, markersize=3, linestyle="none",
                  markerfacecolor=face, markeredgecolor="#D55E00", markeredgewidth=0.7)  # fmt: skip
    half = 0.5
    axis.set_xlim(-half, image.shape[1] - half)
    axis.set_ylim(image.shape[0] - half, -half)
    return shown


FIGURES: dict[str, Drawing] = {"bulk_mass": bulk_mass, "footprints": footprints, "layers": layers}
