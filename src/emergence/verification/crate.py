"""The run as a Workflow Run RO-Crate: one zip of what was run, on what, and what came of it.

The profile is Workflow Run RO-Crate 0.5 (https://w3id.org/ro/wfrun/workflow): the Snakefile is the main
entity, one CreateAction is the whole run, and one more for each stage tells what it wrote, from the
provenance that stands beside every result. Trained weights and arrays stay where they are; what a
reader can open stands in the crate.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emergence import __version__
from emergence.artifacts import provenance_path, read_numbers, sha256, write_bytes
from emergence.errors import ArtifactError, HostError
from emergence.verification.packing import SYSTEMS

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}


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
        ArtifactError: a result or its provenance is missing or corrupt, or the zip cannot be written.
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
    crate = ROCrate(version="1.1")
    _introduce(crate, scale)
    workflow = crate.add_workflow(
        house / "Snakefile", "Snakefile", main=True, lang="snakemake", properties={
            "name": "Emergence", "version": __version__,
        },
    )  # fmt: skip
    read = [_file(crate, path, house) for path in _inputs(house)]
    read.append(_file(crate, settings, settings.parent, "settings"))
    made: dict[Path, Any] = {}
    for path in _outputs(results, figures):
        root, name = (figures, "figures") if path.is_relative_to(figures) else (results, "results")
        made[path] = _file(crate, path, root, name)
    steps = list(_steps(crate, made))
    times = [time for step in steps for time in (step["startTime"], step["endTime"])]
    crate.add(
        _entity(
            crate, "#run", "CreateAction", name=f"Run of the workflow at scale {scale}",
            instrument=workflow, object=read, result=list(made.values()),
            startTime=min(times, default=None), endTime=max(times, default=None),
            actionStatus="http://schema.org/CompletedActionStatus",
            description=f"Commit {verdict['provenance'].get('commit', 'unknown')}.",
        )
    )  # fmt: skip
    crate.root_dataset["mentions"] = [crate.get("#run"), *steps]
    _write(crate, output)


def _introduce(crate: ROCrate, scale: str) -> None:
    """Say what the crate is, and which profiles it follows."""
    crate.metadata.extra_contexts.append(TERMS)
    crate.name = f"Emergence: three papers reproduced, scale {scale}"
    crate.description = (
        "Figures, measurements and verdicts of one run of the workflow that reproduces "
        "arXiv:1901.11103, arXiv:1903.00804 and arXiv:2003.06228."
    )
    crate.license = "https://spdx.org/licenses/MIT"
    profiles = [
        crate.add(_entity(crate, identifier, "CreativeWork", name=name, version=version))
        for identifier, (name, version) in PROFILES.items()
    ]
    crate.root_dataset["conformsTo"] = profiles


def _write(crate: ROCrate, output: Path) -> None:
    # The library writes to a path of its own, so the zip appears whole only afterwards.
    with tempfile.TemporaryDirectory(prefix="emergence-") as place:
        packed = Path(place, "crate.zip")
        crate.write_zip(packed)
        write_bytes(output, packed.read_bytes())


def _entity(crate: ROCrate, identifier: str, kind: str, **properties: Any) -> Any:
    from rocrate.model.contextentity import ContextEntity

    entity = ContextEntity(crate, identifier, properties={"@type": kind})
    for name, value in properties.items():
        if value is not None:
            entity[name] = value
    return entity


def _file(crate: ROCrate, path: Path, root: Path, folder: str = "") -> Any:
    """Add a file under its place below ``root``, with its hash and size."""
    inside = Path(folder, path.relative_to(root)).as_posix()
    properties = {"name": inside, "sha256": sha256(path), "contentSize": str(path.stat().st_size)}
    if path.suffix in FORMATS:
        properties["encodingFormat"] = FORMATS[path.suffix]
    return crate.add_file(path, inside, properties=properties)


def _inputs(house: Path) -> list[Path]:
    """What a run reads, settings apart: rules, ledgers, lock."""
    found = [
        *sorted(house.glob("workflow/*.smk")),
        *sorted(house.glob("claims/*.yaml")),
        *(path for path in [house / "requirements.lock", house / "README.md"] if path.is_file()),
    ]
    if not found:
        raise ArtifactError(f"{house} holds no workflow.", "Name the folder of the Snakefile.")
    return found


def _outputs(results: Path, figures: Path) -> list[Path]:
    """What a reader can open: verdicts, report, measurements, tables, figures and their data."""
    found = [results / "verdict.json", results / "verdict.md"]
    found += [path for path in [results / "report.html"] if path.is_file()]
    for system in SYSTEMS:
        measurements = results / system / "measurements.json"
        if measurements.is_file():
            found += [measurements, *sorted((results / system / "tables").glob("*.csv"))]
        for suffix in ("png", "svg", "csv"):
            found += sorted((figures / system).glob(f"*.{suffix}"))
    return found


def _steps(crate: ROCrate, made: Mapping[Path, Any]) -> Iterable[Any]:
    """One action for each stage that wrote some of the files, from the provenance beside them."""
    written: dict[Path, list[Any]] = {}
    for path, entity in made.items():
        record = provenance_path(path.parent if path.parent.name == "tables" else path)
        if record.is_file():
            written.setdefault(record, []).append(entity)
    for number, (record, entities) in enumerate(sorted(written.items())):
        entry = read_numbers(record, required=["stage", "created_utc", "wall_time_s", "device"])
        ended = _time(record, entry["created_utc"])
        command = f"emergence {entry['stage']}"
        tool = crate.get(f"#{entry['stage'].replace(' ', '-')}") or crate.add(
            _entity(
                crate, f"#{entry['stage'].replace(' ', '-')}", "SoftwareApplication",
                name=command, softwareVersion=__version__,
            )
        )  # fmt: skip
        yield crate.add(
            _entity(
                crate, f"#stage-{number}", "CreateAction", name=command, instrument=tool,
                result=entities, endTime=ended.isoformat(),
                startTime=(ended - dt.timedelta(seconds=float(entry["wall_time_s"]))).isoformat(),
                description=f"On {entry['device']}, seed {entry.get('seed')}, commit "
                f"{entry.get('commit', 'unknown')}.",
            )
        )  # fmt: skip


def _time(record: Path, text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ArtifactError(
            f"{record} says it was written at {text!r}, which is no time.",
            "Delete the result and rerun snakemake, which makes it again.",
        ) from None
