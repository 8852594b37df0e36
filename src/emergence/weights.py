"""Tensors on disk: TensorFlow checkpoints written whole or not at all, numbers beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from emergence import artifacts
from emergence.errors import ArtifactError
from emergence.progress import say


def write_weights(
    folder: Path, weights: dict[str, np.ndarray], numbers: dict[str, Any] | None = None
) -> None:
    """Write tensors as a TensorFlow checkpoint, with numbers beside them, whole or not at all.

    Raises:
        ArtifactError: the folder cannot be written.
    """
    with artifacts.write_folder(folder) as partial:
        variables = {name: tf.Variable(value) for name, value in weights.items()}
        tf.train.Checkpoint(**variables).write(str(partial / "weights"))
        artifacts.write_numbers(partial / "numbers.json", numbers or {})


def read_weights(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Inverse of :func:`write_weights`.

    Raises:
        ArtifactError: the folder is missing, truncated or corrupt.
    """
    numbers = artifacts.read_numbers(folder / "numbers.json")
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    try:
        reader = tf.train.load_checkpoint(str(folder / "weights"))
        names = [n for n in reader.get_variable_to_shape_map() if n.endswith(suffix)]
        weights = {
            name.removesuffix(suffix).replace(".S", "/"): reader.get_tensor(name)
            for name in sorted(names)
        }
    except (ValueError, IndexError, RuntimeError, tf.errors.OpError) as error:
        raise ArtifactError(
            f"The weights in {folder} are truncated or corrupt ({str(error).splitlines()[0]}).",
            "Delete the folder and rerun snakemake, which makes it again.",
        ) from None
    return weights, numbers


def check_weights(folder: Path) -> None:
    """Compare a folder of weights with the hash that was recorded when it was written.

    Raises:
        ArtifactError: the weights, or the record beside them, are missing, corrupt or not the same.
    """
    record = artifacts.provenance_path(folder)
    recorded = artifacts.read_numbers(record, required=["sha256"])["sha256"]
    if not isinstance(recorded, dict) or artifacts.sha256(folder) != recorded.get(folder.name):
        raise ArtifactError(
            f"The weights in {folder} are not those that {record} was written for.",
            "Take both from the same place again; git checkout restores what is shipped.",
        )


def tell_other_physics(
    folder: Path, recorded: Callable[[Mapping[str, Any]], Mapping[str, Any]], now: Mapping[str, Any]
) -> None:
    """Say so where weights that a training goes on from were trained for something else.

    That is allowed, and tells nothing wrong: what comes of it is measured like any other network.

    Args:
        folder: the weights, with their record beside them.
        recorded: finds in the settings of that record what the weights were trained for.
        now: the same of the training that goes on, as JSON has it.
    """
    settings = artifacts.read_numbers(artifacts.provenance_path(folder)).get("settings", {})
    try:
        before = recorded(settings)
    except KeyError:
        return  # the record is of other sections, or of an arm of another name
    others = [key for key in now if key in before and before[key] != now[key]]
    if others:
        told = ", ".join(f"{key} = {before[key]}" for key in others)
        say(
            f"The weights in {folder} were trained with {told}; this training goes on with "
            f"{', '.join(f'{key} = {now[key]}' for key in others)}. Where that is far, leave the "
            "arm's key `shipped` out and train from its smallest size."
        )


def digest(tensors: Mapping[str, np.ndarray] | None) -> str:
    """Fingerprint of tensors: a checkpoint made from others is not continued."""
    if tensors is None:
        return "random"
    content = hashlib.sha256()
    for key, value in tensors.items():
        content.update(key.encode() + str(value.dtype).encode() + np.asarray(value).tobytes())
    return content.hexdigest()
