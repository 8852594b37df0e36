"""From flows, chains and bulks to numbers: tables behind the figures, measurements of the ledger.

Arms are found by the names of ``config/laptop.yaml``; an arm that a scale leaves out is left out of
the tables and its measurements, and the ledger then says that its claim was not run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from emergence import artifacts
from emergence.analysing import Found, Tables, gather
from emergence.artifacts import Arrays
from emergence.holography import (
    bulk_readings,
    correlations,
    diagram,
    efficiency,
    geometry_readings,
    information_readings,
    plane,
    prior_readings,
    readings,
    trajectories,
)
from emergence.settings import Settings
from emergence.statistics import Measurement


class Flow(NamedTuple):
    """One flow at one side."""

    arm: str
    size: int
    arrays: Arrays
    seconds_per_step: float
    """Processor time of a training step, NaN where it was not measured."""

    @property
    def shipped(self) -> bool:
        """Trained beforehand at a larger cost; evaluated and continued briefly by this run."""
        return bool(self.arrays["shipped"])

    @property
    def source(self) -> str:
        return f"flows/{self.arm}/{self.size}"


class Results:
    """A finished run, read when it is needed and once."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.chosen = settings.holography
        self._read: dict[Path, Arrays] = {}

    def has(self, arm: str, size: int | None = None) -> bool:
        """Whether this scale trains the flow (at that side)."""
        flows = self.chosen.flows
        return arm in flows and (size is None or size in flows[arm].sizes)

    def flow(self, arm: str, size: int) -> Flow:
        """One flow at one side.

        Raises:
            ArtifactError: it is missing or corrupt.
        """
        folder = self.folder / "flows" / arm / str(size)
        timing = artifacts.read_numbers(folder / "timing.json", required=["seconds_per_step"])
        pace = timing["seconds_per_step"]
        return Flow(
            arm, size, self._arrays(folder / "arrays.npz"), np.nan if pace is None else pace
        )

    def flows(self, *arms: str) -> list[Flow]:
        """Every side of some arms (all, if none is named), in the order of growth."""
        named = arms or tuple(self.chosen.flows)
        return [
            self.flow(arm, size)
            for arm in named
            if self.has(arm)
            for size in self.chosen.flows[arm].sizes
        ]

    def history(self, flow: Flow) -> pd.DataFrame:
        """Checkpoints of a training: stage, step, seed, loss, log_weight_variance."""
        path = self.folder / "flows" / flow.arm / str(flow.size) / "history.csv"
        return artifacts.read_table(path, ("stage", "step", "seed", "loss"))

    def reference(self, size: int) -> Arrays:
        """The cluster Monte Carlo of one torus, see :func:`.reference.measure`."""
        return self._arrays(self.folder / "reference" / f"{size}.npz")

    def plane(self) -> Arrays | None:
        """The same of the map of t and μ; None where this scale has none."""
        if self.chosen.plane is None:
            return None
        return self._arrays(self.folder / "reference" / "plane.npz")

    def chains(self, name: str) -> tuple[Arrays, dict[str, float]] | None:
        """A run of Markov chains and its timing; None where this scale has none."""
        if name not in self.chosen.chains:
            return None
        folder = self.folder / "chains" / name
        return self._arrays(folder / "arrays.npz"), artifacts.read_numbers(folder / "timing.json")

    def bulk(self, name: str) -> Arrays | None:
        """A study of a bulk; None where this scale has none."""
        if name not in self.chosen.bulks:
            return None
        return self._arrays(self.folder / "bulks" / f"{name}.npz")

    def _arrays(self, path: Path) -> Arrays:
        if path not in self._read:
            self._read[path] = artifacts.read_arrays(path)
        return self._read[path]


PARTS: tuple[Callable[[Results], Found], ...] = (
    *readings.PARTS,
    *plane.PARTS,
    *prior_readings.PARTS,
    *diagram.PARTS,
    *trajectories.PARTS,
    *correlations.PARTS,
    *efficiency.PARTS,
    *bulk_readings.PARTS,
    *information_readings.PARTS,
    *geometry_readings.PARTS,
)


def analyse(settings: Settings, folder: Path) -> tuple[Tables, list[Measurement]]:
    """Tables and measurements of everything that this scale ran.

    Raises:
        ArtifactError: a result is missing or corrupt.
    """
    return gather(PARTS, Results(settings, folder))
