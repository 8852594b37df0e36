"""The step of a training in a process of its own, whose memory is that of this training alone.

What `make bench` imports beside it, statistics and plots, would weigh a tenth of a GiB.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

ROUNDS = 5
"""Of steps, whose median counts."""


@dataclass(frozen=True)
class Step:
    """What the step of a training takes."""

    seconds: float
    compile_seconds: float
    peak_memory_gib: float
    """Of the process, TensorFlow and the compilation included."""


def step_alone(
    settings_file: Path, arm: str, side: int, batch: int, steps: int, threads: int
) -> Step:
    """Time steps of Adam of an arm of a scale, each round ``steps`` of them, in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_step, settings_file, arm, side, batch, steps, threads).result()


def _step(settings_file: Path, arm: str, side: int, batch: int, steps: int, threads: int) -> Step:
    from emergence.host import use_host

    use_host(threads)
    # Imported once the device is chosen, as TensorFlow is with them.
    from emergence.holography.arms import problem_of
    from emergence.introspection.step_speed import Training
    from emergence.provenance import host_in_use
    from emergence.settings import FlowStage, load

    stage = FlowStage(update="adam", steps=100_000, batch=batch, rate=1e-4)
    training = Training(problem_of(load(settings_file), arm, side), stage)
    seconds = median(training.advance(steps) for _ in range(ROUNDS)) / steps
    return Step(seconds, training.compile_seconds, host_in_use()["peak_memory_mib"] / 2**10)
