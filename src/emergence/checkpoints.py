"""Where a training stands, how that is kept on disk, and how a training goes on from there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

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
