"""Figures of the flows themselves: exact likelihood, networks compared, the Ising field.

Each names the weights that it rests on (:mod:`.marks`); hollow marks are of shipped ones, and crosses
of flows with fewer than ten effective samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from emergence import artifacts, plotting
from emergence.holography import marks
from emergence.holography.readings import equal_time
from emergence.plotting import ROLES, SEQUENCE, Drawing

THEORIES = {
    "disc": "φ⁴, disc",
    "hat": "φ⁴, wide ring",
    "ring": "φ⁴, thin ring",
    "free": "free, real NVP",
    "free_splines": "free, splines",
    "free_prior": "free, real NVP and learnt prior",
    "ising": "Ising",
    "ising_16": "Ising",
}


def likelihood(tables: Path, stem: Path) -> None:
    """ln Z by importance weights minus its exact value, for every theory that has one."""
    table = artifacts.read_table(tables / "flows.csv")
    part = table[table["exact"].notna()].reset_index(drop=True)
    shipped = part["shipped"].astype(bool)
    names = [
        f"{THEORIES.get(row.arm, row.arm)}, {row.size} × {row.size}"
        + (f",\n{marks.SHIPPED}" if row.shipped else "")
        for row in part.assign(shipped=shipped).itertuples()
    ]
    fig, (left, right) = plotting.figure(1, 2, height=0.9 + 0.27 * max(len(part), 4), sharey=True)
    place = np.arange(len(part))
    off, error = part["log_partition"] - part["exact"], part["log_partition_error"]
    plotting.reference_line(left, x=0.0, label="exact")
    left.axvspan(-2.0, 2.0, color=ROLES["reference"], alpha=0.08, linewidth=0,
                 label="two standard errors")  # fmt: skip
    few = part["underpowered"].astype(bool)
    for own in (~shipped, shipped):
        if own.any():
            left.errorbar(
                (off / error)[own], place[own], xerr=1.0, color=ROLES["learnt"], linestyle="none",
                marker="o", markerfacecolor="white" if shipped[own].any() else ROLES["learnt"],
            )  # fmt: skip
    left.set(
        xlabel=r"$(\ln Z - \ln Z_{\rm exact})$ / standard error", yticks=place, yticklabels=names
    )
    left.invert_yaxis()
    right.set_xscale("log")
    shuffled = (part["shuffled"] - part["exact"]).abs()
    right.plot(
        shuffled, place, "s", color=ROLES["control"], label="densities of other samples"
    )  # fmt: skip
    for own, words in ((~shipped, marks.SCRATCH), (shipped, marks.SHIPPED)):
        if own.any():
            right.plot(
                off.abs()[own], place[own], "o", color=ROLES["learnt"],
                markerfacecolor="white" if shipped[own].any() else ROLES["learnt"],
                label=f"importance weights, {words}",
            )  # fmt: skip
    if few.any():
        marks.cross_out(left, (off / error)[few], place[few])
        marks.cross_out(right, off.abs()[few], place[few])
    right.plot(
        error, place, "|", color=ROLES["learnt"], markersize=11, label="their standard error"
    )  # fmt: skip
    plotting.reference_line(right, x=1e-3, linestyle=":", label="bound of H3 and H3-all")
    right.set(xlabel=r"$|\ln Z - \ln Z_{\rm exact}|$ (nats)")
    # The marks of the left panel are among those of the right one.
    handles, labels = right.get_legend_handles_labels()
    line, label = left.get_legend_handles_labels()
    fig.legend([*line[:2], *handles], [*label[:2], *labels], loc="outside lower center", ncols=3)
    plotting.panel_letters([left, right])
    plotting.save(fig, stem, part)


NETWORKS = {"critical": ("U(1) splines", "learnt"), "real_nvp": ("real NVP", "baseline")}
BEFOREHAND = "critical_32"
"""Splines on the largest torus, trained beforehand."""


def symmetry(tables: Path, stem: Path) -> None:
    """KL against processor time along both trainings, and what is left at each side.

    A share of fewer than ten effective samples is crossed out: it tells no share.
    """
    flows = artifacts.read_table(tables / "flows.csv")
    flows = flows[flows["arm"].isin({*NETWORKS, BEFOREHAND})]
    curves = artifacts.read_table(tables / "symmetry.csv")
    fig, axes = plotting.figure(1, 3, height=2.8)
    if sum(plotting.empty(axis, curves) for axis in axes):
        plotting.save(fig, stem, curves)
        return
    _along_time(axes[0], curves)
    _at_equal_time(axes[1], curves)
    for axis, column, label in (
        (axes[1], "divergence", "KL(q‖p) (nats)"),
        (axes[2], "effective_fraction", "effective share of the samples"),
    ):
        for arm, (name, role) in NETWORKS.items():
            own = flows[flows["arm"] == arm]
            part = own.groupby("size").median(numeric_only=True)
            words = f"{name}, {marks.weights(own)}" if len(own) else name
            error = part["divergence_error"] if column == "divergence" else None
            axis.errorbar(
                part.index, part[column], yerr=error, color=ROLES[role], marker="o", label=words
            )
        part = flows[flows["arm"] == BEFOREHAND]
        if len(part):
            error = part["divergence_error"] if column == "divergence" else None
            axis.errorbar(
                part["size"], part[column], yerr=error, color=ROLES["learnt"], marker="o",
                linestyle="none", markerfacecolor="white", label=f"U(1) splines, {marks.weights(part)}",
            )  # fmt: skip
        few = flows[flows["underpowered"].astype(bool)]
        if column == "effective_fraction" and len(few):
            marks.cross_out(axis, few["size"], few[column])
        _sides(axis, sorted(set(flows["size"])))
        axis.set(yscale="log", ylabel=label)
    fig.legend(*plotting.entries(axes[1:]), loc="outside lower center", ncols=3, fontsize=6)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, {"training": curves, "flows": flows})


def _at_equal_time(axis: Axes, curves: pd.DataFrame) -> None:
    """KL where both have had as much processor time, that of all sides before included."""
    sides = sorted(set(curves["size"]))
    found = {
        name: one
        for side in sides
        for name, one in equal_time(curves[curves["size"] == side], side)
        if one.value is not None
    }
    for arm, (name, role) in NETWORKS.items():
        told = [(side, found.get(f"symmetry.{arm}_equal_time_{side}")) for side in sides]
        points = [(side, one.value, one.error) for side, one in told if one is not None]
        if points:
            places, values, errors = zip(*points, strict=True)
            axis.errorbar(
                places, values, yerr=errors, color=ROLES[role], linestyle="--", linewidth=0.8,
                marker="D", markersize=2.5, label=f"{name}, at equal time",
            )  # fmt: skip


def _along_time(axis: Axes, curves: pd.DataFrame) -> None:
    """KL of each checkpoint; a side starts where the one before it ended."""
    smallest = curves["size"].min()
    for (arm, size), part in curves.groupby(["arm", "size"]):
        label, role = NETWORKS[arm]
        axis.plot(
            part["seconds"], part["divergence"].clip(lower=1e-2), color=ROLES[role],
            linewidth=0.8, label=label if size == smallest else None,
        )  # fmt: skip
    for size, part in curves[curves["arm"] == "critical"].groupby("size"):
        axis.annotate(
            f"L = {size}", (part["seconds"].max(), part["divergence"].min()), fontsize=6,
            xytext=(3, 0), textcoords="offset points", va="center",
        )  # fmt: skip
    axis.set(yscale="log", xlabel="processor time of all steps (s)", ylabel="KL(q‖p) (nats)")


APART = (0.94, 1.06)
"""Factors by which marks of one side stand left and right of it, so that none hides another."""


def ising_benchmark(tables: Path, stem: Path) -> None:
    """The Ising field at T_c against L: KL to the exact free energy, and ⟨m²⟩ by chains in both spaces."""
    flows = artifacts.read_table(tables / "flows.csv")
    flows = flows[flows["arm"].str.startswith("ising")]
    others = artifacts.read_table(tables / "published_ising.csv")
    samplers = artifacts.read_table(tables / "sampling.csv")
    # With the authors' step, as they ran them.
    pair = samplers["pair"]
    samplers = samplers[pair.str.startswith("ising") & ~pair.str.endswith("_tuned")]
    sides = sorted({*flows["size"], *others["size"]})
    fig, axes = plotting.figure(1, 2, height=2.6)
    _divergences(axes[0], flows, others, sides)
    _magnetisations(axes[1], samplers, sorted(set(samplers["size"])))
    plotting.panel_letters(axes)
    plotting.save(fig, stem, {"ours": flows, "published": others, "samplers": samplers})


def _divergences(axis: Axes, flows: pd.DataFrame, others: pd.DataFrame, sides: list[int]) -> None:
    """KL to the exact free energy, beside the authors'."""
    if plotting.empty(axis, flows):
        return
    for index, (who, part) in enumerate(others.groupby("who", sort=False)):
        axis.plot(
            part["size"] * APART[index], part["divergence"], "s^"[index],
            color=SEQUENCE[1 + index], label=who,
        )  # fmt: skip
        for one in part[part["place"].str.contains("T = ")].itertuples():
            axis.annotate(
                f"T = {one.place.split('T = ')[1]} ", (one.size * APART[index], one.divergence),
                ha="right", va="bottom", fontsize=6,
            )  # fmt: skip
    for shipped, part in flows.groupby("shipped"):
        axis.errorbar(
            part["size"], part["divergence"], yerr=part["divergence_error"], color=ROLES["learnt"],
            linestyle="none", marker="o", markerfacecolor="white" if shipped else ROLES["learnt"],
            label=f"ours, {marks.weights(part)}",
        )  # fmt: skip
    _sides(axis, sides)
    axis.set(yscale="log", ylabel="KL(q‖p) (nats)")
    axis.legend()


def _magnetisations(axis: Axes, samplers: pd.DataFrame, sides: list[int]) -> None:
    """⟨m²⟩ of chains in the bulk and on the boundary over the true one."""
    if plotting.empty(axis, samplers):
        return
    plotting.reference_line(axis, y=1.0, label="transfer matrix; clusters on 16 × 16")
    for apart, (name, role) in zip(
        APART, (("bulk", "learnt"), ("boundary", "baseline")), strict=True
    ):
        part = samplers[samplers["sampler"] == name]
        error = np.hypot(part["error"] / part["mean"], part["truth_error"] / part["truth"])
        axis.errorbar(
            part["size"] * apart, part["mean"] / part["truth"],
            yerr=error * part["mean"] / part["truth"], color=ROLES[role], linestyle="none",
            marker="o", capsize=2, label=f"trajectories, {name}",
        )  # fmt: skip
    _sides(axis, sides)
    axis.set_ylabel("⟨m²⟩ over the true one")
    if drawn := marks.records(samplers):
        axis.set_title(f"{sides[-1]} × {sides[-1]}, bulk: {drawn}", fontsize=6, loc="right")
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.35 * (high - low))
    axis.legend(loc="upper left", fontsize=6)


def _sides(axis: Axes, sides: list[int]) -> None:
    axis.set_xscale("log")
    axis.set_xticks(sides, [f"{side}" for side in sides])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("side L")


FIGURES: dict[str, Drawing] = {
    "likelihood": likelihood,
    "symmetry": symmetry,
    "ising_benchmark": ising_benchmark,
}
