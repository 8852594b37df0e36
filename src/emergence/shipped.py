"""What comes with the project: the trainings and long samplings of a run, each with its hash.

``weights/<scale>/manifest.json`` names them all; those of one job stand in a file of that job's name,
such as ``introspection/translators/main.npz``. ``emergence ship`` writes them, a stage called with
``--trained`` or ``--sampled`` reads its own, and a run of such stages trains nothing and samples
little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emergence.artifacts import read_arrays, read_numbers, sha256
from emergence.errors import ArtifactError

if TYPE_CHECKING:
    from emergence.finished import Trainings

VERIFY_SCALE = "verify"
"""Scale of the results of an evaluation of shipped weights: results/verify."""
MANIFEST = "manifest.json"
TIMING = "timing/"
"""What the names of measured times begin with, beside the arrays of a sampling."""
RESTORE = "git checkout restores what is shipped; or train, with make reproduce."


@dataclass(frozen=True)
class Entry:
    """What the manifest says of one job."""

    sha256: str
    seconds_per_step: float | None
    """Processor time of a step where it was trained; None where no number depends on it."""


@dataclass(frozen=True)
class Samples:
    """What the manifest says of one sampling."""

    sha256: str
    settings: str
    """Fingerprint of all that its numbers depend on, beside the weights."""


@dataclass(frozen=True)
class Manifest:
    """What is shipped in a folder, and what is not."""

    folder: Path
    scale: str
    commit: str
    jobs: Mapping[str, Entry]
    left_out: Mapping[str, str]
    """Job → why its weights are not there."""
    samples: Mapping[str, Samples]
    """Samplings that are shipped too, because they are long."""
    drawn_again: Mapping[str, str]
    """Long samplings that are not, each with why."""
    withheld: Mapping[str, str] = field(default_factory=dict)
    """Job that is left out → hash of its weights, by which what was measured of them is known."""

    def file(self, job: str) -> Path:
        """Where the trainings of a job stand."""
        return self.folder / f"{job}.npz"

    def entry(self, job: str) -> Entry:
        """Return what is said of a job.

        Raises:
            ArtifactError: its weights are not shipped.
        """
        if job not in self.jobs:
            why = self.left_out.get(job, "the run that they come from had no such job")
            raise ArtifactError(
                f"{self.folder} holds no weights of {job}: {why}.",
                "`make verify` leaves out what needs them; `make reproduce` trains them.",
            )
        return self.jobs[job]

    def trainings(self, job: str) -> Trainings:
        """Read the trainings of a job.

        Raises:
            ArtifactError: they are not shipped, are missing or corrupt, or have another hash.
        """
        from emergence.finished import read

        return read(self._checked(job, self.entry(job).sha256, "weights"))

    def sampling(self, job: str, settings: str) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Read what a job sampled: its arrays, and the times it measured.

        Args:
            settings: fingerprint of what the caller would have sampled by.

        Raises:
            ArtifactError: the samples are not shipped, are missing or corrupt, have another hash, or
                were drawn with other settings.
        """
        remedy = "Sample: leave --sampled out."
        if job not in self.samples:
            raise ArtifactError(f"{self.folder} holds no samples of {job}.", remedy)
        if self.samples[job].settings != settings:
            raise ArtifactError(
                f"The shipped samples of {job} were drawn with other settings.", remedy
            )
        arrays = read_arrays(self._checked(job, self.samples[job].sha256, "samples"))
        timing = {n.removeprefix(TIMING): arrays[n].item() for n in arrays if n.startswith(TIMING)}
        return {n: value for n, value in arrays.items() if not n.startswith(TIMING)}, timing

    def _checked(self, job: str, expected: str, what: str) -> Path:
        """The file of a job, once it is that which the manifest names."""
        path = self.file(job)
        if not path.is_file():
            raise ArtifactError(f"The shipped {what} {path} are missing.", RESTORE)
        if sha256(path) != expected:
            raise ArtifactError(
                f"The shipped {what} {path} are not those that {self.folder / MANIFEST} names.",
                RESTORE,
            )
        return path


def read_manifest(folder: str | Path) -> Manifest:
    """Read what is shipped in a folder.

    Raises:
        ArtifactError: there is no manifest, or it is malformed.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtifactError(
            f"There are no shipped weights in {folder}: {path} is missing.",
            "Name the folder that `emergence ship` wrote, such as weights/laptop; or train, with "
            "make reproduce.",
        )
    try:
        raw = read_numbers(path)
        jobs = {name: _entry(entry) for name, entry in raw["jobs"].items()}
        left_out = {str(name): str(why) for name, why in raw["left_out"].items()}
        samples = {
            name: Samples(str(entry["sha256"]), str(entry["settings"]))
            for name, entry in raw["samples"].items()
        }
        again = {str(name): str(why) for name, why in raw["drawn_again"].items()}
        withheld = {str(name): str(one) for name, one in raw.get("withheld", {}).items()}
        return Manifest(
            folder, str(raw["scale"]), str(raw["commit"]), jobs, left_out, samples, again, withheld
        )
    except (
        ArtifactError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise ArtifactError(f"{path} is no manifest of shipped weights.", RESTORE) from error


def _entry(raw: Mapping[str, Any]) -> Entry:
    pace = raw["seconds_per_step"]
    return Entry(str(raw["sha256"]), None if pace is None else float(pace))
