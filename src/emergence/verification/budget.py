"""Within a budget: the part of the workflow that decides the most claims in the time there is.

``workflow/needs.yaml`` says which arms decide each claim, the settings what those arms need in turn, the
record of costs what each job takes. Arms are added one claim's after another, always those that decide
the most claims for the time they add; what several claims share is paid once. The part chosen is
written as settings of its own scale, so that nothing of a full run is overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emergence.artifacts import read_numbers, write_numbers, write_text
from emergence.errors import ArtifactError, LedgerError, SettingsError
from emergence.progress import clock
from emergence.settings import Settings, load
from emergence.verification.claims import load_ledgers
from emergence.verification.costs import Cost
from emergence.verification.faults import read_yaml

BUDGET_SCALE = "budget"
"""Scale of the results of a part of the workflow: results/budget."""
BUSY = 0.9
"""Share of the time that the processors are kept busy: levels of the workflow wait for each other."""
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

Needs = dict[str, dict[str, list[str]]]


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


def load_needs(path: Path) -> Needs:
    """Read which arms decide each claim.

    Raises:
        LedgerError: the file is missing or malformed.
    """
    raw = read_yaml(path)
    well = isinstance(raw, dict) and all(
        isinstance(part, dict)
        and isinstance(part.get("always"), list)
        and all(
            isinstance(arms, list)
            and all(isinstance(arm, str) and re.fullmatch(r"[a-z]+/\w+", arm) for arm in arms)
            for arms in part.values()
        )
        for part in raw.values()
    )
    if not well:
        raise LedgerError(
            f"{path} must map each system to 'always' and its claims, and each of these to a list "
            "of arms such as distillers/main.",
            "git checkout restores it.",
        )
    return raw


def jobs_of(settings: Settings, system: str, arms: Iterable[str]) -> set[str]:
    """Return every job of a system that these arms need, named as in the record of costs.

    Raises:
        LedgerError: the settings have no such arm.
    """
    jobs: set[str] = set()
    for arm in arms:
        kind, _, name = arm.partition("/")
        try:
            jobs |= _OF_SYSTEM[system](settings, kind, name)
        except KeyError as error:
            raise LedgerError(
                f"A claim of {system} needs the arm {arm}, but the settings have no {error}.",
                "Correct workflow/needs.yaml.",
            ) from None
    return jobs


def _introspection(settings: Settings, kind: str, name: str) -> set[str]:
    chosen = settings.introspection
    arm = getattr(chosen, kind)[name]
    jobs = {f"introspection/{kind}/{name}", f"introspection/data/{arm.dataset}"}
    if kind == "distillers":
        jobs |= _introspection(settings, "translators", arm.translator)
    return jobs


def _holography(settings: Settings, kind: str, name: str) -> set[str]:
    chosen = settings.holography
    if kind == "reference":
        if int(name) not in chosen.diagram.sides:
            raise KeyError(name)
        return {f"holography/reference/{name}"}
    if kind == "flows":
        return {f"holography/flows/{name}/{size}" for size in chosen.flows[name].sizes}
    study = getattr(chosen, kind)[name]
    grown = [size for size in chosen.flows[study.flow].sizes if size <= study.size]
    flows = {f"holography/flows/{study.flow}/{size}" for size in grown}
    return {f"holography/{kind}/{name}", *flows}


def _retraining(settings: Settings, kind: str, name: str) -> set[str]:
    sizes = getattr(settings.retraining, kind)[name].sizes
    return {f"retraining/{kind}/{name}/{size}" for size in sizes}


_OF_SYSTEM = {
    "introspection": _introspection,
    "holography": _holography,
    "retraining": _retraining,
}


def choose(
    settings: Settings,
    needs: Needs,
    costs: Mapping[str, Cost],
    budget_s: float,
    scale: str,
    ledgers: Path,
    cores: int,
    ratio: float = 1.0,
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

    Raises:
        LedgerError: a ledger or the needs are malformed, or do not fit together.
        SettingsError: nothing was recorded of this scale.
    """
    if not costs:
        raise SettingsError(
            f"Nothing is recorded of what scale {scale} costs.",
            "Choose SCALE=smoke or SCALE=laptop, or record a finished run with `emergence costs`.",
        )
    open_, left_out, system_of = {}, [], {}
    for ledger in load_ledgers(ledgers):
        known = needs.get(ledger.system, {})
        for claim in ledger.claims:
            if scale not in claim.scales:
                left_out.append((claim.id, f"scale {scale} lacks the power to decide it"))
            elif claim.id not in known:
                raise LedgerError(
                    f"workflow/needs.yaml does not say what claim {claim.id} needs.",
                    "Add it there.",
                )
            else:
                arms = [*known["always"], *known[claim.id]]
                open_[claim.id] = jobs_of(settings, ledger.system, arms)
                open_[claim.id].add(f"{ledger.system}/analysis")
                system_of[claim.id] = ledger.system

    def wall(jobs: Collection[str]) -> float:
        # A job without a record takes what an average one does.
        average = sum(cost.cpu_s for cost in costs.values()) / len(costs)
        times = [costs[job].cpu_s if job in costs else average for job in jobs]
        return ratio * max(sum(times) / (cores * BUSY), max(times, default=0.0))

    chosen: list[str] = []
    jobs: set[str] = set()
    while fitting := {
        name: jobs | needed for name, needed in open_.items() if wall(jobs | needed) <= budget_s
    }:
        # Most claims for the time that is added; between equals the ledger's order.
        rates = {
            name: sum(needed <= after for needed in open_.values())
            / max(wall(after) - wall(jobs), 1e-9)
            for name, after in fitting.items()
        }
        jobs = fitting[max(rates, key=rates.__getitem__)]
        covered = [name for name, needed in open_.items() if needed <= jobs]
        chosen += covered
        for name in covered:
            del open_[name]
    for name, needed in open_.items():
        left_out.append((name, f"it would take {clock(wall(jobs | needed))} with it"))
    systems = tuple(dict.fromkeys(system_of[name] for name in chosen))
    return Plan(tuple(chosen), tuple(left_out), wall(jobs), frozenset(jobs), systems)


def reduced(settings: Settings, jobs: Collection[str], judged_as: str) -> dict[str, Any]:
    """Return the settings of these jobs alone, under a scale of their own."""
    content = settings.model_dump(mode="json")
    content |= {"scale": BUDGET_SCALE, "judged_as": judged_as}
    named = {tuple(job.split("/")[:3]) for job in jobs if job.count("/") >= 2}
    kinds = {
        "introspection": ("datasets", "translators", "distillers"),
        "holography": ("flows", "chains", "bulks"),
        "retraining": ("chains",),
    }
    for system, parts in kinds.items():
        for part in parts:
            kind = "data" if part == "datasets" else part
            kept = content[system][part].items()
            content[system][part] = {n: arm for n, arm in kept if (system, kind, n) in named}
    diagram = content["holography"]["diagram"]
    sides = [side for side in diagram["sides"] if ("holography", "reference", str(side)) in named]
    # The analysis reads at least one torus; the smallest takes seconds.
    diagram["sides"] = sides or diagram["sides"][:1]
    if (
        content["holography"]["plane"]
        and content["holography"]["plane"]["flow"] not in (content["holography"]["flows"])
    ):
        content["holography"]["plane"] = None
    return content


def write_plan(plan: Plan, settings_file: Path, scale: str, folder: Path) -> None:
    """Write settings.yaml, plan.json and targets.txt of a plan.

    Raises:
        SettingsError: the settings are malformed.
        ArtifactError: a file cannot be written.
    """
    content = reduced(load(settings_file), plan.jobs, scale)
    write_text(folder / "settings.yaml", yaml.safe_dump(content, sort_keys=False))
    targets = [f"results/{BUDGET_SCALE}/{name}/measurements.json" for name in plan.systems]
    write_text(folder / "targets.txt", " ".join(targets) + "\n")
    write_numbers(
        folder / "plan.json",
        {
            "claims": list(plan.claims),
            "left_out": dict(plan.left_out),
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
    return {name: f"Left out to keep to the budget: {why}." for name, why in left_out.items()}


def told(plan: Plan, budget_s: float) -> list[str]:
    """Return what a reader should know beforehand, a sentence or list per line."""
    total = len(plan.claims) + len(plan.left_out)
    lines = [
        f"{len(plan.claims)} of {total} claims will be checked by {len(plan.jobs)} jobs, in about "
        f"{clock(plan.seconds)} of the {clock(budget_s)} there are: {', '.join(plan.claims)}."
    ]
    if plan.left_out:
        lines.append("These will not be checked:")
        lines += [f"  {name}: {why}." for name, why in plan.left_out]
    return lines
