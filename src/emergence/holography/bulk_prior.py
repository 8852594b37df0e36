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

Every coupling that is fitted to noise costs what it seems to gain, once more, on other samples, and of
N²/2 of them a critical bulk has few that are there. So beside the maximum of the likelihood stands a
fit that keeps the couplings above the noise only, see :func:`shrunk`; from which noise on, is told by
samples that it was not fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import get_lapack_funcs
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


THRESHOLDS = (1.0, 2.0, 4.0, 8.0, 16.0, np.inf)
"""Powers, in those of the noise, that a coupling may have to exceed to be kept; infinite keeps none."""
FOLDS = 5
"""Parts of the samples that it is fitted to, by which one of these is chosen."""


@dataclass(frozen=True)
class BulkPrior:
    """A fitted prior, and what it gains over independent latents."""

    gain: Estimate
    """Nats of KL(theory ‖ flow) that it removes, the leading bias of the fit subtracted."""
    held_out: Estimate
    """The same, of samples that it was not fitted to, by halves."""
    selected: Estimate
    """As ``held_out``, with those couplings only that :func:`shrunk` keeps."""
    kept: float
    """Share of the couplings that it keeps, mean of both halves."""
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


@dataclass(frozen=True)
class Inverse:
    """The precision of latents whose covariance was fitted, and the determinant of that."""

    precision: np.ndarray
    """``[N, N]``, Hermitian."""
    log_determinant: float
    """Of the covariance."""

    @classmethod
    def of(cls, covariance: np.ndarray) -> Inverse:
        """Invert a Hermitian positive matrix from its Cholesky factor, which its determinant asks for too.

        Raises:
            SettingsError: if it is not positive.
        """
        factorise, invert = get_lapack_funcs(("potrf", "potri"), (covariance,))
        factor, failed = factorise(covariance, lower=True)
        if failed:
            raise SettingsError(
                f"The prior of {len(covariance)} latents cannot be fitted to so few samples.",
                "Draw more boundary samples.",
            )
        lower = np.tril(invert(factor, lower=True)[0])
        log_determinant = 2.0 * float(np.log(np.diagonal(factor).real).sum())
        return cls(lower + np.tril(lower, -1).conj().T, log_determinant)

    def gain(self, measured: np.ndarray) -> float:
        """⟨ln p_C − ln p_1⟩ of latents of another covariance."""
        return float(np.trace(measured).real - np.vdot(measured, self.precision).real) - (
            self.log_determinant
        )

    def own_gain(self, covariance: np.ndarray) -> float:
        """The same of the latents that it was fitted to, whose C⁻¹C is 1."""
        return float(np.trace(covariance).real) - len(covariance) - self.log_determinant


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
        fitted = Inverse.of(covariance)
        gains.append(fitted.own_gain(covariance))
        couplings.append(_couplings(fitted.precision, sampled, classes))
    whole = Inverse.of(full)
    value, error = jackknife(np.float64(whole.own_gain(full)), np.array(gains))
    squares, square_errors = jackknife(
        _couplings(whole.precision, sampled, classes), np.array(couplings)
    )
    size = np.sqrt(np.maximum(squares, 0.0))
    columns = [np.concatenate([one[i] for one in classes.values()]) for i in (0, 1, 2)]
    return BulkPrior(
        Estimate(float(value), float(error)),
        _held_out(sampled),
        *_selected(sampled),
        *columns,
        coupling=size,
        # Where the square is noise, its error is that of the root too.
        error=np.minimum(square_errors / np.maximum(2.0 * size, 1e-300), np.sqrt(square_errors)),
    )


def _held_out(sampled: BulkCovariance) -> Estimate:
    """Fitted to one half of the chunks, evaluated on each chunk of the other, both ways."""
    chunks = sampled.chunks
    first = np.arange(chunks) < chunks // 2
    values = []
    for half in (first, ~first):
        fitted = Inverse.of(sampled.dense(half / half.sum()))
        values += [fitted.gain(sampled.dense(one)) for one in np.eye(chunks)[~half]]
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(chunks)))


def shrunk(
    sampled: BulkCovariance, chunks: np.ndarray, threshold: float
) -> tuple[np.ndarray, float]:
    """The covariance of some chunks ``[N, N]`` with what is noise of it taken away, and the share kept.

    Two cells a given offset apart are correlated by one block for all their translations. Its distance
    from independence is shrunk by the share of noise in its power (James and Stein), and is dropped where
    its power is not ``threshold`` times that of the noise, which the scatter of the chunks tells.

    Args:
        chunks: which of them, indices; at least two.
    """
    kept, blocks = [], {}
    for (fine, coarse), every in sampled.blocks.items():
        some = every[chunks]
        mean = some.mean(axis=0)
        independent = np.zeros_like(mean)
        if fine == coarse:
            independent[0, 0] = np.eye(mean.shape[-1])
        power = np.sum(np.abs(mean - independent) ** 2, axis=(-2, -1))
        spread = np.sum(np.abs(some - mean) ** 2, axis=(0, -2, -1))
        noise = spread / (len(some) * (len(some) - 1))
        keep = power > threshold * noise
        factor = np.where(keep, 1.0 - noise / np.where(keep, power, 1.0), 0.0)
        blocks[fine, coarse] = (independent + factor[..., None, None] * (mean - independent))[None]
        kept.append(keep.ravel())
    found = BulkCovariance(sampled.table, blocks, sampled.circular, sampled.components)
    return found.dense(), float(np.concatenate(kept).mean())


def _mean_of(sampled: BulkCovariance, chunks: np.ndarray) -> np.ndarray:
    weights = np.zeros(sampled.chunks)
    weights[chunks] = 1.0 / len(chunks)
    return sampled.dense(weights)


def _chosen(sampled: BulkCovariance, chunks: np.ndarray) -> float:
    """The threshold whose fit to most of the chunks gains most on the rest of them, by turns."""
    gains = np.zeros(len(THRESHOLDS))
    for left_out in np.array_split(chunks, min(FOLDS, len(chunks) // 2)):
        rest, measured = np.setdiff1d(chunks, left_out), _mean_of(sampled, left_out)
        finite = THRESHOLDS[:-1]  # independent latents gain nothing
        gains[:-1] += [_safe_gain(shrunk(sampled, rest, one)[0], measured) for one in finite]
    return THRESHOLDS[int(np.argmax(gains))]


def _safe_gain(fitted: np.ndarray, measured: np.ndarray) -> float:
    """As :meth:`Inverse.gain`; no gain, where taking blocks away left nothing positive."""
    try:
        return Inverse.of(fitted).gain(measured)
    except SettingsError:
        return -np.inf


def _selected(sampled: BulkCovariance) -> tuple[Estimate, float]:
    """As :func:`_held_out` of the shrunk fit; each half chooses its threshold by itself."""
    halves = np.array_split(np.arange(sampled.chunks), 2)
    values, kept = [], []
    for own, other in (halves, halves[::-1]):
        if len(own) < 4:
            raise SettingsError(
                f"Of {sampled.chunks} chunks a half cannot be divided again to choose couplings by.",
                "Use at least 8 chunks.",
            )
        fitted, share = shrunk(sampled, own, _chosen(sampled, own))
        try:
            inverse = Inverse.of(fitted)
        except SettingsError:
            fitted, share = shrunk(sampled, own, np.inf)
            inverse = Inverse.of(fitted)
        values += [inverse.gain(sampled.dense(one)) for one in np.eye(sampled.chunks)[other]]
        kept.append(share)
    error = np.std(values, ddof=1) / np.sqrt(sampled.chunks)
    return Estimate(float(np.mean(values)), float(error)), float(np.mean(kept))


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


def _couplings(precision: np.ndarray, sampled: BulkCovariance, classes: Classes) -> np.ndarray:
    """Mean of Σ|partial correlation|² over the pairs of each class, ``[classes]``."""
    scale = np.sqrt(np.diagonal(precision).real)
    partial = np.abs(precision / scale / scale[:, None]) ** 2
    found = []
    for (fine, coarse), (*_, average) in classes.items():
        rows, columns = sampled.variables(fine), sampled.variables(coarse)[0, 0]
        # The matrix is that of one torus: pairs with the first coarse cell are as good as any.
        by_offset = partial[rows[..., :, None], columns].sum(axis=(-2, -1))
        found.append(average @ by_offset.ravel())
    return np.concatenate(found)
