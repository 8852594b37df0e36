"""The figures of introspection, each drawn from the tables of the analysis and nothing else.

The first four look at the networks (what they predict, how narrow they may become); the others, in
``law_figures``, at the law read off them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from emergence import artifacts, plotting
from emergence.introspection import law_figures
from emergence.introspection.parsimony import LOSS_THRESHOLD
from emergence.plotting import ROLES, SEQUENCE, Drawing


def translation(tables: Path, stem: Path) -> None:
    """Potentials, and density predicted against true inside and ten times beyond the window."""
    table = artifacts.read_table(tables / "translation.csv")
    window = law_figures.lattice_of(tables).window
    seed = int(table["seed"].min())
    table = table[table["seed"] == seed]
    families = list(pd.unique(table["family"]))
    fig, axes = plotting.figure(3, len(families), height=5.2, squeeze=False)
    for column, family in enumerate(families):
        part = table[table["family"] == family]
        inside = part[part["site"] <= window]
        top, middle, bottom = axes[:, column]
        top.axhline(0.0, color=ROLES["baseline"], linewidth=0.5)
        top.step(inside["site"], inside["potential"], where="mid", color=SEQUENCE[1])
        top.text(0.5, 1.04, family, transform=top.transAxes, ha="center", fontsize=8)
        _truth_and_prediction(middle, inside)
        _truth_and_prediction(bottom, part)
        bottom.set_yscale("log")
        floor = np.quantile(part["density"], 0.002)
        bottom.set_ylim(max(floor, 1e-8), 5.0 * part["density"].max())
        bottom.axvline(window, color=ROLES["baseline"], linestyle=":", linewidth=0.8)
        top.set_xlabel("site i")
        middle.set_xlabel("site i")
        bottom.set_xlabel(f"site i (window: {window})")
    axes[0, 0].set_ylabel("V  (1/length²)")
    axes[1, 0].set_ylabel("density ρ")
    axes[2, 0].set_ylabel("density ρ")
    axes[1, 0].set_ylim(top=1.5 * axes[1, 0].get_ylim()[1])  # room for the legend
    axes[1, 0].legend(loc="upper right", ncols=2)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, table)


def _truth_and_prediction(axis: Axes, part: pd.DataFrame) -> None:
    plotting.reference_line(axis, part["site"], part["density"], label="solver")
    axis.plot(
        part["site"], part["prediction"], color=ROLES["learnt"], linestyle=(0, (4, 2)),
        linewidth=1.6, label="translator",
    )  # fmt: skip


def extrapolation(tables: Path, stem: Path) -> None:
    """Translation error against length, along long systems, and against hidden dimension."""
    errors = artifacts.read_table(tables / "translator_errors.csv")
    window = law_figures.lattice_of(tables).window
    segments = artifacts.read_table(tables / "translator_segments.csv")
    main = errors[errors["arm"] == "main"]
    fig, axes = plotting.figure(1, 3, height=2.6)
    length, along, size = axes
    for axis in axes:
        axis.set_yscale("log")
    length.set_xscale("log")
    plotting.seed_cloud(length, main, "sites", "error", hue="family")
    length.set(xlabel="length of the system (sites)", ylabel="RMS error / RMS density")
    plotting.seed_cloud(along, segments, "last_site", "error", hue="family")
    along.set(xlabel=f"stretch of {window} sites ending at", ylabel="RMS error / RMS density")
    along.get_legend().remove()
    sizes = errors[
        errors["arm"].isin(["main", "sizes", "single_linear", "single_quadratic", "single_general"])
    ]
    sizes = sizes[sizes["sites"] == window]
    sizes = sizes.groupby(["readout", "arm", "hidden", "seed"], as_index=False)["error"].median()
    sizes["P(h)"] = sizes["readout"] + np.where(
        sizes["arm"].str.startswith("single"), ", one start", ""
    )
    plotting.seed_cloud(size, sizes.sort_values("arm"), "hidden", "error", hue="P(h)")
    size.set(xlabel="hidden dimension", ylabel=f"RMS error / RMS density ({window} sites)")
    length.get_legend().set_title(None)
    size.get_legend().set_title("readout P(h), start data")
    size.set_ylim(top=3e5)  # room for the legend above the failures at 1
    plotting.panel_letters(axes)
    plotting.save(fig, stem, {"length": main, "stretch": segments, "hidden dimension": sizes})


MOST_SHOWN = 10.0
"""A loss of 1 explains nothing; seeds that are worse than this, lost in training, are drawn here."""


def _loss_of_seeds(axis: Axes, part: pd.DataFrame, **options: Any) -> None:
    """Loss against latent dimension, seeds and median; lost seeds as triangles at the upper edge."""
    shown = part.assign(loss=part["loss"].clip(upper=MOST_SHOWN))
    plotting.seed_cloud(axis, shown, "latent", "loss", **options)
    lost = shown[part["loss"] > MOST_SHOWN]
    if len(lost):
        axis.plot(
            lost["latent"], lost["loss"], "^", color=ROLES["control"], label="lost in training"
        )


def bottleneck(tables: Path, stem: Path) -> None:
    """Reconstruction loss against latent dimension for each decoder, all seeds."""
    table = artifacts.read_table(tables / "bottleneck.csv")
    titles = {
        "quadratic": "quadratic decoder",
        "linear": "linear decoder",
        "general": "general decoder",
        "general_cell": "general cell",
    }
    present = [arm for arm in titles if arm in set(table["arm"])]
    fig, axes = plotting.figure(1, len(present), height=2.5, sharey=True, squeeze=False)
    for axis, arm in zip(axes[0], present, strict=True):
        # Latent dimensions far beyond the threshold may be an arm of their own, trained more briefly:
        # no line leads there, since what they lose by that is no property of the dimension.
        part = table[table["arm"] == arm]
        axis.set_yscale("log")
        wide = table[table["arm"] == f"{arm}_wide"]
        _loss_of_seeds(axis, part, linestyle="-", linewidth=0.8)
        if len(wide):
            _loss_of_seeds(axis, wide, linestyle="none", markers="s")
            axis.plot([], [], "s", color=ROLES["learnt"], label="trained more briefly")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=6, loc="lower right")
        plotting.reference_line(
            axis, y=LOSS_THRESHOLD, color=ROLES["baseline"], linestyle=":", linewidth=0.8
        )
        axis.set_title(titles[arm])
        axis.set(xlabel="latent dimension n", ylabel="")
        axis.set_xticks(sorted({*part["latent"], *wide["latent"]}))
    axes[0, 0].set_ylabel("unexplained share of the hidden states")
    plotting.panel_letters(axes)
    drawn = [*present, *(f"{arm}_wide" for arm in present)]
    plotting.save(fig, stem, table[table["arm"].isin(drawn)])


def sign_and_current(tables: Path, stem: Path) -> None:
    """The sign obstruction (start data A, B, C) and the reversal of parsimony with a current (D)."""
    table = artifacts.read_table(tables / "bottleneck.csv")
    arms = {
        "single": "A: one start", "quadratic": "B: an arc of starts", "circle": "C: the full circle",
        "circle_linear": "C, linear decoder", "current": "D, quadratic decoder: ψ form",
        "current_linear": "D, linear decoder: density form",
    }  # fmt: skip
    table = table[table["arm"].isin(arms)].assign(start=lambda frame: frame["arm"].map(arms))
    fig, (sign, flow) = plotting.figure(1, 2, height=2.8, sharey=True)
    groups = (sign, ["single", "quadratic", "circle", "circle_linear"], (1, 2, 3)), (
        flow, ["current", "current_linear"], (2, 3, 4),
    )  # fmt: skip
    for axis, chosen, sizes in groups:
        part = table[table["arm"].isin(chosen) & table["latent"].isin(sizes)]
        if part.empty:  # a scale may leave these arms out
            axis.set_axis_off()
            continue
        part = part.set_index("arm").loc[[a for a in chosen if a in set(part["arm"])]].reset_index()
        part["n"] = part["latent"].astype(str)
        axis.set_yscale("log")
        plotting.seed_cloud(axis, part.sort_values("latent", kind="stable"), "n", "loss", "start")
        plotting.reference_line(
            axis, y=LOSS_THRESHOLD, color=ROLES["baseline"], linestyle=":", linewidth=0.8
        )
        axis.set(xlabel="latent dimension n", ylabel="unexplained share of the hidden states")
        axis.get_legend().set_title(None)
    plotting.panel_letters([sign, flow])
    plotting.save(fig, stem, table)


FIGURES: dict[str, Drawing] = {
    "translation": translation,
    "extrapolation": extrapolation,
    "bottleneck": bottleneck,
    "sign_and_current": sign_and_current,
    **law_figures.FIGURES,
}
"""Name → function(tables, stem); the workflow draws each under its name."""
