"""The bulk: latents at positions (x, y, z = 2^level), and the information that pairs of them share.

Latents of TRUE boundary samples are pushed through the inverse map; those of the model's own
samples are independent by construction. A level's latents form a grid of cells, one per 2×2 block,
and everything is averaged over the translations that the map respects: a pair of cells is told by
its two levels and by the offset of the finer cell from the coarser one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np

from emergence.errors import SettingsError
from emergence.holography.actions import check_side
from emergence.holography.mutual_information import canonical_information


@dataclass(frozen=True)
class BulkTable:
    """Where each of N latents sits, in lattice units.

    Raises:
        SettingsError: if the latents of a level do not fill its cells evenly.
    """

    side: int
    """Side of the boundary lattice."""
    level: np.ndarray
    """``[N]``: 0 at the boundary; a lone coarse site left at the top may have level log2(side)."""
    x: np.ndarray
    """``[N]``: column."""
    y: np.ndarray
    """``[N]``: row."""

    def __post_init__(self) -> None:
        check_side(self.side, power_of_two=True)
        if not self.level.shape == self.x.shape == self.y.shape == (self.side**2,):
            raise ValueError("A table lists the level, x and y of each of side² latents.")
        _ = self.cells

    @classmethod
    def of(cls, positions: Mapping[str, np.ndarray]) -> BulkTable:
        """From arrays "level", "x", "y" of any common shape, in the order of flattened latents."""
        level, x, y = (np.ravel(positions[name]) for name in ("level", "x", "y"))
        side = round(float(np.sqrt(level.size)))
        return cls(side, level.astype(int), x.astype(float), y.astype(float))

    @property
    def z(self) -> np.ndarray:
        """``[N]``: 2^level."""
        return 2.0**self.level

    def spacing(self, level: int) -> int:
        """Distance between neighbouring cells of a level, in lattice units."""
        return min(2 ** (level + 1), self.side)

    @cached_property
    def cells(self) -> dict[int, np.ndarray]:
        """For each level the latents of its cells, ``[n, n, v]`` indices into the table."""
        cells = {}
        for level in sorted({int(level) for level in self.level}):
            members = np.flatnonzero(self.level == level)
            spacing = self.spacing(level)
            n = self.side // spacing
            row, column = (
                np.floor(along[members] / spacing).astype(int) % n for along in (self.y, self.x)
            )
            cell = row * n + column
            counts = np.bincount(cell, minlength=n * n)
            if counts.min() != counts.max():
                raise SettingsError(
                    f"The {members.size} latents of level {level} do not fill its {n * n} cells.",
                    "Give every block of a level the same number of latents.",
                )
            inner = np.mod(self.y[members], spacing), np.mod(self.x[members], spacing)
            order = np.lexsort((members, inner[1], inner[0], cell))
            cells[level] = members[order].reshape(n, n, -1)
        return cells

    def origin(self, level: int) -> np.ndarray:
        """Mean position (row, column) of the latents of a level's first cell."""
        first = self.cells[level][0, 0]
        return np.array([self.y[first].mean(), self.x[first].mean()])

    def offsets(self, fine: int, coarse: int) -> np.ndarray:
        """|Δx| of a fine cell from a coarse one by their offset, ``[n, n]``, nearest image."""
        n = self.cells[fine].shape[0]
        steps = np.arange(n) * self.spacing(fine)
        shift = self.origin(fine) - self.origin(coarse)
        half = self.side / 2.0
        along = [np.abs((steps + part + half) % self.side - half) for part in shift]
        return np.hypot(along[0][:, None], along[1][None, :])


def grid_covariance(fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """⟨fine(ρj + o) coarse(j)†⟩ by the offset o, averaged over samples and cells j.

    Args:
        fine: ``[samples, n, n, v]`` with zero mean.
        coarse: ``[samples, m, m, w]`` with zero mean, n = ρm.

    Returns:
        ``[n, n, v, w]``.
    """
    samples, n = fine.shape[:2]
    m = coarse.shape[1]
    spread = np.zeros((samples, n, n, coarse.shape[3]), dtype=coarse.dtype)
    spread[:, :: n // m, :: n // m] = coarse
    momenta = np.fft.fft2(fine, axes=(1, 2)).transpose(1, 2, 3, 0)
    others = np.fft.fft2(spread, axes=(1, 2)).transpose(1, 2, 0, 3)
    total = np.fft.ifft2(momenta @ others.conj(), axes=(0, 1)) / (samples * m * m)
    return total if np.iscomplexobj(fine) or np.iscomplexobj(coarse) else total.real


@dataclass(frozen=True)
class BulkCovariance:
    """Covariances of cells by levels and offset, exact or by chunks of samples."""

    table: BulkTable
    blocks: Mapping[tuple[int, int], np.ndarray]
    """For levels (fine ≤ coarse): ``[chunks, n, n, v, w]``; one chunk if exact."""
    circular: bool
    """Complex latents without ⟨ζζ⟩; else real components."""
    components: int
    """Components per latent: 1, or c for real latents of c channels."""

    @property
    def chunks(self) -> int:
        """1 if exact."""
        return len(next(iter(self.blocks.values())))

    @classmethod
    def exact(cls, covariance: np.ndarray, table: BulkTable) -> BulkCovariance:
        """From the covariance of real latents ``[N, N]``, averaged over cells."""
        blocks = {}
        for fine, coarse in combinations_with_replacement(table.cells, 2):
            members, others = table.cells[fine], table.cells[coarse]
            n, m = len(members), len(others)
            j = np.arange(m) * (n // m)
            total = np.zeros((n, n, members.shape[2], others.shape[2]))
            for row in range(m):
                for column in range(m):
                    shifted = np.roll(members, (-j[row], -j[column]), axis=(0, 1))
                    total += covariance[shifted[..., :, None], others[row, column][None, :]]
            blocks[fine, coarse] = total[None] / m**2
        return cls(table, blocks, circular=False, components=1)

    @classmethod
    def sampled(cls, latents: np.ndarray, table: BulkTable, *, chunks: int = 20) -> BulkCovariance:
        """From latents of true boundary samples.

        Args:
            latents: complex ``[samples, N]``, taken as circular, as an exactly U(1)-symmetric map
                makes them; or real ``[samples, N]`` or ``[samples, N, c]``.
            chunks: of consecutive samples, each longer than the samples' autocorrelation; a
                remainder is left out.

        Raises:
            SettingsError: if there are fewer than two chunks, or fewer samples than chunks.
        """
        size = len(latents) // chunks if chunks > 1 else 0
        if size < 1:
            raise SettingsError(
                f"{len(latents)} samples make no {chunks} chunks.",
                "Use at least 2 chunks and as many samples.",
            )
        latents = latents[: chunks * size]
        latents = latents[..., None] if latents.ndim == 2 else latents
        grids = {}
        for level, members in table.cells.items():
            grid = latents[:, members].reshape(*latents.shape[:1], *members.shape[:2], -1)
            grid = grid.astype(np.complex128 if np.iscomplexobj(grid) else np.float64)
            grids[level] = grid - grid.mean(axis=(0, 1, 2))
        blocks = {
            (fine, coarse): np.stack(
                [
                    grid_covariance(grids[fine][c : c + size], grids[coarse][c : c + size])
                    for c in range(0, chunks * size, size)
                ]
            )
            for fine, coarse in combinations_with_replacement(table.cells, 2)
        }
        return cls(table, blocks, np.iscomplexobj(latents), latents.shape[2])

    def dense(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Covariance of all latents, ``[N·c, N·c]``, complex if circular.

        Args:
            weights: of the chunks, ``[chunks]``, adding to 1; equal by default.
        """
        weights = np.full(self.chunks, 1.0 / self.chunks) if weights is None else weights
        total = self.table.side**2 * self.components
        dense = np.zeros((total, total), dtype=complex if self.circular else float)
        for (fine, coarse), block in self.blocks.items():
            mean = np.tensordot(weights, block, axes=1)
            members, others = (self.variables(level) for level in (fine, coarse))
            m, ratio = len(others), len(members) // len(others)
            for row in range(m):
                for column in range(m):
                    shifted = np.roll(members, (-ratio * row, -ratio * column), axis=(0, 1))
                    index = shifted[..., :, None], others[row, column][None, :]
                    dense[index] = mean
                    dense[index[1], index[0]] = mean.conj()
        return dense

    def variables(self, level: int) -> np.ndarray:
        """Rows of :meth:`dense` that the cells of a level take, ``[n, n, v]``."""
        members = self.table.cells[level][..., None] * self.components + np.arange(self.components)
        return members.reshape(*members.shape[:2], -1)

    def information(self, fine: int, coarse: int, weights: np.ndarray, between: str) -> np.ndarray:
        """Gaussian mutual information by offset, ``[resamples, n, n]``; infinite with itself.

        Args:
            weights: of the chunks, ``[resamples, chunks]``.
            between: "cells" (all latents of a cell together) or "latents" (mean over the pairs).
        """
        cross = np.tensordot(weights, self.blocks[fine, coarse], axes=1)
        own, other = (
            np.tensordot(weights, self.blocks[level, level][:, 0, 0], axes=1)[:, None, None]
            for level in (fine, coarse)
        )
        if fine == coarse:
            cross = cross.copy()
            cross[:, 0, 0] = 0.0
        if between == "cells":
            value = canonical_information(own, other, cross, circular=self.circular)
        else:
            value = self._between_latents(own, other, cross)
        if fine == coarse:
            value[:, 0, 0] = np.inf
        return value

    def _between_latents(self, own: np.ndarray, other: np.ndarray, cross: np.ndarray) -> np.ndarray:
        c = self.components
        pairs = [
            canonical_information(
                own[..., a : a + c, a : a + c],
                other[..., b : b + c, b : b + c],
                cross[..., a : a + c, b : b + c],
                circular=self.circular,
            )
            for a in range(0, cross.shape[-2], c)
            for b in range(0, cross.shape[-1], c)
        ]
        return np.mean(pairs, axis=0)


def paired_latents(
    latents: np.ndarray,
    table: BulkTable,
    levels: tuple[int, int],
    offset: tuple[int, int],
    members: tuple[int, int] = (0, 0),
) -> tuple[np.ndarray, np.ndarray]:
    """Samples of one pair of latents, pooled over its translations, for any estimator.

    Args:
        latents: ``[samples, N]`` or ``[samples, N, c]``.
        levels: of the finer and the coarser latent.
        offset: of the finer cell from the coarser one, in finer cells.
        members: which latent of each cell.

    Returns:
        Two arrays ``[samples·m·m]`` or ``[samples·m·m, c]``, samples in their order.
    """
    fine, coarse = (table.cells[level] for level in levels)
    ratio = len(fine) // len(coarse)
    shifted = np.roll(fine, (-offset[0], -offset[1]), axis=(0, 1))[::ratio, ::ratio]
    pair = []
    for cells, member in zip((shifted, coarse), members, strict=True):
        chosen = latents[:, cells[..., member].ravel()]
        pair.append(chosen.reshape(-1, *chosen.shape[2:]))
    return pair[0], pair[1]
