"""The transverse-field Ising chain at any size, exactly, as free fermions (Pfeuty 1970).

H = −Σ σᶻ_i σᶻ_{i+1} − h Σ σˣ_i becomes, after a Jordan–Wigner transformation, i Σ a_i A_ij b_j in
Majorana operators a, b. With A = U diag(ε) Vᵀ the ground-state energy is −Σ ε, and everything else
about the state is in the orthogonal matrix G = U Vᵀ:
    ⟨σˣ_i⟩ = G_ii,   ⟨σᶻ_i σᶻ_j⟩ = det G[i:j, i+1:j+1],
    entropies of the first ℓ sites from the singular values of G[:ℓ, :ℓ]  (Peschel 2003).
Sites are counted from 0; energies are in units of the Ising coupling.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ellipe, xlogy

from emergence.errors import SettingsError
from emergence.retraining.models import Ising


def coupling_matrix(model: Ising) -> np.ndarray:
    """A: the field on the diagonal, 1 above it, ``[sites, sites]``.

    The ground state has parity Π σˣ = +1, so the bond that closes a ring comes with the sign
    (−1)^(N + 1); det A > 0 for every positive field then says that all modes are empty.

    Raises:
        SettingsError: not an Ising chain.
    """
    if not (isinstance(model, Ising) and model.lattice.geometry == "chain"):
        raise SettingsError(
            f"The {model} is not solved by free fermions.", "Choose an Ising chain."
        )
    sites = model.sites
    matrix = model.field * np.eye(sites) + np.eye(sites, k=1)
    if model.lattice.periodic:
        # Added, not assigned: it meets the field's entry on no chain of 2 sites or more.
        matrix[-1, 0] += (-1.0) ** (sites + 1)
    return matrix


def energy(model: Ising) -> float:
    """Ground-state energy of the whole chain, to rounding.

    Open boundaries: −Σ singular values of A; at h = 1, 1 − 1/sin[π/(2(2N + 1))]. Periodic:
    −Σ √(1 + h² − 2h cos k) over k = π(2n + 1)/N.
    """
    matrix = coupling_matrix(model)
    if not model.lattice.periodic:
        return -float(np.sum(np.linalg.svd(matrix, compute_uv=False)))
    momentum = np.pi * (2.0 * np.arange(model.sites) + 1.0) / model.sites
    return -float(np.sum(np.abs(model.field - np.exp(1j * momentum))))


def bulk_energy(field: float) -> float:
    """Energy per site of the infinite chain, −(2/π)(1 + h) E(4h/(1 + h)²); −4/π at h = 1."""
    return -2.0 / np.pi * (1.0 + field) * float(ellipe(4.0 * field / (1.0 + field) ** 2))


def correlation_matrix(model: Ising) -> np.ndarray:
    """G = U Vᵀ, the orthogonal part of A, ``[sites, sites]``.

    Deep in the ordered phase one ε falls below rounding, and a library is free to return its pair
    of singular vectors with either relative sign, which is the parity of the state: det G = +1.
    """
    left, _, right = np.linalg.svd(coupling_matrix(model))
    if np.linalg.det(left) * np.linalg.det(right) < 0.0:
        left[:, -1] *= -1.0
    return left @ right


def bond_energies(model: Ising, matrix: np.ndarray | None = None) -> np.ndarray:
    """coupling · ⟨σᶻ_i σᶻ_j⟩ of each of ``model.bonds``, ``[bonds]``.

    Args:
        matrix: G, if it is at hand.
    """
    matrix = correlation_matrix(model) if matrix is None else matrix
    values = [correlation(matrix, i, j, model.lattice.periodic) for i, j in model.bonds.pairs]
    return model.bonds.couplings * np.array(values)


def field_energies(model: Ising, matrix: np.ndarray | None = None) -> np.ndarray:
    """−h ⟨σˣ_i⟩ of each site, ``[sites]``; with ``bond_energies`` it sums to the energy."""
    matrix = correlation_matrix(model) if matrix is None else matrix
    return -model.field * np.diag(matrix)


def correlation(matrix: np.ndarray, first: int, second: int, periodic: bool = False) -> float:
    """⟨σᶻ_i σᶻ_j⟩ of two sites, by the determinant of a |i − j| × |i − j| block of G.

    Args:
        periodic: take the shorter way, around the ring where it is.
    """
    first, second = sorted((int(first), int(second)))
    if periodic and 2 * (second - first) > len(matrix):
        # A ring looks the same from every site.
        first, second = 0, len(matrix) - (second - first)
    return float(np.linalg.det(matrix[first:second, first + 1 : second + 1]))


def central_correlations(model: Ising, distances: list[int] | np.ndarray) -> np.ndarray:
    """C(r) = ⟨σᶻ_i σᶻ_{i+r}⟩ about the middle, i = ⌊N/2⌋ − ⌊r/2⌋, ``[distances]``.

    Raises:
        SettingsError: a distance that does not fit into the chain.
    """
    matrix = correlation_matrix(model)
    values = []
    for distance in distances:
        first = model.sites // 2 - distance // 2
        if distance < 0 or first < 0 or first + distance >= model.sites:
            raise SettingsError(
                f"Two sites {distance} apart about the middle do not fit into the {model.lattice}.",
                f"Choose distances from 0 to {model.sites - 2 + model.sites % 2}.",
            )
        values.append(correlation(matrix, first, first + distance))
    return np.array(values)


def entropy(matrix: np.ndarray, length: int, order: int = 2) -> float:
    """Entanglement entropy of the first ``length`` sites with the rest, natural logarithm.

    Each singular value ν of G[:ℓ, :ℓ] is a two-level system with populations (1 ± ν)/2.

    Args:
        matrix: G, ``[sites, sites]``.
        order: Rényi's; 1 is von Neumann's, −tr ρ ln ρ; 2 is −ln tr ρ².
    """
    values = np.linalg.svd(matrix[:length, :length], compute_uv=False)
    upper, lower = (1.0 + values) / 2.0, np.clip((1.0 - values) / 2.0, 0.0, 1.0)
    if order == 1:
        return -float(np.sum(xlogy(upper, upper) + xlogy(lower, lower)))
    return float(np.sum(np.log(upper**order + lower**order))) / (1.0 - order)
