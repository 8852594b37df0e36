"""What an update W(V) is, whatever basis its variables are in.

A learnt state is the physical one up to an unknown change of basis, W = R⁻¹ M R. Everything here
is invariant under it: traces and determinants, traces of words W(V₁)W(V₂)…, the existence of one R
that maps W(V) onto M(V) for all V, and the existence of a quadratic form kept by all W(V).

Arrays are float64 with a leading axis over seeds. An update that has not become a propagation can
have det W ≤ 0; what is undefined then is NaN for that seed and leaves the others alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def invariants(update: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trace and determinant of ``[..., n, n]``, each ``[...]``."""
    return np.trace(update, axis1=-2, axis2=-1), np.linalg.det(update)


def characteristic(update: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """e₁, e₂, e₃ of det(λ − W) = λ³ − e₁λ² + e₂λ − e₃ for ``[..., 3, 3]``, each ``[...]``.

    The density form of a 2 × 2 law of determinant 1 and trace τ has e₁ = e₂ = τ² − 1 and e₃ = 1.

    Raises:
        ValueError: the matrices are not 3 × 3.
    """
    if update.shape[-2:] != (3, 3):
        raise ValueError(f"expected 3 x 3 matrices, got {update.shape[-2:]}")
    trace, determinant = invariants(update)
    of_square = np.trace(update @ update, axis1=-2, axis2=-1)
    return trace, 0.5 * (trace**2 - of_square), determinant


def normalised_trace(update: np.ndarray) -> np.ndarray:
    """τ, the trace per √det of the 2 × 2 law behind an update: what tells discretisations apart.

    With x = a²V: 2 + x + x²/12 + x³/360 for ψ'' = Vψ, 2 + x for the central difference and
    2 + x + ¾x² for the first-order Euler form [[1, a], [aV, 1]].

    Args:
        update: ``[..., 2, 2]``, or ``[..., 3, 3]`` for the density form, the symmetric square,
            whose trace over det^{1/3} is τ² − 1; τ > 0 is assumed then, as near the identity.

    Returns:
        ``[...]``; NaN where det ≤ 0 or τ² < 0.

    Raises:
        ValueError: the matrices are neither 2 × 2 nor 3 × 3.
    """
    size = update.shape[-1]
    if size not in (2, 3):
        raise ValueError(f"expected 2 x 2 or 3 x 3 matrices, got {update.shape[-2:]}")
    trace, determinant = invariants(update)
    scale = np.where(np.real(determinant) > 0.0, determinant, np.nan) ** (1.0 / size)
    with np.errstate(invalid="ignore"):  # complex NaN warns where a real one does not
        ratio = trace / scale
    if size == 2:
        return ratio
    square = 1.0 + ratio
    return np.sqrt(np.where(np.real(square) >= 0.0, square, np.nan))


def word_traces(letters: np.ndarray, words: np.ndarray) -> np.ndarray:
    """tr[W(V₁) W(V₂) …] of words: a single V's trace does not fix a pair of matrices, words do.

    Args:
        letters: updates at the values of V of the alphabet, ``[seeds, k, n, n]``.
        words: indices into the alphabet, ``[m, length]``.

    Returns:
        ``[seeds, m]``.
    """
    product = letters[:, words[:, 0]]
    for column in words.T[1:]:
        product = product @ letters[:, column]
    return np.trace(product, axis1=-2, axis2=-1)


def word_trace_error(letters: np.ndarray, reference: np.ndarray, words: np.ndarray) -> np.ndarray:
    """RMS over words of the trace's error over the RMS of the reference's traces.

    Args:
        letters: ``[seeds, k, n, n]``.
        reference: exact updates at the same values of V, ``[k, n, n]``.
        words: ``[m, length]``.

    Returns:
        ``[seeds]``.
    """
    truth = word_traces(reference[None], words)
    error = word_traces(letters, words) - truth
    return np.sqrt(np.mean(error**2, axis=1) / np.mean(truth**2, axis=1))


class Similarity(NamedTuple):
    """One change of basis for all V, R W(V) = M(V) R."""

    ratio: np.ndarray
    """Smallest over next-smallest singular value ``[seeds]``: 0 when there is exactly one R."""

    basis: np.ndarray
    """R of unit Frobenius norm, up to its sign ``[seeds, n, n]``."""

    condition: np.ndarray
    """Condition number of R ``[seeds]``: infinite when R maps onto a part of the law only."""


def similarity(update: np.ndarray, reference: np.ndarray) -> Similarity:
    """Fit R in R W_k = M_k R for all k at once, as a null-space problem.

    Args:
        update: W at a grid of V, ``[seeds, grid, n, n]``.
        reference: M at the same grid, ``[grid, n, n]``.
    """
    seeds, grid, size, _ = update.shape
    identity = np.eye(size)
    # With rows stacked, vec(R W) = (1 ⊗ Wᵀ) vec R and vec(M R) = (M ⊗ 1) vec R.
    from_right = np.einsum("ac,skdb->skabcd", identity, update)
    from_left = np.einsum("kac,bd->kabcd", reference, identity)
    system = (from_right - from_left).reshape(seeds, grid * size**2, size**2)
    _, values, vectors = np.linalg.svd(system, full_matrices=False)
    basis = vectors[:, -1].reshape(seeds, size, size)
    return Similarity(values[:, -1] / values[:, -2], basis, np.linalg.cond(basis))


class InvariantForm(NamedTuple):
    """A quadratic form that all updates keep, WᵀQW = Q."""

    form: np.ndarray
    """Q, symmetric, of unit Frobenius norm and positive determinant, ``[seeds, n, n]``."""

    ratio: np.ndarray
    """Smallest over next-smallest singular value ``[seeds]``: 0 when there is exactly one Q."""

    residual: np.ndarray
    """Change of Q over the RMS change of all forms under the updates ``[seeds]``."""

    signature: np.ndarray
    """Numbers of positive and of negative eigenvalues of Q, integers ``[seeds, 2]``."""


def invariant_form(update: np.ndarray) -> InvariantForm:
    """Find the symmetric Q that changes least under all W(V), as a null-space problem.

    The density form of quantum mechanics keeps ρt − s², of signature (1, 2). Q and −Q are the same
    invariant; for n = 3 the sign with det Q > 0 is chosen, so that one positive and two negative
    eigenvalues come out as (1, 2) and a definite form as (3, 0). For even n the sign stays open.

    Args:
        update: W at a grid of V, ``[seeds, grid, n, n]``.
    """
    seeds, grid, size, _ = update.shape
    basis = _symmetric_basis(size)
    moved = np.einsum("skca,jcd,skdb->skabj", update, basis, update)
    system = moved - np.moveaxis(basis, 0, -1)
    system = system.reshape(seeds, grid * size**2, len(basis))
    _, values, vectors = np.linalg.svd(system, full_matrices=False)
    form = np.einsum("sj,jab->sab", vectors[:, -1], basis)
    form *= np.where(np.linalg.det(form) < 0.0, -1.0, 1.0)[:, None, None]
    eigenvalues = np.linalg.eigvalsh(form)
    signature = np.stack([np.sum(eigenvalues > 0.0, axis=1), np.sum(eigenvalues < 0.0, axis=1)], 1)
    # Updates near the identity change every form little: only the contrast between forms counts.
    residual = values[:, -1] / np.sqrt(np.mean(values**2, axis=1))
    return InvariantForm(form, values[:, -1] / values[:, -2], residual, signature)


def _symmetric_basis(size: int) -> np.ndarray:
    """Orthonormal basis of the symmetric matrices, ``[size (size + 1)/2, size, size]``."""
    elements = []
    for row, column in zip(*np.triu_indices(size), strict=True):
        element = np.zeros((size, size))
        element[row, column] = element[column, row] = 1.0 if row == column else np.sqrt(0.5)
        elements.append(element)
    return np.stack(elements)
