"""Quantum spin-½ magnets on a chain or a square: what the wave functions are trained on.

Transverse-field Ising:  H = −Σ_nn σᶻ_i σᶻ_j − h Σ_i σˣ_i              (coupling 1)
Heisenberg and J1–J2:    H = Σ_nn S_i·S_j + J2 Σ_nnn S_i·S_j          (J1 = 1, antiferromagnetic)

A configuration is an array of ±1 (up, down) in the order of the lattice's sites. Every Hamiltonian
here has the matrix elements
    ⟨s|H|s⟩  = Σ_b diagonal_b s_i s_j,
    ⟨s'|H|s⟩ = exchange_b  where s' swaps the antiparallel spins of bond b,
    ⟨s'|H|s⟩ = flip        where s' flips one spin,
so exact diagonalisation and the local energy need to know nothing else of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emergence.errors import SettingsError
from emergence.retraining.lattice import Bonds, Lattice, check_choice, frozen
from emergence.settings import GrowthArm

MODELS = ("ising", "heisenberg", "j1j2")


@dataclass(frozen=True)
class Ising:
    """Transverse-field Ising: H = −Σ_nn σᶻσᶻ − field Σ σˣ. Its ground state is positive.

    Raises:
        SettingsError: a field that is negative or not finite.
    """

    lattice: Lattice
    field: float

    name = "ising"
    conserves_magnetisation = False
    has_marshall_sign = False
    up_spins = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.field) and self.field >= 0.0):
            raise SettingsError(
                f"A transverse field of {self.field!r} is not allowed.",
                "Choose 0 or more: a negative field is a positive one turned by π about z.",
            )

    @property
    def sites(self) -> int:
        """N."""
        return self.lattice.sites

    @cached_property
    def bonds(self) -> Bonds:
        """Coefficients of σᶻ_i σᶻ_j: −1, or −2 for a doubled bond."""
        pairs, counts = self.lattice.nearest
        return Bonds(pairs, frozen(-counts))

    @property
    def diagonal(self) -> np.ndarray:
        """Coefficient of s_i s_j per bond, ``[bonds]``."""
        return self.bonds.couplings

    @cached_property
    def exchange(self) -> np.ndarray:
        """Matrix element for swapping antiparallel spins: none here, ``[bonds]``."""
        return frozen(np.zeros(len(self.bonds.pairs)))

    @property
    def flip(self) -> float:
        """Matrix element for flipping one spin."""
        return -self.field

    def __str__(self) -> str:
        return f"transverse-field Ising model (h = {self.field:g}) on the {self.lattice}"


@dataclass(frozen=True)
class Heisenberg:
    """H = Σ_nn S·S + j2 Σ_nnn S·S, antiferromagnetic; the J1–J2 model where ``j2`` is not 0.

    Raises:
        SettingsError: an odd number of sites, which cannot have zero magnetisation; a ``j2`` that
            is not finite; a chain of 2 sites with ``j2``.
    """

    lattice: Lattice
    j2: float = 0.0

    conserves_magnetisation = True
    flip = 0.0

    def __post_init__(self) -> None:
        require_zero_magnetisation(self.lattice.sites)
        if not np.isfinite(self.j2):
            raise SettingsError(f"A j2 of {self.j2!r} is not allowed.", "Choose a finite number.")
        if self.j2:
            _ = self.lattice.next_nearest  # raises where there is none

    @property
    def name(self) -> str:
        """``heisenberg``, or ``j1j2`` where the second coupling is not 0."""
        return "j1j2" if self.j2 else "heisenberg"

    @property
    def sites(self) -> int:
        """N."""
        return self.lattice.sites

    @property
    def up_spins(self) -> int:
        """How many spins point up at zero magnetisation."""
        return self.sites // 2

    @property
    def has_marshall_sign(self) -> bool:
        """Whether sign ψ = (−1)^(up spins on one sublattice): no frustration.

        With it, the ground state is positive in the rotated basis (Marshall 1955).
        """
        return self.lattice.bipartite and self.j2 <= 0.0

    @cached_property
    def bonds(self) -> Bonds:
        """Coefficients of S_i·S_j: nearest neighbours first, then next-nearest."""
        if not self.j2:
            return self.lattice.nearest
        near, far = self.lattice.nearest, self.lattice.next_nearest
        couplings = np.concatenate([near.couplings, self.j2 * far.couplings])
        return Bonds(frozen(np.concatenate([near.pairs, far.pairs])), frozen(couplings))

    @cached_property
    def diagonal(self) -> np.ndarray:
        """Coefficient of s_i s_j per bond, J/4, ``[bonds]``."""
        return frozen(self.bonds.couplings / 4.0)

    @cached_property
    def exchange(self) -> np.ndarray:
        """Matrix element for swapping antiparallel spins, J/2, ``[bonds]``."""
        return frozen(self.bonds.couplings / 2.0)

    def __str__(self) -> str:
        kind = f"J1–J2 model (j2 = {self.j2:g})" if self.j2 else "Heisenberg model"
        return f"{kind} on the {self.lattice}"


Model = Ising | Heisenberg


def require_zero_magnetisation(sites: int) -> int:
    """How many of ``sites`` spins point up at zero magnetisation.

    Raises:
        SettingsError: ``sites`` is odd.
    """
    if sites % 2:
        raise SettingsError(
            f"A lattice of {sites} spins cannot have zero magnetisation, as {sites} is odd.",
            "Choose an even number of sites.",
        )
    return sites // 2


def build_model(
    name: str,
    geometry: str,
    size: int,
    boundary: str = "open",
    *,
    field: float | None = None,
    j2: float | None = None,
) -> Model:
    """A model from the names used in settings files.

    Args:
        name: ``ising`` (needs ``field``), ``heisenberg`` (takes neither), ``j1j2`` (needs ``j2``).
        size: N of a chain, L of an L × L square.

    Raises:
        SettingsError: an unknown name, a coupling missing or out of place, or a lattice that the
            model cannot live on.
    """
    check_choice(name, MODELS, "model")
    wanted = {"ising": "field", "j1j2": "j2"}.get(name)
    for key, value in {"field": field, "j2": j2}.items():
        if key == wanted and value is None:
            raise SettingsError(f"The model {name!r} needs {key}.", f"Set {key} to a number.")
        if key != wanted and value is not None:
            raise SettingsError(f"The model {name!r} does not take {key}.", f"Remove {key}.")
    lattice = Lattice(geometry, size, boundary)
    if name == "ising":
        return Ising(lattice, field)
    return Heisenberg(lattice, j2 or 0.0)


def model_of(arm: GrowthArm, size: int) -> Model:
    """The Hamiltonian of an arm of the settings at one size; raises SettingsError as above."""
    return build_model(arm.model, arm.geometry, size, arm.boundary, field=arm.field, j2=arm.j2)
