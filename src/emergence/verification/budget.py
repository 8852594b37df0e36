"""Within a budget: the part of the workflow that decides the most claims in the time there is.

No other part decides more: the choice is a linear programme in whole numbers, solved exactly. What
several claims share is paid once. The part chosen is written as settings of its own scale, so that
nothing of a full run is overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from emergence.artifacts import read_numbers, write_numbers, write_text
from emergence.errors import ArtifactError, SettingsError
from emergence.progress import clock
from emergence.settings import Settings, load
from emergence.verification.costs import Cost
from emergence.verification.jobs import (
    Needs,
    Pace,
    checked_in_part,
    deciding_jobs,
    only_continued,
    reduced,
)

BUDGET_SCALE = "budget"
"""Scale of the results of a part of the workflow: results/budget."""
_TOO_LONG = "it would take"
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Plan:
    """What will be checked, and what will not."""

    claims: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    """(claim, why not)."""
    seconds: float
    """Wall time expected on this machine."""
    jobs: frozenset[str]
    systems: tuple[str, ...]
    in_part: tuple[str, ...] = ()
    """As a sentence, which of the claims rest on what is only continued; none where none does."""

    def reasons(self) -> dict[str, str]:
        """Of each claim left out, why, as a sentence."""
        return {
            name: f"Left out to keep to the budget: {why}."
            if why.startswith(_TOO_LONG)
            else f"{why[0].upper()}{why[1:]}."
            for name, why in self.left_out
        }


def parse_budget(text: str) -> float:
    """``30m``, ``90s``, ``1.5h`` or ``30`` (minutes) → seconds.

    Raises:
        SettingsError: it is none of these, or not positive.
    """
    found = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,3})?)\s*(s|m|min|h)?\s*", text)
    seconds = float(found[1]) * _UNITS[found[2] or "m"] if found else 0.0
    if seconds <= 0.0:
        raise SettingsError(
            f"The budget {text!r} is no time.", "Give minutes or hours, such as 30m or 1.5h."
        )
    return seconds


def choose(
    settings: Settings,
    needs: Needs,
    costs: Mapping[str, Cost],
    budget_s: float,
    scale: str,
    ledgers: Path,
    cores: int,
    ratio: float = 1.0,
    among: Container[str] | None = None,
) -> Plan:
    """Choose the claims that fit.

    Args:
        settings: the whole run.
        needs: what :func:`load_needs` returns.
        costs: what each job was recorded to cost at this scale.
        budget_s: wall time there is.
        scale: as whose claims these are judged.
        ledgers: the folder of ledgers.
        cores: processors there are.
        ratio: how much longer this machine takes than the recording one.
        among: the claims to choose among; by default all.

    Raises:
        LedgerError: a ledger or the needs are malformed, or do not fit together.
        SettingsError: nothing was recorded of this scale.
    """
    open_, system_of, powerless = deciding_jobs(settings, needs, scale, ledgers)
    if among is not None:
        open_ = {name: needed for name, needed in open_.items() if name in among}
    left_out = [(name, f"scale {scale} lacks the power to decide it") for name in powerless]
    pace = Pace(costs, cores, ratio, scale)
    wall = pace.wall
    chosen = most(open_, pace, budget_s)
    in_part = tuple(checked_in_part(only_continued(settings), open_, chosen))
    jobs = set().union(*(open_.pop(name) for name in chosen))
    for name, needed in open_.items():
        left_out.append((name, f"{_TOO_LONG} {clock(wall(jobs | needed))} with it"))
    systems = tuple(dict.fromkeys(system_of[name] for name in chosen))
    return Plan(tuple(chosen), tuple(left_out), wall(jobs), frozenset(jobs), systems, in_part)


def most(needed: Mapping[str, set[str]], pace: Pace, budget_s: float) -> list[str]:
    """Choose as many claims as can be decided in a time, and of equally many those that take the least.

    A claim is 1 or 0, and so is what it needs: of jobs that the very same claims need, all or none.
    The sum of the claims is greatest while no claim exceeds what it needs, and the time of all that is
    needed fits.

    Args:
        needed: the jobs of each claim.
        budget_s: wall time there is.

    Returns:
        The claims, in the order given.
    """
    names = [name for name, jobs in needed.items() if pace.wall(jobs) <= budget_s]
    shared: dict[tuple[int, ...], list[str]] = {}
    for job in sorted(set().union(*(needed[name] for name in names))):
        users = tuple(i for i, name in enumerate(names) if job in needed[name])
        shared.setdefault(users, []).append(job)
    shares = np.array([pace.wall_shared(jobs) for jobs in shared.values()]) / budget_s
    for room in (1.0, 1.0 - 1e-5):  # the solver may exceed a bound by its tolerance
        taken = _solve(len(names), list(shared), shares, room)
        chosen = [name for name, take in zip(names, taken, strict=True) if take]
        if pace.wall(set().union(*(needed[name] for name in chosen))) <= budget_s:
            break
    return chosen


def _solve(
    claims: int, users: list[tuple[int, ...]], shares: np.ndarray, room: float
) -> np.ndarray:
    """Which claims are taken.

    Args:
        users: of each group of jobs, the claims that need it.
        shares: the time of each group, as a fraction of what there is.
        room: how much of that may be used.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    pairs = [(claim, claims + group) for group, those in enumerate(users) for claim in those]
    if not pairs:
        return np.ones(claims, bool)
    rows = np.repeat(np.arange(len(pairs)), 2)
    signs = np.tile([1.0, -1.0], len(pairs))
    shape = (len(pairs), claims + len(users))
    below = csr_array((signs, (rows, np.ravel(pairs))), shape=shape)
    times = np.concatenate([np.zeros(claims), shares])
    # Less time counts less than any claim.
    found = milp(
        np.concatenate([-np.ones(claims), 0.5 * shares]),
        integrality=np.concatenate([np.ones(claims), np.zeros(len(users))]),
        bounds=Bounds(0.0, 1.0),
        constraints=[LinearConstraint(below, ub=0.0), LinearConstraint(times, ub=room)],
        options={"mip_rel_gap": 0.0},
    )
    return found.x[:claims] > 0.5


def of_some_claim(plan: Plan, budget_s: float) -> Plan:
    """The plan itself, if it decides anything.

    Raises:
        SettingsError: no claim fits in the time.
    """
    if not plan.claims:
        raise SettingsError(f"No claim can be decided in {clock(budget_s)}.", "Give more time.")
    return plan


def write_plan(plan: Plan, settings_file: Path, scale: str, folder: Path) -> None:
    """Write settings.yaml, plan.json and targets.txt of a plan.

    Raises:
        SettingsError: the settings are malformed.
        ArtifactError: a file cannot be written.
    """
    content = reduced(load(settings_file), plan.jobs, scale, BUDGET_SCALE)
    write_text(folder / "settings.yaml", yaml.safe_dump(content, sort_keys=False))
    targets = [f"results/{BUDGET_SCALE}/{name}/measurements.json" for name in plan.systems]
    write_text(folder / "targets.txt", " ".join(targets) + "\n")
    write_numbers(
        folder / "plan.json",
        {
            "claims": list(plan.claims),
            "left_out": plan.reasons(),
            "expected_seconds": plan.seconds,
            "jobs": sorted(plan.jobs),
        },
    )


def read_left_out(path: Path) -> dict[str, str]:
    """Return the claims that a plan leaves out, each with why.

    Raises:
        ArtifactError: the plan is missing or malformed.
    """
    left_out = read_numbers(path, required=["left_out"])["left_out"]
    if not isinstance(left_out, dict) or not all(isinstance(why, str) for why in left_out.values()):
        raise ArtifactError(f"{path} is no plan.", "Write it again with `emergence plan`.")
    return left_out


def told(plan: Plan, budget_s: float) -> list[str]:
    """Return what a reader should know beforehand, a sentence or list per line."""
    total = len(plan.claims) + len(plan.left_out)
    lines = [
        f"{len(plan.claims)} of {total} claims will be checked by {len(plan.jobs)} jobs, in about "
        f"{clock(plan.seconds)} of the {clock(budget_s)} there are: {', '.join(plan.claims)}."
    ]
    lines += plan.in_part
    if plan.left_out:
        lines.append("These will not be checked:")
        lines += [f"  {name}: {why}." for name, why in plan.left_out]
    return lines
