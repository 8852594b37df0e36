"""The Ising model by summation over all spins, and its dual field given the spins."""

import numpy as np
from scipy.special import logsumexp

from emergence.holography.actions import IsingDualField
from emergence.holography.ising_exact import SpinReference

CRITICAL_TEMPERATURE = float(2.0 / np.log1p(np.sqrt(2.0)))
"""T_c = 2/ln(1 + √2) = 2.269185314213022."""


def sum_over_spins(side: int, temperature: float) -> SpinReference:
    """Brute force over all 2^(L²) configurations of the torus, L ≤ 4."""
    sites = side * side
    codes = np.arange(2**sites)[:, None]
    spins = (1.0 - 2.0 * ((codes >> np.arange(sites)) & 1)).reshape(-1, side, side)
    neighbours = np.roll(spins, -1, axis=1) + np.roll(spins, -1, axis=2)
    energies = -np.sum(spins * neighbours, axis=(1, 2))
    log_total = float(logsumexp(-energies / temperature))
    probability = np.exp(-energies / temperature - log_total)
    weighted = probability * spins[:, 0, 0]
    return SpinReference(
        log_partition=log_total,
        energy=float(probability @ energies),
        correlation=np.einsum("c,cij->ij", weighted, spins),
    )


def dual_second_moments(action: IsingDualField, correlation: np.ndarray) -> np.ndarray:
    """⟨x_0 x_r⟩ of the continuous field, ``[L, L]``: K + K C K, as x ~ N(Ks, K) given the spins.

    Args:
        correlation: C = ⟨s_0 s_r⟩ of the Ising model at the same temperature, ``[L, L]``.
    """
    kernel = action.eigenvalues(correlation.shape[0])
    return np.fft.ifft2(kernel + kernel**2 * np.fft.fft2(correlation)).real


def draw_dual_field(
    spins: np.ndarray, action: IsingDualField, rng: np.random.Generator
) -> np.ndarray:
    """x ~ N(Ks, K) given Ising spins ``[samples, L, L]`` of ±1: exact samples of the dual field."""
    kernel = action.eigenvalues(spins.shape[1])
    white = rng.standard_normal(spins.shape)
    modes = kernel * np.fft.fft2(spins) + np.sqrt(kernel) * np.fft.fft2(white)
    return np.fft.ifft2(modes).real
