"""A random sample of the trainings, run again with a reader's own seed, against what was claimed.

The seed draws arms, the dearer the likelier. Of each, the claim it decides at the least further
expense is taken, with everything that claim needs; all of it is trained anew from that seed in
``results/audit-<seed>``. What only goes on from shipped weights or records is not drawn: it would be
nearly the same again, and agree by construction; unless it is all made anew, as the settings of what is
shipped say (:mod:`.origin`), which takes longer. :mod:`.comparison` then tests the numbers against those
of the run.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from emergence.artifacts import read_numbers, write_numbers, write_text
from emergence.errors import ArtifactError, SettingsError
from emergence.progress import clock
from emergence.randomness import generator
from emergence.settings import Settings, parse
from emergence.verification.jobs import (
    Needs,
    Pace,
    deciding_jobs,
    only_continued,
    reduced,
    training_jobs,
)


@dataclass(frozen=True)
class Audit:
    """What is drawn."""

    seed: int
    drawn: tuple[str, ...]
    """Arms, in the order they were drawn."""
    jobs: frozenset[str]
    claims: tuple[str, ...]
    """Every claim that these jobs decide."""
    systems: tuple[str, ...]
    seconds: float
    """Wall time expected on this machine."""

    @property
    def scale(self) -> str:
        """Name of its results."""
        return scale_of(self.seed)


def scale_of(seed: int) -> str:
    """Return the name of the results of an audit."""
    return f"audit-{seed}"


def draw(
    settings: Settings,
    needs: Needs,
    pace: Pace,
    ledgers: Path,
    seed: int,
    number: int,
    budget_s: float | None = None,
) -> Audit:
    """Draw which trainings are run again.

    Args:
        settings: those of the run.
        needs: what :func:`.jobs.load_needs` returns.
        pace: how long jobs take here.
        ledgers: the folder of ledgers.
        seed: the reader's own; it draws, and is the root of every training.
        number: arms to draw, at most.
        budget_s: wall time there is: what does not fit is drawn again.

    Raises:
        SettingsError: the seed is the run's own, so that nothing would be tested, or nothing fits.
        LedgerError: a ledger or the needs are malformed.
    """
    if seed == settings.seed:
        raise SettingsError(
            f"{seed} is the seed of the run itself, which would only be run again.",
            "Choose another seed.",
        )
    scale = settings.judged_as or settings.scale
    every, system_of, _ = deciding_jobs(settings, needs, scale, ledgers)
    claims = _trained_by_run(settings, every)
    arms: dict[str, set[str]] = {}
    for job in training_jobs(settings):
        arms.setdefault("/".join(job.split("/")[:3]), set()).add(job)
    names = sorted(arm for arm in arms if any(arms[arm] <= jobs for jobs in claims.values()))
    if not names:
        raise SettingsError(
            "No arm of these settings decides a claim by its training alone: none can be drawn.",
            "Audit a scale that trains the arms of its claims, such as laptop.",
        )
    # A cost too small to have been measured is one nevertheless.
    weights = np.array([max(sum(pace.cpu(arms[arm])), 1e-3) for arm in names])
    order = generator(seed, "audit").choice(
        len(names), size=len(names), replace=False, p=weights / weights.sum()
    )
    drawn, jobs = _that_fit(
        [names[index] for index in order], arms, claims, pace, number, budget_s or math.inf
    )
    if not drawn:
        raise SettingsError(
            f"No training that decides a claim fits in {clock(budget_s or 0.0)}.",
            "Give more time.",
        )
    covered = tuple(name for name, needed in claims.items() if needed <= jobs)
    systems = tuple(dict.fromkeys(system_of[name] for name in covered))
    return Audit(seed, tuple(drawn), frozenset(jobs), covered, systems, pace.wall(jobs))


def _trained_by_run(settings: Settings, claims: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The claims, with their jobs, of which nothing only goes on from what is shipped."""
    bound = only_continued(settings)
    return {name: needed for name, needed in claims.items() if not needed & bound}


def never_drawn(settings: Settings, needs: Needs, ledgers: Path) -> dict[str, list[str]]:
    """Return the claims that no seed audits, each with the arms that only go on from what is shipped.

    A claim without such an arm is one that nothing is trained for.

    Raises:
        LedgerError: a ledger or the needs are malformed.
    """
    scale = settings.judged_as or settings.scale
    every, _, _ = deciding_jobs(settings, needs, scale, ledgers)
    bound, trained = only_continued(settings), training_jobs(settings)
    drawn = [jobs for jobs in _trained_by_run(settings, every).values() if jobs & trained]
    within: set[str] = set().union(*drawn)
    return {
        name: sorted({"/".join(job.split("/")[1:3]) for job in needed & bound})
        for name, needed in every.items()
        if not needed <= within
    }


def _that_fit(
    names: Iterable[str],
    arms: Mapping[str, set[str]],
    claims: Mapping[str, Collection[str]],
    pace: Pace,
    number: int,
    budget_s: float,
) -> tuple[list[str], set[str]]:
    """The first arms of an order that fit in a time, and the jobs of the claims that they decide.

    Args:
        arms: trainings of each arm.
        claims: jobs that each claim needs.
        number: arms to take, at most.
    """
    jobs: set[str] = set()
    drawn: list[str] = []
    for arm in names:
        after = min(
            (jobs | needed for needed in claims.values() if arms[arm] <= needed), key=pace.wall
        )
        if len(drawn) == number:
            break
        if arms[arm] <= jobs or pace.wall(after) > budget_s:
            continue
        jobs = after
        drawn.append(arm)
    return drawn, jobs


def told(audit: Audit, settings: Settings) -> list[str]:
    """Return what a reader should know beforehand, a sentence or list per line."""
    trained = sorted(audit.jobs & training_jobs(settings))
    return [
        f"Seed {audit.seed} draws {', '.join(audit.drawn)}.",
        f"{len(trained)} trainings will be run again from that seed, with what they and the claims "
        f"need, in about {clock(audit.seconds)}:",
        *(f"  {job}" for job in trained),
        "Datasets of introspection stay the run's: its errors are over trainings on them.",
        f"Claims whose numbers will be compared: {', '.join(audit.claims)}.",
    ]


def write_audit(audit: Audit, settings: Settings, folder: Path) -> None:
    """Write settings.yaml, plan.json and targets.txt of an audit.

    Args:
        settings: those that the audit was drawn from.

    Raises:
        SettingsError: the seed is none.
        ArtifactError: a file cannot be written.
    """
    judged_as = settings.judged_as or settings.scale
    content = reduced(settings, audit.jobs, judged_as, audit.scale) | {"seed": audit.seed}
    # The ensembles of a run share its data: their spread knows nothing of other data.
    if content["introspection"]["data_seed"] is None:
        content["introspection"]["data_seed"] = settings.seed
    parse(content, "the settings of the audit")
    write_text(folder / "settings.yaml", yaml.safe_dump(content, sort_keys=False))
    targets = [f"results/{audit.scale}/{system}/measurements.json" for system in audit.systems]
    write_text(folder / "targets.txt", " ".join(targets) + "\n")
    write_numbers(
        folder / "plan.json",
        {
            "seed": audit.seed,
            "judged_as": judged_as,
            "drawn": list(audit.drawn),
            "claims": list(audit.claims),
            "expected_seconds": audit.seconds,
            "jobs": sorted(audit.jobs),
        },
    )


def read_plan(folder: Path) -> Mapping[str, object]:
    """Return the plan of an audit.

    Raises:
        ArtifactError: it is missing or malformed.
    """
    plan = read_numbers(folder / "plan.json", required=["seed", "judged_as", "drawn", "claims"])
    lists = all(
        isinstance(plan[key], list) and all(isinstance(name, str) for name in plan[key])
        for key in ("drawn", "claims")
    )
    if not lists or not isinstance(plan["judged_as"], str):
        raise ArtifactError(
            f"{folder / 'plan.json'} is no plan of an audit.",
            "Write it again with `emergence audit plan`.",
        )
    return plan


def reference_of(scale: str, results: Path, weights: Path) -> Path:
    """Return the folder of the measurements to compare with: those shipped, else of a run here.

    Raises:
        ArtifactError: there are neither.
    """
    for folder in (weights / scale, results / scale):
        if list(folder.glob("*/measurements.json")):
            return folder
    raise ArtifactError(
        f"There is nothing to compare with: neither {weights / scale} nor {results / scale} holds "
        "measurements.",
        "Run `make reproduce` first, or restore the shipped weights with git checkout.",
    )
