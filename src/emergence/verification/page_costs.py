"""The report's costs: what jobs were recorded to take, and what they took in this run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from emergence.progress import clock
from emergence.verification.costs import CALIBRATION, Cost


def cost_groups(measured: Mapping[str, Cost], expected: Mapping[str, Cost]) -> list[dict]:
    """Costs by system and kind of job, each with its jobs."""
    groups: dict[str, set[str]] = {}
    for job in [*measured, *expected]:
        # introspection/distillers/quadratic, introspection/analysis, holography/flows/disc/2
        groups.setdefault("/".join(re.split("/", job)[:2]), set()).add(job)
    return [
        cost_line(name, measured, expected, jobs)
        | {"jobs": [cost_line(job, measured, expected, {job}) for job in sorted(jobs)]}
        for name, jobs in sorted(groups.items())
        if name != CALIBRATION
    ]


def cost_line(
    name: str, measured: Mapping[str, Cost], expected: Mapping[str, Cost], jobs: Iterable[str]
) -> dict[str, Any]:
    """Processor time recorded and spent, and the largest memory, of some jobs.

    Both sums run over the jobs that have both, so that they can be compared; jobs that were not
    benchmarked in this run are counted apart.
    """
    jobs = set(jobs)
    ran = jobs & set(measured)
    both = ran & set(expected)
    actual = sum(measured[job].cpu_s for job in ran)
    recorded = sum(expected[job].cpu_s for job in jobs & set(expected))
    ratio = None
    if both and (base := sum(expected[job].cpu_s for job in both)) >= 1.0:
        ratio = sum(measured[job].cpu_s for job in both) / base
    return {
        "name": name,
        "count": len(jobs),
        "expected": clock(recorded) if jobs & set(expected) else "not recorded",
        "actual": clock(actual) if ran else "not in this run",
        "ratio": "–" if ratio is None else f"{ratio:.2f}",
        "memory": f"{max(measured[job].memory_mib for job in ran):.0f} MiB" if ran else "–",
    }
