"""Updates polynomial in V as plain arrays, W(V) = Σ_k (V/V₀)^k W_k: their start and their values.

NumPy only, so that the analysis of a trained network does not load TensorFlow.
"""

from __future__ import annotations

import numpy as np


def update_matrices(weights: np.ndarray, potential: np.ndarray, unit: float) -> np.ndarray:
    """W(V) on a grid of V, in NumPy and float64.

    Args:
        weights: W_k, ``[seeds, degree + 1, size, size]``.
        potential: ``[grid]``.

    Returns:
        ``[seeds, grid, size, size]``.
    """
    exponents = np.arange(weights.shape[1])
    features = (np.asarray(potential)[:, None] / unit) ** exponents
    return np.einsum("gk,skab->sgab", features, np.asarray(weights, dtype=np.float64))


def near_identity(
    rng: np.random.Generator, seeds: int, degree: int, size: int, shrink: float, noise: float
) -> np.ndarray:
    """Start of W_k: a contracted identity for k = 0 plus noise, ``[seeds, degree + 1, size, size]``.

    Contracted, because idle directions that start at or above 1 blow up along long windows.
    """
    weights = noise * rng.standard_normal((seeds, degree + 1, size, size))
    weights[:, 0] += shrink * np.eye(size)
    return weights
