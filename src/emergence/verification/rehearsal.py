"""What a scale costs here: of every training of a flow, a few steps at its own size and batch.

The whole of the paper scale takes days on two cores; a step of each of its trainings does not. A step
costs the same from any parameters, so each is timed from untrained ones, in a process of its own:
compiled beside others, timed alone. All stages of a training together are then expected to take as
many times as long as they have steps, in proportion to their batches and candidates.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from emergence.artifacts import read_table, write_table
from emergence.errors import HostError, SettingsError
from emergence.progress import Progress
from emergence.provenance import host_in_use
from emergence.settings import Settings, load

COLUMNS = [
    "scale", "device", "flow", "side", "batch", "seconds_per_step", "steps", "hours", "memory_gib",
]  # fmt: skip
_MEASURED = ("side", "batch", "seconds_per_step", "steps", "hours", "memory_gib")
TIMED_S = 5.0
"""Steps are timed for about so long, but at least one, and no more than one compiled call makes."""


@dataclass(frozen=True)
class Training:
    """One training of a flow."""

    settings_file: Path
    flow: str
    side: int


@dataclass(frozen=True)
class Timed:
    """What a step of a training takes: on a GPU wall time and its memory, else processor's."""

    device: str
    seconds: float
    memory_gib: float


def trainings(settings_file: Path, flows: Collection[str] = ()) -> list[Training]:
    """Return every training of the flows of a scale, or of those named.

    Raises:
        SettingsError: the settings are malformed, or have no flow of such a name.
    """
    settings = load(settings_file)
    known = settings.holography.flows
    if unknown := sorted(set(flows) - set(known)):
        raise SettingsError(
            f"There is no flow named {unknown[0]!r} at scale {settings.scale}.",
            f"Choose among: {', '.join(sorted(known))}.",
        )
    return [
        Training(settings_file, name, side)
        for name in sorted(known)
        if not flows or name in flows
        for side in sorted(known[name].sizes)
    ]


def rehearse(chosen: list[Training], record: Path, jobs: int = 1) -> pd.DataFrame:
    """Time a step of each; the record takes each in place of an old row of this device, as it comes.

    Args:
        chosen: trainings of one scale.
        record: the table, ``config/steps.csv``.
        jobs: how many are compiled side by side.

    Returns:
        A row per training, :data:`COLUMNS`; ``hours`` for all of its stages.

    Raises:
        ArtifactError: the record is corrupt or cannot be written.
        HostError: a process was killed, as where memory runs out.
    """
    context = multiprocessing.get_context("spawn")
    rows = []
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(jobs, context, max_tasks_per_child=1) as pool,
        Progress("rehearsal", len(chosen)) as progress,
    ):
        alone = manager.Lock()
        waiting = [(each, pool.submit(time_step, each, alone)) for each in chosen]
        for number, (training, answer) in enumerate(waiting, start=1):
            name = f"{training.flow} {training.side}"
            try:
                timed = answer.result()
            except BrokenProcessPool:
                raise HostError(
                    f"The process that was to time {name}, or one beside it, was killed.",
                    f"Free memory or lower --jobs; what was timed before is in {record}.",
                ) from None
            rows.append(_row(training, timed))
            _keep(rows[-1], record)
            progress.advance(number, f"{name}: {timed.seconds:.2g} s a step")
    return pd.DataFrame(rows, columns=COLUMNS)


def _keep(row: dict[str, Any], record: Path) -> None:
    frame = pd.DataFrame([row], columns=COLUMNS)
    about = ["scale", "device", "flow", "side"]
    known = read_steps(record) if record.is_file() else frame.iloc[:0]
    kept = known[~known.set_index(about).index.isin(frame.set_index(about).index)]
    both = pd.concat([kept, frame]) if len(kept) else frame
    write_table(record, both.sort_values(about, kind="stable", ignore_index=True))


def read_steps(record: Path) -> pd.DataFrame:
    """Read what :func:`rehearse` recorded.

    Raises:
        ArtifactError: the record is missing or malformed.
    """
    return read_table(record, COLUMNS, numbers=_MEASURED)


def time_step(training: Training, alone: Any) -> Timed:
    """Compile one training in this process, then take the time of its steps while ``alone`` is held."""
    import tensorflow as tf

    from emergence import devices, host
    from emergence.holography.arms import problem_of
    from emergence.steps import CHUNK_STEPS, begin_stage, compile_chunk

    settings = load(training.settings_file)
    device = host.use_host(settings.threads, settings.optimisation)
    problem = problem_of(settings, training.flow, training.side)
    chosen = settings.holography
    last = chosen.stages[chosen.flows[training.flow].sizes[training.side]][-1]
    stage = last.model_copy(update={"candidates": 1})
    chunk = compile_chunk(problem, stage, settings.seed)
    first = {k: tf.convert_to_tensor(v) for k, v in problem.initial_parameters(1).items()}
    tensors = begin_stage(first, stage)

    def seconds(count: int) -> float:
        began = devices.clock()
        chunk(tensors, tf.constant(0), tf.constant(count), 1.0)[1].numpy()
        return devices.clock() - began

    seconds(1)  # compiles
    with alone:
        once = seconds(1)
        count = max(1, min(CHUNK_STEPS, int(TIMED_S / once)))
        pace = seconds(count) / count
    if device.startswith("CPU"):
        memory = host_in_use()["peak_memory_mib"] / 2**10
    else:
        memory = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30
    return Timed(device, pace, memory)


def _row(training: Training, timed: Timed) -> dict[str, Any]:
    settings: Settings = load(training.settings_file)
    chosen = settings.holography
    stages = chosen.stages[chosen.flows[training.flow].sizes[training.side]]
    last = stages[-1]
    work = sum(s.steps * s.batch * s.candidates for s in stages) / last.batch
    return {
        "scale": settings.scale,
        "device": timed.device,
        "flow": training.flow,
        "side": training.side,
        "batch": last.batch,
        "seconds_per_step": timed.seconds,
        "steps": sum(stage.steps for stage in stages),
        "hours": timed.seconds * work / 3600.0,
        "memory_gib": timed.memory_gib,
    }


def steps_table(frame: pd.DataFrame) -> str:
    """Markdown tables of the README, one of each device: a row per training, then all together."""
    if not len(frame):
        return "Not measured yet."
    return "\n\n".join(_table(device, rows) for device, rows in frame.groupby("device"))


def _table(device: str, frame: pd.DataFrame) -> str:
    clock = "processor seconds" if device.startswith("CPU") else "seconds"
    rows = [
        f"{device}:",
        "",
        f"| flow | side | batch | {clock} of a step | steps | hours in all | memory |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {row.flow} | {row.side} | {row.batch} | {row.seconds_per_step:.2g} | {row.steps:,} | "
        f"{row.hours:.2g} | {row.memory_gib:.1f} GiB |"
        for row in frame.itertuples()
    ]
    total = (
        f"| all | | | | {frame['steps'].sum():,} | {frame['hours'].sum():.3g} | "
        f"{frame['memory_gib'].max():.1f} GiB |"
    )
    return "\n".join([*rows, total])
