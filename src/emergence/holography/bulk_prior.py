"""The second training stage: with the map frozen, the bulk learns its own prior, the effective action.

The flow's prior makes all latents independent. True samples pushed through the inverse map are not,
as far as the map is imperfect; a prior p_C fitted to them removes that part of KL(theory ‖ flow).

A latent becomes the complex number ζ whose prior is the circular Gaussian e^{−|ζ|²}/π: for polar
splines |ζ|² = −ln(1 − Φ(s)) at the angle θ, for real NVP the two normals over √2. The family is

    p_C(ζ) = e^{−ζ†C⁻¹ζ}/(π^N det C),   S_bulk = Σ_ij (C⁻¹)_ij ζ_i*ζ_j,

with C invariant under translations by cells and under U(1): normalised, hence an exact likelihood;
independent latents are C = 1; and the maximum of the likelihood is in closed form, C = ⟨ζζ†⟩. It
lowers the KL by −ln det C nats. What it cannot remove are correlations other than those of ζ with
ζ*; of phasors it sees (π/4)², as the size of ζ is independent of what the angles do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from emergence.errors import SettingsError
from emergence.holography.bulk import BulkCovariance, BulkTable
from emergence.holography.bulk_pairs import pair_classes
from emergence.holography.mutual_information import Estimate, jackknife


def gaussian_latents(coordinates: np.ndarray, *, polar: bool) -> np.ndarray:
    """Coordinates ``[samples, ..., 2]`` as ζ, complex ``[samples, N]``; standard under the prior."""
    if polar:
        radius = np.sqrt(-log_ndtr(-coordinates[..., 0]))
        zeta = radius * np.exp(1j * coordinates[..., 1])
    else:
        zeta = (coordinates[..., 0] + 1j * coordinates[..., 1]) / np.sqrt(2.0)
    return zeta.reshape(len(zeta), -1)


@dataclass(frozen=True)
class BulkPrior:
    """A fitted prior, and what it gains over independent latents."""

    gain: Estimate
    """Nats of KL(theory ‖ flow) that it removes, the leading bias of the fit subtracted."""
    held_out: Estimate
    """The same, of samples that it was not fitted to, by halves."""
    level: np.ndarray
    """``[classes]``: of the finer cell of each class of pairs of cells."""
    other: np.ndarray
    """``[classes]``: of the coarser cell."""
    separation: np.ndarray
    """``[classes]``: |Δx|, lattice units."""
    coupling: np.ndarray
    """``[classes]``: root of Σ|(C⁻¹)_ab|²/((C⁻¹)_aa (C⁻¹)_bb) over the latents of both cells, mean of
    the squares over the pairs of the class: partial correlations."""
    error: np.ndarray
    """``[classes]``: standard error."""


def log_determinant(covariance: np.ndarray) -> float:
    """ln det of a Hermitian positive matrix.

    Raises:
        SettingsError: if it is not positive.
    """
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise SettingsError(
            f"The prior of {len(covariance)} latents cannot be fitted to so few samples.",
            "Draw more boundary samples.",
        ) from error
    return 2.0 * float(np.log(np.diagonal(factor).real).sum())


def fit(zeta: np.ndarray, table: BulkTable, *, chunks: int = 20) -> BulkPrior:
    """Fit the prior to latents of true samples.

    Args:
        zeta: complex ``[samples, N]``, from :func:`gaussian_latents`.
        chunks: of consecutive samples, longer than their autocorrelation.

    Raises:
        SettingsError: if the samples are too few for the covariance of the latents.
    """
    sampled = BulkCovariance.sampled(zeta, table, chunks=chunks)
    every = np.full(chunks, 1.0 / chunks)
    rows = (1.0 - np.eye(chunks)) / (chunks - 1)
    full = sampled.dense(every)
    classes = _classes(table)
    gains, couplings = [], []
    for weights in rows:
        covariance = sampled.dense(weights)
        gains.append(_gain(covariance, covariance))
        couplings.append(_couplings(covariance, sampled, classes))
    value, error = jackknife(np.float64(_gain(full, full)), np.array(gains))
    squares, square_errors = jackknife(_couplings(full, sampled, classes), np.array(couplings))
    size = np.sqrt(np.maximum(squares, 0.0))
    columns = [np.concatenate([one[i] for one in classes.values()]) for i in (0, 1, 2)]
    return BulkPrior(
        Estimate(float(value), float(error)),
        _held_out(sampled),
        *columns,
        coupling=size,
        # Where the square is noise, its error is that of the root too.
        error=np.minimum(square_errors / np.maximum(2.0 * size, 1e-300), np.sqrt(square_errors)),
    )


def _gain(fitted: np.ndarray, measured: np.ndarray) -> float:
    """⟨ln p_C − ln p_1⟩ of the latents of covariance ``measured``."""
    trace = float(np.trace(measured).real - np.trace(np.linalg.solve(fitted, measured)).real)
    return trace - log_determinant(fitted)


def _held_out(sampled: BulkCovariance) -> Estimate:
    """Fitted to one half of the chunks, evaluated on each chunk of the other, both ways."""
    chunks = sampled.chunks
    first = np.arange(chunks) < chunks // 2
    values = []
    for half in (first, ~first):
        fitted = sampled.dense(half / half.sum())
        values += [_gain(fitted, sampled.dense(one)) for one in np.eye(chunks)[~half]]
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(chunks)))


Classes = dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


def _classes(table: BulkTable) -> Classes:
    """Of each two levels: levels and separations ``[classes]``, averaging ``[classes, n²]``."""
    found = {}
    levels = list(table.cells)
    for position, fine in enumerate(levels):
        for coarse in levels[position:]:
            separation, _, _, average = pair_classes(table, fine, coarse)
            if separation.size:
                ones = np.ones(separation.size, dtype=int)
                found[fine, coarse] = (fine * ones, coarse * ones, separation, average)
    return found


def _couplings(covariance: np.ndarray, sampled: BulkCovariance, classes: Classes) -> np.ndarray:
    """Mean of Σ|partial correlation|² over the pairs of each class, ``[classes]``."""
    precision = np.linalg.inv(covariance)
    scale = np.sqrt(np.diagonal(precision).real)
    partial = np.abs(precision / scale / scale[:, None]) ** 2
    found = []
    for (fine, coarse), (*_, average) in classes.items():
        rows, columns = sampled.variables(fine), sampled.variables(coarse)[0, 0]
        # The matrix is that of one torus: pairs with the first coarse cell are as good as any.
        by_offset = partial[rows[..., :, None], columns].sum(axis=(-2, -1))
        found.append(average @ by_offset.ravel())
    return np.concatenate(found)
