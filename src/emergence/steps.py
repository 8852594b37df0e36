"""One step of the training loop, and a chunk of them as one compiled call.

What a training carries from step to step is a flat dictionary of tensors: the parameters under
``p/…`` and what the update rule remembers (moments, damping, last direction) under ``c/…``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from emergence import devices, natural_gradient, updates
from emergence.errors import SettingsError
from emergence.settings import Stage
from emergence.updates import Parameters

CHUNK_STEPS = 20
"""Steps per compiled call, and the resolution of the history."""


NEEDED = {"adam": "objective", "levenberg_marquardt": "residuals", "natural_gradient": "scores"}
"""What an update rule asks of a problem."""

Step = Callable[..., tuple[Parameters, tf.Tensor]]


class Problem(Protocol):
    """What a system brings to the training loop.

    Optional members: ``metrics``, the names of further columns that ``objective`` or ``scores``
    report, ``[seeds, 1 + metrics]`` instead of ``[seeds]``; ``for_stage(stage)``, the problem to
    use in a stage instead of this one (a symmetry switched on, a coupling ramped up); and what the
    update rule asks for: ``residuals`` for Levenberg-Marquardt, ``scores`` for the natural gradient.
    """

    def initial_parameters(self, candidates: int) -> dict[str, np.ndarray]:
        """Name → array ``[seeds · candidates, ...]``, the candidates of a seed side by side."""

    def draw(self, seed: tf.Tensor, batch: int, window: int) -> tuple[tf.Tensor, ...]:
        """A batch fixed by the stateless ``seed`` ``[2]``; each part ``[seeds, batch, ...]``.

        ``seed`` is (seed of the stage, index of the step within it).
        """

    def objective(
        self, parameters: Parameters, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(loss to differentiate, value to report), each ``[seeds]``."""


def begin_stage(
    parameters: Parameters, stage: Stage, before: Parameters | None = None
) -> Parameters:
    """Tensors at the start of a stage: what its rule remembers fresh, or as it was left before.

    What other rules remember rests, so that the moments of a first-order stage outlast the refinement
    after it and serve the first-order stage of the next size.
    """
    if stage.update == "adam":
        carried = updates.adam_start(parameters)
    elif stage.update == "natural_gradient":
        carried = natural_gradient.start(parameters)
    else:
        carried = updates.levenberg_marquardt_start(parameters, stage)
    before = carried_of(before or {})
    if stage.carry and carried.keys() <= before.keys():
        carried = {name: before[name] for name in carried}
    resting = {name: value for name, value in before.items() if name not in carried}
    return join(parameters, carried | resting)


def join(parameters: Parameters, carried: Parameters) -> Parameters:
    """The flat dictionary of what a training carries."""
    return {f"p/{k}": v for k, v in parameters.items()} | {f"c/{k}": v for k, v in carried.items()}


def parameters_of(tensors: Parameters) -> Parameters:
    """The parameters in a flat dictionary."""
    return {k[2:]: v for k, v in tensors.items() if k.startswith("p/")}


def carried_of(tensors: Parameters) -> Parameters:
    """What the update rule remembers, in a flat dictionary."""
    return {k[2:]: v for k, v in tensors.items() if k.startswith("c/")}


def compile_chunk(problem: Problem, stage: Stage, seed: int) -> Callable[..., Any]:
    """One call for ``CHUNK_STEPS`` steps: drawing, differentiating and updating, compiled.

    Returns:
        ``(tensors, first step, how many, factor on the rate)`` → ``(tensors, reported)``, reported
        ``[CHUNK_STEPS, seeds]`` or ``[CHUNK_STEPS, seeds, 1 + metrics]``, zero past how many.
    """
    problem = problem.for_stage(stage) if hasattr(problem, "for_stage") else problem
    needed = NEEDED[stage.update]
    if not hasattr(problem, needed):
        raise TypeError(f"the update {stage.update} needs a problem with {needed}")
    if stage.update != "adam":
        return _compile_loop(_second_order_step(problem, stage, seed), problem, compiled=False)
    # Who draws its samples from the network itself has no batch that could be shared.
    shared = devices.wanted() > 1 and not hasattr(problem, "scores")
    made: list[Callable[..., Any]] = []

    def chunk(tensors: Parameters, *told: Any) -> tuple[Parameters, tf.Tensor]:
        parameters = parameters_of(tensors)
        shapes = updates.shapes_of(parameters)
        if not made:
            step = (_share_step if shared else _adam_step)(problem, stage, seed, shapes)
            made.append(_compile_loop(step, problem, compiled=not shared))
        vectors, reported = made[0](updates.adam_vectors(parameters, carried_of(tensors)), *told)
        return tensors | join(*updates.adam_named(vectors, shapes)), reported

    return chunk


def _compile_loop(step: Step, problem: Problem, *, compiled: bool) -> Callable[..., Any]:
    """``CHUNK_STEPS`` times the step: (what it moves, first step, how many, factor on the rate).

    Linear systems are solved by Eigen, which a fully compiled step would not use; and what devices tell
    each other cannot be compiled.
    """
    columns = [1 + len(problem.metrics)] if getattr(problem, "metrics", ()) else []

    @tf.function(jit_compile=compiled, autograph=False)
    def run(
        moving: Parameters, first: tf.Tensor, count: tf.Tensor, scale: tf.Tensor
    ) -> tuple[Parameters, tf.Tensor]:
        some = moving["p"] if "p" in moving else next(iter(parameters_of(moving).values()))
        shape = [some.shape[0], *columns]
        losses = tf.TensorArray(some.dtype, CHUNK_STEPS, element_shape=shape)

        def body(index: tf.Tensor, moving: Parameters, losses: tf.TensorArray) -> Any:
            moving, reported = step(moving, first + index, scale)
            return index + 1, moving, losses.write(index, reported)

        _, moving, losses = tf.while_loop(
            lambda index, *_: index < count,
            body,
            (tf.constant(0), moving, losses),
            maximum_iterations=CHUNK_STEPS,
            parallel_iterations=1,
        )
        return moving, losses.stack()

    return lambda moving, first, count, scale: run(
        moving, first, count, tf.constant(scale, tf.float64)
    )


def _drawing(problem: Problem, stage: Stage, seed: int) -> Callable[..., tuple[tf.Tensor, ...]]:
    """Index of a step → its batch, every candidate of a seed with the same one."""

    def draw(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        step_seed = tf.stack([tf.constant(seed, tf.int32), tf.cast(index, tf.int32)])
        batch = problem.draw(step_seed, stage.batch, stage.window)
        return tuple(tf.repeat(part, stage.candidates, axis=0) for part in batch)

    return draw


def _adam_step(problem: Problem, stage: Stage, seed: int, shapes: updates.Shapes) -> Step:
    """(vectors of :func:`updates.adam_vectors`, index, factor on the rate) → (vectors, reported)."""
    draw = _drawing(problem, stage, seed)

    def step(vectors: Parameters, index: tf.Tensor, scale: tf.Tensor) -> Any:
        batch = draw(index)
        gradient, reported = updates.adam_gradient(
            lambda parameters: problem.objective(parameters, batch), vectors["p"], shapes, stage
        )
        return updates.adam_update(gradient, vectors, stage, index, scale), reported

    return step


def _share_step(problem: Problem, stage: Stage, seed: int, shapes: updates.Shapes) -> Step:
    """The same with the batch shared among devices: the mean of their gradients is applied.

    Each loss being a mean over the batch, this is the step of one device up to rounding. Further
    columns are means over the devices too, so that a variance is one within each share.
    """
    strategy = devices.strategy()
    number = strategy.num_replicas_in_sync
    if stage.batch % number:
        raise SettingsError(
            f"A batch of {stage.batch} cannot be shared among {number} devices.",
            "Choose batches that are multiples of the key devices.",
        )
    draw = tf.function(_drawing(problem, stage, seed), jit_compile=True, autograph=False)

    @tf.function(jit_compile=True, autograph=False)
    def gradient(vector: tf.Tensor, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return updates.adam_gradient(
            lambda parameters: problem.objective(parameters, batch), vector, shapes, stage
        )

    def gradient_of_share(
        vector: tf.Tensor, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        return gradient(
            vector, *(tf.gather(tf.split(part, number, axis=1), index) for part in batch)
        )

    def step(vectors: Parameters, index: tf.Tensor, scale: tf.Tensor) -> Any:
        found = strategy.run(gradient_of_share, args=(vectors["p"], draw(index)))
        mean, reported = tf.nest.map_structure(
            lambda values: strategy.reduce("MEAN", values, axis=None), found
        )
        return updates.adam_update(mean, vectors, stage, index, scale), reported

    return step


def _second_order_step(problem: Problem, stage: Stage, seed: int) -> Step:
    """``(tensors, index, factor on the rate)`` → ``(tensors, reported)`` for a second-order rule."""
    draw = _drawing(problem, stage, seed)

    def levenberg_marquardt(
        parameters: Parameters, carried: Parameters, index: tf.Tensor, scale: tf.Tensor
    ) -> Any:
        return updates.levenberg_marquardt_step(problem, parameters, carried, draw(index), stage)

    def natural(
        parameters: Parameters, carried: Parameters, index: tf.Tensor, scale: tf.Tensor
    ) -> Any:
        return natural_gradient.step(problem, parameters, carried, draw(index), stage, index, scale)

    rule = {"levenberg_marquardt": levenberg_marquardt, "natural_gradient": natural}[stage.update]

    def step(
        tensors: Parameters, index: tf.Tensor, scale: tf.Tensor
    ) -> tuple[Parameters, tf.Tensor]:
        before = carried_of(tensors)
        parameters, carried, reported = rule(parameters_of(tensors), before, index, scale)
        return join(parameters, before | carried), reported

    return step
