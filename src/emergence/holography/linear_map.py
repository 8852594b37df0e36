"""Linear hierarchical bijectors: the Haar wavelet transform and its relatives, exact references.

They have the geometry of the flow: per level an optional disentangler (2×2 blocks offset by one
coarse site, wrapped) and a decimator of 2×2 blocks, shared over positions and not over scales. With
orthogonal blocks the Jacobian is 1; on a free field they propagate the covariance exactly, so that
every information is known without sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emergence.holography.actions import check_side
from emergence.holography.bulk import BulkTable
from emergence.holography.information import HAAR


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
            columns.append(np.array([np.full(x.size, float(level)), x, y]))
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
