"""Moments of the complex free field on a torus, exactly, from the eigenvalues of its action."""

import numpy as np

from emergence.holography.actions import FreeField


def free_correlation(action: FreeField, side: int) -> np.ndarray:
    """⟨φ_0*φ_r⟩ = N⁻¹ Σ_k e^{ikr}/e_k, real, ``[L, L]`` over the displacement r."""
    return np.fft.ifft2(1.0 / action.eigenvalues(side)).real


def free_density(action: FreeField, side: int) -> float:
    """⟨|φ|²⟩ = N⁻¹ Σ_k 1/e_k."""
    return float(np.mean(1.0 / action.eigenvalues(side)))
