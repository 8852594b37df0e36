"""How a training scales with the devices that share its batches: measured, none asserted.

The devices of a process are fixed once, so each number of them has a process of its own. Without GPUs
they are logical devices of the processor, one thread each: more of them than processors cannot pay.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from emergence.errors import SettingsError
from emergence.introspection.comparison import duration
from emergence.progress import say

COUNTS = (1, 2)
ROUNDS = 5
"""Timings of each; the median counts."""

SECONDS = 1.0
"""A timing takes about so long."""


@dataclass(frozen=True)
class Sizes:
    """What is measured."""

    side: int = 8
    flow_batches: tuple[int, ...] = (64, 512, 2048)
    seeds: int = 10
    window: int = 50
    """Sites, of the translators."""
    translator_batches: tuple[int, ...] = (48, 480, 4800)
    most_steps: int = 1000
    """Of each timing."""


QUICK = Sizes(2, (), 2, 4, (4,), 1)
"""So small that only running through means anything."""


@dataclass(frozen=True)
class Speed:
    """A step of one training on so many devices, in seconds."""

    what: str
    batch: int
    devices: int
    wall: float
    processor: float
    """Over all threads."""


def run(quick: bool = False) -> list[Speed]:
    """Measure every number of devices and print a table.

    Args:
        quick: sizes so small that nothing but the fact that it runs means anything.

    Raises:
        SettingsError: there are not so many GPUs.
    """
    # Imported when used: the processes that measure are the ones to start TensorFlow.
    from emergence.introspection.bench import host

    load = os.getloadavg()[0]
    speeds = []
    for count in COUNTS:
        say(f"Timing trainings on {count} device{'s' if count > 1 else ''}.")
        speeds += _in_a_process(count, quick)
    console = Console(width=None if Console().is_terminal else 140)
    console.print(render(speeds))
    console.print(host(load))
    if quick:
        console.print("These were the quick sizes: the numbers mean nothing.")
    return speeds


def _in_a_process(count: int, quick: bool) -> list[Speed]:
    command = [sys.executable, "-m", "emergence.device_speed", str(count), *["quick"][:quick]]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SettingsError(
            f"Trainings on {count} devices could not be timed; what they said stands above.",
            "Hide the GPUs with CUDA_VISIBLE_DEVICES=-1 if there are fewer.",
        )
    return [Speed(**entry) for entry in json.loads(done.stdout.splitlines()[-1])]


def measure(count: int, sizes: Sizes) -> list[Speed]:
    """Time every training on so many devices; once in a process, before any op."""
    from emergence import devices
    from emergence.holography.bench import critical
    from emergence.host import use_host
    from emergence.introspection import bench, comparison, dataset
    from emergence.introspection.step_speed import Training, free_translator
    from emergence.settings import FlowStage, Stage

    devices.want(count)
    use_host(1)
    speeds = []
    for batch in sizes.flow_batches:
        stage = FlowStage(update="adam", steps=100_000, batch=batch, rate=1e-4)
        what = f"flow of {sizes.side} × {sizes.side}"
        training = Training(critical(sizes.side), stage)
        speeds.append(Speed(what, batch, count, *_step(training, sizes.most_steps)))
    chosen = bench.choose_settings(comparison.QUICK)
    data = dataset.make(chosen.introspection, "arc", chosen.seed)
    problem = free_translator(chosen, data, sizes.seeds)
    for batch in sizes.translator_batches:
        stage = Stage(update="adam", window=sizes.window, steps=100_000, batch=batch)
        what = f"{sizes.seeds} translators, {sizes.window} sites"
        training = Training(problem, stage)
        speeds.append(Speed(what, batch, count, *_step(training, sizes.most_steps)))
    return speeds


def _step(training, most_steps: int) -> tuple[float, float]:
    """Median (wall, processor) seconds of a step."""
    steps = min(most_steps, max(1, round(SECONDS / training.advance(1))))

    def timing() -> tuple[float, float]:
        began = time.process_time()
        wall = training.advance(steps)
        return wall / steps, (time.process_time() - began) / steps

    walls, processors = zip(*(timing() for _ in range(ROUNDS)), strict=True)
    return median(walls), median(processors)


def render(speeds: list[Speed]) -> Table:
    """The table that people read: each against one device."""
    one = {(speed.what, speed.batch): speed for speed in speeds if speed.devices == 1}
    table = Table(title="A step of Adam, its batch shared among devices, in this run")
    for name in ("Training", "Batch", "Devices", "Wall", "Processor", "Times as fast"):
        table.add_column(name, justify="left" if name == "Training" else "right")
    for speed in sorted(speeds, key=lambda speed: (speed.what, speed.batch, speed.devices)):
        ratio = one[speed.what, speed.batch].wall / speed.wall
        table.add_row(
            speed.what, str(speed.batch), str(speed.devices), duration(speed.wall),
            duration(speed.processor), f"{ratio:.2f}",
        )  # fmt: skip
    return table


if __name__ == "__main__":
    found = measure(int(sys.argv[1]), QUICK if sys.argv[2:] else Sizes())
    print(json.dumps([asdict(speed) for speed in found]))
