"""Where a training stands, how that is kept on disk, and how a training goes on from there.

What samples for long keeps what it has so far in a file of arrays in the same way (:class:`Interim`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from emergence.artifacts import Arrays, read_arrays, write_arrays
from emergence.errors import ArtifactError
from emergence.progress import say
from emergence.updates import Parameters
from emergence.weights import read_weights, write_weights

ROW = {"stage", "window", "step", "seed", "loss"}
"""What every row of the history has."""


@dataclass
class Position:
    """Where a training stands."""

    stage: int = 0
    step: int = 0
    restarts: int = 0
    rate_scale: float = 1.0
    recent: list[float] = field(default_factory=list)
    """Mean loss over the last chunk, one per row of the parameters."""
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    """Time (:func:`.devices.clock`) of those that were timed: all but each stage's first, which compile."""
    timed: int = 0

    @classmethod
    def told(cls, raw: Any) -> Position:
        """The position that a checkpoint tells.

        Raises:
            TypeError: a part of it is missing, unknown or of another type.
        """
        found = cls(**raw)
        counts = (found.stage, found.step, found.restarts, found.timed)
        lists = [found.recent, found.history]
        well = all(type(count) is int and count >= 0 for count in counts)
        well &= all(isinstance(part, list) for part in lists)
        well &= _numbers([found.rate_scale, found.seconds])
        if not well or not _numbers(found.recent) or not all(map(_is_row, found.history)):
            raise TypeError("its position is none")
        return found

    def lies_within(self, steps: Sequence[int]) -> bool:
        """Whether a training whose stages have so many steps can stand here.

        One that is over stands at the start of a stage beyond the last. The history goes as far as the
        position, so that an end that was never reached is none.
        """
        if self.stage > len(steps) or self.step > [*steps, 0][self.stage]:
            return False
        told = self.history[-1]["step"] if self.history else 0
        return told == sum(steps[: self.stage]) + self.step


def _numbers(values: Iterable[Any]) -> bool:
    """Whether all of them are; JSON as it is read here has none that is not finite."""
    return all(type(value) in (int, float) for value in values)


def _is_row(row: Any) -> bool:
    """Whether this is a row of the history."""
    return isinstance(row, dict) and row.keys() >= ROW and _numbers(row.values())


def copy_of(position: Position) -> Position:
    """The same position, which the other no longer moves."""
    return Position(**{**vars(position), "history": list(position.history)})


@dataclass
class Saver:
    """Writes a checkpoint when enough time has passed since the last one of this training."""

    folder: Path
    settings: str
    identity: str
    seconds: float
    last: float = field(default_factory=lambda: time.monotonic())

    def __call__(self, tensors: Parameters, position: Position) -> None:
        if time.monotonic() - self.last < self.seconds:
            return
        self.last = time.monotonic()
        write_weights(
            self.folder,
            {name: value.numpy() for name, value in tensors.items()},
            # The order too: sums over parameters are rounded in it.
            {"identity": self.identity, "settings": self.settings, "order": list(tensors)}
            | {"position": asdict(position)},
        )


class Interim:
    """Keeps the arrays that a sampling has so far in a file, until it is over.

    Args:
        file: the checkpoint; None keeps nothing.
        identity: of all that the arrays depend on; those of another are not continued.
        seconds: time between two writings.
        whose: for messages, such as "The chains'".
    """

    def __init__(self, file: Path | None, identity: str, seconds: float, whose: str) -> None:
        self._file, self._identity, self._seconds, self._whose = file, identity, seconds, whose
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether enough time has passed since something was written last."""
        return self._file is not None and time.monotonic() - self._written >= self._seconds

    def read(self, required: Iterable[str]) -> Arrays | None:
        """What an earlier run of the same identity left, if that can be read."""
        if self._file is None or not self._file.is_file():
            return None
        try:
            kept = read_arrays(self._file, ["identity", *required])
        except ArtifactError as error:
            say(f"{self._whose} checkpoint cannot be read and is not continued ({error}).")
            return None
        if str(kept["identity"]) != self._identity:
            say(f"{self._whose} checkpoint is of other settings or weights and is not continued.")
            return None
        return kept

    def write(self, arrays: Arrays) -> None:
        """Replace what was kept. Raises ArtifactError where it cannot be written."""
        write_arrays(self._file, {"identity": np.array(self._identity), **arrays})
        self._written = time.monotonic()


def resume(
    folder: Path, identity: str, title: str, steps: Sequence[int]
) -> tuple[Parameters, Position] | tuple[None, None]:
    """Tensors and position of a checkpoint of the same identity, if there is one.

    Args:
        steps: of each stage; a checkpoint that stands nowhere among them is not continued.
    """
    if not folder.is_dir():
        return None, None
    try:
        weights, numbers = read_weights(folder)
        if numbers["identity"] != identity:
            say(f"{title}: the checkpoint is of other settings and is not continued.")
            return None, None
        order = numbers["order"]
        if not isinstance(order, list) or sorted(order) != sorted(weights):
            raise TypeError("the order of its tensors is none")
        weights = {name: weights[name] for name in order}
        position = Position.told(numbers["position"])
    except (ArtifactError, KeyError, TypeError) as error:
        say(f"{title}: the checkpoint cannot be read and is not continued ({error}).")
        return None, None
    if not position.lies_within(steps):
        say(
            f"{title}: the checkpoint stands where a training of {len(steps)} stages cannot (stage"
            f" {position.stage + 1}, step {position.step}) and is not continued."
        )
        return None, None
    say(f"{title}: continuing from stage {position.stage + 1}, step {position.step}.")
    return {name: tf.convert_to_tensor(value) for name, value in weights.items()}, position
