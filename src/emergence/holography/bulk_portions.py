"""What pairs of bulk cells share in more fields than memory holds: portion after portion.

The mutual information of two cells that share nothing comes out as the noise of its estimate, which
falls as one over the number of fields, not as its root: where the trained map leaves little, only many fields
tell it. Covariances add up, so that each portion is drawn, pushed into the bulk and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emergence.artifacts import Arrays
from emergence.checkpoints import Interim
from emergence.holography.bulk import BulkCovariance
from emergence.holography.flow_map import FlowMap, as_reals
from emergence.progress import Progress


@dataclass(frozen=True)
class Portions:
    """Many true samples, of which only a portion is there at a time."""

    first: np.ndarray
    """Coordinates of the latents of the first portion, ``[samples, L, L, 2]``."""
    draw: Callable[[int], np.ndarray]
    """Gives the fields of each other one by its number, complex ``[samples, L, L]``."""
    number: int
    chunks: int
    """Of the resampling; the n-th holds the n-th consecutive fields of every portion."""

    def covariance(self, flow: FlowMap, store: Sums, progress: Progress) -> BulkCovariance:
        """Covariance of the latents of all portions, those that ``store`` kept not drawn again.

        Raises:
            ArtifactError: the checkpoint cannot be written.
        """
        done, total = store.resume()
        progress.skip(done)
        for portion in range(done, self.number):
            coordinates = flow.invert(self.draw(portion))[0] if portion else self.first
            latents = flow.variables(coordinates)
            latents = latents if flow.circular else as_reals(latents)
            blocks = BulkCovariance.sampled(latents, flow.table, chunks=self.chunks).blocks
            total = blocks if total is None else {key: total[key] + blocks[key] for key in blocks}
            store.keep(portion + 1, total)
            progress.advance(portion + 1, "portions of fields")
        mean = {levels: block / self.number for levels, block in total.items()}
        return BulkCovariance(flow.table, mean, flow.circular, 1 if flow.circular else 2)


class Sums:
    """Keeps the sums of the portions so far in a file, until the study is over.

    Args:
        file: the checkpoint; None keeps nothing.
        identity: of all that the sums depend on; those of another are not continued.
        seconds: time between two writings.
    """

    def __init__(self, file: Path | None, identity: str, seconds: float) -> None:
        self._kept = Interim(file, identity, seconds, "The study's")

    def resume(self) -> tuple[int, dict[tuple[int, int], np.ndarray] | None]:
        """How many portions an earlier run of the same identity left, and their sums."""
        kept = self._kept.read(["portions"])
        if kept is None:
            return 0, None
        sums = {_levels(name): kept[name] for name in kept if name.startswith("sum/")}
        return int(kept["portions"]), sums

    def keep(self, portions: int, sums: Mapping[tuple[int, int], np.ndarray]) -> None:
        """Write the sums, if enough time has passed since they were written last.

        Raises:
            ArtifactError: they cannot be written.
        """
        if not self._kept.due:
            return
        arrays: Arrays = {"portions": np.array(portions)}
        arrays |= {f"sum/{fine}/{coarse}": block for (fine, coarse), block in sums.items()}
        self._kept.write(arrays)


def _levels(name: str) -> tuple[int, int]:
    _, fine, coarse = name.split("/")
    return int(fine), int(coarse)
