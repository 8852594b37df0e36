"""The figure of sampling: chains from a cold start, and τ_int per step, per force and per second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from emergence import artifacts, plotting
from emergence.holography import marks
from emergence.plotting import ROLES, SEQUENCE, Drawing

SAMPLERS = {
    "bulk": (ROLES["learnt"], "bulk"),
    "boundary": (ROLES["baseline"], "boundary"),
    "hamiltonian": (SEQUENCE[3], "trajectories in bulk"),
    "untrained": (ROLES["control"], "untrained bulk"),
    "independence": (SEQUENCE[1], "independent proposals"),
    "cluster": (ROLES["reference"], "clusters"),
}
"""Colour and name of each sampler."""

PAIRS = {
    "critical": "φ⁴, U(1) splines",
    "affine": "φ⁴, real NVP",
    "ising_tuned": "Ising, steps tuned",
}
"""What pairs are called; the others are of the Ising model with the authors' step."""


AUTHORS = "Ising, authors' step"


def sampling(tables: Path, stem: Path) -> None:
    """One row per pair that starts cold: from there on, τ_int in steps, seconds per independent sample."""
    table = artifacts.read_table(tables / "sampling.csv")
    cold = artifacts.read_table(tables / "cold.csv")
    table = table[table["pair"].isin(cold["pair"])]
    if plotting.nothing(table, stem):
        return
    pairs = list(pd.unique(table["pair"]))
    fig, axes = plotting.figure(
        len(pairs), 3, height=2.1 * len(pairs), squeeze=False, width_ratios=[1.6, 1, 1]
    )
    for row, pair in enumerate(pairs):
        own = table[table["pair"] == pair]
        exact = bool((own["truth_error"] == 0.0).all())
        _cold(axes[row, 0], cold[cold["pair"] == pair], pair, exact)
        _bars(axes[row, 1], own, own["tau"], own["tau_error"], r"$\tau_\mathrm{int}$ (steps)")
        seconds = 2.0 * own["seconds"]
        _bars(
            axes[row, 2], own, seconds * own["tau"], seconds * own["tau_error"],
            "processor s per sample",
        )  # fmt: skip
        # The names stand at the middle panel.
        axes[row, 2].tick_params(labelleft=False)
        axes[row, 1].set_title("  hatched: lower bound", fontsize=6)
        axes[row, 2].set_title(r"  $2\tau_\mathrm{int}$ steps each", fontsize=6)
    plotting.panel_letters(axes)
    for row, pair in enumerate(pairs):
        side = int(table.loc[table["pair"] == pair, "size"].iloc[0])
        name = f"{PAIRS.get(pair, AUTHORS)}, {side} × {side}"
        own = table[table["pair"] == pair]
        told = [f"{name}, {marks.weights(own)}"]
        if drawn := marks.records(own):
            told.append(f"bulk: {drawn}")
        axes[row, 0].set_title("\n".join(told), fontsize=6, loc="right")
    plotting.save(fig, stem, {"samplers": table, "cold": cold})


def _cold(axis: Axes, cold: pd.DataFrame, pair: str, exact: bool) -> None:
    if plotting.empty(axis, cold):
        return
    for space in SAMPLERS:
        part = cold[cold["space"] == space]
        if not len(part):
            continue
        colour, label = SAMPLERS[space]
        axis.plot(part["trajectory"], part["value"], color=colour, label=label)
        low, high = (part["value"] + sign * part["error"] for sign in (-1, 1))
        axis.fill_between(part["trajectory"], low, high, color=colour, alpha=0.25, linewidth=0)
    label = "exact" if exact else "clusters"
    plotting.reference_line(axis, y=float(cold["truth"].iloc[0]), label=label)
    what = "m²" if pair.startswith("ising") else "order parameter |φ̄|"
    axis.set(xscale="log", xlabel="trajectory, or sweep, from a cold start")
    axis.set_ylabel(what)
    # The curves leave no corner free.
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.6 * (high - low))
    axis.legend(fontsize=6, loc="upper right", ncols=2, columnspacing=0.8, handlelength=1.0)


def _bars(
    axis: Axes, table: pd.DataFrame, values: pd.Series, errors: pd.Series, label: str
) -> None:
    """One bar per sampler; a τ_int without an error is a lower bound, drawn hatched."""
    order = [name for name in SAMPLERS if name in set(table["sampler"])]
    values, errors = (each.set_axis(table["sampler"]).astype(float) for each in (values, errors))
    axis.set_xscale("log")
    ends = (values + errors.fillna(0.0))[order]
    for place, name in enumerate(order):
        colour, _ = SAMPLERS[name]
        known = np.isfinite(errors[name])
        axis.barh(
            place, values[name], color=colour if known else "white", edgecolor=colour, height=0.7,
            hatch=None if known else "////", linewidth=0.8,
            xerr=errors[name] if known else None, capsize=2, ecolor=SEQUENCE[5],
        )  # fmt: skip
        told = f"{values[name]:.3g}" if values[name] >= 100 else f"{values[name]:.2g}"
        axis.annotate(
            told if known else f"≥ {told}", (ends[name], place), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=6,
        )  # fmt: skip
    # Bars begin at a power of ten, so that also the shortest has a length; the rest is for its number.
    low, high = 10.0 ** np.floor(np.log10(0.7 * values.min())), ends.max()
    axis.set_xlim(low, high * (high / low) ** 0.45)
    axis.set_yticks(range(len(order)), [SAMPLERS[name][1] for name in order], fontsize=6)
    axis.invert_yaxis()
    axis.set_xlabel(label)


FIGURES: dict[str, Drawing] = {"sampling": sampling}
