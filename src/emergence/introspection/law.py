"""Reading the law off a learnt update and its latents, without training towards the answer.

``W(V) = Σ_k (V/V₀)^k W_k`` advances the latents g; the density is read from them. What is
measured: the lattice spacing and the discretisation from the trace, the wave function from the
readout's gauge, the Schrödinger equation from second differences. Sources: arXiv:1901.11103 for the
questions; the algebra follows from ψ'' = Vψ on cells of constant V
(:mod:`emergence.introspection.schrodinger`).

Arrays are float64 with a leading axis over seeds. A seed whose update admits no answer (det W ≤ 0,
a singular gauge) gets NaN and leaves the others alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emergence.introspection.invariants import normalised_trace


def spacing_squared(weights: np.ndarray, unit: float) -> np.ndarray:
    """a² = dτ/dV at V = 0, where τ is :func:`normalised_trace`: the learnt lattice spacing.

    Args:
        weights: W_k, ``[seeds, degree + 1, n, n]`` with n = 2, or 3 for the density form.
        unit: V₀, 1/length².

    Returns:
        a² in length², ``[seeds]``.
    """
    # A complex step is a derivative to machine precision: τ is analytic in V and no difference of
    # nearby numbers is taken.
    step = 1e-30
    return np.imag(normalised_trace(weights[:, 0] + 1j * step * weights[:, 1])) / (step * unit)


def curvature(
    weights: np.ndarray,
    unit: float,
    potential: np.ndarray,
    spacing_squared: np.ndarray | None = None,
) -> np.ndarray:
    """Coefficient of x² in τ = τ₀ + x + …: 1/12 for ψ'' = Vψ, 0 on a lattice, ¾ for Euler's form.

    τ is fitted by a cubic in V on a grid. The laws differ by x²/12, 8e-4 at x = 0.1: the grid
    should reach |x| of 0.5 or more, and the update be of degree 2 or 3 in V.

    Args:
        weights: W_k, ``[seeds, degree + 1, n, n]`` with n = 2 or 3.
        unit: V₀, 1/length².
        potential: grid of V, ``[grid]``, at least 4 different values.
        spacing_squared: a² in x = a²V, ``[seeds]``; the slope of the same fit when not given.

    Returns:
        ``[seeds]``, dimensionless.
    """
    potential = np.asarray(potential, dtype=np.float64)
    scale = np.max(np.abs(potential))
    exponents = np.arange(weights.shape[1])
    powers = (potential[:, None] / unit) ** exponents
    trace = normalised_trace(np.einsum("gk,skab->sgab", powers, weights))
    inverse = np.linalg.pinv(np.vander(potential / scale, 4, increasing=True))
    coefficients = trace @ inverse.T
    slope = coefficients[:, 1] if spacing_squared is None else spacing_squared * scale
    return coefficients[:, 2] / slope**2


def least_squares(design: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear map without a constant, one for each seed.

    Args:
        design: ``[seeds, samples, n]``.
        target: ``[samples, m]`` or ``[seeds, samples, m]``.

    Returns:
        Coefficients ``[seeds, n, m]`` and R² ``[seeds, m]``. R² is taken against the variance about
        the mean, which a map without a constant is not given for free: it can be negative.
    """
    target = np.broadcast_to(target, (len(design), *target.shape[-2:]))
    pairs = zip(design, target, strict=True)
    coefficients = np.stack([np.linalg.lstsq(one, other, rcond=None)[0] for one, other in pairs])
    error = np.sum((design @ coefficients - target) ** 2, axis=1)
    total = np.sum((target - target.mean(axis=1, keepdims=True)) ** 2, axis=1)
    return coefficients, 1.0 - error / total


def readout_form(latent: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The quadratic form that reads the density from the latents, ρ = gᵀ A g.

    Args:
        latent: g, ``[seeds, samples, n]``.
        density: ρ, ``[samples]`` or ``[seeds, samples]``.

    Returns:
        A, symmetric, ``[seeds, n, n]``, and R² ``[seeds]``.
    """
    size = latent.shape[-1]
    rows, columns = np.triu_indices(size)
    coefficients, r_squared = least_squares(
        latent[..., rows] * latent[..., columns], density[..., None]
    )
    form = np.zeros((len(latent), size, size))
    form[:, rows, columns] = 0.5 * coefficients[..., 0]
    return form + np.swapaxes(form, 1, 2), r_squared[:, 0]


def rank_one(form: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest form of rank one, A ≈ q qᵀ: Born's rule ρ = (q·g)² when the defect vanishes.

    Args:
        form: A, symmetric, ``[seeds, n, n]``.

    Returns:
        q ``[seeds, n]``, its largest component positive (ψ and −ψ are the same), NaN where the
        leading eigenvalue is negative; and the defect |λ₂|/|λ₁| ``[seeds]``.
    """
    values, vectors = np.linalg.eigh(form)
    order = np.argsort(-np.abs(values), axis=1)
    values = np.take_along_axis(values, order, axis=1)
    leading = np.take_along_axis(vectors, order[:, None, :1], axis=2)[..., 0]
    largest = np.argmax(np.abs(leading), axis=1)
    sign = np.sign(np.take_along_axis(leading, largest[:, None], axis=1))
    norm = np.sqrt(np.where(values[:, :1] > 0.0, values[:, :1], np.nan))
    return sign * norm * leading, np.abs(values[:, 1] / values[:, 0])


def gauge_basis(update_at_zero: np.ndarray, q: np.ndarray, spacing: float) -> np.ndarray:
    """The change of basis B with rows q and (q W(0) − q)/a, which maps latents g to (ψ, ψ′).

    ψ = q·g is what is squared into the density; ψ′ is its difference over a next cell of V = 0.
    For M(0) = [[1, a], [0, 1]], which all laws in question share, B is exact for any a.

    Args:
        update_at_zero: W(0), ``[seeds, 2, 2]``.
        q: from :func:`rank_one`, ``[seeds, 2]``.
        spacing: a, length.

    Returns:
        ``[seeds, 2, 2]``.
    """
    slope = (np.einsum("sa,sab->sb", q, update_at_zero) - q) / spacing
    return np.stack([q, slope], axis=1)


def gauge(
    update: np.ndarray, update_at_zero: np.ndarray, q: np.ndarray, spacing: float
) -> np.ndarray:
    """The update in the basis of :func:`gauge_basis`, B W(V) B⁻¹: it should be M(V) itself.

    Args:
        update: W at a grid of V, ``[seeds, grid, 2, 2]``.

    Returns:
        ``[seeds, grid, 2, 2]``; NaN for a seed whose q is an eigenvector of W(0) (B singular).
    """
    basis = gauge_basis(update_at_zero, q, spacing)
    (a, b), (c, d) = np.moveaxis(basis, 0, -1)
    adjugate = np.stack([np.stack([d, -b], -1), np.stack([-c, a], -1)], -2)
    determinant = a * d - b * c
    determinant = np.where(determinant == 0.0, np.nan, determinant)
    inverse = adjugate / determinant[:, None, None]
    return basis[:, None] @ update @ inverse[:, None]


class SecondDifference(NamedTuple):
    """Regression of g_{i+1} − 2g_i + g_{i−1} on potential times g_i, each entry ``[seeds]``."""

    slope: np.ndarray
    """Estimate of a², length²."""

    slope_ratio: np.ndarray
    """The slope over the true a²."""

    r_squared: np.ndarray
    """With the solver's own rule for the potential at a site."""

    r_squared_other: np.ndarray
    """With the other solver's rule: for transfer-matrix data, V of one cell alone."""


def second_difference_regression(
    psi: np.ndarray, potential: np.ndarray, spacing: float, solver: str = "transfer_matrix"
) -> SecondDifference:
    """Does a latent obey the Schrödinger equation site by site? Slope and R², for each seed.

    Site i is the end of cell i, as in :func:`emergence.introspection.schrodinger.propagate`: the
    cells on its two sides are i and i + 1. For piecewise-constant potentials the second difference
    is a² ½(V_i + V_{i+1}) ψ_i up to O(a³); the central difference has a² V_{i+1} ψ_i exactly.
    Windows are weighted by their inverse mean square: growing solutions do not drown the others.

    Args:
        psi: ψ or a latent after each cell, ``[seeds, ..., sites]``.
        potential: V of each cell, broadcastable, ``[..., sites]``, 1/length².
        spacing: a, length.

    Raises:
        ValueError: the solver is unknown.
    """
    if solver not in ("transfer_matrix", "central_difference"):
        raise ValueError(f"unknown solver {solver!r}")
    psi = psi / np.sqrt(np.mean(psi**2, axis=-1, keepdims=True))
    bend = psi[..., 2:] - 2.0 * psi[..., 1:-1] + psi[..., :-2]
    ahead = potential[..., 2:] * psi[..., 1:-1]
    mean = 0.5 * (potential[..., 1:-1] + potential[..., 2:]) * psi[..., 1:-1]
    own, other = (mean, ahead) if solver == "transfer_matrix" else (ahead, mean)
    slope, r_squared = _through_origin(own, bend)
    _, r_squared_other = _through_origin(other, bend)
    return SecondDifference(slope, slope / spacing**2, r_squared, r_squared_other)


def _through_origin(regressor: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and R² about zero of target = slope · regressor, for each seed of the first axis."""
    axes = tuple(range(1, target.ndim))
    slope = np.sum(regressor * target, axis=axes) / np.sum(regressor**2, axis=axes)
    error = target - slope.reshape(-1, *[1] * len(axes)) * regressor
    return slope, 1.0 - np.sum(error**2, axis=axes) / np.sum(target**2, axis=axes)


def has_node(psi: np.ndarray) -> bool:
    """Whether ψ ``[..., sites]`` changes sign anywhere within a system."""
    return bool((np.signbit(psi[..., 1:]) != np.signbit(psi[..., :-1])).any())


def sign_changes(latent: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Does a latent change sign where the density has a node, and nowhere else?

    A latent that hides the amplitude √ρ, or a code of the density such as (ρ − t, 2s), does not.

    Args:
        latent: one latent, such as q·g, ``[seeds, ..., sites]``.
        psi: the solver's ψ, broadcastable, ``[..., sites]``.

    Returns:
        The fraction of ψ's nodes at which the latent changes sign between the same two sites, and
        the fraction of the latent's sign changes that are no node of ψ (0 for a latent that never
        changes sign); each ``[seeds]``.

    Raises:
        ValueError: ψ has no node.
    """
    if not has_node(psi):
        raise ValueError("psi has no node: choose longer windows or deeper potentials")
    nodes = np.signbit(psi[..., 1:]) != np.signbit(psi[..., :-1])
    changes = np.signbit(latent[..., 1:]) != np.signbit(latent[..., :-1])
    nodes = np.broadcast_to(nodes, changes.shape)
    axes = tuple(range(1, changes.ndim))
    found = np.sum(nodes & changes, axis=axes)
    total = np.sum(changes, axis=axes)
    return found / np.sum(nodes, axis=axes), (total - found) / np.maximum(total, 1)
