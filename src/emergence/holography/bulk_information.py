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
    conditional_mutual_information,
    information_budget,
    mutual_information,
)
from emergence.holography.linear_map import to_blocks
from emergence.holography.mutual_information import Estimate, jackknife

Decimator = Callable[[np.ndarray], np.ndarray]
"""Blocks ``[samples, n, n, 4]`` to (φ', ζ) ``[samples, n, n, 4]``, the coarse site first."""


def real_covariance(covariance: np.ndarray) -> np.ndarray:
    """Circular complex ``[n, n]`` to real ``[2n, 2n]``, (real, imaginary) of each variable; a real
    covariance as it is."""
    if not np.iscomplexobj(covariance):
        return covariance
    size = len(covariance)
    parts = np.array([[covariance.real, -covariance.imag], [covariance.imag, covariance.real]])
    return 0.5 * parts.transpose(2, 0, 3, 1).reshape(2 * size, 2 * size)


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


def _budget(grid: np.ndarray, inside: np.ndarray, channels: int) -> InformationBudget:
    """Budget from the covariance of (φ, φ', ζ) of blocks by offset, ``[m, m, 8c, 8c]``."""
    m = len(grid)
    j = np.arange(m)
    offset = (j[:, None] - j) % m
    dense = grid[offset[:, None, :, None], offset[None, :, None, :]]
    dense = dense.transpose(0, 1, 4, 2, 3, 5).reshape(m * m * 8 * channels, -1)
    doubled = 2 if np.iscomplexobj(dense) else 1
    covariance = real_covariance(0.5 * (dense + dense.conj().T))
    variables = np.arange(len(covariance)).reshape(m * m, 8, channels * doubled)
    own, outside = variables[inside], variables[~inside]
    field, coarse, details = own[:, :4], own[:, 4], own[:, 5:]
    return InformationBudget(
        total=mutual_information(covariance, field, outside[:, :4]),
        coarse=mutual_information(covariance, coarse, outside[:, :4]),
        conditional=conditional_mutual_information(covariance, details, outside[:, :4], coarse),
        bulk=mutual_information(covariance, details, outside[:, 5:]),
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

    def values(grid: np.ndarray) -> np.ndarray:
        budget = _budget(grid, inside, parts.shape[-1])
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
