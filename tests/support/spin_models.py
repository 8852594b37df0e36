"""Chains by their number of sites, and Marshall's sign of a configuration."""

import numpy as np

from emergence.retraining.lattice import Lattice
from emergence.retraining.models import Heisenberg, Ising


def ising_chain(sites: int, field: float, boundary: str = "open") -> Ising:
    """The Ising chain in a transverse field."""
    return Ising(Lattice("chain", sites, boundary), field)


def heisenberg_chain(sites: int, j2: float = 0.0, boundary: str = "open") -> Heisenberg:
    """The Heisenberg chain, frustrated where ``j2`` is above 0."""
    return Heisenberg(Lattice("chain", sites, boundary), j2)


def marshall_sign(lattice: Lattice, spins: np.ndarray) -> np.ndarray:
    """(−1)^(up spins on sublattice 0) of configurations of ±1, ``[batch, sites]`` → ``[batch]``.

    The sign of the ground state of an unfrustrated antiferromagnet (Marshall 1955); the lattice has
    two sublattices.
    """
    up = np.sum((spins > 0) & (lattice.sublattice == 0), axis=1)
    return 1.0 - 2.0 * (up % 2)
