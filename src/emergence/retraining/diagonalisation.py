"""Ground states of small magnets by sparse exact diagonalisation.

A configuration is an integer whose bit i is set where the spin of site i points up. Two symmetries
make the basis smaller: magnetisation, where it is conserved (only configurations with N/2 spins up
are listed), and the inversion of all spins, s → −s. Of s and −s the one whose last spin points down
stands for (|s⟩ + σ|−s⟩)/√2 with the inversion's eigenvalue σ = ±1:
    Ising:      σ = +1, as the ground state is positive (Perron–Frobenius);
    Heisenberg: σ = (−1)^(N/2) for every singlet. Unfrustrated, the ground state is one (Marshall,
                Lieb–Mattis); otherwise both signs are tried and the lower energy is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import eigsh
from scipy.special import comb, xlogy

from emergence.errors import SettingsError
from emergence.retraining.models import Model

MAXIMUM_ELEMENTS = 2**25
"""Largest bound on the matrix elements that are built: 33 million, some 1.5 GB at the peak."""

DENSE_DIMENSION = 64
"""Below it the whole spectrum is cheaper, and safer, than an iteration."""


def patterns(bits: int, ones: int | None = None) -> np.ndarray:
    """Integers of ``bits`` bits in rising order, all or those with ``ones`` bits set, int64."""
    if ones is None:
        return np.arange(2**bits, dtype=np.int64)
    if not 0 <= ones <= bits:
        return np.empty(0, dtype=np.int64)
    if ones in (0, bits):
        return np.array([2**bits - 1 if ones else 0], dtype=np.int64)
    with_top = patterns(bits - 1, ones - 1) | np.int64(1 << (bits - 1))
    return np.concatenate([patterns(bits - 1, ones), with_top])


def spins_of(states: np.ndarray, sites: int) -> np.ndarray:
    """±1 for each bit, int8 ``[states, sites]``."""
    return (2 * ((states[:, None] >> np.arange(sites)) & 1) - 1).astype(np.int8)


def bits_of(spins: np.ndarray) -> np.ndarray:
    """The integers of configurations of ±1, ``[states, sites]`` → int64 ``[states]``."""
    return (spins > 0).astype(np.int64) @ (np.int64(1) << np.arange(spins.shape[1]))


def dimension(model: Model) -> int:
    """How many basis states one inversion sector has."""
    if model.up_spins is None:
        return 2 ** (model.sites - 1)
    return comb(model.sites, model.up_spins, exact=True) // 2


def feasible(model: Model) -> bool:
    """Whether the matrix stays below ``MAXIMUM_ELEMENTS``."""
    moves = len(model.bonds.pairs) if model.up_spins is not None else model.sites
    # An exchange acts on antiparallel spins only: about half of the bonds.
    per_state = 1 + (moves // 2 + 1 if model.up_spins is not None else moves)
    return dimension(model) * per_state <= MAXIMUM_ELEMENTS


def _moves(model: Model, states: np.ndarray):
    """Every off-diagonal element: (rows, changed states, element), one bond or site at a time."""
    rows = np.arange(len(states))
    if model.flip:
        for site in range(model.sites):
            yield rows, states ^ np.int64(1 << site), model.flip
    for (first, second), element in zip(model.bonds.pairs, model.exchange, strict=True):
        if element:
            antiparallel = ((states >> first) ^ (states >> second)) & 1 == 1
            swapped = states[antiparallel] ^ np.int64((1 << first) | (1 << second))
            yield rows[antiparallel], swapped, element


def _diagonal(model: Model, states: np.ndarray) -> np.ndarray:
    """⟨s|H|s⟩, ``[states]``, without an array ``[states, bonds]``."""
    values = np.zeros(len(states))
    for (first, second), element in zip(model.bonds.pairs, model.diagonal, strict=True):
        values += element * (1 - 2 * (((states >> first) ^ (states >> second)) & 1))
    return values


def hamiltonian(model: Model, inversion: int | None = None) -> tuple[csr_array, np.ndarray]:
    """H in the basis of the model's magnetisation and, if given, of one inversion sector.

    Args:
        inversion: eigenvalue of s → −s, +1 or −1; None keeps both s and −s.

    Returns:
        H, ``[states, states]``, and the configurations that stand for its rows, int64 ``[states]``
        in rising order.

    Raises:
        SettingsError: more matrix elements than ``MAXIMUM_ELEMENTS``.
    """
    if not feasible(model):
        raise SettingsError(
            f"The {model} has {dimension(model):.3g} basis states, too many to diagonalise.",
            "Choose a smaller lattice, or a reference from another method.",
        )
    sites = model.sites
    states = patterns(sites if inversion is None else sites - 1, model.up_spins)
    diagonal = _diagonal(model, states)
    rows, columns, values = [np.arange(len(states))], [np.arange(len(states))], [diagonal]
    for row, changed, element in _moves(model, states):
        value = np.full(len(row), element)
        if inversion is not None:
            beyond = changed >> (sites - 1) == 1
            changed = np.where(beyond, changed ^ np.int64(2**sites - 1), changed)
            value[beyond] *= inversion
        rows.append(row)
        # Without a constraint a configuration is its own place in the list.
        columns.append(changed if model.up_spins is None else np.searchsorted(states, changed))
        values.append(value)
    indices = (np.concatenate(rows).astype(np.int32), np.concatenate(columns).astype(np.int32))
    shape = (len(states), len(states))
    return coo_array((np.concatenate(values), indices), shape=shape).tocsr(), states


def _lowest(matrix: csr_array) -> tuple[float, np.ndarray]:
    """Lowest eigenvalue and its vector, from the same start every time."""
    if matrix.shape[0] <= DENSE_DIMENSION:
        values, vectors = np.linalg.eigh(matrix.toarray())
        return float(values[0]), vectors[:, 0]
    start = np.random.default_rng(0).standard_normal(matrix.shape[0])
    values, vectors = eigsh(matrix, k=1, which="SA", v0=start, tol=0)
    return float(values[0]), vectors[:, 0]


@dataclass(frozen=True)
class GroundState:
    """A ground state, amplitude by amplitude, and what can be read off it."""

    model: Model
    energy: float
    """Of the whole lattice."""
    states: np.ndarray
    """Configurations as integers in rising order, int64 ``[states]``."""
    amplitudes: np.ndarray
    """Real and normalised, ``[states]``; the (first) largest is positive."""

    @cached_property
    def spins(self) -> np.ndarray:
        """The configurations as ±1, int8 ``[states, sites]``."""
        return spins_of(self.states, self.model.sites)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """ψ², ``[states]``."""
        return self.amplitudes**2

    @cached_property
    def parallel(self) -> np.ndarray:
        """⟨σᶻ_i σᶻ_j⟩ of every pair, ``[sites, sites]``."""
        spins = self.spins.astype(np.float64)
        return spins.T @ (self.probabilities[:, None] * spins)

    def transverse_field(self) -> np.ndarray:
        """⟨σˣ_i⟩, ``[sites]``; zero where the magnetisation is conserved."""
        if self.model.conserves_magnetisation:
            return np.zeros(self.model.sites)
        flipped = (self.states ^ np.int64(1 << site) for site in range(self.model.sites))
        return np.array([self.amplitudes @ self.amplitudes[other] for other in flipped])

    def exchange(self, first: int, second: int) -> float:
        """⟨S_i·S_j⟩ of two different sites, of a state of conserved magnetisation."""
        first, second = int(first), int(second)
        antiparallel = ((self.states >> first) ^ (self.states >> second)) & 1 == 1
        swapped = self.states[antiparallel] ^ np.int64((1 << first) | (1 << second))
        overlap = self.amplitudes[np.searchsorted(self.states, swapped)]
        transverse = float(overlap @ self.amplitudes[antiparallel]) / 2.0
        return self.parallel[first, second] / 4.0 + transverse

    def correlations(self) -> np.ndarray:
        """⟨σᶻ_i σᶻ_j⟩ (Ising) or ⟨S_i·S_j⟩ (Heisenberg) of every pair, ``[sites, sites]``."""
        if not self.model.conserves_magnetisation:
            return self.parallel
        sites = self.model.sites
        values = np.diag(np.full(sites, 0.75))
        for first in range(sites):
            for second in range(first + 1, sites):
                values[first, second] = values[second, first] = self.exchange(first, second)
        return values

    def bond_energies(self) -> np.ndarray:
        """coupling · ⟨σᶻσᶻ⟩ or coupling · ⟨S·S⟩ of each of ``model.bonds``, ``[bonds]``."""
        pairs, couplings = self.model.bonds
        if self.model.conserves_magnetisation:
            return couplings * np.array([self.exchange(i, j) for i, j in pairs])
        return couplings * self.parallel[pairs[:, 0], pairs[:, 1]]

    def field_energies(self) -> np.ndarray:
        """−h ⟨σˣ_i⟩ of each site, ``[sites]``; with ``bond_energies`` it sums to the energy."""
        return self.model.flip * self.transverse_field()

    def schmidt(self, region: Sequence[int]) -> np.ndarray:
        """Schmidt coefficients of ``region`` and the rest, falling; their squares sum to 1."""
        inside = np.zeros(self.model.sites, dtype=bool)
        inside[list(region)] = True
        shape = (2 ** int(inside.sum()), 2 ** int((~inside).sum()))
        table = np.zeros(shape)
        table[bits_of(self.spins[:, inside]), bits_of(self.spins[:, ~inside])] = self.amplitudes
        return np.linalg.svd(table, compute_uv=False)

    def entropy(self, region: Sequence[int], order: int = 2) -> float:
        """Entanglement entropy of ``region``, natural logarithm; order 1 is von Neumann's."""
        weights = self.schmidt(region) ** 2
        if order == 1:
            return -float(np.sum(xlogy(weights, weights)))
        return float(np.log(np.sum(weights**order))) / (1.0 - order)


def ground_state(model: Model) -> GroundState:
    """The ground state in the basis of all (Ising) or of zero-magnetisation configurations.

    Where it is degenerate, one state of the lowest inversion sector.

    Raises:
        SettingsError: a lattice too large to diagonalise.
    """
    if not model.conserves_magnetisation:
        signs = (1,)
    elif model.has_marshall_sign:
        signs = (1 - 2 * (model.up_spins % 2),)
    else:
        signs = (1, -1)
    solved = []
    for sign in signs:
        matrix, states = hamiltonian(model, sign)
        solved.append((*_lowest(matrix), sign))
    energy, vector, sign = min(solved, key=lambda candidate: candidate[0])
    inverted = (states ^ np.int64(2**model.sites - 1))[::-1]
    amplitudes = np.concatenate([vector, sign * vector[::-1]]) / np.sqrt(2.0)
    # The first of the largest up to rounding, so that the sign is the same on every machine.
    size = np.abs(amplitudes)
    largest = np.argmax(size >= (1.0 - 1e-9) * size.max())
    amplitudes *= np.sign(amplitudes[largest])
    return GroundState(model, energy, np.concatenate([states, inverted]), amplitudes)
