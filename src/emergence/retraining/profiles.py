"""Where the energy of a lattice sits: bond by bond, in the bulk, and as a function of size.

The energy per site of an open chain is a poor estimate of the bulk's, as the two ends cost energy.
What is free of the edges:
    central      the energy per site of the middle half of the chain,
    difference   (E(N₂) − E(N₁)) / (N₂ − N₁) of two sizes, in which the ends cancel,
    fit          e∞ of E/N = e∞ + a/N + b/N².
Arrays are by seed, ``[seeds, ...]``; errors are standard errors, of sampling.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from emergence.errors import SettingsError
from emergence.retraining.models import Ising, Model


class Estimate(NamedTuple):
    """A number with its standard error, or arrays of both."""

    value: np.ndarray
    error: np.ndarray


def has_two_ends(model: Model) -> bool:
    """Whether it is an open chain."""
    return model.lattice.geometry == "chain" and not model.lattice.periodic


def _open_chain(model: Model) -> None:
    if not has_two_ends(model):
        raise SettingsError(
            f"The {model} has no two ends.", "Choose an open chain for profiles of the energy."
        )


def bond_weights(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """How terms of the Hamiltonian add up to an energy on every nearest-neighbour bond.

    A field term is shared by the bonds at its site: half by each inside the chain. The outermost
    sites give half of theirs to their only bond, so that every bond of a uniform chain has the
    energy per site. A second-neighbour term is shared by the two bonds under it.

    Returns:
        weights of ``model.bonds`` ``[N − 1, bonds]`` and of the moves ``[N − 1, moves]``.

    Raises:
        SettingsError: not an open chain.
    """
    _open_chain(model)
    sites, pairs = model.sites, model.bonds.pairs
    bond = np.arange(sites - 1)[:, None]
    under = (pairs[:, 0] <= bond) & (bond < pairs[:, 1])
    diagonal = under / (pairs[:, 1] - pairs[:, 0])
    if not isinstance(model, Ising):
        return diagonal, diagonal  # a move of theirs is the exchange of a bond
    site = np.arange(sites)
    return diagonal, 0.5 * ((site == bond) | (site == bond + 1))


def bond_profile(model: Model, diagonal: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Energy of every nearest-neighbour bond, ``[..., N − 1, samples]`` or ``[N − 1]``.

    Args:
        diagonal: diagonal term of ``model.bonds``, ``[..., bonds, samples]`` or ``[bonds]``.
        moving: off-diagonal term of every move, ``[..., moves, samples]`` or ``[moves]``.

    Raises:
        SettingsError: not an open chain.
    """
    weights = bond_weights(model)
    return weights[0] @ diagonal + weights[1] @ moving


def sides(profile: np.ndarray) -> np.ndarray:
    """ε_b − ε_b' of each bond b of the left half and its mirror image b', ``[..., pairs, samples]``.

    Args:
        profile: ``[..., N − 1, samples]``.
    """
    return (profile - profile[..., ::-1, :])[..., : profile.shape[-2] // 2, :]


def central_bonds(sites: int) -> np.ndarray:
    """Share of every bond in the energy per site of the middle half, ``[N − 1]``, sum 1.

    Symmetric about the middle; odd and even bonds, which differ in an antiferromagnet, share alike.
    """
    count = sites - 1
    reach = max(1, sites // 4)
    offset = np.abs(np.arange(count) - (count - 1) / 2.0)
    # Bonds inside count fully, the two at the rim by half where one bond is the middle.
    share = np.clip(reach + 0.5 - offset, 0.0, 1.0)
    return share / share.sum()


def size_difference(smaller: Estimate, larger: Estimate, sites: tuple[int, int]) -> Estimate:
    """(E(N₂) − E(N₁)) / (N₂ − N₁) from total energies of ``sites`` = (N₁, N₂)."""
    span = sites[1] - sites[0]
    return Estimate(
        (larger.value - smaller.value) / span, np.hypot(larger.error, smaller.error) / span
    )


class Fit(NamedTuple):
    """A weighted least-squares fit of a polynomial."""

    coefficients: np.ndarray
    """Lowest order first."""
    errors: np.ndarray
    """Standard errors; enlarged by √(χ²/dof) where the points scatter by more than theirs."""
    chi_squared: float
    freedom: int


def fit_polynomial(x: np.ndarray, y: Estimate, order: int) -> Fit:
    """Fit y = Σ_k c_k xᵏ, k ≤ ``order``, to points ``[points]``.

    Raises:
        SettingsError: fewer points than coefficients.
    """
    x, value, error = (np.asarray(array, dtype=float) for array in (x, *y))
    error = np.maximum(error, 1e-14 * np.max(np.abs(value)))  # an exact point has rounding left
    if len(x) <= order:
        raise SettingsError(
            f"A polynomial of order {order} cannot be fitted to {len(x)} points.",
            "Grow to more sizes, or choose a lower order.",
        )
    design = np.vander(x, order + 1, increasing=True) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    coefficients = covariance @ design.T @ (value / error)
    chi_squared = float(np.sum((value / error - design @ coefficients) ** 2))
    freedom = len(x) - order - 1
    scatter = max(1.0, chi_squared / freedom) if freedom else 1.0
    return Fit(coefficients, np.sqrt(np.diag(covariance) * scatter), chi_squared, freedom)


def fit_sizes(lengths: np.ndarray, per_site: Estimate) -> Fit:
    """E/N = e∞ + a/L, and + b/L² from four sizes on; points ``[sizes]``, e∞ the first coefficient.

    Raises:
        SettingsError: fewer than two sizes.
    """
    order = 2 if len(lengths) >= 4 else 1
    return fit_polynomial(1.0 / np.asarray(lengths, dtype=float), per_site, order)


ASYMPTOTIC = 10.0
"""Checkpoints whose variance is within this factor of the smallest are extrapolated."""


def zero_variance(history: pd.DataFrame) -> Estimate:
    """Energy extrapolated to zero variance over the checkpoints of one seed's training.

    An eigenstate has no variance, and close to one E − E₀ ∝ variance. NOT variational: the result
    may lie below the ground state, and its error is that of a straight line, which the points need
    not follow.

    Args:
        history: columns ``loss`` (energy) and ``variance``, one row per checkpoint.

    Returns:
        energy and standard error; NaN where fewer than four checkpoints are near the end.
    """
    energy, variance = (history[name].to_numpy(dtype=float) for name in ("loss", "variance"))
    kept = np.isfinite(energy) & np.isfinite(variance) & (variance > 0.0)
    if not kept.any():
        return Estimate(np.nan, np.nan)
    kept &= variance <= ASYMPTOTIC * variance[kept].min()
    # Neighbours in time; an early checkpoint of low variance by chance tells nothing.
    kept &= np.arange(len(kept)) >= len(kept) // 2
    if kept.sum() < 4 or np.ptp(variance[kept]) == 0.0:
        return Estimate(np.nan, np.nan)
    # The scatter of a mean of local energies grows with their deviation.
    fit = fit_polynomial(variance[kept], Estimate(energy[kept], np.sqrt(variance[kept])), 1)
    # Its unit is unknown, so the scatter about the line alone sets the error.
    error = fit.errors[0] * np.sqrt(min(1.0, fit.chi_squared / max(fit.freedom, 1)))
    return Estimate(fit.coefficients[0], error)


def central_pairs(sites: int, distances: np.ndarray) -> np.ndarray:
    """Sites (i, i + r) about the middle, i = ⌊N/2⌋ − ⌊r/2⌋, ``[distances, 2]``."""
    first = sites // 2 - np.asarray(distances) // 2
    return np.stack([first, first + distances], axis=1)


def correlations(samples: np.ndarray, distances: np.ndarray) -> Estimate:
    """⟨s_i s_{i+r}⟩ about the middle of independent samples ±1 ``[seeds, samples, sites]``.

    Returns:
        value and standard error, ``[seeds, distances]``.
    """
    first, second = central_pairs(samples.shape[2], distances).T
    product = samples[..., first].astype(np.float64) * samples[..., second]
    count = product.shape[1]
    return Estimate(product.mean(axis=1), product.std(axis=1, ddof=1) / np.sqrt(count))


class Asymmetry(NamedTuple):
    """Left against right, over all pairs of mirrored bonds, ``[seeds]`` each."""

    in_errors: np.ndarray
    """Root mean square in units of the standard error: 1 where nothing but noise is there."""
    absolute: np.ndarray
    """Root mean square, with the square of the error taken off; 0 where nothing is left."""


def asymmetry_strength(difference: Estimate) -> Asymmetry:
    """The strength of mean :func:`sides` ``[seeds, pairs]`` (several sizes may be concatenated)."""
    ratio = difference.value / np.maximum(difference.error, 1e-300)
    excess = np.mean(difference.value**2 - difference.error**2, axis=1)
    return Asymmetry(np.sqrt(np.mean(ratio**2, axis=1)), np.sqrt(np.maximum(excess, 0.0)))
