"""The part of a run that can be done with what was shipped, and how it compares with that run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from emergence.artifacts import write_numbers, write_text
from emergence.errors import LedgerError, SettingsError
from emergence.holography.identity import study_of
from emergence.progress import clock
from emergence.settings import Settings, load
from emergence.shipped import VERIFY_SCALE, Manifest
from emergence.statistics import read_measurements
from emergence.verification.budget import choose, of_some_claim
from emergence.verification.claims import SCALES, load_ledgers
from emergence.verification.jobs import (
    Needs,
    Pace,
    all_jobs,
    checked_in_part,
    deciding_jobs,
    jobs_of,
    records_continued,
    reduced,
    training_jobs,
)
from emergence.verification.packing import SYSTEMS, studies_of

_TAKEN = "read from there (ANEW=1 draws them again), the others are drawn again."
_DRAWN = "drawn again too."


def at_hand(settings: Settings, manifest: Manifest) -> set[str]:
    """Return the samplings that are shipped and were drawn with these settings."""
    studies = studies_of(settings)
    return {
        job
        for job, entry in manifest.samples.items()
        if job in studies and study_of(settings, studies[job]) == entry.settings
    }


def evaluable(settings: Settings, manifest: Manifest) -> tuple[set[str], dict[str, str]]:
    """Return the jobs that can be done without training, and why the others cannot.

    A job that reads what cannot be had cannot be done either; of a growing arm, no size can be done
    where one is missing.
    """
    lacking: dict[str, str] = {}
    for job in sorted(training_jobs(settings)):
        if job not in manifest.jobs:
            why = manifest.left_out.get(job, "the run that they come from had no such job")
            lacking["/".join(job.split("/")[:3])] = f"the weights of {job} are not shipped: {why}"
    jobs, without = set(), {}
    for job in all_jobs(settings):
        system, kind, name = [*job.split("/"), "", ""][:3]
        needed = {
            "/".join(one.split("/")[:3]) for one in jobs_of(settings, system, [f"{kind}/{name}"])
        }
        missing = sorted(needed & set(lacking))
        if missing:
            without[job] = lacking[missing[0]]
        else:
            jobs.add(job)
    return jobs, without


def claims_without(
    settings: Settings, needs: Needs, ledgers: Path, scale: str, without: Mapping[str, str]
) -> dict[str, str]:
    """Return the claims that cannot be decided where some jobs cannot be done, each with why.

    Raises:
        LedgerError: a ledger or the needs are malformed.
    """
    left_out = {}
    for name, needed in _needed(settings, needs, ledgers, scale).items():
        if isinstance(needed, str):
            left_out[name] = needed
        elif missing := sorted(needed & set(without)):
            left_out[name] = f"It needs {missing[0]}, but {without[missing[0]]}."
    return left_out


def _needed(
    settings: Settings, needs: Needs, ledgers: Path, scale: str
) -> dict[str, set[str] | str]:
    """The jobs of each claim; where a reader's own settings lack an arm, a sentence that says so."""
    found: dict[str, set[str] | str] = {}
    for ledger in load_ledgers(ledgers):
        known = needs.get(ledger.system, {})
        for claim in ledger.claims:
            if scale in claim.scales:
                arms = [*known.get("always", []), *known.get(claim.id, [])]
                try:
                    found[claim.id] = jobs_of(settings, ledger.system, arms)
                except LedgerError as error:
                    found[claim.id] = error.message
    return found


def judged_scale(settings: Settings) -> str:
    """Return the scale whose claims a run of these settings decides."""
    return settings.judged_as or (settings.scale if settings.scale in SCALES else "laptop")


def write_evaluation(
    manifest: Manifest,
    settings_file: Path,
    needs: Needs,
    ledgers: Path,
    folder: Path,
    pace: Pace | None = None,
    budget_s: float | None = None,
    *,
    anew: bool = False,
) -> list[str]:
    """Write settings.yaml, plan.json and targets.txt of an evaluation of shipped weights.

    Args:
        manifest: the shipped weights.
        settings_file: of the run that they are of.
        needs: which arms decide each claim.
        ledgers: the folder of ledgers.
        folder: where the three files go.
        pace: how long an evaluation takes here; needed with a budget.
        budget_s: wall time there is: the part that decides the most claims in it.
        anew: whether shipped samplings are drawn again; the caller sees to that, this tells it.

    Returns:
        What a reader should know beforehand, a sentence per line.

    Raises:
        SettingsError: the settings are malformed, or of another scale than the weights.
        ArtifactError: a file cannot be written.
    """
    settings = load(settings_file)
    if settings.scale != manifest.scale:
        raise SettingsError(
            f"The weights in {manifest.folder} are of scale {manifest.scale}, not {settings.scale}.",
            f"Choose SCALE={manifest.scale}.",
        )
    jobs, without = evaluable(settings, manifest)
    judged = judged_scale(settings)
    left_out = claims_without(settings, needs, ledgers, judged, without)
    systems: tuple[str, ...] = SYSTEMS
    if pace and budget_s:
        open_ = deciding_jobs(settings, needs, judged, ledgers)[0].keys() - left_out.keys()
        chosen = choose(
            settings, needs, pace.costs, budget_s, judged, ledgers, pace.cores, pace.ratio, open_
        )
        of_some_claim(chosen, budget_s)
        left_out = chosen.reasons() | left_out
        jobs, systems = set(chosen.jobs), chosen.systems
    content: dict[str, Any] = reduced(settings, jobs, judged, VERIFY_SCALE)
    write_text(folder / "settings.yaml", yaml.safe_dump(content, sort_keys=False))
    targets = [f"results/{VERIFY_SCALE}/{system}/measurements.json" for system in systems]
    write_text(folder / "targets.txt", " ".join(targets) + "\n")
    write_numbers(
        folder / "plan.json",
        {"trained": manifest.folder, "left_out": left_out, "jobs": sorted(jobs)},
    )
    needed = _needed(settings, needs, ledgers, judged)
    checked = [name for name in needed if name not in left_out]
    in_part = checked_in_part(records_continued(settings), needed, checked)
    return _told(settings, manifest, jobs, left_out, pace, anew, in_part)


def _told(
    settings: Settings,
    manifest: Manifest,
    jobs: set[str],
    left_out: Mapping[str, str],
    pace: Pace | None,
    anew: bool,
    in_part: list[str],
) -> list[str]:
    """What a reader should know of an evaluation beforehand, a sentence per line."""
    trained = len(training_jobs(settings) & jobs)
    lines = [f"{trained} trainings are taken from {manifest.folder}; nothing is trained."]
    if sampled := len(at_hand(settings, manifest) & jobs):
        lines.append(f"Of the samplings {sampled} that took long are {_DRAWN if anew else _TAKEN}")
    if pace:
        lines.append(f"It takes about {clock(pace.wall(jobs))} on this machine.")
    lines += in_part
    if left_out:
        lines.append("These claims will not be checked:")
        lines += [f"  {name}: {why}" for name, why in left_out.items()]
    return lines


def agreement(results: Path, shipped: Path) -> list[str]:
    """Return how many numbers are those that were shipped, bit for bit, and which are not.

    Args:
        results: of the evaluation, such as ``results/verify``.
        shipped: the folder of the shipped weights, with the measurements of their run.

    Raises:
        ArtifactError: nothing was evaluated, or measurements are missing or corrupt.
    """
    same, other = 0, []
    # Within a budget a system may have been left out.
    there = [name for name in SYSTEMS if (results / name / "measurements.json").is_file()]
    for system in there or SYSTEMS:
        ours, theirs = (
            read_measurements(folder / system / "measurements.json")
            for folder in (results, shipped)
        )
        for name in sorted(ours.keys() & theirs.keys()):
            if ours[name] == theirs[name]:
                same += 1
            else:
                other.append((system, name, ours[name].value, theirs[name].value))
    lines = [
        f"{same} of {same + len(other)} numbers are bit for bit those of the run that shipped the "
        "weights; those read from shipped records are so by construction, unless drawn anew."
    ]
    if other:
        lines.append(
            "Processor times differ, and on another kind of processor the last digits of all:"
        )
    lines += [
        f"  {system}: {name} is {_digits(one)}, was {_digits(two)}"
        for system, name, one, two in sorted(other)
    ]
    return lines


def _digits(value: float | None) -> str:
    return "not told" if value is None else f"{value:.10g}"
