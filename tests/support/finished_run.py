"""A finished run without its work: every job's files, of a few bytes each, with their provenance."""

import json
import shutil
import time
from pathlib import Path

from emergence.artifacts import provenance_path, record_provenance, write_numbers
from emergence.settings import Settings, load
from emergence.verification.lineage import planned_jobs

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "figures/laptop"
BENCHMARK = (
    "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    "9.0\t0:00:09\t320.9\t517.0\t288.4\t303.3\t79.4\t1.9\t72.6\t8.0\n"
)
"""Of a job that took 8 seconds of the processor and 321 MiB."""
STAGES = {
    "introspection": {"translators": "translator", "distillers": "distiller"},
    "holography": {"flows": "flow", "bulks": "bulk"},
    "retraining": {"chains": "grow"},
}
FILES = {
    "holography/chains": ["arrays.npz", "timing.json"],
    "holography/flows": ["arrays.npz", "history.csv", "timing.json", "trained.npz", "weights"],
    "introspection/spectral": ["arrays.npz"],
}
TRAINED = ["arrays.npz", "history.csv", "trained.npz", "weights"]
SINGLE = ("data", "reference", "bulks")


def finish(house: Path, scale: str = "smoke") -> Settings:
    """Write results and figures of a scale into a house, with a benchmark and a log of every job.

    The figures and verdicts are the committed ones. Each job took a minute and a half, and the
    analyses came last.
    """
    settings = load(ROOT / f"config/{scale}.yaml")
    results, figures = house / "results" / scale, house / "figures" / scale
    for name in sorted(planned_jobs(settings), key=lambda name: name.endswith("/analysis")):
        _do(results, name, settings)
    for system in STAGES:
        shutil.copytree(FIGURES / system, figures / system, dirs_exist_ok=True)
        for record in sorted((figures / system).glob("*.provenance.json")):
            _account(results, f"{system}/figures/{record.name.removesuffix('.provenance.json')}")
    for name, files in (("verify", ("verdict.json", "verdict.md")), ("report", ("report.html",))):
        for file in files:
            there = FIGURES / file
            (results / file).write_bytes(there.read_bytes() if there.is_file() else b"<html>")
        _account(results, name)
    return settings


def _do(results: Path, name: str, settings: Settings) -> None:
    system, kind, *rest = name.split("/")
    place = results / name
    if kind == "analysis":
        files = [results / system / "measurements.json", results / system / "tables"]
    elif kind in SINGLE:
        files = [place.with_name(f"{place.name}.npz")]
    else:
        files = [place / file for file in FILES.get(f"{system}/{kind}", TRAINED)]
    for file in files:
        _write(file, name)
    stage = "plane" if (kind, rest) == ("reference", ["plane"]) else STAGES[system].get(kind, kind)
    record_provenance(
        files, stage=f"{system} {stage}", settings=settings if kind == "analysis" else {},
        seed=1, started=time.time() - 90, device="CPU",
    )  # fmt: skip
    for file in files:
        # What pytest itself took until now says nothing of the job.
        change(provenance_path(file), processor_time_s=6.0)
    _account(results, name)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.name in ("tables", "weights"):
        _write(file / ("law.csv" if file.name == "tables" else "weights.index"), text)
    elif file.suffix == ".json":
        write_numbers(file, {"of": text})
    else:
        file.write_text(f"{text}\n")


def _account(results: Path, name: str) -> None:
    """The benchmark and the log of a job, where the workflow has them."""
    system, _, rest = name.partition("/")
    folder, rest = (results / system, rest) if rest else (results, system)
    for kind, suffix, content in (("benchmarks", "tsv", BENCHMARK), ("logs", "log", "Done.\n")):
        file = folder / kind / f"{rest}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def benchmarked(results: Path) -> set[str]:
    """The jobs of a run by its benchmark files."""
    found = set()
    for path in results.rglob("benchmarks/**/*.tsv"):
        parts = list(path.relative_to(results).with_suffix("").parts)
        parts.remove("benchmarks")
        found.add("/".join(parts))
    return found


def change(record: Path, **changes) -> None:
    """Change what a provenance says."""
    record.write_text(json.dumps(json.loads(record.read_text()) | changes))
