"""What each scale is expected to cost on this machine, from what was recorded of it on another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from emergence.progress import clock
from emergence.verification.claims import SCALES
from emergence.verification.costs import CALIBRATION, Cost, calibrate, recorded_costs
from emergence.verification.jobs import Pace

TOLD_FROM = "laptop"
"""Scale whose recorded costs tell those of one that was never run."""

MARGIN = 1.2
"""The peak of memory was read off another machine, whose libraries need not take as much."""


@dataclass(frozen=True)
class Expected:
    """What one scale costs here."""

    cpu_s: float
    wall_s: float
    memory_gib: float
    """Of its dearest job, as recorded."""


def expected_costs(record: Path, cores: int, here: Cost | None = None) -> dict[str, Expected]:
    """Return what each recorded scale is expected to cost here.

    Args:
        record: ``config/costs.csv``.
        cores: processors there are.
        here: this machine's :func:`.calibrate`, measured now by default.

    Raises:
        ArtifactError: the record is missing or malformed.
    """
    here = here or calibrate()
    found = {}
    for scale in SCALES:
        costs = recorded_costs(record, scale)
        base = costs.pop(CALIBRATION, None)
        if costs:
            pace = Pace(
                costs, cores, here.cpu_s / base.cpu_s if base and base.cpu_s else 1.0, scale
            )
            memory = max(cost.memory_mib for cost in costs.values()) / 1024.0
            found[scale] = Expected(pace.ratio * sum(pace.cpu(costs)), pace.wall(costs), memory)
    return found


@dataclass(frozen=True)
class OfFlows:
    """What the trainings of the flows of a scale would take, by a step of each on some machine."""

    device: str
    hours: float
    memory_gib: float


def of_flows(steps: Path, scale: str) -> OfFlows | None:
    """Return what is known of a scale that was never run, of the device that would be the soonest.

    Args:
        steps: ``config/steps.csv``; nothing is known where there is none.

    Raises:
        ArtifactError: the record is malformed.
    """
    if not steps.is_file():
        return None
    from emergence.verification.rehearsal import read_steps  # pandas, half a second

    frame = read_steps(steps)
    devices = [
        OfFlows(str(device), float(rows["hours"].sum()), float(rows["memory_gib"].max()))
        for device, rows in frame[frame["scale"] == scale].groupby("device")
    ]
    return min(devices, key=lambda known: known.hours, default=None)


@dataclass(frozen=True)
class OfOthers:
    """What the other jobs of a scale that was never run would take, by their work."""

    cpu_s: float
    """Of those that are told, as long as this machine takes."""
    unknown: list[str]
    """Too much work beside anything that was run."""


def of_others(record: Path, scale: str, ratio: float) -> OfOthers | None:
    """Return what all jobs but the flows' trainings would take, told from the laptop scale's.

    Args:
        record: ``config/costs.csv``, beside the settings of the scales.
        ratio: how much longer this machine takes than the recording one.

    Raises:
        ArtifactError: the record is malformed.
        SettingsError: the settings of a scale are.
    """
    files = [record.parent / f"{name}.yaml" for name in (scale, TOLD_FROM)]
    known = {job: cost.cpu_s for job, cost in recorded_costs(record, TOLD_FROM).items()}
    known.pop(CALIBRATION, None)
    if not known or not all(file.is_file() for file in files):
        return None
    from emergence.settings import load
    from emergence.verification.lineage import planned_jobs
    from emergence.verification.work import total

    chosen, recorded = map(load, files)
    jobs = {job for job in planned_jobs(chosen) if not job.startswith("holography/flows/")}
    seconds, unknown = total(jobs, chosen, known, recorded)
    return OfOthers(ratio * seconds, unknown)


def memory_needed(record: Path) -> dict[str, float]:
    """Return of each scale of which it is known what its dearest job needs, in GiB with a margin.

    Raises:
        ArtifactError: a record is malformed.
    """
    needed = {}
    for scale in SCALES:
        costs = recorded_costs(record, scale)
        flows = of_flows(record.parent / "steps.csv", scale)
        known = [cost.memory_mib / 1024.0 for cost in costs.values()]
        if not costs and flows:
            known = [flows.memory_gib]
        if known:
            needed[scale] = math.ceil(10.0 * MARGIN * max(known)) / 10.0
    return needed


def cost_lines(record: Path, cores: int) -> list[str]:
    """One sentence per scale on what it costs on this machine, of ``cores`` processors.

    Raises:
        ArtifactError: a record is missing or malformed.
    """
    here = calibrate()
    known = expected_costs(record, cores, here)
    base = recorded_costs(record, TOLD_FROM).get(CALIBRATION)
    ratio = here.cpu_s / base.cpu_s if base and base.cpu_s else 1.0
    steps = record.parent / "steps.csv"
    return [
        _told(known[scale], scale, cores)
        if scale in known
        else _never_run(scale, of_flows(steps, scale), of_others(record, scale, ratio))
        for scale in SCALES
    ]


def _told(cost: Expected, scale: str, cores: int) -> str:
    return (
        f"{scale}: about {clock(cost.cpu_s)} of processor time, {clock(cost.wall_s)} on "
        f"{_processors(cores)} that {'is' if cores == 1 else 'are'} idle, at most "
        f"{cost.memory_gib:.1f} GiB per job."
    )


def _never_run(scale: str, flows: OfFlows | None, others: OfOthers | None) -> str:
    told = []
    if flows is not None:
        kind = "processor time" if flows.device.startswith("CPU") else "time"
        told.append(
            f"the trainings of its flows take some {flows.hours:.0f} h of {kind} and up to "
            f"{flows.memory_gib:.1f} GiB, by a step of each on {flows.device}"
        )
    if others is not None:
        rest = (
            f"its other jobs some {others.cpu_s / 3600.0:.0f} h of processor time, by their work beside "
            f"that of scale {TOLD_FROM}'s"
        )
        if others.unknown:
            rest += (
                f", but for {len(others.unknown)} that are too much work beside any that was run, such as "
                f"{others.unknown[-1]}"
            )
        told.append(rest)
    if not told:
        return f"{scale}: not measured yet; meant for a GPU and many hours."
    return f"{scale}: never run; {', and '.join(told)}."


def _processors(cores: int) -> str:
    return f"{cores} processor{'s' if cores > 1 else ''}"
