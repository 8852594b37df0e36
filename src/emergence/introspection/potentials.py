"""Random potentials V(x) = (2m/ħ²)(U(x) − E): the three families of arXiv:1901.11103.

A left-to-right recurrence cannot know an eigenvalue, so the energy is folded into the potential and
V < 0 is classically allowed, V > 0 forbidden. Units: lengths in lattice units of the settings'
``spacing`` a, V in 1/length². Every function returns float64 arrays ``[batch, sites]``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit

FAMILIES = ("shallow", "deep", "rough")

SHALLOW_RANGE = (-3.0, -0.5)
"""Smooth & shallow: allowed everywhere, wavelengths of 36 to 90 sites at a = 0.1."""

DEEP_WELL_RANGE = (-9.0, -1.5)
DEEP_BARRIER_RANGE = (4.0, 6.0)
DEEP_ACTION_RANGE = (2.0, 2.5)
"""Smooth & deep: wells that cross V = 0 into barriers; ∫κdx between 2 and 3.1 (tunnelling)."""

ROUGH_RANGE = (-8.0, 4.0)
"""Rough: independent per site and uniform, mean −2 and variance 12."""

SITES_PER_BARRIER = 100
"""One barrier per so many sites (and at least one): each multiplies the density by up to e⁴, so a
fixed density of barriers keeps the growth of 500-site initial-value solutions within float64."""


def smooth_field(
    rng: np.random.Generator, batch: int, sites: int, spacing: float, correlation_length: float
) -> np.ndarray:
    """Stationary Gaussian field of zero mean and unit variance with Gaussian correlations.

    Args:
        correlation_length: ℓ in ⟨f(x)f(y)⟩ = exp(−(x−y)²/2ℓ²), length units.

    Returns:
        ``[batch, sites]``.
    """
    width = correlation_length / np.sqrt(2.0) / spacing
    reach = int(np.ceil(4.0 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel /= np.sqrt(np.sum(kernel**2))
    noise = rng.standard_normal((batch, sites + 2 * reach))
    windows = np.lib.stride_tricks.sliding_window_view(noise, 2 * reach + 1, axis=1)
    return windows @ kernel


def _squash(field: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Map a Gaussian field smoothly and monotonically into the open interval ``bounds``."""
    low, high = bounds
    return low + (high - low) * 0.5 * (1.0 + np.tanh(field))


def shallow(rng: np.random.Generator, batch: int, sites: int, spacing: float) -> np.ndarray:
    """Smooth & shallow: V within ``SHALLOW_RANGE``, negative everywhere."""
    return _squash(smooth_field(rng, batch, sites, spacing, 0.8), SHALLOW_RANGE)


def deep(rng: np.random.Generator, batch: int, sites: int, spacing: float) -> np.ndarray:
    """Smooth & deep: wells within ``DEEP_WELL_RANGE`` and barriers to tunnel through.

    Each barrier is a flat top with logistic flanks, wide enough for the flanks that the tunnelling
    integral ∫κ dx over its forbidden part comes out at or above the drawn ``DEEP_ACTION_RANGE``.
    """
    wells = _squash(smooth_field(rng, batch, sites, spacing, 0.8), DEEP_WELL_RANGE)
    barriers = max(1, sites // SITES_PER_BARRIER)
    stretch = sites / barriers
    position = np.arange(sites) + 0.5
    height = rng.uniform(*DEEP_BARRIER_RANGE, size=(batch, barriers, 1))
    width = rng.uniform(*DEEP_ACTION_RANGE, size=height.shape) / np.sqrt(height) / spacing
    flank = 0.06 / spacing
    margin = 0.5 * width + 7.0 * flank
    centre = margin + rng.uniform(size=height.shape) * np.maximum(stretch - 2.0 * margin, 0.0)
    centre = centre + stretch * np.arange(barriers)[None, :, None]
    distance = np.abs(position - centre)
    blend = expit((0.5 * width + 2.0 * flank - distance) / flank)
    potential = wells
    for index in range(barriers):
        share = blend[:, index]
        potential = potential * (1.0 - share) + height[:, index] * share
    return potential


def rough(rng: np.random.Generator, batch: int, sites: int, spacing: float) -> np.ndarray:
    """Rough: V independent per site and uniform on ``ROUGH_RANGE``, whatever the spacing."""
    return rng.uniform(*ROUGH_RANGE, size=(batch, sites))


def strong(
    rng: np.random.Generator,
    batch: int,
    sites: int,
    spacing: float,
    bounds: tuple[float, float] = (-0.5, 0.1),
) -> np.ndarray:
    """Rough with a²V uniform on ``bounds``: strong enough to tell one discretisation from another."""
    return rng.uniform(*bounds, size=(batch, sites)) / spacing**2


GENERATORS: dict[str, Callable[..., np.ndarray]] = {
    "shallow": shallow,
    "deep": deep,
    "rough": rough,
    "strong": strong,
}
