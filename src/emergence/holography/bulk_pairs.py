"""What pairs of bulk cells share, by their levels and their separation, with bootstrap replicas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emergence.holography.bulk import BulkCovariance, BulkTable
from emergence.holography.mutual_information import jackknife


@dataclass(frozen=True)
class PairInformation:
    """Mutual information of pairs of cells, one entry per levels and separation, ``[P]`` each."""

    side: int
    level: np.ndarray
    """Level of the finer cell."""
    other: np.ndarray
    """Level of the coarser cell."""
    separation: np.ndarray
    """|Δx| along the boundary, lattice units, nearest image."""
    count: np.ndarray
    """Number of such pairs on the lattice."""
    vertical: np.ndarray
    """Whether the finer cell lies under the coarser one."""
    value: np.ndarray
    """Nats, mean over the pairs, the leading bias subtracted."""
    error: np.ndarray
    """Standard error, 0 where exact."""
    replicas: np.ndarray
    """``[resamples, P]`` bootstrap over chunks, the bias subtracted; ``[0, P]`` if exact."""

    @property
    def z(self) -> np.ndarray:
        """2^level."""
        return 2.0**self.level

    @property
    def z_other(self) -> np.ndarray:
        """2^other."""
        return 2.0**self.other

    def select(self, chosen: np.ndarray) -> PairInformation:
        """The chosen entries, by a mask or indices ``[P]``."""
        names = ("level", "other", "separation", "count", "vertical", "value", "error")
        parts = {name: getattr(self, name)[chosen] for name in names}
        return PairInformation(side=self.side, replicas=self.replicas[:, chosen], **parts)


def pair_classes(
    table: BulkTable, fine: int, coarse: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Separations, vertical, pairs per class, and the averaging matrix ``[classes, n²]``."""
    distance = table.offsets(fine, coarse)
    n, m = len(table.cells[fine]), len(table.cells[coarse])
    under = np.zeros((n, n), dtype=bool)
    if fine != coarse:
        under[: n // m, : n // m] = True
    valid = np.ones((n, n), dtype=bool)
    valid[0, 0] = fine != coarse
    key = np.stack([np.round(distance, 9), under], axis=-1)[valid]
    unique, inverse = np.unique(key, axis=0, return_inverse=True)
    average = np.zeros((len(unique), n * n))
    average[inverse.ravel(), np.flatnonzero(valid)] = 1.0
    members = average.sum(axis=1)
    # Offsets o and −o of one level are the same pairs.
    pairs = members * m * m / (2.0 if fine == coarse else 1.0)
    return unique[:, 0], unique[:, 1].astype(bool), pairs, average / members[:, None]


def pair_information(
    covariance: BulkCovariance,
    *,
    between: str = "cells",
    resamples: int = 200,
    rng: np.random.Generator | None = None,
) -> PairInformation:
    """Gaussian mutual information of all pairs of cells, by levels and separation.

    The value has the jackknife's bias subtracted, and the replicas twice as much, since resampling
    adds the same bias once more.

    Args:
        between: "cells" or "latents", see :meth:`BulkCovariance.information`.
        resamples: of the chunks, for the bootstrap; unused where the covariance is exact.
        rng: of the bootstrap; needed unless the covariance is exact.

    Raises:
        SettingsError: if the samples are too few for the covariance of two cells.
    """
    if between not in ("cells", "latents"):
        raise ValueError(f"Information is between 'cells' or 'latents', not '{between}'.")
    chunks = covariance.chunks
    weights = np.full((1, chunks), 1.0 / chunks)
    if chunks > 1:
        if rng is None:
            raise ValueError("A bootstrap needs a random generator.")
        without = (1.0 - np.eye(chunks)) / (chunks - 1)
        drawn = rng.multinomial(chunks, np.full(chunks, 1.0 / chunks), size=resamples) / chunks
        weights = np.concatenate([weights, without, drawn])
    columns, values = [], []
    for fine, coarse in covariance.blocks:
        separation, vertical, pairs, average = pair_classes(covariance.table, fine, coarse)
        if separation.size == 0:
            continue
        by_offset = covariance.information(fine, coarse, weights, between)
        by_offset = np.where(np.isfinite(by_offset), by_offset, 0.0).reshape(len(weights), -1)
        values.append(by_offset @ average.T)
        levels = [np.full(separation.size, level) for level in (fine, coarse)]
        columns.append(np.array([*levels, separation, pairs, vertical]))
    level, other, separation, count, vertical = np.concatenate(columns, axis=1)
    value = np.concatenate(values, axis=1)
    central, error, replicas = value[0], np.zeros(level.size), value[:0]
    if chunks > 1:
        central, error = jackknife(value[0], value[1 : chunks + 1])
        replicas = value[chunks + 1 :] - 2.0 * (value[0] - central)
    return PairInformation(
        side=covariance.table.side,
        level=level.astype(int),
        other=other.astype(int),
        separation=separation,
        count=count,
        vertical=vertical.astype(bool),
        value=central,
        error=error,
        replicas=replicas,
    )
