"""What a scale costs here: every flow is trained for a few steps at its own size and batch.

The whole of the paper scale takes days on two cores; a step of each of its trainings does not. Of
each side of each flow the last stage is cut to :data:`STEPS`, grown from sides cut in the same way,
and its time taken without compilation. All stages together are then expected to take as many times
as long as they have steps, in proportion to their batches and candidates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from emergence.artifacts import read_numbers, read_table, write_table, write_text
from emergence.errors import ArtifactError
from emergence.settings import Settings, load
from emergence.verification.costs import measured_costs
from emergence.verification.jobs import reduced, training_jobs
from emergence.verification.shipping import judged_scale

SCALE = "rehearsal"
"""Name of the results of a rehearsal."""
STEPS = 25
"""Steps of each training: one compiled call, which is not timed, and some that are."""
COLUMNS = ["scale", "flow", "side", "batch", "seconds_per_step", "steps", "hours", "memory_gib"]


def flow_jobs(settings: Settings) -> list[str]:
    """Return every training of a flow, such as ``holography/flows/critical/16``."""
    return sorted(job for job in training_jobs(settings) if job.startswith("holography/flows/"))


def plan(settings_file: Path, folder: Path) -> list[str]:
    """Write the settings and the targets of a rehearsal.

    Args:
        settings_file: of the scale that is asked about.
        folder: where they go, ``results/rehearsal``.

    Returns:
        What a reader should know beforehand, a sentence per line.

    Raises:
        SettingsError: the settings are malformed.
        ArtifactError: a file cannot be written.
    """
    settings = load(settings_file)
    jobs = flow_jobs(settings)
    content = reduced(settings, jobs, judged_scale(settings), SCALE)
    chosen = content["holography"]
    chosen |= {"samples": chosen["chunk"], "plane": None}
    for arm in chosen["flows"].values():
        arm |= {"samples": None, "observed": False}
    for stages in chosen["stages"].values():
        stages[:] = [stages[-1] | {"steps": STEPS, "candidates": 1, "ramp": 0.0}]
    write_text(folder / "settings.yaml", yaml.safe_dump(content, sort_keys=False))
    targets = [f"{folder / job}/timing.json" for job in jobs]
    write_text(folder / "targets.txt", " ".join(targets) + "\n")
    return [
        f"{len(jobs)} trainings of flows at scale {settings.scale} are run for {STEPS} steps each; "
        "most of the time is compilation."
    ]


def measure(settings_file: Path, folder: Path, record: Path) -> pd.DataFrame:
    """Read what a rehearsal measured, and write it to the record in place of the scale's old rows.

    Args:
        settings_file: as of :func:`plan`.
        folder: with the results of the rehearsal.
        record: the table, ``config/steps.csv``.

    Returns:
        A row per training, :data:`COLUMNS`; ``hours`` of one processor for all of its stages.

    Raises:
        ArtifactError: a training of the rehearsal is missing or corrupt, or the record is.
    """
    settings = load(settings_file)
    costs = measured_costs(folder)
    rows = []
    for job in flow_jobs(settings):
        pace = read_numbers(folder / job / "timing.json", ["seconds_per_step"])
        seconds = pace["seconds_per_step"]
        if seconds is None or job not in costs:
            raise ArtifactError(
                f"The rehearsal of {job} told no time.", "Delete its folder and run it again."
            )
        rows.append(_row(settings, job, seconds, costs[job].memory_mib / 1024.0))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    known = read_table(record, COLUMNS) if record.is_file() else frame.iloc[:0]
    others = known[known["scale"] != settings.scale]
    write_table(record, pd.concat([others, frame]) if len(others) else frame)
    return frame


def _row(settings: Settings, job: str, seconds: float, memory: float) -> dict[str, Any]:
    _, _, name, side = job.split("/")
    chosen = settings.holography
    stages = chosen.stages[chosen.flows[name].sizes[int(side)]]
    last = stages[-1]
    work = sum(s.steps * s.batch * s.candidates for s in stages) / last.batch
    return {
        "scale": settings.scale,
        "flow": name,
        "side": int(side),
        "batch": last.batch,
        "seconds_per_step": seconds,
        "steps": sum(stage.steps for stage in stages),
        "hours": seconds * work / 3600.0,
        "memory_gib": memory,
    }


def steps_table(frame: pd.DataFrame) -> str:
    """Markdown table of the README: a row per training of one scale, then all of them together."""
    if not len(frame):
        return "Not measured yet."
    rows = [
        "| flow | side | batch | processor seconds of a step | steps | hours in all | memory |",
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
