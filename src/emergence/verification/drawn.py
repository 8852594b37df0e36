"""Which jobs each figure is drawn from, and so what it costs altogether.

``workflow/figures.yaml`` says which arms a figure shows, the settings of a run which of them it has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from emergence.settings import Settings
from emergence.verification.costs import Cost
from emergence.verification.jobs import all_jobs, jobs_of, read_arms

Drawn = Mapping[str, Mapping[str, list[str]]]
"""System → figure → patterns of arms, such as ``distillers/general*``."""


def load_drawn(path: Path) -> Drawn:
    """Read which arms each figure is drawn from.

    Raises:
        LedgerError: the file is missing or malformed.
    """
    return read_arms(path, "its figures")


def jobs_of_figures(drawn: Drawn, settings: Settings) -> dict[str, set[str]]:
    """Return of each figure, such as ``introspection/law``, every job that it takes, drawing included."""
    arms = {"/".join(job.split("/")[:3]) for job in all_jobs(settings)}
    if settings.holography.plane:
        arms.add("holography/reference/plane")
    found = {}
    for system, figures in drawn.items():
        for figure, patterns in figures.items():
            shown = [
                arm.partition("/")[2]
                for arm in sorted(arms)
                if any(fnmatchcase(arm, f"{system}/{pattern}") for pattern in patterns)
            ]
            jobs = jobs_of(settings, system, shown)
            found[f"{system}/{figure}"] = jobs | {
                f"{system}/analysis",
                f"{system}/figures/{figure}",
            }
    return found


def cost_table(drawn: Drawn, settings: Settings, costs: Mapping[str, Cost]) -> str:
    """Return a markdown table of the README: each figure, what it shows, its time and memory.

    Args:
        drawn: from :func:`load_drawn`.
        settings: of the scale recorded.
        costs: the record of that scale.
    """
    rows = [
        "| figure | what it is drawn from | processor time | memory |",
        "|---|---|---|---|",
    ]
    for name, jobs in jobs_of_figures(drawn, settings).items():
        system, _, figure = name.partition("/")
        known: Collection[Cost] = [costs[job] for job in sorted(jobs) if job in costs]
        minutes = sum(cost.cpu_s for cost in known) / 60.0
        memory = max((cost.memory_mib for cost in known), default=0.0) / 1024.0
        arms = ", ".join(f"`{pattern}`" for pattern in drawn[system][figure])
        address = f"figures/{settings.scale}/{system}/{figure}.png"
        rows.append(f"| [{figure}]({address}) | {arms} | {minutes:.1f} min | {memory:.1f} GiB |")
    return "\n".join(rows)
