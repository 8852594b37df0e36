"""What each job of a finished run read and wrote, when, and by which stage.

What it wrote, and when, is told by the provenance beside every result; what it read by the settings, as
the rules of ``workflow/`` do (a test compares the two). A job is named as in the record of costs, such as
``holography/flows/disc/2``; two more, ``verify`` and ``report``, belong to no system.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emergence.artifacts import read_numbers
from emergence.errors import ArtifactError
from emergence.settings import Settings
from emergence.verification.jobs import all_jobs

SYSTEMS = ("introspection", "holography", "retraining")
SINGLE = ("introspection data", "holography reference", "holography plane", "holography bulk")
"""Stages that write one file, which is called as the job; all others write a folder of that name."""
AGAIN = "Delete the result and rerun snakemake, which makes it again."
LAST = {"verify": ("verdict.json", "verdict.md"), "report": ("report.html",)}
"""Jobs without a provenance of their own, and what they write under the results of a scale."""


@dataclass
class Job:
    """One job of a finished run."""

    name: str
    stage: str
    """The command that it ran, such as ``holography flow``."""
    wrote: dict[Path, str | None] = field(default_factory=dict)
    """File or folder → SHA-256 as recorded; None where no record names it."""
    started: dt.datetime | None = None
    ended: dt.datetime | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)
    """The provenance of one of its results."""


def jobs_done(results: Path, figures: Path, settings: Settings) -> dict[str, Job]:
    """Return every job of a finished run by name; results of jobs that it no longer has are left out.

    Args:
        results: the folder of one scale, such as ``results/laptop``.
        figures: the folder of its figures.
        settings: those of the run.

    Raises:
        ArtifactError: a job of the settings left no record, or a record is corrupt.
    """
    found: dict[str, Job] = {}
    planned = planned_jobs(settings)
    for root in (results, figures):
        for record in sorted(root.glob("*/**/*.provenance.json")):
            entry = read_numbers(
                record, required=["sha256", "stage", "created_utc", "wall_time_s", "device"]
            )
            name = _name(record, entry["stage"], root)
            if name in planned or entry["stage"].endswith(" figure"):
                _take(found.setdefault(name, Job(name, entry["stage"])), record, entry)
    for name in sorted(planned - found.keys()):
        raise ArtifactError(
            f"The run in {results} is not whole: the job {name} left no provenance.",
            "Rerun snakemake for that scale, which runs what is missing.",
        )
    return found | {name: _last(name, results) for name in LAST if _there(name, results)}


def planned_jobs(settings: Settings) -> set[str]:
    """Return every job of the settings but those that draw figures."""
    jobs = all_jobs(settings) | {f"{system}/analysis" for system in SYSTEMS}
    if settings.holography.plane:
        jobs.add("holography/reference/plane")
    return jobs | {"introspection/spectral"}


def _name(record: Path, stage: str, root: Path) -> str:
    inside, stem = record.parent.relative_to(root), record.name.removesuffix(".provenance.json")
    if stage.endswith(" figure"):
        return f"{inside.as_posix()}/figures/{stem}"
    if stage.endswith(" analysis"):
        return f"{inside.as_posix()}/analysis"
    return (inside / stem if stage in SINGLE else inside).as_posix()


def _take(job: Job, record: Path, entry: Mapping[str, Any]) -> None:
    """Add to a job what one record says."""
    job.wrote |= {record.with_name(name): known for name, known in entry["sha256"].items()}
    ended = _time(record, entry["created_utc"])
    started = ended - dt.timedelta(seconds=float(entry["wall_time_s"]))
    job.started = min(started, job.started or started)
    job.ended = max(ended, job.ended or ended)
    job.entry = entry


def _time(record: Path, text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ArtifactError(
            f"{record} says it was written at {text!r}, which is no time.", AGAIN
        ) from None


def _there(name: str, results: Path) -> bool:
    return all((results / file).is_file() for file in LAST[name])


def _last(name: str, results: Path) -> Job:
    """A job without a provenance: it ended when its file was written, as the file system says."""
    files = [results / file for file in LAST[name]]
    ended = dt.datetime.fromtimestamp(files[-1].stat().st_mtime, dt.UTC)
    return Job(name, name, dict.fromkeys(files), None, ended)


# --- what they read -------------------------------------------------------------------------------


def read_by(job: Job, settings: Settings, jobs: Collection[str]) -> list[str]:
    """Return what a job read of the run itself and of what is shipped, settings and code apart.

    Args:
        job: one of the run.
        settings: those of the run.
        jobs: the names of all of them.

    Returns:
        Paths that begin with ``results``, ``figures``, ``claims``, ``config`` or ``weights``; no scale
        is named in them.
    """
    if job.name == "verify":
        measured = [f"results/{system}/measurements.json" for system in SYSTEMS]
        return [*measured, *_ledgers(), "figures/drift.csv"]
    if job.name == "report":
        drawn = [name.split("/") for name in sorted(jobs) if "/figures/" in name]
        shown = [f"figures/{system}/{name}.png" for system, _, name in drawn]
        return ["results/verdict.json", *_ledgers(), "config/costs.csv", *shown]
    system, kind, *rest = job.name.split("/")
    if kind == "analysis":
        return [path for name in sorted(jobs) for path in _analysed(system, name)]
    if kind == "figures":
        return [f"results/{system}/tables"]
    told = job.entry.get("extra") or {}
    taken = next((told[key] for key in ("trained", "sampled") if key in told), None)
    shipped = [] if taken is None else [f"weights/{Path(taken['folder']).name}/{job.name}.npz"]
    return [*_OF_SYSTEM[system](settings, kind, *rest, "sampled" in told), *shipped]


def _ledgers() -> list[str]:
    return [f"claims/{system}.yaml" for system in SYSTEMS]


def _analysed(system: str, name: str) -> list[str]:
    """What the analysis of a system reads of a job."""
    first, _, rest = name.partition("/")
    kind = rest.partition("/")[0]
    if first != system or kind in ("analysis", "figures"):
        return []
    place = f"results/{name}"
    if kind in ("data", "reference", "bulks"):
        return [f"{place}.npz"]
    files = {"introspection": ["arrays.npz"], "retraining": ["arrays.npz", "history.csv"]}
    flows = ["arrays.npz", "timing.json"] + (["history.csv"] if kind == "flows" else [])
    return [f"{place}/{file}" for file in files.get(system, flows)]


def _introspection(settings: Settings, kind: str, *rest: Any) -> list[str]:
    if kind not in ("translators", "distillers"):
        return []
    arm = getattr(settings.introspection, kind)[rest[0]]
    read = [f"results/introspection/data/{arm.dataset}.npz"]
    if kind == "distillers":
        read.append(f"results/introspection/translators/{arm.translator}/arrays.npz")
    return read


def _holography(settings: Settings, kind: str, *rest: Any) -> list[str]:
    chosen = settings.holography
    if kind == "flows":
        return _before("holography/flows", chosen.flows[rest[0]], *rest[:2])
    if kind not in ("chains", "bulks"):
        return []
    study, sampled = getattr(chosen, kind)[rest[0]], rest[-1]
    read = [f"results/holography/flows/{study.flow}/{study.size}/weights"]
    if kind == "chains" and study.shipped and not sampled:
        read.append(f"weights/holography/chains/{study.shipped}.npz")
    return read


def _retraining(settings: Settings, kind: str, *rest: Any) -> list[str]:
    return _before("retraining/chains", settings.retraining.chains[rest[0]], *rest[:2])


def _before(place: str, arm: Any, name: str, size: str) -> list[str]:
    """What a size of a growing arm starts from: weights of the run, shipped ones, or nothing."""
    before = arm.starts_from(name, int(size))
    if before is not None:
        return [f"results/{place}/{before[0]}/{before[1]}/weights"]
    return [f"weights/{place.partition('/')[0]}/{arm.shipped}"] if arm.shipped else []


_OF_SYSTEM = {
    "introspection": _introspection,
    "holography": _holography,
    "retraining": _retraining,
}


def span(jobs: Iterable[Job]) -> tuple[dt.datetime, dt.datetime]:
    """Return when the first of these jobs began and the last ended."""
    times = [time for job in jobs for time in (job.started, job.ended) if time is not None]
    return min(times), max(times)
