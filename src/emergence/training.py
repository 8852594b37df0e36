"""The training loop of all systems.

A problem says how to start, how to draw a batch and what to minimise; a list of stages says which
update rule runs for how many steps on windows of which length (the curriculum). Every tensor has a
leading seed axis: an ensemble of seeds is one batched computation. A chunk of steps, sampling
included, is one compiled call. What a run needs to go on is a flat dictionary of tensors and a few
numbers, saved at fixed steps, so that a killed run ends with the numbers of an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from emergence import devices
from emergence.checkpoints import Position, Saver, copy_of, resume
from emergence.errors import DivergenceError
from emergence.finished import Finished, require
from emergence.progress import Progress, say
from emergence.randomness import derive_seed
from emergence.settings import Stage, fingerprint
from emergence.steps import CHUNK_STEPS, Problem, begin_stage, compile_chunk, parameters_of
from emergence.updates import Parameters

CHUNKS_PER_SAVE = 5
"""The guard's restart points, and where a checkpoint may be written, lie so many chunks apart."""

MOST_RESTARTS = 3

LOST = 1e30
"""What a loss that is not finite is recorded as."""


@dataclass
class Trained:
    """What a training leaves: tensors ``[seeds, ...]``, the loss per seed, the history."""

    tensors: dict[str, np.ndarray]
    """Parameters and what the update rule remembers, for a training that goes on from here."""
    loss: np.ndarray
    history: pd.DataFrame
    seconds_per_step: float
    """See :func:`.devices.clock`; NaN for a training so short that all of it was compiling."""

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Name → array ``[seeds, ...]``."""
        return parameters_of(self.tensors)


def train(
    problem: Problem,
    stages: Sequence[Stage],
    *,
    seed: int,
    title: str,
    checkpoint: Path,
    checkpoint_seconds: float = 20.0,
    identity: str = "",
    inputs: str = "",
    start: Parameters | None = None,
    finished: Mapping[str, Finished] | None = None,
) -> Trained:
    """Run every stage, from the checkpoint if there is one.

    Args:
        seed: root of the batches' random numbers.
        checkpoint: folder that is written whole every ``checkpoint_seconds`` and at the end.
        identity: fingerprint of the settings, beside the stages, that the result depends on.
        inputs: fingerprint of the numbers that it depends on, which another machine may round
            otherwise. A checkpoint of another identity or other inputs is not continued.
        start: tensors of an earlier training to go on from (``Trained.tensors``), instead of the
            problem's initial parameters; ``inputs`` must tell where they come from.
        finished: trainings that are over, by the name of their checkpoint's folder: that of this
            identity is taken, whatever its inputs, and nothing is trained.

    Raises:
        DivergenceError: the loss became non-finite again after three restarts with smaller steps.
        ArtifactError: the checkpoint cannot be written, or ``finished`` lacks this training.
    """
    settings = fingerprint({"identity": identity, "stages": [s.model_dump() for s in stages]})
    if finished is not None:
        like = problem.initial_parameters(stages[-1].candidates)
        return _taken(require(finished, checkpoint.name, title, settings, like), title)
    identity = fingerprint(
        {"settings": settings, "inputs": inputs}
        | ({"devices": devices.wanted()} if devices.wanted() > 1 else {})
    )
    tensors, position = resume(checkpoint, identity, title, [stage.steps for stage in stages])
    if tensors is None:
        tensors, position = _begin(problem, stages[0], start), Position()
    total = sum(_cost(stage) * stage.steps for stage in stages)
    done = _done(stages, position)
    save = Saver(checkpoint, settings, identity, checkpoint_seconds)
    with Progress(title, total, done) as progress:
        while position.stage < len(stages):
            tensors = _run_stage(problem, stages, tensors, position, seed, title, progress, save)
            position.stage, position.step = position.stage + 1, 0
            position.restarts, position.rate_scale = 0, 1.0
            if position.stage < len(stages):
                tensors = _handed_on(tensors, stages, position)
                save(tensors, position)
        Saver(checkpoint, settings, identity, 0.0)(tensors, position)
    arrays = {name: value.numpy() for name, value in tensors.items()}
    history = pd.DataFrame(position.history)
    pace = position.seconds / position.timed if position.timed else float("nan")
    return Trained(arrays, _last_loss(history), history, pace)


def _begin(problem: Problem, stage: Stage, start: Parameters | None) -> Parameters:
    """Tensors of the first stage, from those of an earlier training or the initial parameters."""
    before = {name: tf.convert_to_tensor(value) for name, value in (start or {}).items()}
    first = parameters_of(before) or problem.initial_parameters(stage.candidates)
    first = {name: tf.convert_to_tensor(value) for name, value in first.items()}
    return begin_stage(first, stage, before)


def _handed_on(tensors: Parameters, stages: Sequence[Stage], position: Position) -> Parameters:
    """Tensors of the stage that ``position`` now stands in: the best candidates go on."""
    old, new = stages[position.stage - 1], stages[position.stage]
    best = _select(position, old.candidates, new.candidates)
    kept = {k: tf.gather(v, best) for k, v in parameters_of(tensors).items()}
    # Moments of candidates that were dropped are dropped with them.
    before = tensors if old.candidates == new.candidates else None
    return begin_stage(kept, new, before)


def _taken(found: Finished, title: str) -> Trained:
    """A training that is over, as if it had just ended; its pace is not known."""
    say(f"{title}: taking trained weights; nothing is trained.")
    tensors = {f"p/{name}": value for name, value in found.parameters.items()}
    return Trained(tensors, _last_loss(found.history), found.history, float("nan"))


def _last_loss(history: pd.DataFrame) -> np.ndarray:
    """The loss ``[seeds]`` that the training ended with."""
    last = history[history["step"] == history["step"].max()].sort_values("seed")
    loss = last["loss"].to_numpy()
    return np.where(loss >= LOST, np.inf, loss)


def _run_stage(
    problem: Problem,
    stages: Sequence[Stage],
    tensors: Parameters,
    position: Position,
    seed: int,
    title: str,
    progress: Progress,
    save: Saver,
) -> Parameters:
    """Run the stage that ``position`` stands in to its end, guarding against divergence."""
    stage = stages[position.stage]
    run_chunk = compile_chunk(problem, stage, derive_seed(seed, "stage", position.stage))
    before = sum(s.steps for s in stages[: position.stage])
    good, good_position = tensors, copy_of(position)
    chunk = position.step // CHUNK_STEPS
    compiled = False
    while position.step < stage.steps:
        count = min(CHUNK_STEPS, stage.steps - position.step)
        started = devices.clock()
        tensors, losses = run_chunk(
            tensors, tf.constant(position.step), tf.constant(count), position.rate_scale
        )
        losses, metrics = _columns(problem, losses.numpy()[:count])
        if compiled:
            position.seconds += devices.clock() - started
            position.timed += count
        compiled = True
        # A seed that Levenberg-Marquardt finds lost stays where it is, and counts as very bad.
        told = np.where(np.isfinite(losses), losses, LOST)
        if not _healthy(stage, tensors, losses):
            tensors = _restart(good, good_position, position, title)
            chunk = position.step // CHUNK_STEPS
            continue
        position.step += count
        position.recent = told.mean(axis=0).tolist()
        best = _record(position, stage, before + position.step, told[-1], metrics)
        chunk += 1
        # Levenberg-Marquardt never restarts: its few, long steps may be saved after any chunk.
        if chunk % CHUNKS_PER_SAVE == 0 or stage.update == "levenberg_marquardt":
            good, good_position = tensors, copy_of(position)
            save(tensors, position)
        progress.advance(
            _done(stages, position),
            f"stage {position.stage + 1}/{len(stages)} ({stage.update}, window {stage.window}), "
            f"median loss {np.median(best):.2e}",
        )
    return tensors


def _record(
    position: Position, stage: Stage, step: int, losses: np.ndarray, metrics: dict[str, np.ndarray]
) -> np.ndarray:
    """Add the best candidate of each seed to the history, and return their losses ``[seeds]``.

    Args:
        step: counted from the first stage.
        losses: of every candidate, ``[seeds · candidates]``.
        metrics: name → values of every candidate.
    """
    rows = losses.reshape(-1, stage.candidates)
    best, row = rows.min(axis=1), rows.argmin(axis=1)
    row = row + stage.candidates * np.arange(len(row))
    position.history += [
        {
            "stage": position.stage,
            "window": stage.window,
            "step": step,
            "seed": index,
            "loss": float(loss),
        }
        | {name: float(values[row[index]]) for name, values in metrics.items()}
        for index, loss in enumerate(best)
    ]
    return best


def _columns(problem: Problem, reported: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Losses ``[steps, rows]``, and each further metric's mean over the steps, ``[rows]``.

    The loss of a problem with metrics is an estimate with noise, so its mean is what is recorded.
    """
    names = getattr(problem, "metrics", ())
    if not names:
        return reported, {}
    means = {name: reported[..., 1 + i].mean(axis=0) for i, name in enumerate(names)}
    losses = reported[..., 0]
    return np.concatenate([losses[:-1], losses.mean(axis=0, keepdims=True)]), means


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
    for name, value in asdict(copy_of(good_position)).items():
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


def _select(position: Position, candidates: int, keep: int) -> np.ndarray:
    """Rows of the ``keep`` candidates of each seed whose recent training loss is lowest."""
    loss = np.asarray(position.recent).reshape(-1, candidates)
    order = np.argsort(loss, axis=1, kind="stable")[:, :keep]
    return (np.sort(order, axis=1) + candidates * np.arange(len(loss))[:, None]).ravel()


def _cost(stage: Stage) -> float:
    """Rough cost of a step, for the ETA: sites seen, Gauss-Newton steps a hundredfold."""
    return stage.batch * stage.window * (100.0 if stage.update != "adam" else 1.0)


def _done(stages: Sequence[Stage], position: Position) -> float:
    done = sum(_cost(stage) * stage.steps for stage in stages[: position.stage])
    if position.stage < len(stages):
        done += _cost(stages[position.stage]) * position.step
    return done
