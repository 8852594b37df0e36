"""Trainings that are over: what is kept of each, so that nobody has to run it again.

Of every training of a stage: the parameters, without what the update rule remembered; the history;
and the *identity*, the fingerprint of the settings that the parameters depend on. They stand in one
archive, ``trained.npz``, under ``<training>/p/<parameter>``, ``<training>/history/<column>`` and
``<training>/identity``. A stage that is given them trains nothing and goes on to evaluate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emergence.artifacts import read_arrays, write_arrays
from emergence.errors import ArtifactError

Arrays = Mapping[str, np.ndarray]

FILE = "trained.npz"
"""Its name in the folder of each stage that trains."""


@dataclass(frozen=True)
class Finished:
    """One training that is over."""

    parameters: dict[str, np.ndarray]
    """Name → array ``[seeds, ...]``, in the order they were trained in: sums are rounded in it."""
    history: pd.DataFrame
    identity: str


Trainings = dict[str, Finished]
"""By name, that of the folder of the training's checkpoint."""


def collect(checkpoints: Path) -> Trainings:
    """Return the trainings whose last checkpoint is in this folder, or is this folder.

    Raises:
        ArtifactError: there is none, or one is corrupt.
    """
    # Imported here, because the workflow reads shipped weights without TensorFlow.
    from emergence.weights import read_weights

    single = (checkpoints / "numbers.json").is_file()
    folders = [checkpoints] if single else sorted(checkpoints.glob("[!.]*/"))
    trainings: Trainings = {}
    for folder in folders:
        tensors, numbers = read_weights(folder)
        kept = {name[2:]: tensors[name] for name in numbers["order"] if name.startswith("p/")}
        history = pd.DataFrame(numbers["position"]["history"])
        trainings[folder.name] = Finished(kept, history, numbers["settings"])
    if not trainings:
        raise ArtifactError(
            f"{checkpoints} holds no checkpoint of a training.", "Rerun the stage, which trains."
        )
    return trainings


def write(path: Path, trainings: Mapping[str, Finished], compressed: bool = False) -> None:
    """Write trainings to one archive; the same trainings give the same bytes.

    Raises:
        ArtifactError: the file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, training in trainings.items():
        arrays[f"{name}/identity"] = np.array(training.identity)
        arrays |= {f"{name}/p/{key}": value for key, value in training.parameters.items()}
        arrays |= {
            f"{name}/history/{column}": values.to_numpy()
            for column, values in training.history.items()
        }
    write_arrays(path, arrays, compressed)


def read(path: Path) -> Trainings:
    """Inverse of :func:`write`.

    Raises:
        ArtifactError: the file is missing, truncated or corrupt, or holds no trainings.
    """
    arrays = read_arrays(path)
    trainings: Trainings = {}
    for name in dict.fromkeys(key.partition("/")[0] for key in arrays):
        parts: dict[str, dict[str, np.ndarray]] = {"p": {}, "history": {}}
        for key, value in arrays.items():
            _, _, inside = key.removeprefix(f"{name}/").partition("/")
            kind = key.removeprefix(f"{name}/").partition("/")[0]
            if key.startswith(f"{name}/") and inside and kind in parts:
                parts[kind][inside] = value
        lacking = not (parts["p"] and parts["history"] and f"{name}/identity" in arrays)
        if lacking or len({len(column) for column in parts["history"].values()}) > 1:
            raise ArtifactError(
                f"{path} holds no finished training '{name}'.", "Rerun the stage, which trains."
            )
        identity = str(arrays[f"{name}/identity"])
        trainings[name] = Finished(parts["p"], pd.DataFrame(parts["history"]), identity)
    return trainings


def require(
    trainings: Mapping[str, Finished], name: str, title: str, identity: str, like: Arrays
) -> Finished:
    """Return the training of a name, once it is certain that it is what a stage would have trained.

    Args:
        title: what the messages call it.
        identity: fingerprint of the stage's settings.
        like: parameters of that network, for their names and shapes.

    Raises:
        ArtifactError: it is missing, of other settings or of another network, or not finite.
    """
    remedy = "Take weights that were trained with these settings, or train: leave --trained out."
    found = trainings.get(name)
    if found is None:
        raise ArtifactError(f"{title}: the weights to take hold no training '{name}'.", remedy)
    if found.identity != identity:
        raise ArtifactError(
            f"{title}: the weights to take were trained with other settings.", remedy
        )
    for key in [*like, *found.parameters]:
        have = found.parameters[key].shape if key in found.parameters else None
        want = tuple(like[key].shape) if key in like else None
        if have != want:
            raise ArtifactError(
                f"{title}: the weights to take are of another network: {key} has the shape {have}, "
                f"not {want}.",
                remedy,
            )
    if not all(np.isfinite(value).all() for value in found.parameters.values()):
        raise ArtifactError(
            f"{title}: the weights to take hold numbers that are not finite.", remedy
        )
    return found
