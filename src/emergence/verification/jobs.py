"""Which jobs there are, which of them decide each claim, and how long they take.

``workflow/needs.yaml`` says which arms decide each claim, the settings what those arms need in turn, the
record of costs what each job takes. A job is named as in that record, such as
``introspection/distillers/quadratic``; an arm of a growing network has one job per size.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emergence.errors import LedgerError, SettingsError
from emergence.settings import Settings
from emergence.verification.claims import load_ledgers
from emergence.verification.costs import Cost
from emergence.verification.faults import read_yaml

BUSY = 0.9
"""Share of the time that the processors are kept busy: levels of the workflow wait for each other."""

Needs = dict[str, dict[str, list[str]]]


def load_needs(path: Path) -> Needs:
    """Read which arms decide each claim.

    Raises:
        LedgerError: the file is missing or malformed.
    """
    raw = read_arms(path, "'always' and its claims")
    if not all("always" in part for part in raw.values()):
        raise _malformed(path, "'always' and its claims")
    return raw


def read_arms(path: Path, keys: str) -> Needs:
    """Read a file of system → key → arms, where a star stands for any letters.

    Args:
        keys: what the keys are, for the message.

    Raises:
        LedgerError: the file is missing or malformed.
    """
    raw = read_yaml(path)
    well = isinstance(raw, dict) and all(
        isinstance(part, dict)
        and all(
            isinstance(arms, list)
            and all(isinstance(arm, str) and re.fullmatch(r"[a-z]+/[\w*]+", arm) for arm in arms)
            for arms in part.values()
        )
        for part in raw.values()
    )
    if not well:
        raise _malformed(path, keys)
    return raw


def _malformed(path: Path, keys: str) -> LedgerError:
    return LedgerError(
        f"{path} must map each system to {keys}, and each of these to a list of arms such as "
        "distillers/main.",
        "git checkout restores it.",
    )


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
    if kind == "data":
        if name not in chosen.datasets:
            raise KeyError(name)
        return {f"introspection/data/{name}"}
    arm = getattr(chosen, kind)[name]
    jobs = {f"introspection/{kind}/{name}", f"introspection/data/{arm.dataset}"}
    if kind == "distillers":
        jobs |= _introspection(settings, "translators", arm.translator)
    return jobs


def _holography(settings: Settings, kind: str, name: str) -> set[str]:
    chosen = settings.holography
    if kind == "reference":
        if name == "plane" and chosen.plane:
            return {"holography/reference/plane"}
        if not name.isdecimal() or int(name) not in chosen.diagram.sides:
            raise KeyError(name)
        return {f"holography/reference/{name}"}
    if kind == "flows":
        return _grown(settings, name, max(chosen.flows[name].sizes))
    study = getattr(chosen, kind)[name]
    jobs = _grown(settings, study.flow, study.size)
    # Chains are compared with clusters on the same torus.
    spins = chosen.theories[chosen.flows[study.flow].theory].model == "ising"
    if kind == "chains" and not spins and study.size in chosen.diagram.sides:
        jobs.add(f"holography/reference/{study.size}")
    return {f"holography/{kind}/{name}", *jobs}


def _grown(settings: Settings, name: str, largest: int) -> set[str]:
    """A flow up to a side, and the flow whose map a prior is trained after."""
    arm = settings.holography.flows[name]
    jobs = {f"holography/flows/{name}/{size}" for size in arm.sizes if size <= largest}
    return jobs | (_grown(settings, arm.after, largest) if arm.after else set())


def _retraining(settings: Settings, kind: str, name: str) -> set[str]:
    sizes = getattr(settings.retraining, kind)[name].sizes
    return {f"retraining/{kind}/{name}/{size}" for size in sizes}


_OF_SYSTEM = {
    "introspection": _introspection,
    "holography": _holography,
    "retraining": _retraining,
}


def begun_elsewhere(settings: Settings) -> set[str]:
    """Return the trainings that start from shipped weights; another seed does not train them anew.

    A prior is trained after them where its map is.
    """
    found = set()
    for system, kind in (("holography", "flows"), ("retraining", "chains")):
        arms = getattr(getattr(settings, system), kind)
        for name, arm in arms.items():
            first = arms[getattr(arm, "after", None) or name]
            if first.shipped:
                found |= {f"{system}/{kind}/{name}/{size}" for size in arm.sizes}
    return found


def records_continued(settings: Settings) -> set[str]:
    """Return the runs of chains that go on from shipped records, which no other seed draws anew."""
    chains = settings.holography.chains
    return {f"holography/chains/{name}" for name, run in chains.items() if run.shipped}


def only_continued(settings: Settings) -> set[str]:
    """Return every job that goes on from something shipped: from another seed it is nearly the same."""
    return begun_elsewhere(settings) | records_continued(settings)


def checked_in_part(
    continued: Collection[str], needed: Mapping[str, set[str]], claims: Iterable[str]
) -> list[str]:
    """Say which claims rest on what is shipped and only continued, in a sentence; nothing if none does.

    Args:
        continued: the jobs that go on from something shipped.
        needed: the jobs of each claim.
        claims: those that will be checked.
    """
    found = [name for name in claims if not needed[name].isdisjoint(continued)]
    if not found:
        return []
    return [
        "In part only, as weights or records that they rest on are shipped and merely continued: "
        f"{', '.join(found)}."
    ]


def training_jobs(settings: Settings) -> set[str]:
    """Return the jobs that train."""
    chosen = settings.introspection
    jobs = {f"introspection/translators/{name}" for name in chosen.translators}
    jobs |= {f"introspection/distillers/{name}" for name in chosen.distillers}
    for system, kind in (("holography", "flows"), ("retraining", "chains")):
        arms = getattr(getattr(settings, system), kind)
        jobs |= {
            f"{system}/{kind}/{name}/{size}" for name, arm in arms.items() for size in arm.sizes
        }
    return jobs


def all_jobs(settings: Settings) -> set[str]:
    """Return every job of arms that the settings name: data, trainings, and what reads them."""
    jobs = training_jobs(settings)
    jobs |= {f"introspection/data/{name}" for name in settings.introspection.datasets}
    for kind in ("chains", "bulks"):
        jobs |= {f"holography/{kind}/{name}" for name in getattr(settings.holography, kind)}
    return jobs | {f"holography/reference/{side}" for side in settings.holography.diagram.sides}


@dataclass(frozen=True)
class Pace:
    """How long jobs take here.

    Raises:
        SettingsError: nothing was recorded of this scale.
    """

    costs: Mapping[str, Cost]
    """What each job was recorded to cost."""
    cores: int
    ratio: float
    """How much longer this machine takes than the recording one."""
    scale: str

    def __post_init__(self) -> None:
        if not self.costs:
            raise SettingsError(
                f"Nothing is recorded of what scale {self.scale} costs.",
                "Choose SCALE=smoke or SCALE=laptop, or record a finished run with `emergence "
                "costs`.",
            )

    def cpu(self, jobs: Iterable[str]) -> list[float]:
        """Processor seconds of each job as recorded; one without a record takes what an average does."""
        average = sum(cost.cpu_s for cost in self.costs.values()) / len(self.costs)
        return [self.costs[job].cpu_s if job in self.costs else average for job in jobs]

    def wall_shared(self, jobs: Iterable[str]) -> float:
        """Wall seconds that these jobs add where there is enough else to do beside them."""
        return self.ratio * sum(self.cpu(jobs)) / (self.cores * BUSY)

    def wall(self, jobs: Collection[str]) -> float:
        """Wall seconds that these jobs take together."""
        return max(self.wall_shared(jobs), self.ratio * max(self.cpu(jobs), default=0.0))


def deciding_jobs(
    settings: Settings, needs: Needs, scale: str, ledgers: Path
) -> tuple[dict[str, set[str]], dict[str, str], list[str]]:
    """Return of each claim of a scale its jobs and its system, and the claims without the power.

    Raises:
        LedgerError: a ledger or the needs are malformed, or do not fit together.
    """
    jobs: dict[str, set[str]] = {}
    system_of: dict[str, str] = {}
    powerless: list[str] = []
    for ledger in load_ledgers(ledgers):
        known = needs.get(ledger.system, {})
        for claim in ledger.claims:
            if scale not in claim.scales:
                powerless.append(claim.id)
            elif claim.id not in known:
                raise LedgerError(
                    f"workflow/needs.yaml does not say what claim {claim.id} needs.",
                    "Add it there.",
                )
            else:
                arms = [*known["always"], *known[claim.id]]
                jobs[claim.id] = jobs_of(settings, ledger.system, arms)
                jobs[claim.id].add(f"{ledger.system}/analysis")
                system_of[claim.id] = ledger.system
    return jobs, system_of, powerless


def reduced(
    settings: Settings, jobs: Collection[str], judged_as: str, scale: str
) -> dict[str, Any]:
    """Return the settings of these jobs alone, under a scale of their own."""
    content = settings.model_dump(mode="json")
    content |= {"scale": scale, "judged_as": judged_as}
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
