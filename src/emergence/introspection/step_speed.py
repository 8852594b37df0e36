"""How fast a training is against the naive way to run the same: seeds, steps, Jacobians, updates.

Compilation is timed apart: it is paid once, however long the training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import tensorflow as tf

from emergence import jacobians, steps, updates
from emergence.introspection import distiller, translator
from emergence.introspection.comparison import ROUNDS, Row, Sizes, duration, in_turns
from emergence.introspection.experiments import lead_of
from emergence.randomness import derive_seed
from emergence.settings import Settings, Stage
from emergence.statistics import relative_rms

BATCH_SEED = 0
"""Of the windows drawn."""

STAGE_STEPS = 1500
"""Of Adam in a stage of the laptop scale: what compilation is to be weighed against."""

STEPS_PER_LOOK = {"adam": 100, "levenberg_marquardt": 2}
"""How often a race measures the test error."""


def free_translator(
    chosen: Settings, data: dict[str, np.ndarray], seeds: int, name: str = "0"
) -> translator.TranslatorProblem:
    """Translators of hidden dimension 3 on all three families; ``name`` draws other starts."""
    shape = translator.Shape(3, 3, "linear", False, float(data["unit"]))
    return translator.TranslatorProblem(
        shape, seeds, derive_seed(chosen.seed, name), data["train_potential"],
        data["train_density"][None], lead_of(chosen, data["train_lead"])[None],
    )  # fmt: skip


class Training:
    """One stage of the training loop, its compilation timed apart from its steps."""

    def __init__(
        self, problem: steps.Problem, stage: Stage, parameters: updates.Parameters | None = None
    ) -> None:
        if parameters is None:
            start = problem.initial_parameters(stage.candidates)
            parameters = {name: tf.constant(value) for name, value in start.items()}
        self.tensors = steps.begin_stage(parameters, stage)
        self._run = steps.compile_chunk(problem, stage, BATCH_SEED)
        self.done = 0
        before = self.tensors
        # A step that is thrown away: what is compiled inside a chunk is so when it first runs.
        self.compile_seconds = self.advance(1)
        self.tensors, self.done = before, 0

    @property
    def parameters(self) -> updates.Parameters:
        """Name → ``[seeds, ...]``, as they are now."""
        return steps.parameters_of(self.tensors)

    def advance(self, count: int) -> float:
        """Take so many steps; seconds it took."""
        began = time.perf_counter()
        end = self.done + count
        while True:
            count = min(steps.CHUNK_STEPS, end - self.done)
            self.tensors, losses = self._run(
                self.tensors, tf.constant(self.done), tf.constant(count), 1.0
            )
            self.done += count
            if self.done == end:
                losses.numpy()
                return time.perf_counter() - began


def ensembles(sizes: Sizes, chosen: Settings, data: dict[str, np.ndarray]) -> list[Row]:
    """Seeds as one batched computation against as many trainings one after the other."""
    rows = []
    for window in sizes.windows:
        stage = Stage(update="adam", window=window, steps=10_000, batch=48)
        together = Training(free_translator(chosen, data, sizes.seeds), stage)
        # One compiled step serves all of them in turn, which separate jobs could not share.
        alone = Training(free_translator(chosen, data, 1), stage)
        starts = [
            free_translator(chosen, data, 1, f"seed {k}").initial_parameters(1)
            for k in range(sizes.seeds)
        ]
        starts = [{name: tf.constant(value) for name, value in one.items()} for one in starts]

        def one_by_one(
            alone: Training = alone, stage: Stage = stage, starts: list = starts
        ) -> float:
            seconds = 0.0
            for start in starts:
                alone.tensors, alone.done = steps.begin_stage(start, stage), 0
                seconds += alone.advance(sizes.steps)
            return seconds

        batched, separate = in_turns(lambda one=together: one.advance(sizes.steps), one_by_one)
        scale = STAGE_STEPS / sizes.steps
        jobs = scale * separate + sizes.seeds * alone.compile_seconds
        jobs /= scale * batched + together.compile_seconds
        rows.append(
            Row(
                f"{sizes.seeds} seeds batched / one by one, window {window}",
                batched,
                separate,
                f"{sizes.steps} Adam steps of {stage.batch} windows. Compiling apart: "
                f"{duration(together.compile_seconds)} for the ensemble, "
                f"{duration(alone.compile_seconds)} for one seed; a stage of {STAGE_STEPS} steps "
                f"as separate jobs, each compiling its own, takes {jobs:.2g} times as long.",
            )
        )
    return rows


def compiled_steps(sizes: Sizes, chosen: Settings, data: dict[str, np.ndarray]) -> list[Row]:
    """The compiled chunk against the same Python run op by op, per step."""
    rows = []
    for window in sizes.windows:
        stage = Stage(update="adam", window=window, steps=10_000, batch=48)
        compiled = Training(free_translator(chosen, data, sizes.seeds), stage)
        tf.config.run_functions_eagerly(True)
        try:
            eager = Training(free_translator(chosen, data, sizes.seeds), stage)
            slow = median(
                eager.advance(sizes.eager_steps) / sizes.eager_steps for _ in range(ROUNDS)
            )
        finally:
            tf.config.run_functions_eagerly(False)
        (fast,) = in_turns(lambda one=compiled: one.advance(sizes.steps) / sizes.steps)
        saved = slow - fast
        pays = f"{compiled.compile_seconds / saved:.0f}" if saved > 0.0 else "no number of"
        rows.append(
            Row(
                f"compiled / eager step, window {window}",
                fast,
                slow,
                f"One Adam step of {sizes.seeds} seeds and {stage.batch} windows, drawing "
                f"included. Compiling takes {duration(compiled.compile_seconds)}, paid back "
                f"after {pays} steps.",
            )
        )
    return rows


def rolled_jacobian(sizes: Sizes, chosen: Settings, data: dict[str, np.ndarray]) -> list[Row]:
    """Derivatives that roll along the window with the state against a copy of it for each parameter."""
    window, latent = 16, 2
    state = data["train_state"]
    # The exact three variables of the density stand in for a translator's hidden states.
    hidden = np.stack([state[..., 0] ** 2, state[..., 0] * state[..., 1], state[..., 1] ** 2], -1)
    shape = distiller.Shape(3, latent, 3, "quadratic", "linear", float(data["unit"]))
    problem = distiller.DistillerProblem(
        shape, 1, chosen.seed, data["train_potential"], hidden[None]
    )
    batch = problem.draw(tf.constant([0, BATCH_SEED]), sizes.jacobian_batch, window)
    start = {name: tf.constant(value) for name, value in problem.initial_parameters().items()}
    shapes = {name: tuple(value.shape[1:]) for name, value in start.items()}
    flat = jacobians.flatten(start)
    chained = tf.function(
        lambda flat: jacobians.jacobian_of_rolled(problem, flat, batch, shapes)[0],
        jit_compile=True, autograph=False,
    )  # fmt: skip
    plain = tf.function(
        lambda flat: jacobians.jacobian(problem.residuals, flat, batch, shapes),
        jit_compile=True, autograph=False,
    )  # fmt: skip
    first, second = chained(flat).numpy(), plain(flat).numpy()
    difference = np.abs(first - second).max() / np.abs(second).max()

    def timed(function: Callable[[tf.Tensor], tf.Tensor]) -> float:
        began = time.perf_counter()
        function(flat).numpy()
        return time.perf_counter() - began

    ours, other = in_turns(lambda: timed(chained), lambda: timed(plain))
    return [
        Row(
            "Jacobian rolled with the state / copy per parameter",
            ours,
            other,
            f"A distiller of {flat.shape[1]} parameters on {sizes.jacobian_batch} windows of "
            f"{window} sites. "
            f"Largest difference of the two: {difference:.1g} of the largest entry.",
        )
    ]


@dataclass(frozen=True)
class Race:
    """How far a schedule got, and when."""

    seconds: float
    error: float
    compile_seconds: float
    reached: bool


def race(
    problem: translator.TranslatorProblem,
    stages: list[Stage],
    error: Callable[[updates.Parameters], float],
    target: float,
    most_seconds: float,
) -> Race:
    """Train until ``error`` falls to ``target``, the schedule ends, or the time is over.

    Neither compiling nor measuring the error counts; the smallest error seen is told.
    """
    seconds, compiling, parameters, best = 0.0, 0.0, None, np.inf
    for stage in stages:
        one = Training(problem, stage, parameters)
        compiling += one.compile_seconds
        while one.done < stage.steps:
            look = STEPS_PER_LOOK[stage.update]
            seconds += one.advance(min(look, stage.steps - one.done))
            best = min(best, error(one.parameters))
            if best <= target or seconds >= most_seconds:
                return Race(seconds, best, compiling, best <= target)
        parameters = one.parameters
    return Race(seconds, best, compiling, False)


def second_order(sizes: Sizes, chosen: Settings, data: dict[str, np.ndarray]) -> list[Row]:
    """Adam and then Levenberg-Marquardt against Adam alone, to the same test error."""
    problem = free_translator(chosen, data, sizes.race_seeds)
    lead = lead_of(chosen, data["test_lead"])[None]

    def error(parameters: updates.Parameters) -> float:
        weights = {name: value.numpy() for name, value in parameters.items()}
        found, _ = translator.evaluate(problem.shape, weights, lead, data["test_potential"])
        found = np.nan_to_num(found, nan=np.inf)
        truth = np.broadcast_to(data["test_density"], found.shape)
        return float(np.median(relative_rms(found, truth, axis=2)))

    def told(result: Race) -> str:
        return "got there" if result.reached else f"stopped at {result.error:.2g}"

    stages, rows = chosen.introspection.stages, []
    for target, alone in zip(sizes.race_errors, ("adam_alone", "adam_alone_long"), strict=False):
        both = race(problem, stages["translator"], error, target, sizes.race_seconds)
        adam = race(problem, stages[alone], error, target, sizes.race_seconds)
        waited = (adam.seconds + adam.compile_seconds) / (both.seconds + both.compile_seconds)
        rows.append(
            Row(
                f"Levenberg-Marquardt / Adam alone, to an error of {target:g}",
                both.seconds,
                adam.seconds,
                f"Translators of {sizes.race_seeds} seeds, median error over seeds and test "
                f"windows: Adam followed by Levenberg-Marquardt {told(both)}, Adam alone "
                f"{told(adam)}. Compiling apart: {duration(both.compile_seconds)} and "
                f"{duration(adam.compile_seconds)}; with it the ratio is {waited:.2g}.",
                bound=both.reached and not adam.reached,
            )
        )
    return rows
