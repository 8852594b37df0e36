"""What is fast here, and how fast: every ratio of the README measured in one run, none asserted.

Ours against the naive way (seeds one by one, steps uncompiled, one pass per parameter, first-order
updates alone) and against other ways to the law. Compilation is timed apart where both sides could
be compiled once and for all, and counted in where a reader would wait for it: on the way to the law.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from emergence import settings, training, updates
from emergence.errors import HostError
from emergence.introspection import (
    dataset,
    distiller,
    experiments,
    peers,
    potentials,
    reading,
    schrodinger,
    spectral,
    translator,
)
from emergence.progress import say
from emergence.randomness import derive_seed, generator
from emergence.settings import Settings, Stage
from emergence.statistics import relative_rms

SEED = 20190111
THREADS = 1
"""Of TensorFlow, as in the stages of the laptop scale."""

SPACING_TOLERANCE, FORM_TOLERANCE = 1e-3, 1e-3
"""The law is reached when a² is within the first and the similarity ratio below the second."""

ROUNDS = 3
"""Timings of each side, taken in turns; the median counts."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    seeds: int = 10
    windows: tuple[int, ...] = (8, 50)
    steps: int = 60
    eager_steps: int = 4
    jacobian_batch: int = 128
    race_seeds: int = 3
    race_error: float = 1e-3
    race_seconds: float = 60.0
    training_windows: int = 300
    shorten: int = 1
    """Divides the steps of every schedule below."""


QUICK = Sizes(
    seeds=3, windows=(4,), steps=5, eager_steps=1, jacobian_batch=4, race_seeds=1, race_error=0.5,
    race_seconds=1.0, training_windows=40, shorten=20,
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    ours: float
    """Seconds."""

    other: float | None
    """Seconds; None where the other way could not be run, for the reason in ``note``."""

    note: str
    bound: bool = False
    """Whether the other way was stopped before it got there, so that the ratio is a lower bound."""

    @property
    def ratio(self) -> float | None:
        """How many times as long the other way takes; below 1 it is the faster one."""
        return None if self.other is None else self.other / self.ours


def run(quick: bool = False) -> list[Row]:
    """Measure everything and print one table.

    Args:
        quick: sizes so small that nothing but the fact that it runs means anything.

    Returns:
        The rows of the table.
    """
    training.use_host(THREADS)
    began, load = time.perf_counter(), os.getloadavg()[0]
    sizes = QUICK if quick else Sizes()
    chosen = _settings(sizes)
    data = dataset.make(chosen.introspection, "arc", chosen.seed)
    rows = []
    for title, measure in (
        ("an ensemble of seeds", ensembles),
        ("compiled steps", compiled_steps),
        ("the Jacobian", jacobians),
        ("second-order updates", second_order),
        ("the time to the law", time_to_law),
    ):
        say(f"Measuring {title} ({time.perf_counter() - began:.0f} s so far).")
        rows += measure(sizes, chosen, data)
    console = Console(width=None if Console().is_terminal else 140)
    console.print(render(rows))
    console.print(host(load), f"The whole took {time.perf_counter() - began:.0f} s.")
    if quick:
        console.print("These were the quick sizes: the ratios mean nothing.")
    return rows


def render(rows: list[Row]) -> Table:
    """The table that people read."""
    table = Table(title="Ratios measured in this run", show_lines=True)
    table.add_column("What", ratio=3)
    for name in ("Ours", "The other way", "Ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("How, and what came out", ratio=6)
    for row in rows:
        at_least = "> " if row.bound else ""
        other, ratio = "not run", "–"
        if row.other is not None:
            other, ratio = f"{at_least}{duration(row.other)}", f"{at_least}{row.ratio:.2g}"
        table.add_row(row.what, duration(row.ours), other, ratio, row.note)
    return table


def duration(seconds: float) -> str:
    """Seconds with three digits in the unit that suits them."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def host(load: float) -> str:
    """Machine, threads and versions in two sentences; ``load`` is the load before the run."""
    versions = [f"Python {platform.python_version()}"]
    for name in ("tensorflow", "numpy", "scipy", "pysindy"):
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    busy = " (others were using it: expect noise)" if load > 0.5 else ""
    return (
        f"Machine: {_processor()}, {os.cpu_count()} cores, load before the run {load:.1f}{busy}; "
        f"TensorFlow on {THREADS} thread, {len(tf.config.list_physical_devices('GPU'))} GPUs. "
        f"Versions: {', '.join(versions)}."
    )


def _processor() -> str:
    """Model name where Linux tells it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


# --- what is measured with ---------------------------------------------------------------------


def _settings(sizes: Sizes) -> Settings:
    """The laptop's main arm, one seed, with a schedule cut to what one seed needs for the law."""

    def stage(update: str, window: int, steps: int, batch: int, **more: float) -> dict[str, Any]:
        steps = max(1, steps // sizes.shorten)
        return {"update": update, "window": window, "steps": steps, "batch": batch, **more}

    marquardt = "levenberg_marquardt"
    stages = {
        "translator": [
            stage("adam", 8, 800, 32, rate=1e-2, ridge=1e-6),
            stage(marquardt, 16, 20, 32, ridge=1e-7),
            stage(marquardt, 50, 20, 32, ridge=1e-10),
        ],
        # The learning rate and lengths that took Adam alone farthest within a minute.
        "translator_adam": [
            stage("adam", 8, 1500, 32, rate=1e-2, ridge=1e-6),
            stage("adam", 16, 1500, 32, rate=5e-3, ridge=1e-7),
            stage("adam", 50, 12_000, 32, rate=3e-3, final_rate=0.01),
        ],
        "distiller": [
            stage("adam", 8, 1500, 32, rate=1e-2, candidates=4),
            stage(marquardt, 16, 32, 128, ridge=1e-9),
            stage(marquardt, 50, 8, 64, ridge=1e-11),
        ],
    }
    families = list(potentials.FAMILIES)
    introspection = {
        "extrapolation": [100],
        "training_windows": sizes.training_windows,
        "test_windows": 20,
        "test_systems": 4,
        "seeds": 1,
        "datasets": {"arc": {"families": families, "start": "arc"}},
        "stages": stages,
        "translators": {"main": {"dataset": "arc", "hidden": [3], "stages": "translator"}},
        "distillers": {
            "main": {"dataset": "arc", "translator": "main", "latent": [2], "stages": "distiller"}
        },
        "spectral": {"noise": [0.0]},
    }
    content = {"scale": "bench", "seed": SEED, "checkpoint_seconds": 86_400}
    return settings.parse(content | {"introspection": introspection}, "the benchmark")


def _translator(
    chosen: Settings, data: dict[str, np.ndarray], seeds: int, name: str = "0"
) -> translator.TranslatorProblem:
    """Translators of hidden dimension 3 on all three families; ``name`` draws other starts."""
    shape = translator.Shape(3, 3, "linear", False, float(data["unit"]))
    return translator.TranslatorProblem(
        shape, seeds, derive_seed(SEED, name), data["train_potential"],
        data["train_density"][None], _lead(chosen, data["train_lead"])[None],
    )  # fmt: skip


def _lead(chosen: Settings, lead: np.ndarray) -> np.ndarray:
    system = chosen.introspection
    distance = system.lead_sites * system.spacing
    return translator.lead_coordinates(lead, distance, system.start_wavenumber)


class Training:
    """One stage of the training loop, its compilation timed apart from its steps."""

    def __init__(
        self, problem: training.Problem, stage: Stage, parameters: updates.Parameters | None = None
    ) -> None:
        if parameters is None:
            start = problem.initial_parameters(stage.candidates)
            parameters = {name: tf.constant(value) for name, value in start.items()}
        self.tensors = training._begin_stage(parameters, stage)
        self._run = training._compile_chunk(problem, stage, SEED)
        self.done = 0
        self.compile_seconds = self.advance(0)

    @property
    def parameters(self) -> updates.Parameters:
        """Name → ``[seeds, ...]``, as they are now."""
        return training._parameters(self.tensors)

    def advance(self, steps: int) -> float:
        """Take so many steps; seconds it took."""
        began = time.perf_counter()
        end = self.done + steps
        while True:
            count = min(training.CHUNK_STEPS, end - self.done)
            self.tensors, losses = self._run(
                self.tensors, tf.constant(self.done), tf.constant(count), 1.0
            )
            self.done += count
            if self.done == end:
                losses.numpy()
                return time.perf_counter() - began


def _in_turns(*sides: Callable[[], float]) -> list[float]:
    """Median seconds of each side; in turns, so that other work on the machine hits all alike."""
    times = [[side() for side in sides] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


# --- the comparisons ---------------------------------------------------------------------------


def ensembles(sizes: Sizes, chosen: Settings, data: dict[str, np.ndarray]) -> list[Row]:
    """Seeds as one batched computation against as many trainings one after the other."""
    rows = []
    for window in sizes.windows:
        stage = Stage(update="adam", window=window, steps=10_000, batch=48)
        together = Training(_translator(chosen, data, sizes.seeds), stage)
        # One compiled step serves all of them in turn, which separate jobs could not share.
        alone = Training(_translator(chosen, data, 1), stage)
        starts = [
            _translator(chosen, data, 1, f"seed {k}").initial_parameters(1)
            for k in range(sizes.seeds)
        ]
        starts = [{name: tf.constant(value) for name, value in one.items()} for one in starts]

        def one_by_one(
            alone: Training = alone, stage: Stage = stage, starts: list = starts
        ) -> float:
            seconds = 0.0
            for start in starts:
                alone.tensors, alone.done = training._begin_stage(start, stage), 0
                seconds += alone.advance(sizes.steps)
            return seconds

        batched, separate = _in_turns(lambda one=together: one.advance(sizes.steps), one_by_one)
        jobs = (separate + sizes.seeds * alone.compile_seconds) / (
            batched + together.compile_seconds
        )
        rows.append(
            Row(
                f"{sizes.seeds} seeds batched / one by one, window {window}",
                batched,
                separate,
                f"{sizes.steps} Adam steps of {stage.batch} windows. Compiling apart: "
                f"{duration(together.compile_seconds)} for the ensemble, "
                f"{duration(alone.compile_seconds)} for one seed; as separate jobs, each "
                f"compiling its own, the ratio is {jobs:.2g}.",
            )
        )
    return rows


def compiled_steps(sizes: Sizes, chosen: Settings, data: dict[str, np.ndarray]) -> list[Row]:
    """The compiled chunk against the same Python run op by op, per step."""
    rows = []
    for window in sizes.windows:
        stage = Stage(update="adam", window=window, steps=10_000, batch=48)
        compiled = Training(_translator(chosen, data, sizes.seeds), stage)
        tf.config.run_functions_eagerly(True)
        try:
            eager = Training(_translator(chosen, data, sizes.seeds), stage)
            slow = statistics.median(
                eager.advance(sizes.eager_steps) / sizes.eager_steps for _ in range(ROUNDS)
            )
        finally:
            tf.config.run_functions_eagerly(False)
        (fast,) = _in_turns(lambda one=compiled: one.advance(sizes.steps) / sizes.steps)
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


def jacobians(sizes: Sizes, chosen: Settings, data: dict[str, np.ndarray]) -> list[Row]:
    """Parameters that act through the window's start: the chain rule against a pass for each."""
    window, latent = 16, 2
    state = data["train_state"]
    # The exact three variables of the density stand in for a translator's hidden states.
    hidden = np.stack([state[..., 0] ** 2, state[..., 0] * state[..., 1], state[..., 1] ** 2], -1)
    shape = distiller.Shape(3, latent, 3, "quadratic", "linear", float(data["unit"]))
    problem = distiller.DistillerProblem(shape, 1, SEED, data["train_potential"], hidden[None])
    batch = problem.draw(tf.constant([0, SEED]), sizes.jacobian_batch, window)
    start = {name: tf.constant(value) for name, value in problem.initial_parameters().items()}
    shapes = {name: tuple(value.shape[1:]) for name, value in start.items()}
    flat = updates.flatten(start)
    chained = tf.function(
        lambda flat: updates.jacobian_through_start(problem, flat, batch, shapes),
        jit_compile=True, autograph=False,
    )  # fmt: skip
    plain = tf.function(
        lambda flat: updates.jacobian(problem.residuals, flat, batch, shapes),
        jit_compile=True, autograph=False,
    )  # fmt: skip
    first, second = chained(flat).numpy(), plain(flat).numpy()
    difference = np.abs(first - second).max() / np.abs(second).max()

    def timed(function: Callable[[tf.Tensor], tf.Tensor]) -> float:
        began = time.perf_counter()
        function(flat).numpy()
        return time.perf_counter() - began

    ours, other = _in_turns(lambda: timed(chained), lambda: timed(plain))
    passes = latent + sum(
        int(np.prod(shapes[name])) for name in shapes if name not in problem.start_names
    )
    return [
        Row(
            "Jacobian through the start / pass per parameter",
            ours,
            other,
            f"A distiller of {flat.shape[1]} parameters on {sizes.jacobian_batch} windows of "
            f"{window} sites: {passes} passes along the window instead of {flat.shape[1]}. "
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
        step = 100 if stage.update == "adam" else 2
        while one.done < stage.steps:
            seconds += one.advance(min(step, stage.steps - one.done))
            best = min(best, error(one.parameters))
            if best <= target or seconds >= most_seconds:
                return Race(seconds, best, compiling, best <= target)
        parameters = one.parameters
    return Race(seconds, best, compiling, False)


def second_order(sizes: Sizes, chosen: Settings, data: dict[str, np.ndarray]) -> list[Row]:
    """Adam and then Levenberg-Marquardt against Adam alone, to the same test error."""
    problem = _translator(chosen, data, sizes.race_seeds)
    lead = _lead(chosen, data["test_lead"])[None]

    def error(parameters: updates.Parameters) -> float:
        weights = {name: value.numpy() for name, value in parameters.items()}
        found, _ = translator.evaluate(problem.shape, weights, lead, data["test_potential"])
        found = np.nan_to_num(found, nan=np.inf)
        return float(np.median(relative_rms(found, data["test_density"][None], axis=2)))

    schedules = chosen.introspection.stages
    ours = race(problem, schedules["translator"], error, sizes.race_error, sizes.race_seconds)
    adam = race(problem, schedules["translator_adam"], error, sizes.race_error, sizes.race_seconds)
    reached = (
        "Adam then Levenberg-Marquardt got there"
        if ours.reached
        else f"Adam then Levenberg-Marquardt stopped at {ours.error:.2g}"
    )
    stopped = "Adam alone got there" if adam.reached else f"Adam alone stopped at {adam.error:.2g}"
    return [
        Row(
            f"Levenberg-Marquardt / Adam alone, to a test error of {sizes.race_error:g}",
            ours.seconds,
            adam.seconds,
            f"Translators of {sizes.race_seeds} seeds, median error over seeds and test windows: "
            f"{reached}, {stopped}. Compiling apart: {duration(ours.compile_seconds)} and "
            f"{duration(adam.compile_seconds)}.",
            bound=ours.reached and not adam.reached,
        )
    ]


def time_to_law(sizes: Sizes, chosen: Settings, data: dict[str, np.ndarray]) -> list[Row]:
    """Translator and distiller against the spectral baseline and PySINDy."""
    seconds, outcome = _law_by_networks(chosen, data)
    baseline, baseline_outcome = _law_by_hankel(chosen)
    ours = "the law by translator and distiller"
    return [
        Row(
            f"{ours} / spectral baseline",
            seconds,
            baseline,
            f"One seed, compiling included, a wave function found: {outcome}. The baseline: "
            f"{baseline_outcome}; it cannot use these densities, but needs designed experiments "
            "of its own (every prefix with every suffix, one start, 7 values of V).",
        ),
        _against_pysindy(f"{ours} / PySINDy", seconds, chosen, data),
    ]


def _judge(spacing_error: float, form: float, form_name: str) -> str:
    reached = spacing_error <= SPACING_TOLERANCE and form <= FORM_TOLERANCE
    verdict = "law reached" if reached else "law not reached"
    return f"{verdict}, a² off by {spacing_error:.1g}, {form_name} {form:.1g}"


def _law_by_networks(chosen: Settings, data: dict[str, np.ndarray]) -> tuple[float, str]:
    """Seconds from densities to the law's invariants, and what they are."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        folders = Path(folder) / "translator", Path(folder) / "distiller"
        first, _ = experiments.train_translators(chosen, "main", data, folders[0])
        second, _ = experiments.train_distillers(chosen, "main", data, first, folders[1])
    law = reading.read_wave_law(
        second["n2/p/update"], second["n2/latent"], data, float(second["unit"]),
        chosen.introspection.spacing,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    similarity = float(law["similarity"][0])
    return seconds, _judge(float(law["spacing_error"][0]), similarity, "similarity ratio")


def _law_by_hankel(chosen: Settings) -> tuple[float, str]:
    """The same of the network-free baseline on its own noise-free experiments."""
    system, options = chosen.introspection, chosen.introspection.spectral
    start = schrodinger.draw_starts(
        generator(SEED, "start"), 1, "single", system.start_wavenumber, 0.0
    )[0]
    letters = spectral.chebyshev_nodes(potentials.ROUGH_RANGE, options.letters)
    hankel = spectral.measure(
        generator(SEED, "words"), letters, options.words, options.length, start, system.spacing
    )
    began = time.perf_counter()
    law = spectral.read_law(spectral.fit(hankel), system.spacing)
    seconds = time.perf_counter() - began
    error = abs(float(law["spacing_ratio"]) - 1.0)
    return seconds, _judge(error, float(law["form_ratio"]), "ratio of the invariant form")


def _against_pysindy(
    what: str, seconds: float, chosen: Settings, data: dict[str, np.ndarray]
) -> Row:
    """PySINDy on the training densities of each family; its best case, shallow, is timed."""
    found = {}
    try:
        for index, family in enumerate(potentials.FAMILIES):
            rows = data["train_family"] == index
            found[family] = peers.sparse_regression(
                data["train_potential"][rows], data["train_density"][rows],
                chosen.introspection.spacing,
            )  # fmt: skip
    except HostError as error:
        return Row(what, seconds, None, str(error))
    best = found.pop("shallow")
    form = "the right form" if best.form_right else "not the right form"
    others = "; ".join(f"{family}: {law}" for family, law in found.items())
    note = (
        f"On the same training densities of the shallow family alone: {best} ({form}; exact: "
        f"4 Vρ' + 2 V'ρ, so a² is off by {best.spacing_error:.1g}). It is told the variables and "
        "the spacing and handed V', and finds an equation of the density, no wave function. "
        f"On the families ours is trained on as well, {others}."
    )
    return Row(what, seconds, best.seconds, note)
