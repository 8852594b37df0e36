"""The training loop of all systems.

A problem says how to start, how to draw a batch and what to minimise; a list of stages says which
update rule runs for how many steps on windows of which length (the curriculum). Every tensor has a
leading seed axis: an ensemble of seeds is one batched computation. A chunk of steps, sampling
included, is one compiled call. What a run needs to go on is a flat dictionary of tensors and a few
numbers, saved at fixed steps, so that a killed run ends with the numbers of an undisturbed one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import tensorflow as tf

from emergence import updates
from emergence.errors import ArtifactError, DivergenceError
from emergence.progress import Progress, say
from emergence.randomness import derive_seed
from emergence.settings import Stage, fingerprint
from emergence.updates import Parameters
from emergence.weights import read_weights, write_weights

CHUNK_STEPS = 20
"""Steps per compiled call, and the resolution of the history."""

CHUNKS_PER_SAVE = 5
"""The guard's restart points, and where a checkpoint may be written, lie so many chunks apart."""

MOST_RESTARTS = 3

LOST = 1e30
"""What a loss that is not finite is recorded as."""


class Problem(Protocol):
    """What a system brings to the training loop."""

    def initial_parameters(self, candidates: int) -> dict[str, np.ndarray]:
        """Name → array ``[seeds · candidates, ...]``, the candidates of a seed side by side."""

    def draw(self, seed: tf.Tensor, batch: int, window: int) -> tuple[tf.Tensor, ...]:
        """A batch fixed by the stateless ``seed`` ``[2]``; each part ``[seeds, batch, ...]``."""

    def objective(
        self, parameters: Parameters, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(loss to differentiate, value to report), each ``[seeds]``."""


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


@dataclass
class Trained:
    """What a training leaves: parameters ``[seeds, ...]``, the loss per seed, the history."""

    parameters: dict[str, np.ndarray]
    loss: np.ndarray
    history: pd.DataFrame


def train(
    problem: Problem,
    stages: Sequence[Stage],
    *,
    seed: int,
    title: str,
    checkpoint: Path,
    checkpoint_seconds: float = 20.0,
    identity: str = "",
) -> Trained:
    """Run every stage, from the checkpoint if there is one.

    Args:
        seed: root of the batches' random numbers.
        checkpoint: folder that is written whole every ``checkpoint_seconds`` and at the end.
        identity: fingerprint of all that the result depends on; a checkpoint of another identity
            is not continued.

    Raises:
        DivergenceError: the loss became non-finite again after three restarts with smaller steps.
        ArtifactError: the checkpoint cannot be written.
    """
    identity = fingerprint({"identity": identity, "stages": [s.model_dump() for s in stages]})
    tensors, position = _resume(checkpoint, identity, title)
    if tensors is None:
        start = problem.initial_parameters(stages[0].candidates)
        start = {name: tf.convert_to_tensor(value) for name, value in start.items()}
        tensors, position = _begin_stage(start, stages[0]), Position()
    total = sum(_cost(stage) * stage.steps for stage in stages)
    done = _done(stages, position)
    save = _Saver(checkpoint, identity, checkpoint_seconds)
    with Progress(title, total, done) as progress:
        while position.stage < len(stages):
            tensors = _run_stage(problem, stages, tensors, position, seed, title, progress, save)
            position.stage, position.step = position.stage + 1, 0
            position.restarts, position.rate_scale = 0, 1.0
            if position.stage < len(stages):
                old, new = stages[position.stage - 1], stages[position.stage]
                best = _select(position, old.candidates, new.candidates)
                kept = {k: tf.gather(v, best) for k, v in _parameters(tensors).items()}
                tensors = _begin_stage(kept, new)
                save(tensors, position)
        _Saver(checkpoint, identity, 0.0)(tensors, position)
    parameters = {name: value.numpy() for name, value in _parameters(tensors).items()}
    history = pd.DataFrame(position.history)
    last = history[history["step"] == history["step"].max()].sort_values("seed")
    loss = last["loss"].to_numpy()
    return Trained(parameters, np.where(loss >= LOST, np.inf, loss), history)


def _run_stage(
    problem: Problem,
    stages: Sequence[Stage],
    tensors: Parameters,
    position: Position,
    seed: int,
    title: str,
    progress: Progress,
    save: _Saver,
) -> Parameters:
    """Run the stage that ``position`` stands in to its end, guarding against divergence."""
    stage = stages[position.stage]
    run_chunk = _compile_chunk(problem, stage, derive_seed(seed, "stage", position.stage))
    before = sum(s.steps for s in stages[: position.stage])
    good, good_position = tensors, _copy(position)
    chunk = position.step // CHUNK_STEPS
    while position.step < stage.steps:
        count = min(CHUNK_STEPS, stage.steps - position.step)
        tensors, losses = run_chunk(
            tensors, tf.constant(position.step), tf.constant(count), position.rate_scale
        )
        losses = losses.numpy()[:count]
        # A seed that Levenberg-Marquardt finds lost stays where it is, and counts as very bad.
        told = np.where(np.isfinite(losses), losses, LOST)
        if not _healthy(stage, tensors, losses):
            tensors = _restart(good, good_position, position, title)
            chunk = position.step // CHUNK_STEPS
            continue
        position.step += count
        position.recent = told.mean(axis=0).tolist()
        best = told[-1].reshape(-1, stage.candidates).min(axis=1)
        position.history += [
            {
                "stage": position.stage,
                "window": stage.window,
                "step": before + position.step,
                "seed": index,
                "loss": float(loss),
            }
            for index, loss in enumerate(best)
        ]
        chunk += 1
        # Levenberg-Marquardt never restarts: its few, long steps may be saved after any chunk.
        if chunk % CHUNKS_PER_SAVE == 0 or stage.update == "levenberg_marquardt":
            good, good_position = tensors, _copy(position)
            save(tensors, position)
        progress.advance(
            _done(stages, position),
            f"stage {position.stage + 1}/{len(stages)} ({stage.update}, window {stage.window}), "
            f"median loss {np.median(best):.2e}",
        )
    return tensors


def _restart(
    good: Parameters, good_position: Position, position: Position, title: str
) -> Parameters:
    """Go back to the last good point with half the step; give up after ``MOST_RESTARTS``."""
    if position.restarts == MOST_RESTARTS:
        raise DivergenceError(
            f"{title}: the loss became non-finite in stage {position.stage + 1} again after "
            f"{MOST_RESTARTS} restarts with smaller steps.",
            "Lower the stage's rate or clip_norm, or shorten its window.",
        )
    restarts, rate_scale = position.restarts + 1, 0.5 * position.rate_scale
    for name, value in asdict(_copy(good_position)).items():
        setattr(position, name, value)
    position.restarts, position.rate_scale = restarts, rate_scale
    say(
        f"{title}: the loss became non-finite; restarting from step {position.step} of stage "
        f"{position.stage + 1} with the rate times {rate_scale:g} (restart {restarts} of "
        f"{MOST_RESTARTS})."
    )
    return good


def _healthy(stage: Stage, tensors: Parameters, losses: np.ndarray) -> bool:
    """Adam must stay finite; Levenberg-Marquardt rejects what is not and cannot get lost."""
    if stage.update == "levenberg_marquardt":
        return True
    finite = [tf.reduce_all(tf.math.is_finite(value)) for value in tensors.values()]
    return bool(np.isfinite(losses).all()) and bool(tf.reduce_all(tf.stack(finite)))


def _compile_chunk(problem: Problem, stage: Stage, seed: int) -> Callable[..., Any]:
    """One call for ``CHUNK_STEPS`` steps: drawing, differentiating and updating, compiled."""

    def draw(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        batch = problem.draw(_step_seed(seed, index), stage.batch, stage.window)
        return tuple(tf.repeat(part, stage.candidates, axis=0) for part in batch)

    if stage.update == "adam":

        def step(
            tensors: Parameters, index: tf.Tensor, scale: tf.Tensor
        ) -> tuple[Parameters, tf.Tensor]:
            batch = draw(index)
            parameters, carried, reported = updates.adam_step(
                lambda parameters: problem.objective(parameters, batch),
                _parameters(tensors), _carried(tensors), stage, index, scale,
            )  # fmt: skip
            return _join(parameters, carried), reported

    else:
        if not hasattr(problem, "residuals"):
            raise TypeError("Levenberg-Marquardt needs a problem with residuals")

        def step(
            tensors: Parameters, index: tf.Tensor, scale: tf.Tensor
        ) -> tuple[Parameters, tf.Tensor]:
            batch = draw(index)
            parameters, carried, loss = updates.levenberg_marquardt_step(
                problem, _parameters(tensors), _carried(tensors), batch, stage
            )
            return _join(parameters, carried), loss

    # The normal equations are solved by Eigen, which a fully compiled step would not use.
    @tf.function(jit_compile=stage.update == "adam", autograph=False)
    def run_chunk(
        tensors: Parameters, first: tf.Tensor, count: tf.Tensor, scale: tf.Tensor
    ) -> tuple[Parameters, tf.Tensor]:
        some = next(iter(_parameters(tensors).values()))
        losses = tf.TensorArray(some.dtype, CHUNK_STEPS, element_shape=[some.shape[0]])

        def body(index: tf.Tensor, tensors: Parameters, losses: tf.TensorArray) -> Any:
            tensors, reported = step(tensors, first + index, scale)
            return index + 1, tensors, losses.write(index, reported)

        _, tensors, losses = tf.while_loop(
            lambda index, *_: index < count,
            body,
            (tf.constant(0), tensors, losses),
            maximum_iterations=CHUNK_STEPS,
            parallel_iterations=1,
        )
        return tensors, losses.stack()

    return lambda tensors, first, count, scale: run_chunk(
        tensors, first, count, tf.constant(scale, tf.float64)
    )


def _step_seed(seed: int, step: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.constant(seed, tf.int32), tf.cast(step, tf.int32)])


def _select(position: Position, candidates: int, keep: int) -> np.ndarray:
    """Rows of the ``keep`` candidates of each seed whose recent training loss is lowest."""
    loss = np.asarray(position.recent).reshape(-1, candidates)
    order = np.argsort(loss, axis=1, kind="stable")[:, :keep]
    return (np.sort(order, axis=1) + candidates * np.arange(len(loss))[:, None]).ravel()


def _begin_stage(parameters: Parameters, stage: Stage) -> Parameters:
    if stage.update == "adam":
        return _join(parameters, updates.adam_start(parameters))
    return _join(parameters, updates.levenberg_marquardt_start(parameters, stage))


def _join(parameters: Parameters, carried: Parameters) -> Parameters:
    return {f"p/{k}": v for k, v in parameters.items()} | {f"c/{k}": v for k, v in carried.items()}


def _parameters(tensors: Parameters) -> Parameters:
    return {k[2:]: v for k, v in tensors.items() if k.startswith("p/")}


def _carried(tensors: Parameters) -> Parameters:
    return {k[2:]: v for k, v in tensors.items() if k.startswith("c/")}


def _cost(stage: Stage) -> float:
    """Rough cost of a step, for the ETA: sites seen, Gauss-Newton steps a hundredfold."""
    return stage.batch * stage.window * (100.0 if stage.update != "adam" else 1.0)


def _done(stages: Sequence[Stage], position: Position) -> float:
    done = sum(_cost(stage) * stage.steps for stage in stages[: position.stage])
    if position.stage < len(stages):
        done += _cost(stages[position.stage]) * position.step
    return done


def _copy(position: Position) -> Position:
    return Position(**{**vars(position), "history": list(position.history)})


@dataclass
class _Saver:
    """Writes a checkpoint when enough time has passed since the last one of this training."""

    folder: Path
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
            {"identity": self.identity, "order": list(tensors), "position": asdict(position)},
        )


def _resume(
    folder: Path, identity: str, title: str
) -> tuple[Parameters, Position] | tuple[None, None]:
    """Tensors and position of a checkpoint of the same identity, if there is one."""
    if not folder.is_dir():
        return None, None
    try:
        weights, numbers = read_weights(folder)
        if numbers["identity"] != identity:
            say(f"{title}: the checkpoint is of other settings and is not continued.")
            return None, None
        weights = {name: weights[name] for name in numbers["order"]}
        position = Position(**numbers["position"])
    except (ArtifactError, KeyError, TypeError) as error:
        say(f"{title}: the checkpoint cannot be read and is not continued ({error}).")
        return None, None
    say(f"{title}: continuing from stage {position.stage + 1}, step {position.step}.")
    return {name: tf.convert_to_tensor(value) for name, value in weights.items()}, position
