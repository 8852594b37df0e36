"""From grown wave functions to numbers: tables behind the figures, measurements of the ledger.

Arms are found by the names of ``config/laptop.yaml``; an arm that a scale leaves out is left out of
the tables and its measurements, and the ledger then says that its claim was not run.

Errors are those of sampling where an arm has one or two networks, and else also hold the spread of
the median over the networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from emergence import artifacts
from emergence.analysing import Found, Tables, gather, named
from emergence.artifacts import Arrays
from emergence.errors import SettingsError
from emergence.retraining import edges, exact, readings
from emergence.retraining.models import Model, model_of
from emergence.retraining.readings import measured
from emergence.settings import GrowthArm, Settings
from emergence.statistics import Measurement

ModelOf = Callable[[GrowthArm, int], Model]


class Run(NamedTuple):
    """One arm at one size."""

    arm: str
    size: int
    model: Model
    reference: exact.Reference | None
    """Energy of the whole lattice; None where no method here reaches it."""
    arrays: Arrays
    shipped: bool
    """Trained beforehand at a larger cost; evaluated and continued briefly by this run."""

    @property
    def seeds(self) -> int:
        return len(self.arrays["energy"])

    @property
    def source(self) -> str:
        return f"chains/{self.arm}/{self.size}"

    def has(self, name: str) -> bool:
        return name in self.arrays

    def error_of(self, kind: str = "") -> np.ndarray:
        """Standard error of the total energy, ``[seeds]``; ``kind`` is a prefix of the arrays."""
        return self.arrays[f"{kind}error" if kind else "energy_error"]

    def relative(self, kind: str = "") -> tuple[np.ndarray, np.ndarray]:
        """|E − E₀| / |E₀| and its error, ``[seeds]``; only where there is a reference."""
        scale = abs(self.reference.energy)
        deviation = np.abs(self.arrays[f"{kind}energy"] - self.reference.energy) / scale
        return deviation, np.hypot(self.error_of(kind), self.reference.error) / scale


@cache
def reference(model: Model) -> exact.Reference | None:
    """:func:`exact.reference_energy`, or None where there is none."""
    try:
        return exact.reference_energy(model)
    except SettingsError:
        return None


class Results:
    """The growth chains of a finished run, read when they are needed and once."""

    def __init__(self, settings: Settings, folder: Path, build: ModelOf = model_of) -> None:
        self.settings, self.folder, self.build = settings, folder, build
        self.chosen = settings.retraining
        self._read: dict[tuple[str, int], Run] = {}

    def has(self, arm: str) -> bool:
        """Whether this scale grows the arm."""
        return arm in self.chosen.chains

    def folder_of(self, arm: str, size: int) -> Path:
        return self.folder / "chains" / arm / str(size)

    def run(self, arm: str, size: int) -> Run:
        """One arm at one size.

        Raises:
            ArtifactError: it is missing or corrupt.
        """
        if (arm, size) not in self._read:
            path = self.folder_of(arm, size) / "arrays.npz"
            arrays = artifacts.read_arrays(path)
            model = self.build(self.chosen.chains[arm], size)
            shipped = bool(arrays.get("shipped", False))
            self._read[arm, size] = Run(arm, size, model, reference(model), arrays, shipped)
        return self._read[arm, size]

    def runs(self, *arms: str) -> list[Run]:
        """Every size of some arms (all, if none is named), in the order of growth."""
        named = arms or tuple(self.chosen.chains)
        return [
            self.run(arm, size) for arm in named if self.has(arm)
            for size in self.chosen.chains[arm].sizes
        ]  # fmt: skip

    def history(self, run: Run) -> pd.DataFrame:
        """Checkpoints: stage, window, step, seed, loss (total energy), variance."""
        columns = ("stage", "step", "seed", "loss", "variance")
        return artifacts.read_table(self.folder_of(run.arm, run.size) / "history.csv", columns)


def analyse(
    settings: Settings, folder: Path, build: ModelOf = model_of
) -> tuple[Tables, list[Measurement]]:
    """Tables and measurements of everything that this scale grew.

    Raises:
        ArtifactError: a result is missing or corrupt.
    """
    results = Results(settings, folder, build)
    parts = (
        energies,
        growth_against_scratch,
        edges.bulk,
        edges.profiles,
        lambda results: readings.with_last(readings.correlation_functions(results)),
        lambda results: readings.with_last(readings.memory(results)),
        lambda results: readings.with_last(readings.entropies(results)),
        readings.training,
    )
    return gather(parts, results)


KINDS = {
    "": "grown",
    "zero_shot_": "zero-shot",
    "shuffled_": "shuffled",
    "untrained_": "untrained",
    "plain_": "plain",
}
"""Prefix of the arrays → what the table calls it."""


def energies(results: Results) -> Found:
    """Every energy against its reference; per arm the worst over its sizes."""
    rows = []
    for run in results.runs():
        scale = np.nan if run.reference is None else abs(run.reference.energy)
        for kind, name in KINDS.items():
            if not run.has(f"{kind}energy"):
                continue
            error = run.error_of(kind)
            deviation = np.full(run.seeds, np.nan)
            if run.reference is not None:
                deviation = run.relative(kind)[0]
            for seed, energy in enumerate(run.arrays[f"{kind}energy"]):
                rows.append(
                    (
                        run.arm, run.model.name, run.model.lattice.geometry,
                        run.model.lattice.boundary, run.size, run.model.sites, name, seed, energy,
                        error[seed], deviation[seed], error[seed] / scale, *_told(run),
                    )
                )  # fmt: skip
    columns = [
        "arm", "model", "geometry", "boundary", "size", "sites", "kind", "seed", "energy", "error",
        "relative_error", "relative_uncertainty", "reference", "reference_error", "method",
        "shipped", "cost", "cost_total",
    ]  # fmt: skip
    yield "energies", pd.DataFrame(rows, columns=columns)
    for arm in results.chosen.chains:
        yield from named(*_of_arm(results, arm))


def _told(run: Run) -> tuple:
    reference = run.reference
    told = (np.nan, np.nan, "none")
    if reference is not None:
        told = (reference.energy, reference.error, reference.method)
    cost = [float(run.arrays.get(name, np.nan)) for name in ("cost", "cost_total")]
    return *told, run.shipped, *cost


def _of_arm(results: Results, arm: str) -> list[Measurement]:
    """Relative errors at every size, their worst and last, zero-shot and untrained."""
    runs = [run for run in results.runs(arm) if run.reference is not None]
    found = []
    for kind, name in KINDS.items():
        having = [run for run in runs if run.has(f"{kind}energy")]
        medians = []
        for run in having:
            label = f"{arm}.{'' if not kind else name.replace('-', '_') + '_'}error"
            one = measured(f"{label}_{run.size}", *run.relative(kind), run.source)
            medians.append((one.value, one))
            found.append(one)
        if not medians:
            continue
        last = medians[-1][1]
        found.append(replace(medians[0][1], name=f"{label}_first"))
        found.append(replace(last, name=f"{label}_last"))
        for choose, word in ((min, "best"), (max, "worst")):
            chosen = choose(medians, key=lambda pair: pair[0])[1]
            found.append(replace(chosen, name=f"{label}_{word}"))
    return found


def growth_against_scratch(results: Results) -> Found:
    """Grown and from scratch at the largest size that both have, at their total costs."""
    if not (results.has("ising") and results.has("ising_scratch")):
        return
    chains = results.chosen.chains
    shared = [size for size in chains["ising"].sizes if size in chains["ising_scratch"].sizes]
    if not shared:
        return
    grown, scratch = (results.run(arm, shared[-1]) for arm in ("ising", "ising_scratch"))
    yield from named(
        measured("scratch.grown_error", *grown.relative(), grown.source),
        measured("scratch.scratch_error", *scratch.relative(), scratch.source),
        measured("scratch.untrained_error", *grown.relative("untrained_"), grown.source),
    )
    if grown.has("cost_total") and scratch.has("cost_total"):
        share = float(scratch.arrays["cost_total"]) / float(grown.arrays["cost_total"])
        yield from named(measured("scratch.cost_ratio", np.array([share]), None, scratch.source))
