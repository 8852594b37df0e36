"""What chains have recorded so far, on disk: a run that was killed goes on, and one may go on later.

A run is made of segments, each with a seed of its own, so that nothing but the last state, what was
tuned and the records have to be kept. Records drawn beforehand are the arrays of a finished run
(:func:`.chains.run`): they end in a field, which any flow of the same theory can take up again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emergence.artifacts import Arrays, provenance_path, read_arrays, read_numbers
from emergence.checkpoints import Interim
from emergence.errors import ArtifactError
from emergence.holography.positions import bulk_positions
from emergence.settings import ChainsSettings, Holography, fingerprint
from emergence.settings.studies import SHORTEST_SERIES

PARTS = ("run", "cold")
"""Measured trajectories, and those from a cold start."""


@dataclass
class Records:
    """Where chains are, and what they left."""

    states: Arrays
    """Part → where its chains are, ``[all chains, L, L, c]``: latents, or fields on the boundary."""
    tuned: np.ndarray
    series: dict[str, list[Arrays]] = field(default_factory=lambda: {part: [] for part in PARTS})
    """Part → segments, each name → ``[all chains, trajectories]``."""
    times: list[float] = field(default_factory=list)
    """Processor seconds of segments, without the first of each process, which compiles."""

    def arrays(self, part: str, trajectories: int) -> Arrays:
        """The records of a part in one, ``[all chains, trajectories]``."""
        found = self.series[part]
        return {
            key: np.concatenate([each[key] for each in found], axis=1)[:, :trajectories]
            for key in sorted(found[0])
        }


class Store:
    """Keeps the records of one run of chains in a file, until the run is over.

    Args:
        file: the checkpoint; None keeps nothing.
        identity: of all that the records depend on; records of another are not continued.
        seconds: time between two writings.
    """

    def __init__(self, file: Path | None, identity: str, seconds: float) -> None:
        self._kept = Interim(file, identity, seconds, "The chains'")

    def resume(self) -> Records | None:
        """Return the records kept by an earlier run of the same identity, if there are any."""
        kept = self._kept.read(["tuned", "times"])
        if kept is None:
            return None
        states = {part: kept[f"state/{part}"] for part in PARTS if f"state/{part}" in kept}
        return Records(states, kept["tuned"], _unpacked(kept), kept["times"].tolist())

    def keep(self, records: Records) -> None:
        """Write the records, if enough time has passed since they were written last.

        Raises:
            ArtifactError: they cannot be written.
        """
        if not self._kept.due:
            return
        arrays = {"tuned": records.tuned, "times": np.array(records.times, float)}
        arrays |= {f"state/{part}": state for part, state in records.states.items()}
        for part, segments in records.series.items():
            for index, segment in enumerate(segments):
                arrays |= {f"{part}/{index}/{key}": values for key, values in segment.items()}
        self._kept.write(arrays)


def _unpacked(kept: Mapping[str, np.ndarray]) -> dict[str, list[Arrays]]:
    series: dict[str, list[Arrays]] = {part: [] for part in PARTS}
    for name, values in kept.items():
        part, _, rest = name.partition("/")
        if part in PARTS:
            index, _, key = rest.partition("/")
            while len(series[part]) <= int(index):
                series[part].append({})
            series[part][int(index)][key] = values
    return series


def identity_of(depends: Mapping[str, Any], parameters: Mapping[str, np.ndarray]) -> str:
    """Return a digest of what the records of a study depend on, and of the flow's parameters."""
    digest = hashlib.sha256(fingerprint(dict(depends)).encode())
    for name in sorted(parameters):
        digest.update(name.encode() + np.ascontiguousarray(parameters[name]).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Beforehand:
    """Records of an earlier run, which this one continues."""

    arrays: Arrays

    @property
    def fields(self) -> np.ndarray:
        """Where its chains ended, ``[all chains, L, L, c]``."""
        last = self.arrays["field"]
        return last.reshape(-1, *last.shape[2:])

    @property
    def segments(self) -> int:
        """How many were drawn for it, and for what it continued."""
        return int(self.arrays["segments"])

    def joined(self, arrays: Arrays) -> Arrays:
        """Its records and then those of ``arrays``, both as of :func:`.chains.run`.

        Blocks of the correlation function and shares of accepted proposals are averaged by the
        number of the records.

        Raises:
            ArtifactError: the records lack what was measured.
        """
        names = series_of(arrays)
        lacking = [name for name in names if name not in self.arrays]
        if lacking:
            raise ArtifactError(
                f"The records drawn beforehand lack {', '.join(lacking)}.",
                "Name records of the same kind of field.",
            )
        before, after = (each[names[0]].shape[2] for each in (self.arrays, arrays))
        weight = before / (before + after)
        joined = dict(arrays)
        for name in names:
            joined[name] = np.concatenate([self.arrays[name], arrays[name]], axis=2)
        for name in ("acceptance", "correlation"):
            if name in arrays and name in self.arrays:
                old, new = self.arrays[name], arrays[name]
                # Too few trajectories for as many blocks leave those drawn beforehand alone.
                same = old.shape == new.shape
                joined[name] = weight * old + (1.0 - weight) * new if same else old
        return joined


def origin_of(chosen: Holography, name: str, arrays: Arrays) -> dict[str, object]:
    """Of a run of chains, as tables have it: ``shipped``, whether the weights of its flow were trained
    beforehand; ``records`` of each chain; and how many of them are ``shipped_records``.

    Args:
        arrays: of :func:`.chains.run`.
    """
    entry = chosen.chains[name]
    drawn = arrays[series_of(arrays)[0]].shape[2]
    needed = entry.space == "bulk" and not entry.untrained
    return {
        "shipped": needed and chosen.flows[entry.flow].shipped is not None,
        "records": drawn,
        "shipped_records": drawn - entry.trajectories if entry.shipped else 0,
    }


def series_of(arrays: Arrays) -> list[str]:
    """Names of what was measured in every trajectory, ``[points, chains, trajectories]``."""
    return sorted(
        name
        for name, values in arrays.items()
        if values.ndim == 3 and name != "correlation" and not name.startswith("cold_")
    )


def read_beforehand(
    path: Path, points: np.ndarray, entry: ChainsSettings, shape: tuple[int, ...]
) -> Beforehand:
    """Read records drawn beforehand.

    Args:
        points: couplings (t, μ) that they must be of, ``[points, 2]``.
        entry: of the run that continues them.
        shape: of a field, ``(L, L, c)``.

    Raises:
        ArtifactError: the file is missing or corrupt, or of other couplings, chains, sides or moves;
            with what the run adds to them the records are too few.
    """
    arrays = read_arrays(path, ["t", "mu", "field", "tuned", "segments", "acceptance"])
    tuned = (len(points),) if entry.step is None else (1,)
    if entry.refreshes is not None:
        levels = np.unique(bulk_positions(entry.size)["level"])
        tuned = (len(points), len(levels))  # a strength for every level
    same = (
        arrays["field"].shape == (len(points), entry.chains, *shape)
        and arrays["tuned"].shape == tuned
        and np.array_equal(np.stack([arrays["t"], arrays["mu"]], axis=1), points)
    )
    if not same:
        raise ArtifactError(
            f"The records in {path} are of other couplings, moves or sides, or of another number of "
            "chains.",
            "Name records of the same run, or leave `shipped` out of these chains.",
        )
    drawn = max((arrays[name].shape[2] for name in series_of(arrays)), default=0)
    if drawn + entry.trajectories < SHORTEST_SERIES:
        raise ArtifactError(
            f"The {drawn} records in {path} and {entry.trajectories} more tell no autocorrelation, "
            f"which takes at least {SHORTEST_SERIES} of them.",
            "Raise the trajectories of these chains, or name longer records.",
        )
    return Beforehand(dict(arrays))


def require_theory(path: Path, name: str, theory: Mapping[str, Any]) -> None:
    """Refuse records whose own record tells of another theory: they are averaged with those of a run.

    Args:
        path: of the records.
        name: of the theory, in both settings.
        theory: as JSON has it. Its hoppings and couplings μ are those of the points, compared apart.

    Raises:
        ArtifactError: they are of another theory, or their record is corrupt.
    """
    record = provenance_path(path)
    if not record.is_file():
        return
    settings = read_numbers(record).get("settings", {})
    known = settings.get("holography", {}).get("theories", {}).get(name, {})
    others = [key for key in known if key not in ("t", "mu") and known[key] != theory.get(key)]
    if others:
        told = ", ".join(f"{key} = {known[key]}" for key in others)
        raise ArtifactError(
            f"The records in {path} are of a theory with {told}; this run's has "
            f"{', '.join(f'{key} = {theory.get(key)}' for key in others)}.",
            "Leave `shipped` out of these chains, or name records of this theory.",
        )
