"""What a job would cost whose like was run at another scale: told from how much more work it is.

Work is counted in units of its own for each kind of job, steps times samples times sites and the like, so
that only ratios between jobs of a kind mean anything; what starting and compiling take is no part of it.
Of three quarters of the laptop scale's own jobs, told from other jobs, the cost comes out within a factor
of two (tested), which is what to expect of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from emergence.holography.points import points_for, points_of
from emergence.settings import Settings
from emergence.verification.costs import Cost
from emergence.verification.jobs import Pace, all_jobs

FIXED_S = 10.0
"""Processor seconds of starting TensorFlow and compiling, at most half of a job: they do not grow with it."""

FARTHEST = 300.0
"""Times the work of what was run: beyond that nothing is told."""

SECOND_ORDER = 20.0
"""Work of a sample in a Gauss–Newton or natural-gradient step, that of Adam being 1."""


def work_of(settings: Settings, job: str) -> float | None:
    """Return the work of a job, in units of its kind; None of one whose cost does not depend on the settings.

    Args:
        settings: of the scale.
        job: named as in the record of costs, such as ``holography/chains/line_8``.
    """
    system, kind, *rest = job.split("/")
    count = _WORK.get((system, kind))
    return count(settings, *rest) if count and rest else None


def likeness(settings: Settings, job: str) -> tuple[str, ...]:
    """What makes two jobs of a kind cost alike for the same work: the network, and how it is used."""
    system, kind, name, *_ = (*job.split("/"), "")
    arms = getattr(getattr(settings, system), kind, None)
    arm = arms.get(name) if isinstance(arms, dict) else None
    if (system, kind) == ("holography", "chains") and arm:
        network = settings.holography.flows[arm.flow].network if arm.space == "bulk" else ""
        return arm.space, network, "trajectories" if arm.leapfrogs else "refreshes"
    told = ("network", "geometry", "decoder", "cell", "readout")
    return tuple(str(getattr(arm, key, "")) for key in told)


def scaled(
    job: str, settings: Settings, known: Mapping[str, float], recorded: Settings
) -> float | None:
    """Return the processor seconds that a job would take.

    Told from a job of the same arm, else of one that is alike, else of the same kind, each time of that
    whose work is nearest.

    Args:
        job: of a scale with these ``settings``.
        known: job of another scale → its processor seconds.
        recorded: the settings of that scale.

    Returns:
        None where the nearest is further than :data:`FARTHEST`, or nothing of the kind was recorded.
    """
    work = work_of(settings, job)
    if work is None:
        return known.get(job)
    like, arm, kind = likeness(settings, job), job.split("/")[:3], job.split("/")[:2]

    def distance(other: str) -> tuple[int, float]:
        rank = 0 if other.split("/")[:3] == arm else 1 if likeness(recorded, other) == like else 2
        return rank, abs(math.log(works[other] / work))

    works = {
        other: amount
        for other in known
        if other.split("/")[:2] == kind and (amount := _work_if_any(recorded, other))
    }
    nearest = min(works, key=distance, default=None)
    if nearest is None or works[nearest] * FARTHEST < work:
        return None
    fixed = min(FIXED_S, 0.5 * known[nearest])
    return fixed + (known[nearest] - fixed) * work / works[nearest]


def pace_of(settings: Settings, pace: Pace, recorded: Settings) -> Pace:
    """Return how long the jobs of some settings take, those that are other work than was recorded by it.

    Args:
        settings: whose jobs.
        pace: of the jobs of ``recorded``.
        recorded: the settings that the costs are of.
    """
    known = {job: cost.cpu_s for job, cost in pace.costs.items()}
    costs = dict(pace.costs)
    for job in sorted(all_jobs(settings)):
        work = work_of(settings, job)
        if work is None or (job in known and work == _work_if_any(recorded, job)):
            continue
        seconds = scaled(job, settings, known, recorded)
        if seconds is not None:
            memory = costs[job].memory_mib if job in costs else 0.0
            costs[job] = Cost(job, seconds, seconds, memory)
    return replace(pace, costs=costs)


def _work_if_any(settings: Settings, job: str) -> float | None:
    """The work of a job that these settings need not have."""
    try:
        return work_of(settings, job)
    except KeyError:
        return None


def total(
    jobs: Iterable[str], settings: Settings, known: Mapping[str, float], recorded: Settings
) -> tuple[float, list[str]]:
    """Return the processor seconds of the jobs that can be told, and the names of the others."""
    seconds, unknown = 0.0, []
    for job in sorted(jobs):
        found = scaled(job, settings, known, recorded)
        if found is None:
            unknown.append(job)
        else:
            seconds += found
    return seconds, unknown


def _steps(stages: Iterable[Any], sites: Callable[[Any], float]) -> float:
    """Samples of a training, those of second-order steps counted for more, times what each visits."""
    return sum(
        stage.steps
        * stage.batch
        * sites(stage)
        * (1.0 if stage.update == "adam" else SECOND_ORDER)
        * getattr(stage, "candidates", 1)
        for stage in stages
    )


def _of_translator(settings: Settings, name: str) -> float:
    chosen = settings.introspection
    arm = chosen.translators[name]
    samples = _steps(chosen.stages[arm.stages], lambda stage: stage.window)
    return chosen.seeds * len(arm.hidden) * samples


def _of_distiller(settings: Settings, name: str) -> float:
    chosen = settings.introspection
    arm = chosen.distillers[name]
    samples = _steps(chosen.stages[arm.stages], lambda stage: stage.window)
    return chosen.seeds * len(arm.latent) * samples


def _of_chains(settings: Settings, name: str) -> float:
    entry = settings.holography.chains[name]
    each = entry.leapfrogs or entry.refreshes * int(math.log2(entry.size))
    # What continues shipped records is tuned already.
    length = (0 if entry.shipped else entry.tuning) + entry.trajectories + entry.cold
    points = len(points_for(settings.holography, entry))
    double = 2.0 if entry.precision == "float64" else 1.0
    return double * points * entry.chains * length * each * entry.size**2


def _of_bulk(settings: Settings, name: str) -> float:
    entry = settings.holography.bulks[name]
    return entry.chains * entry.samples * (entry.portions or 1) * entry.size**2


def _of_reference(settings: Settings, name: str) -> float:
    chosen = settings.holography
    diagram, plane = chosen.diagram, chosen.plane
    if name == "plane":
        points, side = len(plane.t) * len(plane.mu), plane.side
        return points * plane.chains * (plane.sweeps + plane.thermalisation) * side**2
    length = diagram.sweeps + diagram.thermalisation
    return len(diagram.t) * diagram.chains * length * int(name) ** 2


def _of_flow(settings: Settings, name: str, size: str) -> float:
    chosen = settings.holography
    arm = chosen.flows[name]
    sites = int(size) ** 2
    trained = _steps(chosen.stages[arm.sizes[int(size)]], lambda stage: sites)
    # A step goes through the network four times, an evaluated sample once.
    evaluated = (arm.samples or chosen.samples) * len(points_of(chosen, name)) * sites / 4.0
    return arm.seeds * (trained + evaluated) * arm.width


def _of_growth(settings: Settings, name: str, size: str) -> float:
    chosen = settings.retraining
    arm = chosen.chains[name]
    sites = int(size) ** (2 if arm.geometry == "square" else 1)

    def visited(stage: Any) -> float:
        """Of each sample: itself, and so many sites of each of its neighbours in configuration space."""
        return sites * (1.0 + min(stage.truncation or sites, sites))

    return arm.seeds * _steps(chosen.stages[arm.sizes[int(size)]], visited) * arm.units


_WORK: dict[tuple[str, str], Callable[..., float]] = {
    ("introspection", "translators"): _of_translator,
    ("introspection", "distillers"): _of_distiller,
    ("holography", "flows"): _of_flow,
    ("holography", "chains"): _of_chains,
    ("holography", "bulks"): _of_bulk,
    ("holography", "reference"): _of_reference,
    ("retraining", "chains"): _of_growth,
}
