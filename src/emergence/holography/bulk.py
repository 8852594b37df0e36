"""The bulk: latents at positions (x, y, z = 2^level), and the information that pairs of them share.

Latents of TRUE boundary samples are pushed through the inverse map; those of the model's own
samples are independent by construction. A level's latents form a grid of cells, one per 2×2 block,
and everything is averaged over the translations that the map respects: a pair of cells is told by
its two levels and by the offset of the finer cell from the coarser one.

The reference bijector is linear with the geometry of the flow: per level an optional disentangler
(blocks offset by one coarse site, wrapped) and a decimator of 2×2 blocks. With the Haar block it is
orthogonal, so its Jacobian is 1, and on a free field everything is exact, without sampling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np

from emergence.errors import SettingsError
from emergence.holography.actions import check_side
from emergence.holography.information import HAAR
from emergence.holography.mutual_information import canonical_information, jackknife


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
    """``[N]``: along the first lattice axis."""
    y: np.ndarray
    """``[N]``: along the second lattice axis."""

    def __post_init__(self) -> None:
        check_side(self.side, power_of_two=True)
        if not self.level.shape == self.x.shape == self.y.shape == (self.side**2,):
            raise ValueError("A table lists the level, x and y of each of side² latents.")
        _ = self.cells

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
                np.floor(along[members] / spacing).astype(int) % n for along in (self.x, self.y)
            )
            cell = row * n + column
            counts = np.bincount(cell, minlength=n * n)
            if counts.min() != counts.max():
                raise SettingsError(
                    f"The {members.size} latents of level {level} do not fill its {n * n} cells.",
                    "Give every block of a level the same number of latents.",
                )
            inner = np.mod(self.x[members], spacing), np.mod(self.y[members], spacing)
            order = np.lexsort((members, inner[1], inner[0], cell))
            cells[level] = members[order].reshape(n, n, -1)
        return cells

    def origin(self, level: int) -> np.ndarray:
        """Mean position (x, y) of the latents of a level's first cell."""
        first = self.cells[level][0, 0]
        return np.array([self.x[first].mean(), self.y[first].mean()])

    def offsets(self, fine: int, coarse: int) -> np.ndarray:
        """|Δx| of a fine cell from a coarse one by their offset, ``[n, n]``, nearest image."""
        n = self.cells[fine].shape[0]
        steps = np.arange(n) * self.spacing(fine)
        shift = self.origin(fine) - self.origin(coarse)
        half = self.side / 2.0
        along = [np.abs((steps + part + half) % self.side - half) for part in shift]
        return np.hypot(along[0][:, None], along[1][None, :])


@dataclass(frozen=True)
class LinearMap:
    """A linear hierarchical bijector between boundary fields and bulk latents.

    The latents are listed level by level, ``n·n·3`` of each, and the last coarse site at the end.
    """

    decimators: np.ndarray
    """``[levels, 4, 4]``: the first row of each makes the coarse site."""
    disentanglers: np.ndarray | None = None
    """``[levels, 4, 4]`` or none."""

    @classmethod
    def haar(cls, side: int) -> LinearMap:
        """The Haar wavelet transform; raises SettingsError if the side is no power of two."""
        return cls.shared(side, HAAR)

    @classmethod
    def shared(cls, side: int, block: np.ndarray) -> LinearMap:
        """The same decimator ``[4, 4]`` on every level, no disentangler."""
        check_side(side, power_of_two=True)
        return cls(np.tile(np.asarray(block, dtype=np.float64), (side.bit_length() - 1, 1, 1)))

    @property
    def side(self) -> int:
        """Side of the boundary lattice."""
        return 2 ** len(self.decimators)

    @property
    def log_det(self) -> float:
        """ln|∂latents/∂field|: zero if every block is orthogonal."""
        cells = 4.0 ** np.arange(len(self.decimators))[::-1]
        total = cells @ np.linalg.slogdet(self.decimators)[1]
        if self.disentanglers is not None:
            total += cells @ np.linalg.slogdet(self.disentanglers)[1]
        return float(total)

    @property
    def table(self) -> BulkTable:
        """Latents sit in the middle of their blocks."""
        levels = len(self.decimators)
        columns: list[np.ndarray] = []
        for level in range(levels):
            n, spacing = self.side // 2 ** (level + 1), 2 ** (level + 1)
            middle = (np.arange(n) + 0.5) * spacing - 0.5
            x, y = (np.repeat(part.ravel(), 3) for part in np.meshgrid(middle, middle))
            columns.append(np.array([np.full(x.size, float(level)), y, x]))
        middle = 0.5 * self.side - 0.5
        columns.append(np.array([[float(levels)], [middle], [middle]]))
        level, x, y = np.concatenate(columns, axis=1)
        return BulkTable(self.side, level.astype(int), x, y)

    def invert(self, field: np.ndarray) -> np.ndarray:
        """Latents ``[batch, N]`` of fields ``[batch, L, L]``, real or complex."""
        if field.shape[1:] != (self.side, self.side):
            raise ValueError(f"This map takes [batch, {self.side}, {self.side}] fields.")
        latents = []
        for level, decimator in enumerate(self.decimators):
            if self.disentanglers is not None:
                rolled = np.roll(field, (-1, -1), axis=(1, 2))
                turned = to_blocks(rolled) @ self.disentanglers[level].T
                field = np.roll(from_blocks(turned), (1, 1), axis=(1, 2))
            blocks = to_blocks(field) @ decimator.T
            latents.append(blocks[..., 1:].reshape(len(field), -1))
            field = blocks[..., 0]
        return np.concatenate([*latents, field.reshape(-1, 1)], axis=1)

    def generate(self, latents: np.ndarray) -> np.ndarray:
        """Fields ``[batch, L, L]`` of latents ``[batch, N]``, the inverse of :meth:`invert`."""
        if latents.shape[1:] != (self.side**2,):
            raise ValueError(f"This map takes [batch, {self.side**2}] latents.")
        field, end = latents[:, -1].reshape(-1, 1, 1), self.side**2 - 1
        for level in reversed(range(len(self.decimators))):
            n = field.shape[1]
            details = latents[:, end - 3 * n * n : end].reshape(-1, n, n, 3)
            end -= 3 * n * n
            blocks = np.concatenate([field[..., None], details], axis=-1)
            field = from_blocks(blocks @ np.linalg.inv(self.decimators[level]).T)
            if self.disentanglers is not None:
                rolled = to_blocks(np.roll(field, (-1, -1), axis=(1, 2)))
                turned = rolled @ np.linalg.inv(self.disentanglers[level]).T
                field = np.roll(from_blocks(turned), (1, 1), axis=(1, 2))
        return field

    @cached_property
    def matrix(self) -> np.ndarray:
        """Latents = matrix · field in row-major order, ``[N, N]``."""
        sites = self.side**2
        return self.invert(np.eye(sites).reshape(sites, self.side, self.side)).T

    def covariance(self, field: np.ndarray) -> np.ndarray:
        """Covariance of the latents from that of the field, both ``[N, N]``."""
        return self.matrix @ field @ self.matrix.T


def to_blocks(field: np.ndarray) -> np.ndarray:
    """``[batch, L, L]`` to 2×2 blocks ``[batch, L/2, L/2, 4]``, row-major within a block."""
    batch, side = field.shape[:2]
    split = field.reshape(batch, side // 2, 2, side // 2, 2)
    return split.transpose(0, 1, 3, 2, 4).reshape(batch, side // 2, side // 2, 4)


def from_blocks(blocks: np.ndarray) -> np.ndarray:
    """The inverse of :func:`to_blocks`."""
    batch, n = blocks.shape[:2]
    split = blocks.reshape(batch, n, n, 2, 2).transpose(0, 1, 3, 2, 4)
    return split.reshape(batch, 2 * n, 2 * n)


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
            members, others = (self._variables(level) for level in (fine, coarse))
            m, ratio = len(others), len(members) // len(others)
            for row in range(m):
                for column in range(m):
                    shifted = np.roll(members, (-ratio * row, -ratio * column), axis=(0, 1))
                    index = shifted[..., :, None], others[row, column][None, :]
                    dense[index] = mean
                    dense[index[1], index[0]] = mean.conj()
        return dense

    def _variables(self, level: int) -> np.ndarray:
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

    def _between_latents(
        self, own: np.ndarray, other: np.ndarray, cross: np.ndarray
    ) -> np.ndarray:
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

    @property
    def total(self) -> float:
        """Sum over all pairs of cells, nats."""
        return float(self.count @ self.value)

    def select(self, chosen: np.ndarray) -> PairInformation:
        """The chosen entries, by a mask or indices ``[P]``."""
        names = ("level", "other", "separation", "count", "vertical", "value", "error")
        parts = {name: getattr(self, name)[chosen] for name in names}
        return PairInformation(side=self.side, replicas=self.replicas[:, chosen], **parts)


def _pair_classes(
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
        separation, vertical, pairs, average = _pair_classes(covariance.table, fine, coarse)
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
