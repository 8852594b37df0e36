"""The path on which a recurrent network reads a lattice, and the moves of a Hamiltonian along it.

A chain is read from left to right, a square row by row in a snake, so that consecutive sites are
neighbours. A move (one spin flipped, or two swapped) leaves everything before its first site on
the path as it was; the conditionals change from there on only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emergence.retraining.lattice import Lattice, frozen
from emergence.retraining.models import Ising, Model


@dataclass(frozen=True)
class Path:
    """Order in which the sites of a lattice are visited."""

    lattice: Lattice

    @cached_property
    def sites(self) -> np.ndarray:
        """Site at each position of the path, ``[positions]``."""
        grid = np.arange(self.lattice.sites).reshape(self.lattice.shape)
        if grid.ndim == 2:
            grid = grid.copy()
            grid[1::2] = grid[1::2, ::-1]
        return frozen(grid.ravel())

    @cached_property
    def positions(self) -> np.ndarray:
        """Position on the path of each site, ``[sites]``."""
        return frozen(np.argsort(self.sites))

    @property
    def width(self) -> int:
        """How many hidden states the path must remember: 1 on a chain, L on a square."""
        return 1 if self.lattice.geometry == "chain" else self.lattice.size

    @cached_property
    def columns(self) -> np.ndarray:
        """Slot of the memory that each position writes to, ``[positions]``: its column."""
        return frozen((self.sites % self.width).astype(np.int32))

    @cached_property
    def left(self) -> np.ndarray:
        """Column of the neighbour visited just before in the same row, −1 if none."""
        columns = self.columns
        before = np.concatenate([[-1], columns[:-1]])
        if self.width > 1:
            before = np.where(np.arange(len(columns)) % self.width == 0, -1, before)
        return frozen(before.astype(np.int32))

    @cached_property
    def above(self) -> np.ndarray:
        """Position of the neighbour in the row before, −1 if none; always −1 on a chain."""
        position = np.arange(self.lattice.sites)
        if self.width == 1:
            return frozen(np.full(len(position), -1, np.int32))
        row = position // self.width
        return frozen(np.where(row > 0, 2 * row * self.width - 1 - position, -1).astype(np.int32))


@dataclass(frozen=True)
class Moves:
    """Configurations that a Hamiltonian connects to a given one, and with which element."""

    model: Model

    @cached_property
    def pairs(self) -> np.ndarray:
        """Sites that a move flips, ``[moves, 2]``; the second is −1 where it flips one spin."""
        if isinstance(self.model, Ising):
            sites = np.arange(self.model.sites)
            return frozen(np.stack([sites, np.full_like(sites, -1)], axis=1))
        return frozen(self.model.bonds.pairs.astype(np.int64))

    @cached_property
    def elements(self) -> np.ndarray:
        """⟨s'|H|s⟩ of each move, ``[moves]``; of a swap where the two spins are antiparallel."""
        if isinstance(self.model, Ising):
            return frozen(np.full(self.model.sites, self.model.flip))
        return self.model.exchange

    @cached_property
    def crossing(self) -> np.ndarray:
        """Whether a move changes the number of up spins on a sublattice by one, ``[moves]``."""
        if isinstance(self.model, Ising):
            return frozen(np.zeros(self.model.sites, bool))
        sublattice = self.model.lattice.sublattice
        return frozen(sublattice[self.pairs[:, 0]] != sublattice[self.pairs[:, 1]])

    @cached_property
    def path(self) -> Path:
        """The path along which the moves are laid."""
        return Path(self.model.lattice)

    @cached_property
    def _along(self) -> np.ndarray:
        """First and second position of each move on the path; second −1 if there is none."""
        positions = np.append(self.path.positions, -1)
        along = np.sort(positions[self.pairs], axis=1)
        alone = self.pairs[:, 1] < 0
        along[alone] = along[alone, ::-1]
        return along

    @property
    def reach(self) -> int:
        """Largest distance along the path between the two sites of a move."""
        along = self._along
        return int(np.where(along[:, 1] < 0, 0, along[:, 1] - along[:, 0]).max())

    @cached_property
    def per_position(self) -> int:
        """Most moves that start at one position."""
        return int(np.bincount(self._along[:, 0]).max())

    @cached_property
    def slot(self) -> np.ndarray:
        """Where each move lies in the table of slots, first position · per_position + rank."""
        starts = self._along[:, 0]
        rank = np.zeros(len(starts), np.int64)
        for start in np.unique(starts):
            rank[starts == start] = np.arange(np.sum(starts == start))
        return frozen(starts * self.per_position + rank)

    @cached_property
    def partner(self) -> np.ndarray:
        """Second position of the move in each slot, ``[positions, per_position]``; −1 if none."""
        table = np.full(self.model.sites * self.per_position, -1, np.int32)
        table[self.slot] = self._along[:, 1]
        return frozen(table.reshape(self.model.sites, self.per_position))

    def images(self, symmetric: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Symmetries as (permutations of sites, signs of spins, permutations of moves).

        ``sign * spins[..., permutation]`` is a transformed configuration; move ``m`` of the original
        is move ``moved[m]`` of the transformed one. They are the lattice's point group and, of the
        Ising model, its product with the flip of all spins. Without symmetry: the identity alone.
        """
        group = self.model.lattice.point_group if symmetric else np.arange(self.model.sites)[None]
        signs = np.ones(len(group))
        if symmetric and isinstance(self.model, Ising):
            group, signs = np.concatenate([group, group]), np.concatenate([signs, -signs])
        index = {tuple(sorted(pair)): m for m, pair in enumerate(self.pairs.tolist())}
        moved = []
        for permutation in group:
            image = np.append(np.argsort(permutation), -1)
            moved.append([index[tuple(sorted(pair))] for pair in image[self.pairs].tolist()])
        return group, signs, np.array(moved)
