"""What is fast here, and how fast: every ratio of the README measured in one run, none asserted.

Ours against the naive way (seeds one by one, steps uncompiled, one pass per parameter, first-order
updates alone) and against other ways to the law.
"""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console

from emergence.host import use_host
from emergence.introspection import dataset, law_speed, potentials, step_speed
from emergence.introspection.comparison import QUICK, Row, Sizes, render
from emergence.progress import say
from emergence.settings import Introspection, Settings

SEED = 20190111
THREADS = 1
"""Of TensorFlow, as in the stages of the laptop scale."""


def run(quick: bool = False) -> list[Row]:
    """Measure everything and print one table.

    Args:
        quick: sizes so small that nothing but the fact that it runs means anything.

    Returns:
        The rows of the table.
    """
    use_host(THREADS)
    began, load = time.perf_counter(), os.getloadavg()[0]
    sizes = QUICK if quick else Sizes()
    chosen = choose_settings(sizes)
    data = dataset.make(chosen.introspection, "arc", chosen.seed)
    rows = []
    for title, measure in (
        ("an ensemble of seeds", step_speed.ensembles),
        ("compiled steps", step_speed.compiled_steps),
        ("the Jacobian", step_speed.rolled_jacobian),
        ("second-order updates", step_speed.second_order),
        ("the time to the law", law_speed.time_to_law),
    ):
        say(f"Measuring {title} ({time.perf_counter() - began:.0f} s so far).")
        rows += measure(sizes, chosen, data)
    console = Console(width=None if Console().is_terminal else 140)
    console.print(render(rows))
    console.print(host(load), f"The whole took {time.perf_counter() - began:.0f} s.")
    if quick:
        console.print("These were the quick sizes: the ratios mean nothing.")
    return rows


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


def choose_settings(sizes: Sizes) -> Settings:
    """The laptop's main arm, one seed, with a schedule cut to what one seed needs for the law."""

    def stage(update: str, window: int, steps: int, batch: int, **more: float) -> dict[str, Any]:
        steps = min(steps, sizes.most_steps)
        return {"update": update, "window": window, "steps": steps, "batch": batch, **more}

    def adam_alone(steps: int, rate: float) -> list[dict[str, Any]]:
        return [
            stage("adam", 8, 1500, 32, rate=1e-2, ridge=1e-6),
            stage("adam", 16, 1500, 32, rate=3e-3, ridge=1e-7),
            stage("adam", 50, steps, 32, rate=rate, final_rate=0.01),
        ]

    marquardt = "levenberg_marquardt"
    stages = {
        "translator": [
            stage("adam", 8, 800, 32, rate=1e-2, ridge=1e-6),
            stage(marquardt, 16, 20, 32, ridge=1e-7),
            stage(marquardt, 50, 20, 32, ridge=1e-10),
        ],
        # Of twenty choices of rates, lengths and batches the one that brought Adam alone safely to
        # 1e-3 soonest, and the one that brought it lowest well within the time of a race.
        "adam_alone": adam_alone(6000, 2e-4),
        "adam_alone_long": adam_alone(30_000, 1e-4),
        "distiller": [
            stage("adam", 8, 1500, 32, rate=1e-2, candidates=4),
            stage(marquardt, 16, 32, 128, ridge=1e-9),
            stage(marquardt, 50, 8, 64, ridge=1e-11),
        ],
    }
    if sizes.only_stage is not None:
        stages = {name: [some[sizes.only_stage]] for name, some in stages.items()}
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
    # Only the system that is measured is told; a settings file would have to tell all of them.
    return Settings.model_construct(
        scale="bench",
        seed=SEED,
        checkpoint_seconds=86_400.0,
        introspection=Introspection.model_validate(introspection),
    )
