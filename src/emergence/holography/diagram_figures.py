"""Figures of the phase diagram and of its two kinds of correlation functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from emergence import artifacts, plotting
from emergence.holography import marks
from emergence.holography.weights import FEW
from emergence.plotting import ROLES, SEQUENCE, Drawing

KT_POINT = 0.280
"""Where the single-site mean field of the diagram's couplings puts the Kosterlitz–Thouless point."""

LABELS = {
    "order": "order parameter ⟨|φ̄|⟩",
    "susceptibility": "susceptibility χ",
    "binder": "Binder ratio",
    "helicity": "helicity modulus Υ/T",
    "correlation_length": "length ξ (lattice units)",
}
LOGARITHMIC = ("susceptibility", "correlation_length")

KINDS = {
    "raw": (ROLES["baseline"], "s", "raw flow"),
    "reweighted": (
        SEQUENCE[1],
        "^",
        "reweighted, if ten samples are effective\nand as far as the panels reach",
    ),
    "corrected": (ROLES["learnt"], "o", "latents refreshed (32 × 32: over-relaxed)"),
    "hamiltonian": (SEQUENCE[3], "D", "latents by trajectories (another flow)"),
}
"""Colour, mark and label of what is compared with the reference."""
PALE = 0.35
"""Opacity of chains that have not equilibrated: their errors are too small."""


def phase_diagram(tables: Path, stem: Path) -> None:
    """Five observables against t: raw, reweighted, corrected in two ways, and the reference, by side."""
    found = {
        name: artifacts.read_table(tables / f"{name}.csv") for name in ("diagram", "trajectories")
    }
    if plotting.nothing(found["diagram"], stem):
        return
    table = pd.concat([part for part in found.values() if len(part)])
    table = table[table["observable"].isin(LABELS)]
    sides = sorted(table["size"].unique())
    fig, axes = plotting.figure(
        len(LABELS), len(sides), height=1.35 * len(LABELS) + 0.5, sharex=True, squeeze=False
    )
    for column, side in enumerate(sides):
        part = table[table["size"] == side]
        shipped = marks.is_shipped(part)
        for row, (observable, label) in enumerate(LABELS.items()):
            axis = axes[row, column]
            _observable(axis, part[part["observable"] == observable], shipped)
            if observable in LOGARITHMIC:
                axis.set_yscale("log")
            else:
                _limit(axis, part[part["observable"] == observable])
            if column == 0:
                axis.set_ylabel(label, fontsize=7)
        axes[-1, column].set_xlabel("hopping t")
    plotting.panel_letters(axes)
    for column, side in enumerate(sides):
        axes[0, column].set_title(_column_title(table[table["size"] == side]), fontsize=6)
    axes[2, 0].text(
        KT_POINT + 0.005, 0.95, "KT (mean field)", fontsize=6, va="top",
        transform=axes[2, 0].get_xaxis_transform(),
    )  # fmt: skip
    handles, labels = plotting.entries(axes[0])
    if marks.is_shipped(table):
        hollow = Line2D([], [], marker="o", color=ROLES["learnt"], markerfacecolor="white",
                        linestyle="none", markersize=2.5)  # fmt: skip
        handles, labels = [*handles, hollow], [*labels, f"{marks.SHIPPED} (hollow)"]
    if not table["equilibrated"].astype(bool).all():
        pale = Line2D([], [], marker="o", color=ROLES["learnt"], alpha=PALE,
                      linestyle="none", markersize=2.5)  # fmt: skip
        handles, labels = [*handles, pale], [*labels, "not equilibrated (pale)"]
    # The curves leave no panel a corner that is free at every side.
    fig.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=6)
    plotting.save(fig, stem, found)


def _column_title(part: pd.DataFrame) -> str:
    """The side, whose weights and records, and at how many hoppings weights tell anything."""
    side = int(part["size"].iloc[0])
    own = part[(part["kind"] == "reweighted") & (part["observable"] == "order")]
    told = f"reweighted: {own['value'].notna().sum()} of {len(own)} hoppings"
    lines = (f"{side} × {side}, {marks.weights(part)}", marks.records(part), told)
    return "\n".join(line for line in lines if line)


def _observable(axis: Axes, part: pd.DataFrame, shipped: bool) -> None:
    part = part[np.isfinite(part["value"])].sort_values("t")
    reference = part[part["kind"] == "reference"]
    plotting.reference_line(axis, reference["t"], reference["value"])
    axis.errorbar(
        reference["t"], reference["value"], yerr=reference["error"], color=ROLES["reference"],
        linestyle="none", marker="", label="cluster Monte Carlo", zorder=1.6,
    )  # fmt: skip
    for kind, (colour, marker, label) in KINDS.items():
        for trusted in (True, False):
            ours = part["kind"] == kind
            chosen = part[ours & (part["equilibrated"].astype(bool) == trusted)]
            if len(chosen):
                axis.errorbar(
                    chosen["t"], chosen["value"], yerr=chosen["error"], color=colour, marker=marker,
                    linestyle="none", markersize=2.5, elinewidth=0.8,
                    label=label if trusted else None, alpha=1.0 if trusted else PALE,
                    markerfacecolor="white" if shipped else colour, markeredgewidth=0.7,
                )  # fmt: skip
    plotting.reference_line(axis, x=KT_POINT, color=ROLES["baseline"], linestyle=":", linewidth=0.8)


def _limit(axis: Axes, part: pd.DataFrame) -> None:
    """Show all but what few weights say beyond the rest, which would be flattened by it."""
    part = part[(part["kind"] != "reweighted") & np.isfinite(part["value"])]
    if len(part):
        low, high = (part["value"] - part["error"]).min(), (part["value"] + part["error"]).max()
        margin = 0.08 * (high - low)
        axis.set_ylim(low - margin, high + margin)


LAWS = {
    "algebraic": (SEQUENCE[2], "-", "power law of the clusters, η = {:.3f}"),
    "exponential": (SEQUENCE[5], "--", "exponential of the clusters, ξ = {:.2f}"),
}

UNWEIGHTED = f"not reweighted: {FEW}"
LINES = {line for _, line, _ in LAWS.values()}


def _is_law(label: str) -> bool:
    return label.startswith(tuple(words.split(",")[0] for _, _, words in LAWS.values()))


def correlation(tables: Path, stem: Path) -> None:
    """Both phases, on doubly and on singly logarithmic axes, with both laws of the torus.

    Below them, where there are any, those of the smallest torus, on which the flow's weights tell more.
    """
    table = artifacts.read_table(tables / "correlations.csv")
    small = artifacts.read_table(tables / "correlations_small.csv")
    fits = artifacts.read_table(tables / "correlation_fits.csv")
    if plotting.nothing(table, stem):
        return
    phases = list(pd.unique(table["phase"]))
    below = len(small) > 0
    lines = len(phases) + below
    fig, axes = plotting.figure(lines, 2, height=2.4 * lines + 0.2, squeeze=False)
    for row, phase in enumerate(phases):
        part = table[(table["phase"] == phase) & (table["r"] > 0)]
        own = fits[(fits["phase"] == phase) & (fits["source"] == "reference")].set_index("law")
        for axis, scale in zip(axes[row], ("log", "linear"), strict=True):
            axis.set(yscale="log", xscale=scale, xlabel="distance r along an axis (lattice units)")
            _phase(axis, part, own)
        side, t = int(part["size"].iloc[0]), part["t"].iloc[0]
        axes[row, 0].set_title(f"t = {t:g}, {side} × {side}")
        axes[row, 0].set_ylabel("Re ⟨φ*(0) φ(r)⟩")
        ticks = [r for r in (1, 2, 4, 8, 16, 32) if r <= side // 2]
        axes[row, 0].set_xticks(ticks, [str(r) for r in ticks])
        axes[row, 0].set_xticks([], minor=True)
        laws = [line for line in axes[row, 0].get_lines() if line.get_linestyle() in LINES]
        axes[row, 0].legend(handles=laws, fontsize=6, loc="lower left")
    for axis, phase in zip(axes[-1], phases if below else (), strict=False):
        _small_torus(axis, small[(small["phase"] == phase) & (small["r"] > 0)])
    shared = [
        pair
        for pair in zip(*plotting.entries(axes[: len(phases)].ravel()), strict=True)
        if not _is_law(pair[1])
    ]
    shared.sort(key=lambda pair: pair[1] == UNWEIGHTED)  # a remark, which has no mark
    fig.legend(*zip(*shared, strict=True), loc="outside lower center", ncols=3, fontsize=6)
    plotting.panel_letters(axes)
    for row, phase in enumerate(phases):
        axes[row, 1].set_title(f"{phase} phase, linear in r")
    plotting.save(fig, stem, {"points": table, "fits": fits, "small": small})


def _small_torus(axis: Axes, part: pd.DataFrame) -> None:
    """Correlation functions of the smallest torus at one hopping, over those of the clusters."""
    reference = part[part["source"] == "reference"].set_index("r")
    alike = part.loc[part["source"] != "reference", "shipped"].nunique() < 2
    plotting.reference_line(axis, y=1.0)
    for shift, source in enumerate([one for one in SOURCES if one in set(part["source"])]):
        own = part[part["source"] == source].set_index("r")
        colour, marker, label = SOURCES[source]
        drawn = source != "reference"
        axis.errorbar(
            own.index + 0.07 * (shift - 1.5), own["value"] / reference["value"],
            yerr=own["error"] / reference["value"], color=colour, marker=marker, linestyle="none",
            markersize=3.5, label=label if alike or not drawn else f"{label}, {marks.weights(own)}",
            alpha=1.0 if own["equilibrated"].astype(bool).all() else PALE,
            markerfacecolor="white" if marks.is_shipped(own) else colour,
        )  # fmt: skip
    side = part["size"].iloc[0]
    axis.set(xlabel="distance r along an axis (lattice units)", ylabel="over that of the clusters")
    axis.set_xticks(sorted(part["r"].unique()))
    whose = f", {marks.weights(part)}" if alike else ""
    axis.set_title(f"t = {part['t'].iloc[0]:g}, {side:g} × {side:g}{whose}")
    axis.legend(fontsize=6)


SOURCES = {
    "raw": (ROLES["baseline"], "s", "raw flow"),
    "reweighted": (SEQUENCE[1], "^", "reweighted"),
    "corrected": (ROLES["learnt"], "o", "latents refreshed"),
    "hamiltonian": (SEQUENCE[3], "D", "latents by trajectories"),
    "reference": (ROLES["reference"], "x", "cluster Monte Carlo"),
}
"""Colour, mark and name of each correlation function; what comes last lies on top."""


def _phase(axis: Axes, part: pd.DataFrame, fits: pd.DataFrame) -> None:
    for source, look in SOURCES.items():
        own = part[part["source"] == source]
        if len(own):
            _source(axis, own, *look)
    if {"raw", "reweighted"} & set(part["source"]) == {"raw"}:
        axis.plot([], [], " ", label=UNWEIGHTED)
    bottom, top = axis.get_ylim()
    curve = part[part["source"] == "reference"]
    for law, (colour, line, label) in LAWS.items():
        axis.plot(
            curve["r"], curve[law], color=colour, linestyle=line,
            label=label.format(fits.loc[law, "parameter"]), zorder=1.8,
        )  # fmt: skip
    axis.set_ylim(bottom, top)


def _source(axis: Axes, own: pd.DataFrame, colour: str, marker: str, label: str) -> None:
    """One correlation function; hollow where it rests on shipped weights."""
    if own["source"].iloc[0] != "reference":
        label = f"{label}, {marks.weights(own)}"
    if drawn := marks.records(own):
        label = f"{label},\n{drawn}"
    if not own["equilibrated"].astype(bool).all():
        label = f"{label}, not equilibrated"
    # A logarithm has no place for what noise made negative: there is only a bound.
    chosen = own[own["value"] > own["error"]]
    hidden = own[own["value"] <= own["error"]]
    bound = np.maximum(hidden["value"], 0.0) + 2.0 * hidden["error"]
    axis.plot(
        hidden["r"], bound, color=colour, marker="v", linestyle="none", markersize=3.0,
        markerfacecolor="white",
        label=f"{label.split(',')[0]}, bound of two errors" if len(hidden) else None,
    )  # fmt: skip
    axis.errorbar(
        chosen["r"], chosen["value"], yerr=chosen["error"], color=colour, marker=marker,
        linestyle="none", markersize=3.0 if marker == "x" else 4.5, markeredgewidth=0.8, label=label,
        alpha=1.0 if own["equilibrated"].astype(bool).all() else PALE,
        markerfacecolor="white" if marks.is_shipped(own) else colour,
    )  # fmt: skip


FIGURES: dict[str, Drawing] = {
    "phase_diagram": phase_diagram,
    "correlation": correlation,
}
