"""One step of the training loop, and a chunk of them as one compiled call.

What a training carries from step to step is a flat dictionary of tensors: the parameters under
``p/…`` and what the update rule remembers (moments, damping, last direction) under ``c/…``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from emergence import natural_gradient, updates
from emergence.settings import Stage
from emergence.updates import Parameters

CHUNK_STEPS = 20
"""Steps per compiled call, and the resolution of the history."""


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
    """Tensors at the start of a stage: fresh, or with what was carried before if it fits."""
    if stage.update == "adam":
        carried = updates.adam_start(parameters)
    elif stage.update == "natural_gradient":
        carried = natural_gradient.start(parameters)
    else:
        carried = updates.levenberg_marquardt_start(parameters, stage)
    before = carried_of(before or {})
    if stage.carry and before.keys() == carried.keys():
        carried = before
    return join(parameters, carried)


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
    step = _compile_step(problem, stage, seed)
    columns = [1 + len(problem.metrics)] if getattr(problem, "metrics", ()) else []

    # The linear systems are solved by Eigen, which a fully compiled step would not use.
    @tf.function(jit_compile=stage.update == "adam", autograph=False)
    def run_chunk(
        tensors: Parameters, first: tf.Tensor, count: tf.Tensor, scale: tf.Tensor
    ) -> tuple[Parameters, tf.Tensor]:
        some = next(iter(parameters_of(tensors).values()))
        shape = [some.shape[0], *columns]
        losses = tf.TensorArray(some.dtype, CHUNK_STEPS, element_shape=shape)

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


def _compile_step(problem: Problem, stage: Stage, seed: int) -> Callable[..., Any]:
    """``(tensors, index, factor on the rate)`` → ``(tensors, reported)`` for one update rule."""

    def draw(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        step_seed = tf.stack([tf.constant(seed, tf.int32), tf.cast(index, tf.int32)])
        batch = problem.draw(step_seed, stage.batch, stage.window)
        return tuple(tf.repeat(part, stage.candidates, axis=0) for part in batch)

    def adam(
        parameters: Parameters, carried: Parameters, index: tf.Tensor, scale: tf.Tensor
    ) -> Any:
        batch = draw(index)
        return updates.adam_step(
            lambda parameters: problem.objective(parameters, batch),
            parameters, carried, stage, index, scale,
        )  # fmt: skip

    def levenberg_marquardt(
        parameters: Parameters, carried: Parameters, index: tf.Tensor, scale: tf.Tensor
    ) -> Any:
        return updates.levenberg_marquardt_step(problem, parameters, carried, draw(index), stage)

    def natural(
        parameters: Parameters, carried: Parameters, index: tf.Tensor, scale: tf.Tensor
    ) -> Any:
        return natural_gradient.step(problem, parameters, carried, draw(index), stage, index, scale)

    rules = {
        "adam": (adam, "objective"),
        "levenberg_marquardt": (levenberg_marquardt, "residuals"),
        "natural_gradient": (natural, "scores"),
    }
    rule, needed = rules[stage.update]
    if not hasattr(problem, needed):
        raise TypeError(f"the update {stage.update} needs a problem with {needed}")

    def step(
        tensors: Parameters, index: tf.Tensor, scale: tf.Tensor
    ) -> tuple[Parameters, tf.Tensor]:
        parameters, carried, reported = rule(
            parameters_of(tensors), carried_of(tensors), index, scale
        )
        return join(parameters, carried), reported

    return step
