"""Figures of the law that was read off the networks, beside the exact one and its rivals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from emergence import artifacts, plotting
from emergence.introspection import schrodinger
from emergence.plotting import ROLES, SEQUENCE, Drawing

RIVALS = {
    "Schrödinger": (schrodinger.transfer_matrix, "-"),
    "lattice": (schrodinger.lattice_matrix, "--"),
    "slides (Euler)": (schrodinger.euler_matrix, ":"),
}


@dataclass(frozen=True)
class Lattice:
    """What the data were made on."""

    spacing: float
    window: int
    """Sites of a training window."""


def lattice_of(tables: Path) -> Lattice:
    """Read it from the tables of the analysis."""
    row = artifacts.read_table(tables / "lattice.csv", ["spacing", "window"]).iloc[0]
    return Lattice(float(row["spacing"]), int(row["window"]))


def latents(tables: Path, stem: Path) -> None:
    """Latents in the gauge of the readout against ψ and ψ′, for one window of each family."""
    table = artifacts.read_table(tables / "latents.csv")
    families = list(pd.unique(table["family"]))
    fig, axes = plotting.figure(2, len(families), height=3.6, sharex=True, squeeze=False)
    for column, family in enumerate(families):
        part = table[table["family"] == family]
        for axis, truth, learnt in (
            (axes[0, column], "psi", "learnt_psi"),
            (axes[1, column], "slope", "learnt_slope"),
        ):
            one = part[part["seed"] == part["seed"].min()]
            axis.axhline(0.0, color=ROLES["baseline"], linewidth=0.5)
            plotting.reference_line(axis, one["x"], one[truth], label="solver")
            spread = part.groupby("x")[learnt].agg(["median", "min", "max"])
            axis.fill_between(
                spread.index, spread["min"], spread["max"], color=ROLES["learnt"], alpha=0.25,
                linewidth=0, label="all seeds",
            )  # fmt: skip
            axis.plot(
                spread.index[::2], spread["median"].iloc[::2], "o", color=ROLES["learnt"],
                markersize=2.2, label="median seed",
            )  # fmt: skip
        axes[0, column].text(
            0.5, 1.05, family, transform=axes[0, column].transAxes, ha="center", fontsize=8
        )
        axes[1, column].set_xlabel("x (length)")
    axes[0, 0].set_ylabel("ψ and first latent")
    axes[1, 0].set_ylabel("ψ′ and second latent")
    axes[0, 0].legend()
    plotting.panel_letters(axes)
    plotting.save(fig, stem, table)


def law(tables: Path, stem: Path) -> None:
    """Determinant, gauge elements, and the trace that tells three laws apart."""
    table = artifacts.read_table(tables / "law.csv")
    strong = artifacts.read_table(tables / "discretisation.csv")
    spacing = lattice_of(tables).spacing
    fig, axes = plotting.figure(1, 3, height=2.7)
    determinant, gauge, trace = axes
    potential = np.sort(table["potential"].unique())
    plotting.reference_line(determinant, y=1.0, label="Schrödinger and lattice")
    euler = np.linalg.det(schrodinger.euler_matrix(potential, spacing))
    plotting.reference_line(determinant, potential, euler, label="slides (Euler)", linestyle=":")
    _band(determinant, table, "potential", "determinant", "learnt, all seeds")
    determinant.set(xlabel="V (1/length²)", ylabel="det W(V)")
    determinant.legend(loc="lower left", handlelength=1.2, fontsize=6)
    exact = schrodinger.transfer_matrix(potential, spacing)
    units = {
        "11": (1.0, "M₁₁"),
        "12": (1.0 / spacing, "M₁₂ / a"),
        "21": (spacing, "a M₂₁"),
        "22": (1.0, "M₂₂"),
    }
    for index, (element, (unit, label)) in enumerate(units.items()):
        row, column = (int(digit) - 1 for digit in element)
        plotting.reference_line(gauge, potential, unit * exact[:, row, column])
        scaled = table.assign(value=unit * table[f"gauge_{element}"])
        # M₁₁ and M₂₂ are the same: the one's marks are larger and lie below.
        marker = "s" if element == "11" else "o"
        _band(gauge, scaled, "potential", "value", label, SEQUENCE[index], marker)
    gauge.set(xlabel="V (1/length²)", ylabel="elements of B W(V) B⁻¹")
    gauge.legend(ncols=2)
    if strong.empty:  # a scale may leave out both arms
        trace.set_axis_off()
    else:
        _traces(trace, strong, spacing)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, {"law": table, "discretisation": strong})


def _traces(trace: Axes, strong: pd.DataFrame, spacing: float) -> None:
    """What the trace has beyond 2 + x, learnt from either solver's data, beside the three laws."""
    x = np.linspace(strong["x"].min(), strong["x"].max(), 200)
    for label, (matrix, line) in RIVALS.items():
        update = matrix(x / spacing**2, spacing)
        tau = np.trace(update, axis1=1, axis2=2) / np.sqrt(np.linalg.det(update))
        plotting.reference_line(trace, x, tau - 2.0 - x, label=label, linestyle=line)
    names = {"strong": "learnt, exact data", "lattice": "learnt, lattice data"}
    for index, (data, name) in enumerate(names.items()):
        part = strong[strong["data"] == data]
        part = part.assign(excess=part["normalised_trace"] - 2.0 - part["x"])
        _band(trace, part, "x", "excess", name, SEQUENCE[index])
    trace.set(xlabel="x = a²V", ylabel="trace/√det − 2 − x")
    top = float(np.max(x**2)) / 12.0
    trace.set_ylim(-0.4 * top, 3.2 * top)
    trace.legend(loc="upper right", handlelength=1.2, fontsize=6)


def _band(
    axis: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    label: str,
    colour: str = ROLES["learnt"],
    marker: str = "o",
) -> None:
    """Median over seeds as points, their full range as a band."""
    spread = table.groupby(x)[y].agg(["median", "min", "max"])
    axis.fill_between(
        spread.index, spread["min"], spread["max"], color=colour, alpha=0.25, linewidth=0
    )
    thin = spread.iloc[:: max(1, len(spread) // 14)]
    size = 2.5 if marker == "o" else 4.5
    axis.plot(thin.index, thin["median"], marker, color=colour, markersize=size, label=label)


def density_form(tables: Path, stem: Path) -> None:
    """The three-variable law: e₁ = e₂ = τ² − 1 and e₃ = 1, in the translator and in the distiller."""
    table = artifacts.read_table(tables / "density_form.csv")
    spacing = lattice_of(tables).spacing
    fig, axes = plotting.figure(1, 3, height=2.6)
    potential = np.sort(table["potential"].unique())
    tau = np.trace(schrodinger.transfer_matrix(potential, spacing), axis1=1, axis2=2)
    plotting.reference_line(axes[0], potential, tau**2 - 1.0, label="τ² − 1, exact")
    for index, (network, part) in enumerate(table.groupby("network", sort=False)):
        marks = ("+", "x") if index else ("o", "|")
        for name, label, marker, shift in zip(("e1", "e2"), "₁₂", marks, (0, 1), strict=True):
            colour = SEQUENCE[2 * index + shift]
            _band(axes[0], part, "potential", name, f"e{label}, {network}", colour, marker)
        difference = part.assign(value=1e5 * (part["e1"] - part["e2"]))
        _band(axes[1], difference, "potential", "value", network, SEQUENCE[2 * index])
        volume = part.assign(value=1e5 * (part["e3"] - 1.0))
        _band(axes[2], volume, "potential", "value", network, SEQUENCE[2 * index])
    for axis, label in zip(axes, ("e₁ and e₂", "10⁵ (e₁ − e₂)", "10⁵ (e₃ − 1)"), strict=True):
        axis.set(xlabel="V (1/length²)", ylabel=label)
        axis.legend()
    for axis in axes[1:]:
        plotting.reference_line(axis, y=0.0)
    plotting.panel_letters(axes)
    plotting.save(fig, stem, table)


def noise(tables: Path, stem: Path) -> None:
    """Slope of the law and error of the translation against noise on every density."""
    table = artifacts.read_table(tables / "noise.csv")
    spectral = artifacts.read_table(tables / "spectral.csv")
    both = pd.concat(
        [
            table,
            spectral.assign(method="spectral, one start").rename(
                columns={"prediction_error": "translation_error"}
            ),
        ],
        ignore_index=True,
    )
    # A scale that trains no noisy arm leaves an empty table, whose columns have no type.
    both = both.astype(dict.fromkeys(["noise", "spacing_ratio", "translation_error"], float))
    both["deviation"] = np.abs(both["spacing_ratio"] - 1.0)
    both["percent"] = 100.0 * both["noise"]
    both = both[both["noise"] > 0.0]
    fig, (slope, error) = plotting.figure(1, 2, height=2.7)
    for axis, column, label in (
        (slope, "deviation", "|measured a² / a² − 1|"),
        (error, "translation_error", "RMS error / RMS density (no noise)"),
    ):
        axis.set(xscale="log", yscale="log")
        plotting.seed_cloud(axis, both, "percent", column, hue="method")
        axis.set(xlabel="noise on every density (%)", ylabel=label)
        if not both.empty:
            axis.get_legend().set_title(None)
    plotting.reference_line(
        slope, [0.1, 10.0], [1e-3, 1e-1], linestyle=":", label="as large as the noise"
    )
    slope.legend()
    plotting.panel_letters([slope, error])
    plotting.save(fig, stem, both)


def spectral(tables: Path, stem: Path) -> None:
    """The network-free baseline: the spectrum that says 3, and its law beside the network's."""
    spectrum = artifacts.read_table(tables / "spectral_spectrum.csv")
    table = artifacts.read_table(tables / "spectral.csv")
    errors = artifacts.read_table(tables / "translator_errors.csv")
    window = lattice_of(tables).window
    fig, (values, error) = plotting.figure(1, 2, height=2.7)
    values.set_yscale("log")
    spectrum["noise"] = (100.0 * spectrum["noise"]).map("{:g} %".format)
    plotting.seed_cloud(values, spectrum, "index", "singular_value", hue="noise")
    values.axvline(3.5, color=ROLES["baseline"], linestyle=":", linewidth=0.8)
    values.set(xlabel="index", ylabel="singular value of the Hankel matrix / first")
    error.set_yscale("log")
    network = errors[
        (errors["arm"] == "main") & (errors["sites"] == window) & (errors["family"] == "rough")
    ]
    clean = table[table["noise"] == 0.0]
    compared = pd.concat(
        [
            clean.assign(method="spectral", value=clean["prediction_error"]),
            network.assign(method="translator", value=network["error"]),
        ]
    )[["method", "seed", "value"]]
    plotting.seed_cloud(error, compared, "method", "value")
    error.set(xlabel="", ylabel=f"RMS error / RMS density (rough, {window} sites)")
    plotting.panel_letters([values, error])
    plotting.save(fig, stem, {"spectrum": spectrum, "error": compared})


FIGURES: dict[str, Drawing] = {
    "latents": latents,
    "law": law,
    "density_form": density_form,
    "noise": noise,
    "spectral": spectral,
}
