"""Packing what a finished run took long to make, so that others need not make it again.

Of each training: parameters, history and identity (:mod:`emergence.finished`); of each long sampling:
its arrays and the times that it measured. All compressed, with hashes in the manifest; beside them
the measurements that the run came to. Of what would make the whole too large, samplings are left out
before trainings: they can be drawn again, while a claim without its weights cannot be checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emergence import finished
from emergence.artifacts import (
    provenance_path,
    read_arrays,
    read_numbers,
    sha256,
    write_arrays,
    write_folder,
    write_numbers,
)
from emergence.errors import ArtifactError
from emergence.holography.identity import study_of
from emergence.provenance import code_in_use
from emergence.settings import Settings, fingerprint, parse
from emergence.settings.holography import BulkSettings, ChainsSettings
from emergence.shipped import MANIFEST, TIMING, Manifest, read_manifest
from emergence.statistics import read_measurements, write_measurements
from emergence.verification.costs import Cost, measured_costs
from emergence.verification.jobs import training_jobs

SYSTEMS = ("introspection", "holography", "retraining")
LONG_S = 30.0
"""A sampling that takes less processor time than this is drawn again by who checks."""


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
    """Pack the trainings and the long samplings of a finished run.

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
            trained = _checked(results / job / finished.FILE)
            finished.write(file, finished.read(trained), compressed=True)
            sizes[job] = file.stat().st_size
        left_out = _too_large(sizes, 1e6 * limit)
        withheld = {job: sha256(folder / f"{job}.npz") for job in left_out}
        for job in left_out:
            (folder / f"{job}.npz").unlink()
        room = 1e6 * limit - sum(sizes[job] for job in jobs if job not in left_out)
        samples, drawn_again = _pack_samplings(settings, results, folder, room)
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
                "bytes": sum(entry["bytes"] for entry in (entries | samples).values()),
                "jobs": entries,
                "left_out": left_out,
                "withheld": withheld,
                "samples": samples,
                "drawn_again": drawn_again,
            },
        )
    return read_manifest(output)


def _checked(path: Path) -> Path:
    """A file of the run, once it is what its record names."""
    recorded = read_numbers(provenance_path(path), required=["sha256"])["sha256"]
    if recorded.get(path.name) != sha256(path):
        raise ArtifactError(
            f"{path} is not what its record names.", "Delete it and rerun snakemake."
        )
    return path


def _pack_samplings(
    settings: Settings, results: Path, folder: Path, room: float
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Write the samplings that took long, those that save the most time per byte first.

    Returns:
        Of each that fits in the room, in bytes, its entry in the manifest; and why the others do not.
    """
    studies = studies_of(settings)
    costs = long_samplings(measured_costs(results).values())
    sizes = {}
    for job in studies.keys() & costs.keys():
        file, study = folder / f"{job}.npz", studies[job]
        drawn_with = results / f"holography/flows/{study.flow}/{study.size}/weights"
        write_arrays(file, _sampled(results / job, drawn_with), compressed=True)
        sizes[job] = file.stat().st_size
    entries, left = {}, {}
    for job in sorted(sizes, key=lambda name: costs[name] / sizes[name], reverse=True):
        if sizes[job] > room:
            (folder / f"{job}.npz").unlink()
            left[job] = f"its records take {sizes[job] / 1e6:.1f} MB, too much beside the others"
            continue
        room -= sizes[job]
        known = {
            "sha256": sha256(folder / f"{job}.npz"),
            "settings": study_of(settings, studies[job]),
        }
        entries[job] = known | {"bytes": sizes[job]}
    return dict(sorted(entries.items())), dict(sorted(left.items()))


def long_samplings(costs: Iterable[Cost]) -> dict[str, float]:
    """Return the processor seconds of the jobs that take longer than :data:`LONG_S`, by name."""
    return {cost.job: cost.cpu_s for cost in costs if cost.cpu_s > LONG_S}


def studies_of(settings: Settings) -> dict[str, ChainsSettings | BulkSettings]:
    """Return every sampling, by the name of its job."""
    return {
        f"holography/{kind}/{name}": study
        for kind in ("chains", "bulks")
        for name, study in getattr(settings.holography, kind).items()
    }


def _sampled(job: Path, weights: Path) -> dict[str, np.ndarray]:
    """The arrays of a sampling, and its times beside them under :data:`~emergence.shipped.TIMING`.

    Raises:
        ArtifactError: they are not what was recorded, or were drawn with other weights than those.
    """
    single = job.with_suffix(".npz")
    file = single if single.is_file() else job / "arrays.npz"
    arrays = dict(read_arrays(_checked(file)))
    extra = read_numbers(provenance_path(file)).get("extra") or {}
    # Records of earlier versions do not tell.
    if "weights" in extra and extra["weights"] != sha256(weights):
        raise ArtifactError(
            f"{file} was drawn with other weights than {weights}.", "Rerun snakemake, then ship."
        )
    if file == single:
        return arrays
    times = read_numbers(_checked(job / "timing.json"))
    return arrays | {f"{TIMING}{name}": np.array(value) for name, value in times.items()}


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
    there = [*manifest.jobs, *manifest.samples]
    size = sum(manifest.file(job).stat().st_size for job in there)
    lines = [
        f"{len(manifest.jobs)} trainings and {len(manifest.samples)} samplings in "
        f"{manifest.folder}, {size / 1e6:.1f} MB."
    ]
    lines += [f"Left out: {job}: {why}." for job, why in manifest.left_out.items()]
    lines += [f"To be drawn again: {job}: {why}." for job, why in manifest.drawn_again.items()]
    return lines
