"""Shipping the trainings of a finished run, and the part of a run that can be done with what was shipped.

Of each job: parameters, history and identity (:mod:`emergence.finished`), compressed, with its hash
in the manifest; beside them the measurements that the run came to. What would make the whole too
large is left out, the largest arm first, and so are the claims that need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from emergence import finished
from emergence.artifacts import (
    provenance_path,
    read_numbers,
    sha256,
    write_folder,
    write_numbers,
    write_text,
)
from emergence.errors import ArtifactError, LedgerError, SettingsError
from emergence.progress import clock
from emergence.provenance import code_in_use
from emergence.settings import Settings, fingerprint, load, parse
from emergence.shipped import MANIFEST, VERIFY_SCALE, Manifest, read_manifest
from emergence.statistics import read_measurements, write_measurements
from emergence.verification.budget import choose
from emergence.verification.claims import SCALES, load_ledgers
from emergence.verification.jobs import (
    Needs,
    Pace,
    all_jobs,
    deciding_jobs,
    jobs_of,
    reduced,
    training_jobs,
)

SYSTEMS = ("introspection", "holography", "retraining")


def settings_of(results: Path) -> Settings:
    """Return the settings that a finished run of all systems was made with, from its own record.

    Raises:
        ArtifactError: a system was not analysed, or they differ between systems.
        SettingsError: the settings are not those of this version.
    """
    found = {}
    for system in SYSTEMS:
        record = provenance_path(results / system / "measurements.json")
        found[system] = read_numbers(record, required=["settings"])["settings"]
    if len({fingerprint(content) for content in found.values()}) > 1:
        raise ArtifactError(
            f"The systems in {results} were analysed with different settings.",
            "Rerun snakemake for that scale, which brings all of them up to date.",
        )
    return parse(found[SYSTEMS[0]], f"the record of {results}")


def ship(results: Path, output: Path, limit: float) -> Manifest:
    """Pack the trainings of a finished run.

    Args:
        results: the folder of one scale, such as ``results/laptop``.
        output: the folder to write, such as ``weights/laptop``; it is replaced as a whole.
        limit: megabytes (10⁶ bytes) that the files may take together.

    Raises:
        ArtifactError: the run is not finished, one of its trainings is not what was recorded, or
            the folder cannot be written.
    """
    settings = settings_of(results)
    jobs = sorted(training_jobs(settings))
    with write_folder(output) as folder:
        sizes: dict[str, int] = {}
        for job in jobs:
            file = folder / f"{job}.npz"
            finished.write(file, finished.read(_checked(results / job)), compressed=True)
            sizes[job] = file.stat().st_size
        left_out = _too_large(sizes, 1e6 * limit)
        for job in left_out:
            (folder / f"{job}.npz").unlink()
        for system in SYSTEMS:
            came_to = read_measurements(results / system / "measurements.json").values()
            write_measurements(folder / system / "measurements.json", came_to)
        kept = [job for job in jobs if job not in left_out]
        entries = {
            job: {
                "sha256": sha256(folder / f"{job}.npz"),
                "bytes": sizes[job],
                "seconds_per_step": _pace(results / job),
            }
            for job in kept
        }
        write_numbers(
            folder / MANIFEST,
            {
                "scale": settings.scale,
                "seed": settings.seed,
                "settings": fingerprint(settings),
                **{key: value for key, value in code_in_use().items() if key != "dirty"},
                "bytes": sum(sizes[job] for job in kept),
                "jobs": entries,
                "left_out": left_out,
            },
        )
    return read_manifest(output)


def _checked(folder: Path) -> Path:
    """The trainings of a job, once they are those that its record names."""
    path = folder / finished.FILE
    recorded = read_numbers(provenance_path(path), required=["sha256"])["sha256"]
    if recorded.get(path.name) != sha256(path):
        raise ArtifactError(
            f"{path} is not what its record names.", "Delete it and rerun snakemake."
        )
    return path


def _pace(folder: Path) -> float | None:
    timing = folder / "timing.json"
    return read_numbers(timing)["seconds_per_step"] if timing.is_file() else None


def _too_large(sizes: Mapping[str, int], limit: float) -> dict[str, str]:
    """Job → why it is left out: whole arms, the largest first, until the others fit."""
    arms: dict[str, dict[str, int]] = {}
    for job, size in sizes.items():
        arms.setdefault("/".join(job.split("/")[:3]), {})[job] = size
    left_out: dict[str, str] = {}
    total = sum(sizes.values())
    while total > limit:
        arm = max(arms, key=lambda name: sum(arms[name].values()))
        dropped = arms.pop(arm)
        total -= sum(dropped.values())
        why = (
            f"the arm takes {sum(dropped.values()) / 1e6:.1f} MB, too much beside the others for "
            f"{limit / 1e6:g} MB in all"
        )
        left_out |= dict.fromkeys(dropped, why)
    return left_out


def told(manifest: Manifest) -> list[str]:
    """Return what was shipped and what was not, a sentence per line."""
    size = sum(manifest.file(job).stat().st_size for job in manifest.jobs)
    lines = [f"{len(manifest.jobs)} trainings in {manifest.folder}, {size / 1e6:.1f} MB."]
    lines += [f"Left out: {job}: {why}." for job, why in manifest.left_out.items()]
    return lines


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
    for ledger in load_ledgers(ledgers):
        known = needs.get(ledger.system, {})
        for claim in ledger.claims:
            if scale in claim.scales:
                arms = [*known.get("always", []), *known.get(claim.id, [])]
                try:
                    needed = jobs_of(settings, ledger.system, arms)
                except LedgerError as error:  # a reader's own settings need not have every arm
                    left_out[claim.id] = error.message
                    continue
                missing = sorted(needed & set(without))
                if missing:
                    left_out[claim.id] = f"It needs {missing[0]}, but {without[missing[0]]}."
    return left_out


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
    trained = len(training_jobs(settings) & jobs)
    lines = [f"{trained} trainings are taken from {manifest.folder}; nothing is trained."]
    if pace:
        lines.append(f"It takes about {clock(pace.wall(jobs))} on this machine.")
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
        "weights."
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
