"""How weights were trained that others go on from: what is kept of their trainings beside them.

Weights of ``<arm>/<size>/weights`` were grown from the smaller sizes of their arm. Of each of these there
is a provenance (code, machine, time) and a history of the loss; together they say what the weights cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emergence.artifacts import provenance_path, read_numbers, read_table

TOLD = (
    "commit",
    "dirty",
    "lock_sha256",
    "platform",
    "device",
    "processor_time_s",
    "wall_time_s",
    "peak_memory_mib",
    "created_utc",
)
"""Of each training's provenance; its settings are those of the weights."""


@dataclass(frozen=True)
class TrainingRecord:
    """What is known of the trainings that led to some weights."""

    trainings: list[dict[str, Any]]
    """By size: ``size``, ``sha256`` of its weights, and :data:`TOLD`."""
    history: pd.DataFrame
    """That of each training, with ``size``, ``steps`` of that training so far, and ``seconds``:
    processor time since the first of them was started. What is no step (start, compilation,
    evaluation) is counted before the first step, so that no loss is dated too early."""


def record_of(weights: Path) -> TrainingRecord | None:
    """Return the record of weights of a run; None of those that left none beside them.

    Args:
        weights: ``.../<arm>/<size>/weights``.

    Raises:
        ArtifactError: a record is corrupt.
    """
    weights = weights.resolve()
    size = weights.parent
    if not size.name.isdigit() or not (size / "history.csv").is_file():
        return None
    grown = sorted(
        (
            each
            for each in size.parent.iterdir()
            if each.name.isdigit() and int(each.name) <= int(size.name)
        ),
        key=lambda each: int(each.name),
    )
    trainings: list[dict[str, Any]] = []
    histories: list[pd.DataFrame] = []
    began = 0.0
    for folder in grown:
        told = read_numbers(provenance_path(folder / "weights"), required=["commit", "sha256"])
        spent = told.get("processor_time_s") or told["wall_time_s"]
        history = read_table(folder / "history.csv", ("stage", "step", "loss"))
        histories.append(_dated(history, began, spent, _pace(folder)).assign(size=int(folder.name)))
        trainings.append(
            {"size": int(folder.name), "sha256": told["sha256"]["weights"]}
            | {key: told.get(key) for key in TOLD}
        )
        began += spent
    return TrainingRecord(trainings, pd.concat(histories, ignore_index=True))


def _pace(folder: Path) -> float | None:
    """Processor seconds of a step, where they were measured."""
    path = folder / "timing.json"
    return read_numbers(path).get("seconds_per_step") if path.is_file() else None


def _dated(history: pd.DataFrame, began: float, spent: float, pace: float | None) -> pd.DataFrame:
    """A history with the steps taken so far, and the seconds since the first size was begun."""
    lasting = history.groupby("stage")["step"].max()
    before = lasting.cumsum() - lasting
    steps = history["step"] + history["stage"].map(before)
    total = float(lasting.sum())
    each = spent / total if pace is None else min(pace, spent / total)
    seconds = began + (spent - total * each) + steps * each
    return history.assign(steps=steps.astype(np.int64), seconds=seconds.round(3))
