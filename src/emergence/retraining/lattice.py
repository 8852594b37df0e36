"""Chains and squares of spins: sites, bonds and symmetries.

Sites are counted in raster order, site = row · L + column. Next-nearest neighbours are (i, i + 2)
on the chain and both diagonals on the square.

On a periodic lattice bonds are a sum over translations: each site is bound to its neighbour in each
direction. Where two directions lead to the same site (width 2; width 4 for (i, i + 2)) the pair is
listed once, with the couplings added, as the closed formulas of rings have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from emergence.errors import SettingsError

GEOMETRIES = ("chain", "square")
BOUNDARIES = ("open", "periodic")

NEAREST = {"chain": ((1,),), "square": ((0, 1), (1, 0))}
NEXT_NEAREST = {"chain": ((2,),), "square": ((1, 1), (1, -1))}
"""Displacements to half of the neighbours; the others are the same bonds from their far ends."""


class Bonds(NamedTuple):
    """Pairs of sites and how strongly each is coupled."""

    pairs: np.ndarray
    """Sites i < j, int32 ``[bonds, 2]``; no pair occurs twice."""
    couplings: np.ndarray
    """Units of the nearest-neighbour coupling, float64 ``[bonds]``."""


def frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def check_choice(value: str, allowed: tuple[str, ...], what: str) -> None:
    if value not in allowed:
        raise SettingsError(f"The {what} {value!r} is unknown.", f"Choose {' or '.join(allowed)}.")


@dataclass(frozen=True)
class Lattice:
    """A chain of ``size`` sites or a square of ``size`` × ``size`` sites.

    Raises:
        SettingsError: unknown geometry or boundary, or a size below 2.
    """

    geometry: str
    size: int
    boundary: str = "open"

    def __post_init__(self) -> None:
        check_choice(self.geometry, GEOMETRIES, "lattice geometry")
        check_choice(self.boundary, BOUNDARIES, "boundary")
        if isinstance(self.size, bool) or not isinstance(self.size, int | np.integer):
            raise SettingsError(
                f"A lattice of size {self.size!r} cannot be built.", "Give the size as an integer."
            )
        if self.size < 2:
            raise SettingsError(
                f"A {self.geometry} of size {self.size} has no bond.",
                "Choose a size of 2 or larger.",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,) or (L, L)."""
        return (self.size,) * (1 if self.geometry == "chain" else 2)

    @property
    def sites(self) -> int:
        """N."""
        return int(np.prod(self.shape))

    @property
    def periodic(self) -> bool:
        """Whether the far ends are joined."""
        return self.boundary == "periodic"

    @cached_property
    def coordinates(self) -> np.ndarray:
        """Position of each site, (position,) or (row, column), int64 ``[sites, dimensions]``."""
        return frozen(np.indices(self.shape).reshape(len(self.shape), -1).T.copy())

    @cached_property
    def sublattice(self) -> np.ndarray:
        """0 or 1, the chessboard on which nearest neighbours differ, ``[sites]``."""
        return frozen(self.coordinates.sum(axis=1) % 2)

    @property
    def bipartite(self) -> bool:
        """Whether nearest neighbours always lie on different sublattices."""
        return not self.periodic or self.size % 2 == 0

    @cached_property
    def nearest(self) -> Bonds:
        """Nearest neighbours; couplings count a pair's occurrences in the sum over translations."""
        return self._bonds(NEAREST[self.geometry])

    @cached_property
    def next_nearest(self) -> Bonds:
        """Pairs (i, i + 2) of a chain, both diagonals of a square; couplings as in ``nearest``.

        Raises:
            SettingsError: a chain too short to have such a pair.
        """
        if self.geometry == "chain" and self.size < 3:
            raise SettingsError(
                f"A chain of {self.size} sites has no next-nearest neighbours.",
                "Choose 4 sites or more, or set j2 to 0.",
            )
        return self._bonds(NEXT_NEAREST[self.geometry])

    def _bonds(self, displacements: tuple[tuple[int, ...], ...]) -> Bonds:
        pairs = []
        for displacement in displacements:
            target = self.coordinates + np.array(displacement)
            kept = np.all((target >= 0) & (target < self.size), axis=1) | self.periodic
            source = np.flatnonzero(kept)
            target = np.ravel_multi_index(tuple((target[kept] % self.size).T), self.shape)
            pairs.append(np.sort(np.stack([source, target], axis=1), axis=1))
        unique, counts = np.unique(np.concatenate(pairs), axis=0, return_counts=True)
        return Bonds(frozen(unique.astype(np.int32)), frozen(counts.astype(np.float64)))

    @cached_property
    def point_group(self) -> np.ndarray:
        """Site permutations that leave every model here unchanged, int64 ``[elements, sites]``.

        ``spins[:, point_group[g]]`` are the transformed configurations. The identity comes first;
        the chain has 2 elements (parity), the square 8 (C4v).
        """
        grid = np.arange(self.sites).reshape(self.shape)
        if self.geometry == "chain":
            images = [grid, grid[::-1]]
        else:
            turned = [np.rot90(grid, quarter) for quarter in range(4)]
            images = turned + [image.T for image in turned]
        return frozen(np.stack([image.ravel() for image in images]))

    def __str__(self) -> str:
        extent = f"{self.size} sites" if self.geometry == "chain" else f"{self.size} × {self.size}"
        return f"{self.boundary} {self.geometry} of {extent}"
