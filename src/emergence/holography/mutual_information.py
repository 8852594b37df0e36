"""Mutual information of two variables from samples: Gaussian, and by nearest neighbours.

A variable is ``[n]`` or ``[n, d]``, real or complex, one row per sample; values are in nats.

* Gaussian: I = −κ ln det(1 − Σ_x⁻¹ Σ_xy Σ_y⁻¹ Σ_yx), which is −ln(1 − |corr|²) for two circular
  complex numbers (κ = 1) and −½ ln(1 − corr²) for two real ones (κ = ½). For other than Gaussian
  variables it is what their correlations alone tell.
* Nearest neighbours (Kraskov, Stögbauer, Grassberger, cond-mat/0305641, their first estimator):
  no assumption on the law, for joint spaces of two to four dimensions, angles included.

Both are biased where there are few samples. The jackknife over chunks removes the leading bias of
the Gaussian one; for both, pairs shuffled between samples tell the floor that independence gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from emergence.errors import SettingsError

Estimator = Callable[[np.ndarray, np.ndarray], float]
"""Two variables ``[n]`` or ``[n, d]`` to nats."""


@dataclass(frozen=True)
class Estimate:
    """A number from samples."""

    value: float
    error: float
    """Standard error, from the jackknife over chunks."""
    floor: float = 0.0
    """What the same estimator says of shuffled, hence independent, pairs; 0 where not asked for."""

    @property
    def relative_error(self) -> float:
        """error / |value|; infinite for a value of zero."""
        return self.error / abs(self.value) if self.value else float("inf")


def as_vectors(variable: np.ndarray) -> np.ndarray:
    """``[n]`` or ``[n, d]`` as ``[n, d]`` float64 or complex128; raises ValueError otherwise."""
    variable = np.asarray(variable)
    if variable.ndim not in (1, 2):
        raise ValueError(f"A variable is [n] or [n, d]; this one is {list(variable.shape)}.")
    kind = np.complex128 if np.iscomplexobj(variable) else np.float64
    return variable.reshape(variable.shape[0], -1).astype(kind)


def as_real_vectors(variable: np.ndarray) -> np.ndarray:
    """Like :func:`as_vectors`, a complex component giving two real ones, ``[n, d or 2d]``."""
    vectors = as_vectors(variable)
    if np.iscomplexobj(vectors):
        return np.concatenate([vectors.real, vectors.imag], axis=1)
    return vectors


def canonical_information(
    x: np.ndarray, y: np.ndarray, cross: np.ndarray, *, circular: bool
) -> np.ndarray:
    """−κ ln det(1 − Σ_x⁻¹ Σ_xy Σ_y⁻¹ Σ_yx) from covariances, ``[...]`` nats.

    Args:
        x: Σ_x = ⟨x x†⟩, ``[..., v, v]``.
        y: Σ_y, ``[..., w, w]``.
        cross: Σ_xy = ⟨x y†⟩, ``[..., v, w]``; leading axes broadcast.
        circular: κ = 1, for complex variables without ⟨x xᵀ⟩; else κ = ½, for real ones.

    Raises:
        SettingsError: if the covariances are not those of non-degenerate variables.
    """
    try:
        root_x, root_y = np.linalg.cholesky(x), np.linalg.cholesky(y)
    except np.linalg.LinAlgError as error:
        raise SettingsError(
            "A variable whose mutual information is asked for has a degenerate covariance.",
            "Estimate it from more samples than components, or drop constant components.",
        ) from error
    half = np.linalg.solve(root_x, cross)
    whitened = np.linalg.solve(root_y, half.conj().swapaxes(-1, -2))
    canonical = np.linalg.svd(whitened, compute_uv=False)
    if np.any(canonical >= 1.0):
        raise SettingsError(
            "Two variables are correlated perfectly, or from too few samples.",
            "Estimate their mutual information from more samples.",
        )
    kappa = 1.0 if circular else 0.5
    return -kappa * np.sum(np.log1p(-(canonical**2)), axis=-1)


def gaussian_information(x: np.ndarray, y: np.ndarray) -> float:
    """Gaussian mutual information of the samples, nats; complex variables are taken as circular.

    Raises:
        SettingsError: for no more samples than components, or constant components.
    """
    x, y = as_vectors(x), as_vectors(y)
    circular = np.iscomplexobj(x) and np.iscomplexobj(y)
    if not circular:
        x, y = as_real_vectors(x), as_real_vectors(y)
    if len(x) <= x.shape[1] + y.shape[1]:
        raise SettingsError(
            f"{len(x)} samples do not tell the covariance of {x.shape[1] + y.shape[1]} components.",
            "Draw more samples.",
        )
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    covariances = (x.T @ x.conj(), y.T @ y.conj(), x.T @ y.conj())
    return float(canonical_information(*covariances, circular=circular))


def _torus(vectors: np.ndarray, period: float | None) -> np.ndarray:
    if period is None:
        return vectors
    wrapped = np.mod(vectors, period)
    # Rounding may give the period itself, which the tree does not take.
    return np.where(wrapped >= period, 0.0, wrapped)


def neighbour_information(
    x: np.ndarray, y: np.ndarray, *, neighbours: int = 4, period: float | None = None
) -> float:
    """Mutual information by nearest neighbours in the maximum norm, nats; it may fall below zero.

    I = ψ(k) + ψ(n) − ⟨ψ(n_x + 1) + ψ(n_y + 1)⟩, where n_x counts the samples that are nearer in x
    than the k-th neighbour in (x, y) is. Each component is scaled to unit variance first, which
    changes no mutual information but balances the norm.

    Args:
        x, y: real or complex; a complex component becomes two.
        neighbours: k: few give little bias, many little noise.
        period: of the components, if they are angles (they are then not scaled).

    Raises:
        SettingsError: if there are not more samples than neighbours.
    """
    x, y = as_real_vectors(x), as_real_vectors(y)
    count = len(x)
    if count <= neighbours:
        raise SettingsError(
            f"{count} samples have no {neighbours} neighbours each.", "Draw more samples."
        )
    if period is None:
        x, y = (part / np.maximum(part.std(axis=0), 1e-300) for part in (x, y))
    x, y = _torus(x, period), _torus(y, period)
    joint = cKDTree(np.concatenate([x, y], axis=1), boxsize=period)
    radius = joint.query(joint.data, k=neighbours + 1, p=np.inf)[0][:, -1]
    # Strictly nearer: a closed ball of the next smaller number.
    radius = np.nextafter(radius, 0.0)
    total = digamma(neighbours) + digamma(count)
    for part in (x, y):
        tree = cKDTree(part, boxsize=period)
        # The count includes the sample itself, so it is n_x + 1 already.
        inside = tree.query_ball_point(part, radius, p=np.inf, return_length=True)
        total -= float(np.mean(digamma(inside)))
    return float(total)


def jackknife(full: np.ndarray, left_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bias-corrected value and standard error from leaving out one chunk at a time.

    Args:
        full: the estimate from all chunks, ``[...]``.
        left_out: the estimates without chunk 0, 1, …, ``[chunks, ...]``.

    Raises:
        SettingsError: for fewer than two chunks.
    """
    chunks = len(left_out)
    if chunks < 2:
        raise SettingsError("One chunk of samples has no error.", "Use at least 2 chunks.")
    mean = left_out.mean(axis=0)
    spread = np.sum((left_out - mean) ** 2, axis=0) * (chunks - 1) / chunks
    return chunks * full - (chunks - 1) * mean, np.sqrt(spread)


def estimate(
    x: np.ndarray,
    y: np.ndarray,
    estimator: Estimator = gaussian_information,
    *,
    chunks: int = 20,
    shuffles: int = 2,
    correct: bool | None = None,
    rng: np.random.Generator,
) -> Estimate:
    """Mutual information with its error and its floor.

    Args:
        x, y: ``[n]`` or ``[n, d]``; neighbouring rows may be correlated, chunks may not.
        estimator: :func:`gaussian_information`, or :func:`neighbour_information` with its options.
        chunks: of consecutive samples, for the jackknife; a remainder is left out.
        shuffles: permutations of y that the floor is averaged over; 0 for none.
        correct: subtract the jackknife's bias. By default only for the Gaussian estimator, whose
            bias goes as 1/n; that of nearest neighbours does not.
        rng: of the shuffles only.

    Raises:
        SettingsError: for fewer than two chunks, or too few samples.
    """
    size = len(x) // chunks if chunks else 0
    if size < 1:
        raise SettingsError(f"{len(x)} samples make no {chunks} chunks.", "Draw more samples.")
    x, y = as_vectors(x)[: size * chunks], as_vectors(y)[: size * chunks]
    owner = np.arange(size * chunks) // size
    full = np.float64(estimator(x, y))
    left_out = np.array([estimator(x[owner != c], y[owner != c]) for c in range(chunks)])
    corrected, error = jackknife(full, left_out)
    if correct is None:
        correct = estimator is gaussian_information
    floors = [estimator(x, y[rng.permutation(len(y))]) for _ in range(shuffles)]
    return Estimate(
        value=float(corrected if correct else full),
        error=float(error),
        floor=float(np.mean(floors)) if floors else 0.0,
    )
