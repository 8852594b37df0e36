"""What each job costs: measured by Snakemake in this run, and recorded once for every scale.

The workflow's benchmark files (``results/<scale>/<system>/benchmarks/**/*.tsv``) say what a run
cost; ``config/costs.csv``, which is committed, says what it cost where the numbers of the README were
measured. Costs are processor seconds, because wall time depends on what else the machine does.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emergence.artifacts import read_numbers, write_text
from emergence.errors import ArtifactError

COLUMNS = ("scale", "job", "cpu_s", "wall_s", "memory_mib")
CALIBRATION = "calibration"
"""Name of the job that tells how fast the recording machine was."""
_CALIBRATION_ROUNDS = 7


@dataclass(frozen=True)
class Cost:
    """What one job cost."""

    job: str
    """Its benchmark file without suffix, such as ``introspection/distillers/quadratic``."""
    cpu_s: float
    wall_s: float
    memory_mib: float

    @property
    def system(self) -> str:
        """The system it belongs to."""
        return self.job.partition("/")[0]


def measured_costs(results: str | Path) -> dict[str, Cost]:
    """Return the costs of every job of a run, by name; those without a benchmark are left out.

    Args:
        results: the folder of one scale, such as ``results/laptop``.

    Raises:
        ArtifactError: a benchmark file is no table of Snakemake's.
    """
    found = {}
    for path in sorted(Path(results).glob("*/benchmarks/**/*.tsv")):
        inside = path.relative_to(results)
        job = "/".join((inside.parts[0], *inside.parts[2:]))[: -len(".tsv")]
        cost = _read_benchmark(path, job)
        told = _told_by_the_job(Path(results) / job, path.stat().st_mtime - cost.wall_s)
        found[job] = replace(cost, cpu_s=max(cost.cpu_s, told))
    return found


def _told_by_the_job(folder: Path, began: float) -> float:
    """The largest processor time in what a job wrote since it began, 0 where it wrote none.

    Snakemake looks at a job that takes long every half a minute only, so that it misses what was done
    since it last looked; the job itself tells, to the moment when it wrote its last result.
    """
    times = [0.0]
    for path in folder.glob("*.provenance.json"):
        if (
            path.stat().st_mtime >= began
        ):  # an older one is of a job whose results are only evaluated
            times.append(float(read_numbers(path).get("processor_time_s", 0.0)))
    return max(times)


def recorded_costs(path: str | Path, scale: str) -> dict[str, Cost]:
    """Return the recorded costs of one scale, by job; none where the scale was never recorded.

    Raises:
        ArtifactError: the record is missing or malformed.
    """
    costs = {}
    for line, row in enumerate(_rows(Path(path)), start=2):
        if row["scale"] == scale:
            costs[row["job"]] = _cost(f"{path}, line {line}", row["job"], row, COLUMNS[2:])
    return costs


def record(path: str | Path, scale: str, costs: Iterable[Cost]) -> None:
    """Write the costs of one scale into the record, in place of what stood there of that scale.

    Raises:
        ArtifactError: the record is malformed, or cannot be written.
    """
    path = Path(path)
    kept: list[tuple[str, Cost]] = []
    if path.is_file():
        for other in dict.fromkeys(row["scale"] for row in _rows(path)):
            if other != scale:
                kept += [(other, cost) for cost in recorded_costs(path, other).values()]
    kept += [(scale, cost) for cost in costs]
    lines = [",".join(COLUMNS)]
    for name, cost in sorted(kept, key=lambda pair: (pair[0], pair[1].job)):
        numbers = (cost.cpu_s, cost.wall_s, cost.memory_mib)
        lines.append(",".join((name, cost.job, *(f"{value:.4g}" for value in numbers))))
    write_text(path, "\n".join(lines) + "\n")


def calibrate() -> Cost:
    """Time a fixed piece of work, about half a second: the same on every machine.

    Small products of matrices, arithmetic over their elements and plain Python, as the trainings here
    are made of; the fastest of some rounds, so that other work on the machine counts little. The
    hyperbolic tangent is a fraction of polynomials, as XLA computes it: NumPy's own is vectorised for
    AVX-512 alone and would say how wide the registers are, not how fast the trainings.
    """
    # An orthogonal matrix times two: the saturation balances it, nothing overflows or dies out.
    half = np.arange(64) + 0.5
    matrix = 2.0 * np.sqrt(2.0 / 64) * np.cos(np.pi / 64 * np.outer(half, half))
    times = []
    for _ in range(_CALIBRATION_ROUNDS):
        began = time.process_time()
        product, total = matrix, 0
        for step in range(4000):
            product = matrix @ product
            square = product * product
            product = product * (27.0 + square) / (27.0 + 9.0 * square)
            total += sum(range(step % 400))
        times.append(time.process_time() - began)
    return Cost(CALIBRATION, min(times), min(times), 0.0)


def _rows(path: Path) -> list[dict[str, str]]:
    """The lines of a record of costs."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise ArtifactError(
            f"The record of costs {path} cannot be read: {what}.", "git checkout restores it."
        ) from error
    rows = csv.DictReader(io.StringIO(text))
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise ArtifactError(
            f"The record of costs {path} must have the columns {', '.join(COLUMNS)}.",
            "git checkout restores it.",
        )
    return list(rows)


def _read_benchmark(path: Path, job: str) -> Cost:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ArtifactError(
            f"The benchmark {path} cannot be read.", "Delete it; the next run writes it again."
        ) from error
    if not rows:
        raise ArtifactError(
            f"The benchmark {path} has no row.", "Delete it; the next run writes it again."
        )
    return _cost(str(path), job, rows[-1], ("cpu_time", "s", "max_rss"))


def _cost(place: str, job: str, row: Mapping[str, str], names: tuple[str, ...]) -> Cost:
    """Return a row as a cost; Snakemake writes NA for a job too short to be looked at."""
    values = []
    for name in names:
        text = row.get(name)
        try:
            value = 0.0 if text in ("NA", "-") else float(text or "")
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < 0:
            raise ArtifactError(
                f"{place} says that {name} is {text!r}, but it must be a number from 0 on.",
                "Delete the file; a run or git checkout makes it again.",
            )
        values.append(value)
    return Cost(job, *values)
