"""Information budgets of renormalisation maps, from samples, and the optimal linear map.

The chain rule I(φ_A:φ_B) = I(φ'_A:φ_B) + I(ζ_A:φ_B|φ'_A) is exact for every invertible step that
acts within A; the slides of arXiv:1903.00804 write I(ζ_A:ζ_B) for its last term. For Gaussian
fields and linear steps both are determinants (:mod:`.information`); here they are estimated from
samples of any step, by covariances: the defect of the chain rule then tells what the covariances of
a nonlinear step miss, and stands beside the defect of the slides' identity.

The total bulk information of a map is told by the multi-information of its latents, beside the sum
over pairs of :class:`.bulk_pairs.PairInformation`; the optimal map leaves none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emergence.errors import SettingsError
from emergence.holography.actions import check_side
from emergence.holography.bulk import BulkCovariance, grid_covariance
from emergence.holography.information import (
    InformationBudget,
    block_transform,
    information_budget,
)
from emergence.holography.linear_map import to_blocks
from emergence.holography.mutual_information import Estimate, jackknife

Decimator = Callable[[np.ndarray], np.ndarray]
"""Blocks ``[samples, n, n, 4]`` to (φ', ζ) ``[samples, n, n, 4]``, the coarse site first."""


def multi_information(covariance: np.ndarray, size: int = 1) -> float:
    """Σ_i H(ζ_i) − H(ζ), what all the latents share, nats.

    Args:
        covariance: of the latents ``[n·size, n·size]``, real, or complex of circular variables.
        size: components per latent (or per cell, to leave out what a cell's latents share).

    Raises:
        SettingsError: if the covariance is not positive definite.
    """
    try:
        factor = np.linalg.cholesky(covariance)
        cells = covariance.reshape(len(covariance) // size, size, -1, size)
        own = np.linalg.cholesky(cells[np.arange(len(cells)), :, np.arange(len(cells))])
    except np.linalg.LinAlgError as error:
        raise SettingsError(
            f"The covariance of {len(covariance)} latents is not positive definite.",
            "Estimate it from more samples than latents.",
        ) from error
    kappa = 1.0 if np.iscomplexobj(covariance) else 0.5
    parts = np.log(np.diagonal(own, axis1=-2, axis2=-1).real).sum()
    return 2.0 * kappa * float(parts - np.log(np.diagonal(factor).real).sum())


def bulk_multi_information(bulk: BulkCovariance, *, cells: bool = False) -> Estimate:
    """Multi-information of all latents of a layered bulk, its bias subtracted by the jackknife.

    Args:
        bulk: exact, or sampled.
        cells: between cells of blocks only, without what the latents of one cell share; needs as
            many latents in each cell, so the lone coarse site at the top is left out.

    Raises:
        SettingsError: if there are too few samples for so many latents.
    """
    size = bulk.components
    kept = np.arange(bulk.table.side**2 * size)
    if cells:
        inner = [level for level in bulk.table.cells if level < bulk.table.side.bit_length() - 1]
        kept = np.concatenate([bulk.variables(level).ravel() for level in inner])
        size = bulk.variables(inner[0]).shape[2]

    def value(weights: np.ndarray) -> float:
        return multi_information(bulk.dense(weights)[np.ix_(kept, kept)], size)

    chunks = bulk.chunks
    full = value(np.full(chunks, 1.0 / chunks))
    if chunks == 1:
        return Estimate(value=full, error=0.0)
    without = np.array([value(row) for row in (1.0 - np.eye(chunks)) / (chunks - 1)])
    corrected, error = jackknife(np.float64(full), without)
    return Estimate(value=float(corrected), error=float(error))


def _between(spectrum: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Blocks ``[k·v, k·w]`` between some cells, of a matrix that translations by cells leave alone.

    Args:
        spectrum: its Fourier transform by offset, ``[m, m, v, w]``.
        cells: row and column of each, ``[2, k]``.
    """
    rows, columns = (along[:, None] - along for along in cells)
    blocks = np.fft.ifft2(spectrum, axes=(0, 1))[rows, columns]
    return blocks.transpose(0, 2, 1, 3).reshape(
        len(blocks) * spectrum.shape[2], len(blocks) * spectrum.shape[3]
    )


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Of Hermitian matrices ``[..., v, v]``, which a covariance must leave positive.

    Raises:
        SettingsError: one is not positive definite.
    """
    values = np.linalg.eigvalsh(matrices)
    # Of too few samples the smallest is zero but for rounding.
    if not np.all(values[..., 0] > 1e-13 * values[..., -1]):
        raise SettingsError(
            f"The covariance of {matrices.shape[-1]} variables of each block is not positive "
            "definite.",
            "Estimate it from more samples than variables.",
        )
    return np.linalg.inv(matrices)


def _log_ratio(above: np.ndarray, below: np.ndarray) -> float:
    """ln of the ratio of two determinants."""
    return float(np.linalg.slogdet(above)[1] - np.linalg.slogdet(below)[1])


def _budget(grid: np.ndarray, cells: np.ndarray, channels: int) -> InformationBudget:
    """Budget from the covariance of (φ, φ', ζ) of blocks by offset, ``[m, m, 8c, 8c]``.

    Translations by blocks leave it alone: it is inverted momentum by momentum. With X = (φ', ζ)
    regressed on the whole field, X = Gφ + R, what B leaves open of X_A is
    Cov(X_A|φ_B) = Cov(R_A) + G_AA Cov(φ_A|φ_B) G_AA†, and Cov(φ_A|φ_B) is the inverse of the block
    of A of the inverse covariance. The determinants left are of as many variables as A has.

    Args:
        cells: row and column of the blocks of A, ``[2, k]``.
    """
    weight = 1.0 if np.iscomplexobj(grid) else 0.5
    spectrum = np.fft.fft2(grid, axes=(0, 1))
    spectrum = 0.5 * (spectrum + spectrum.conj().swapaxes(2, 3))
    field, step = slice(None, 4 * channels), slice(4 * channels, None)
    precision = _inverse(spectrum[..., field, field])
    open_field = _inverse(_between(precision, cells))
    regression = spectrum[..., step, field] @ precision
    noise = spectrum[..., step, step] - regression @ spectrum[..., field, step]
    own = _between(spectrum[..., step, step], cells)
    through = _between(regression, cells)
    left = _between(noise, cells) + through @ open_field @ through.conj().T
    details = spectrum[..., step, step][..., channels:, channels:]
    # φ' comes first in each block of X.
    coarse = np.arange(len(own)).reshape(-1, 4 * channels)[:, :channels].ravel()
    kept = [part[np.ix_(coarse, coarse)] for part in (own, left)]
    alone = _between(details, cells), _inverse(_between(_inverse(details), cells))
    share = _log_ratio(*kept)
    return InformationBudget(
        total=weight * _log_ratio(_between(spectrum[..., field, field], cells), open_field),
        coarse=weight * share,
        conditional=weight * (_log_ratio(own, left) - share),
        bulk=weight * _log_ratio(*alone),
    )


BUDGET = ("total", "coarse", "conditional", "bulk", "chain_defect", "slides_defect")
"""What :func:`sampled_budget` tells, see :class:`.information.InformationBudget`."""


def sampled_budget(
    field: np.ndarray,
    blocked: np.ndarray | Decimator,
    blocks: tuple[int, ...] = (0,),
    *,
    chunks: int = 20,
) -> dict[str, Estimate]:
    """Budget of one blocking step from samples of the true field, by Gaussian estimators.

    Covariances are averaged over the translations by blocks, under which field and step are
    invariant. The jackknife's bias is subtracted.

    Args:
        field: what the decimator acts on, ``[samples, L, L]``, complex (taken as circular) or real,
            or ``[samples, L, L, c]`` of real channels. With a disentangler, its output.
        blocked: the decimator, or its output (φ', ζ), ``[samples, L/2, L/2, 4]`` or ``[…, 4, c]``.
        blocks: of region A, row-major indices.
        chunks: of consecutive samples, longer than their autocorrelation.

    Raises:
        SettingsError: if the blocks are none or all, or the samples too few.
    """
    samples, side = field.shape[:2]
    check_side(side, power_of_two=True)
    parts = field[..., None] if field.ndim == 3 else field
    original = np.stack([to_blocks(part) for part in np.moveaxis(parts, -1, 0)], axis=-1)
    step = blocked
    if callable(blocked):
        step = blocked(original[..., 0] if field.ndim == 3 else original)
    step = step[..., None] if step.ndim == 4 else step
    joint = np.concatenate([original, step], axis=3).reshape(samples, *step.shape[1:3], -1)
    joint = joint - joint.mean(axis=(0, 1, 2))
    inside = np.zeros((side // 2) ** 2, dtype=bool)
    inside[list(blocks)] = True
    if inside.all() or not inside.any():
        raise SettingsError(
            f"A region of {int(inside.sum())} of {inside.size} blocks has no inside and outside.",
            "Choose at least one block and not all of them.",
        )
    size = samples // chunks if chunks > 1 else 0
    if size < 1:
        raise SettingsError(f"{samples} samples make no {chunks} chunks.", "Draw more samples.")
    grids = np.stack(
        [grid_covariance(part, part) for part in np.split(joint[: size * chunks], chunks)]
    )
    total = grids.mean(axis=0)
    cells = np.array(np.divmod(np.flatnonzero(inside), side // 2))

    def values(grid: np.ndarray) -> np.ndarray:
        budget = _budget(grid, cells, parts.shape[-1])
        return np.array([getattr(budget, name) for name in BUDGET])

    without = np.array([values((chunks * total - part) / (chunks - 1)) for part in grids])
    value, error = jackknife(values(total), without)
    return {
        name: Estimate(value=float(v), error=float(e))
        for name, v, e in zip(BUDGET, value, error, strict=True)
    }


def random_block(rng: np.random.Generator) -> np.ndarray:
    """A random orthogonal decimator ``[4, 4]``, uniform over the group."""
    q, r = np.linalg.qr(rng.standard_normal((4, 4)))
    return q * np.sign(np.diagonal(r))


def linear_budgets(
    covariance: np.ndarray, maps: dict[str, np.ndarray], blocks: tuple[int, ...] = (0,)
) -> dict[str, InformationBudget]:
    """Exact budgets of one linear blocking step ``[4, 4]`` of a Gaussian field, by name."""
    return {
        name: information_budget(covariance, block_transform(covariance, block), blocks)
        for name, block in maps.items()
    }
