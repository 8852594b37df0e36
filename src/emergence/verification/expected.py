"""What each scale is expected to cost on this machine, from what was recorded of it on another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from emergence.progress import clock
from emergence.verification.claims import SCALES
from emergence.verification.costs import CALIBRATION, Cost, calibrate, recorded_costs
from emergence.verification.jobs import Pace

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
    known = expected_costs(record, cores)
    return [
        _told(known[scale], scale, cores)
        if scale in known
        else _never_run(scale, of_flows(record.parent / "steps.csv", scale))
        for scale in SCALES
    ]


def _told(cost: Expected, scale: str, cores: int) -> str:
    return (
        f"{scale}: about {clock(cost.cpu_s)} of processor time, {clock(cost.wall_s)} on "
        f"{_processors(cores)} that {'is' if cores == 1 else 'are'} idle, at most "
        f"{cost.memory_gib:.1f} GiB per job."
    )


def _never_run(scale: str, flows: OfFlows | None) -> str:
    if flows is None:
        return f"{scale}: not measured yet; meant for a GPU and many hours."
    kind = "processor time" if flows.device.startswith("CPU") else "time"
    return (
        f"{scale}: never run; the trainings of its flows alone take some {flows.hours:.0f} h of {kind} "
        f"and up to {flows.memory_gib:.1f} GiB, by a step of each on {flows.device}; what its chains, "
        "bulks, references and the other two systems take is not known."
    )


def _processors(cores: int) -> str:
    return f"{cores} processor{'s' if cores > 1 else ''}"
