"""The run as a Workflow Run RO-Crate: one zip of what was run, on what, and what came of it.

The profile is Workflow Run RO-Crate 0.5 (https://w3id.org/ro/wfrun/workflow): the Snakefile is the main
entity, one CreateAction is the whole run, and one more for each of its jobs, with its command, its times,
what it read and what it wrote (:mod:`emergence.verification.lineage`). Settings, code, rules, ledgers,
shipped weights and all results that a reader can open stand in the crate; arrays and trained weights
stay where they are (:mod:`emergence.verification.contents`). Who ran it is not recorded, and not told.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emergence import __version__
from emergence.artifacts import read_numbers, sha256, write_bytes
from emergence.errors import ArtifactError, HostError
from emergence.provenance import PACKAGE
from emergence.settings import Settings, load
from emergence.verification.claims import SCALES
from emergence.verification.contents import Contents, entity, single
from emergence.verification.lineage import Job, jobs_done, read_by, span
from emergence.verification.seeds import certificate_of

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
LICENCE = "https://spdx.org/licenses/MIT"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
READ = ("workflow/*.smk", "workflow/*.yaml", "workflow/profiles/default/*.yaml", "claims/*.yaml")
"""What the workflow itself reads, beside the Snakefile."""
BESIDE = ("requirements.lock", "config/costs.csv", "README.md")


def write_crate(
    scale: str, house: Path, results_root: Path, figures_root: Path, settings: Path, output: Path
) -> None:
    """Write the crate of a finished run.

    Args:
        scale: whose results.
        house: the folder of Snakefile, workflow/, claims/ and the lock.
        results_root: the folder of all results.
        figures_root: the folder of all figures.
        settings: the settings file of the run.
        output: the zip to write.

    Raises:
        HostError: the library ``rocrate`` is not installed.
        ArtifactError: the run is not whole, a result is not what its record names, or the zip cannot
            be written.
        SettingsError: the settings are not those of this version.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise HostError(
            "The library rocrate, which writes the crate, is not installed.",
            "Bring the environment up to the lock with `make env`.",
        ) from None
    results, figures = results_root / scale, figures_root / scale
    verdict = read_numbers(results / "verdict.json", required=["claims", "provenance"])
    chosen = load(settings)
    jobs = jobs_done(results, figures, chosen)
    crate = ROCrate(version="1.1")
    _introduce(crate, scale)
    workflow = crate.add_workflow(
        house / "Snakefile", "Snakefile", main=True, lang="snakemake", properties={
            "name": "Emergence", "version": __version__, "encodingFormat": "text/plain",
            "sha256": sha256(house / "Snakefile"),
            "contentSize": str((house / "Snakefile").stat().st_size),
        },
    )  # fmt: skip
    places = {"results": results, "figures": figures}
    if certificate := certificate_of(_judged_as(chosen), figures_root, house):
        places["figures/drift.csv"] = certificate
    contents = Contents(crate, house, places)
    steps = _pack(contents, jobs, chosen, settings, _inputs(house))
    made = {one.id: one for one in contents.made}
    given = [one for one in contents.known.values() if one.id not in made]
    began, ended = span(jobs.values())
    crate.add(
        entity(
            crate, "#run", "CreateAction", name=f"Run of the workflow at scale {scale}",
            instrument=workflow, object=given, result=list(made.values()),
            startTime=_told(began), endTime=_told(ended),
            actionStatus="http://schema.org/CompletedActionStatus",
            description=f"{len(jobs)} jobs, {_revision(verdict['provenance'])}.",
        )
    )  # fmt: skip
    workflow["hasPart"] = list({e.id: e for e in (step["instrument"] for step in steps)}.values())
    crate.root_dataset["mentions"] = [crate.get("#run"), *steps]
    _write(crate, output)


def _judged_as(settings: Settings) -> str:
    """As whose claims a run is decided; see workflow/common.smk."""
    return settings.judged_as or (settings.scale if settings.scale in SCALES else "laptop")


def _introduce(crate: ROCrate, scale: str) -> None:
    """Say what the crate is, and which profiles it follows."""
    crate.metadata.extra_contexts.append(TERMS)
    crate.name = f"Emergence: three papers reproduced, scale {scale}"
    crate.description = (
        "Figures, measurements and verdicts of one run of the workflow that reproduces "
        "arXiv:1901.11103, arXiv:1903.00804 and arXiv:2003.06228."
    )
    licence = entity(crate, LICENCE, "CreativeWork", name="MIT License", url=LICENCE)
    crate.license = crate.add(licence)
    crate.root_dataset["author"] = crate.add(
        entity(crate, "#contributors", "Organization", name="The Emergence contributors")
    )
    profiles = [
        crate.add(entity(crate, identifier, "CreativeWork", name=name, version=version))
        for identifier, (name, version) in PROFILES.items()
    ]
    crate.root_dataset["conformsTo"] = profiles


def _inputs(house: Path) -> list[Path]:
    """What a run reads, settings, code and shipped weights apart: rules, ledgers, lock, costs."""
    found = [path for pattern in READ for path in sorted(house.glob(pattern))]
    if not found:
        raise ArtifactError(f"{house} holds no workflow.", "Name the folder of the Snakefile.")
    return found + [house / name for name in BESIDE if (house / name).is_file()]


def _code() -> list[Path]:
    """The files of this package, which every job runs."""
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".jinja"))


def _pack(
    contents: Contents, jobs: dict[str, Job], chosen: Settings, settings: Path, inputs: list[Path]
) -> list[Any]:
    """Pack what went in and what came out, and return an action for each job."""
    common = [
        contents.file(f"settings/{settings.name}", settings),
        contents.folder("src/emergence", _code(), PACKAGE),
    ]
    for path in inputs:
        packed = contents.file(path.relative_to(contents.house).as_posix(), path)
        if path.name == "README.md":
            packed["about"] = contents.crate.root_dataset
    wrote = {
        name: [e for path, known in job.wrote.items() for e in contents.result(path, known)]
        for name, job in jobs.items()
    }
    return [
        _action(
            contents.crate,
            number,
            job,
            [*common, *filter(None, map(contents.given, read_by(job, chosen, jobs)))],
            wrote[job.name],
        )
        for number, job in enumerate(jobs.values())
    ]


def _action(crate: ROCrate, number: int, job: Job, read: list[Any], wrote: list[Any]) -> Any:
    """What one job did, with which command."""
    command = f"emergence {job.stage}"
    identifier = f"#{job.stage.replace(' ', '-')}"
    tool = crate.get(identifier) or crate.add(
        entity(crate, identifier, "SoftwareApplication", name=command, softwareVersion=__version__)
    )
    return crate.add(
        entity(
            crate, f"#job-{number}", "CreateAction", name=job.name, instrument=tool,
            object=read, result=single(wrote), startTime=_told(job.started), endTime=_told(job.ended),
            actionStatus="http://schema.org/CompletedActionStatus", description=_described(job),
        )
    )  # fmt: skip


def _described(job: Job) -> str:
    entry = job.entry
    if not entry:
        return f"emergence {job.stage}; its time is that of its file."
    told = f"emergence {job.stage} on {entry['device']}, seed {entry.get('seed')}"
    if "processor_time_s" in entry:
        told += f", {entry['processor_time_s']:.1f} s of processor time"
    return f"{told}, {_revision(entry)}."


def _revision(entry: Any) -> str:
    changed = " with changes" if entry.get("dirty") else ""
    return f"commit {entry.get('commit', 'unknown')}{changed}"


def _told(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")


def _write(crate: ROCrate, output: Path) -> None:
    # The library writes to a path of its own, so the zip appears whole only afterwards.
    with tempfile.TemporaryDirectory(prefix="emergence-") as place:
        packed = Path(place, "crate.zip")
        crate.write_zip(packed)
        write_bytes(output, packed.read_bytes())
