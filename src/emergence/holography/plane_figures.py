"""Figure of the map of t and μ that one flow serves: flow, chains in its bulk and clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.lines import Line2D

from emergence import artifacts, plotting
from emergence.holography import marks
from emergence.holography.weights import FEW
from emergence.plotting import ROLES, Drawing

SPREAD = 4.0
"""Combined errors at the ends of the colours of a difference."""


def plane(tables: Path, stem: Path) -> None:
    """⟨|φ̄|⟩ over t and μ by flow, chains in its bulk and clusters, and the differences in errors."""
    table = artifacts.read_table(tables / "plane.csv")
    part = table[table["observable"] == "order"].copy()
    if part.empty:
        fig, axis = plotting.figure(width="single")
        plotting.empty(axis, part)
        plotting.save(fig, stem, table)
        return
    part["flow"] = part["reweighted"].fillna(part["raw"])
    part["flow_error"] = part["reweighted_error"].fillna(part["raw_error"])
    sources = {"flow": f"flow, {marks.weights(part)}"}
    if "corrected" in part:
        sources["corrected"] = "latents refreshed"
    fig, axes = plotting.figure(2, len(sources) + 1, height=4.4, sharex=True, sharey=True)
    top = max(part[name].max() for name in (*sources, "reference"))
    for axis, name in zip(axes[0], (*sources, "reference"), strict=True):
        mesh = _map(axis, part, part[name], (0.0, top), plotting.ORDERED, "white")
    order = r"order parameter $\langle|\bar\varphi|\rangle$"
    fig.colorbar(mesh, ax=axes[0, -1], label=order)
    for axis, name in zip(axes[1], sources, strict=False):
        error = np.hypot(part[f"{name}_error"], part["reference_error"])
        pull = (part[name] - part["reference"]) / error
        mesh = _map(axis, part, pull, (-SPREAD, SPREAD), "PuOr", "black")
    fig.colorbar(mesh, ax=axes[1, -2], label="combined errors", extend="both")
    effective = np.log10(part["effective"])
    mesh = _map(axes[1, -1], part, effective, (0.0, effective.max()), plotting.ORDERED, "white")
    fig.colorbar(mesh, ax=axes[1, -1], label="log₁₀ of the effective samples")
    for axis in axes[1]:
        axis.set_xlabel("hopping t")
    for axis in axes[:, 0]:
        axis.set_ylabel("chemical potential μ")
    named = _marks(axes, part, list(sources))
    fig.legend(named.values(), named.keys(), loc="outside lower center", ncols=2, fontsize=6)
    plotting.panel_letters(axes)
    below = ["flow, less clusters", "refreshed, less clusters"][: len(sources)]
    titles = [*sources.values(), "cluster Monte Carlo", *below, "weights of the flow"]
    for axis, title in zip(axes.ravel(), titles, strict=True):
        axis.set_title(title, fontsize=7)
    plotting.save(fig, stem, table)


def _map(
    axis: Axes,
    part: pd.DataFrame,
    values: pd.Series,
    limits: tuple[float, float],
    colours: str,
    line: str,
) -> QuadMesh:
    """Draw values over t and μ, and the transition of mean field in the colour ``line``."""
    grid = part.assign(shown=values).pivot(index="mu", columns="t", values="shown")
    mesh = axis.pcolormesh(
        grid.columns, grid.index, grid.to_numpy(), vmin=limits[0], vmax=limits[1], cmap=colours,
        shading="nearest", rasterized=True,
    )  # fmt: skip
    # The Kosterlitz–Thouless point of mean field: tρ = 1.12 with ρ = −μ/2λ.
    mu = np.linspace(grid.index.min(), min(grid.index.max(), -1e-9), 50)
    t = 1.12 * 2.0 * part["interaction"].iloc[0] / -mu
    inside = t <= grid.columns.max()
    axis.plot(t[inside], mu[inside], color=line, linestyle="--", linewidth=0.8)
    return mesh


def _marks(axes: np.ndarray, part: pd.DataFrame, sources: list[str]) -> dict[str, Line2D]:
    """Mark points without weights or without equilibrium, and return what the legend names."""
    grey = {"color": ROLES["baseline"], "markersize": 3}
    named = {"transition by mean field": Line2D([], [], linestyle="--", linewidth=0.8, **grey)}
    raw = part[part["reweighted"].isna()]
    if len(raw):
        axes[0, 0].plot(raw["t"], raw["mu"], "x", color="white", markersize=3)
        cross = Line2D([], [], marker="x", linestyle="none", **grey)
        named[f"raw, as the flow has {FEW} there; else reweighted"] = cross
    stuck = part[part["corrected"].isna()] if "corrected" in sources else []
    if len(stuck):
        axes[0, 1].plot(stuck["t"], stuck["mu"], "s", color=ROLES["baseline"], markersize=2)
        square = Line2D([], [], marker="s", linestyle="none", **grey)
        named["chains that have not equilibrated"] = square
    return named


FIGURES: dict[str, Drawing] = {"plane": plane}
