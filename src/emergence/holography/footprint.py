"""Local in the bulk is global on the boundary: footprints of latents, and correlation lengths.

One latent of a level is changed and the field generated anew. Where the field has moved, mean
|Δφ|(x) over the other latents, is the latent's footprint; its area should grow as (2^ℓ)². Beside it
stands how far the latents themselves are correlated within their layer, in cells, against the
boundary: a massive bulk under a critical boundary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emergence.errors import SettingsError
from emergence.holography.bulk import BulkTable, grid_covariance
from emergence.holography.mutual_information import Estimate, jackknife

Generate = Callable[[np.ndarray], np.ndarray]
"""Latents ``[batch, N]`` or ``[batch, N, c]`` to fields ``[batch, L, L]`` or ``[…, c]``."""

Prior = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""Fresh values of latents of a shape."""

NOISE = 1e-12
"""A field that moves by less than this share of its size has not moved."""


def standard_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The prior of real latents."""
    return rng.standard_normal(shape)


@dataclass(frozen=True)
class Footprint:
    """What one latent of a level moves on the boundary."""

    level: int
    mean: np.ndarray
    """Mean |Δφ|, ``[L, L]``; the latent's cell is brought to the middle."""
    participation: Estimate
    """(Σ|Δφ|)²/Σ|Δφ|² of the mean footprint, sites: the area if it were flat."""
    half_maximum: Estimate
    """Sites where the mean |Δφ| exceeds half of its maximum."""

    @property
    def share(self) -> float:
        """Participation area over that of the lattice."""
        return self.participation.value / self.mean.size


def participation(footprint: np.ndarray) -> np.ndarray:
    """(Σf)²/Σf² of footprints ``[..., L, L]``."""
    return np.sum(footprint, axis=(-2, -1)) ** 2 / np.sum(footprint**2, axis=(-2, -1))


def half_maximum(footprint: np.ndarray) -> np.ndarray:
    """Sites above half of the maximum of footprints ``[..., L, L]``."""
    peak = footprint.max(axis=(-2, -1), keepdims=True)
    return np.sum(footprint > 0.5 * peak, axis=(-2, -1)).astype(float)


def _moved(generate: Generate, latents: np.ndarray, changed: np.ndarray) -> np.ndarray:
    before, after = generate(latents), generate(changed)
    difference = np.abs(after - before)
    return np.linalg.norm(difference, axis=-1) if difference.ndim == 4 else difference


def footprint(
    generate: Generate,
    latents: np.ndarray,
    table: BulkTable,
    level: int,
    *,
    prior: Prior = standard_normal,
    strength: float = 1.0,
    chunks: int = 10,
    rng: np.random.Generator,
) -> Footprint:
    """Footprint of the latents of one level.

    Each sample has one latent changed, of a random cell and member; the footprint is shifted by
    whole cells, which the map commutes with, so that the cell lies in the middle of the lattice.

    Args:
        generate: the map, NumPy to NumPy.
        latents: ``[samples, N]`` or ``[samples, N, c]``, drawn from the prior.
        strength: 1 draws the latent anew; less moves it that share of the way there.
        chunks: for the jackknife.

    Raises:
        SettingsError: if there are fewer samples than chunks, or nothing moves at all.
    """
    samples = len(latents)
    size = samples // chunks if chunks > 1 else 0
    if size < 1:
        raise SettingsError(f"{samples} samples make no {chunks} chunks.", "Draw more samples.")
    latents = latents[: size * chunks]
    members = table.cells[level]
    n, per_cell = len(members), members.shape[2]
    row, column = rng.integers(n, size=(2, len(latents)))
    chosen = members[row, column, rng.integers(per_cell, size=len(latents))]
    every = np.arange(len(latents))
    changed = latents.copy()
    fresh = prior(rng, latents[every, chosen].shape)
    changed[every, chosen] += strength * (fresh - latents[every, chosen])
    moved = _moved(generate, latents, changed)
    if not moved.max() > NOISE:
        raise SettingsError(
            f"No latent of level {level} moves the boundary.", "Check the weights of the map."
        )
    spacing, middle = table.spacing(level), n // 2
    shifts = spacing * (middle - np.stack([row, column], axis=1))
    moved = np.array(
        [np.roll(f, tuple(s), axis=(0, 1)) for f, s in zip(moved, shifts, strict=True)]
    )
    by_chunk = moved.reshape(chunks, size, *moved.shape[1:]).mean(axis=1)
    mean = by_chunk.mean(axis=0)
    without = (chunks * mean - by_chunk) / (chunks - 1)
    areas = []
    for area in (participation, half_maximum):
        value, (_, error) = area(mean), jackknife(area(mean), area(without))
        areas.append(Estimate(value=float(value), error=float(error)))
    return Footprint(level, mean, *areas)


def footprints(
    generate: Generate,
    latents: np.ndarray,
    table: BulkTable,
    *,
    rng: np.random.Generator,
    **options,
) -> list[Footprint]:
    """One :func:`footprint` per level of details, from the boundary up."""
    levels = range(table.side.bit_length() - 1)
    return [footprint(generate, latents, table, level, rng=rng, **options) for level in levels]


def growth(prints: list[Footprint], *, largest: float = 0.5) -> Estimate:
    """Exponent of area ∝ (2^ℓ)^exponent, 2 for a local map; weighted by the areas' errors.

    Args:
        largest: footprints over a larger share of the lattice are left out: they saturate.

    Raises:
        SettingsError: if fewer than three levels are left: two tell no scatter about a power law.
    """
    kept = [one for one in prints if one.share <= largest]
    if len(kept) < 3:
        raise SettingsError(
            f"{len(kept)} footprints do not fill the lattice, too few for a slope and its error.",
            "Use a larger lattice.",
        )
    level = np.array([float(one.level) for one in kept])
    area = np.array([one.participation.value for one in kept])
    relative = np.array([one.participation.error for one in kept]) / area
    # Exact areas have rounding for an error; equal weights are then as good as any.
    weight = 1.0 / np.maximum(relative, 1e-3)
    design = np.stack([np.ones_like(level), level * np.log(2.0)], axis=1)
    gain = np.linalg.pinv(design * weight[:, None])[1] * weight
    residual = (
        np.log(area)
        - design @ np.linalg.lstsq(design * weight[:, None], np.log(area) * weight, rcond=None)[0]
    )
    spread = np.sum(residual**2) / (len(kept) - 2)
    error = np.sqrt(np.sum(gain**2 * (relative**2 + spread)))
    return Estimate(value=float(gain @ np.log(area)), error=float(error))


def second_moment_length(correlation: np.ndarray) -> np.ndarray:
    """ξ = √(χ/F − 1)/(2 sin(π/n)) in sites, of correlations ``[..., n, n]`` by displacement.

    χ sums them, F weights them with cos(2πx/n), both directions averaged. Zero where they do not
    fall off as a mass would (χ ≤ F), infinite where F ≤ 0.
    """
    n = correlation.shape[-1]
    wave = np.cos(2.0 * np.pi * np.arange(n) / n)
    total = correlation.sum(axis=(-2, -1))
    wavy = 0.5 * (
        (correlation * wave).sum(axis=(-2, -1)) + (correlation * wave[:, None]).sum((-2, -1))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        square = np.where(wavy > 0.0, total / wavy - 1.0, np.inf)
    return np.sqrt(np.maximum(square, 0.0)) / (2.0 * np.sin(np.pi / n))


def _power(covariance: np.ndarray) -> np.ndarray:
    """Σ|C_ab(o)|² over the components, whitened, ``[..., n, n]``."""
    root = np.linalg.cholesky(covariance[..., 0, 0, :, :])[..., None, None, :, :]
    half = np.linalg.solve(root, covariance)
    whitened = np.linalg.solve(root, half.conj().swapaxes(-1, -2))
    return np.sum(np.abs(whitened) ** 2, axis=(-2, -1))


def correlation_length(blocks: np.ndarray) -> Estimate:
    """How far a layer is correlated, in its own cells, blind to the signs of its correlations.

    It is the second moment of the squared correlation, doubled, since the square of e^(−r/ξ) falls
    off twice as fast. The noise of the squares is subtracted by the jackknife.

    Args:
        blocks: ``[chunks, n, n, v, v]`` of :class:`.bulk.BulkCovariance`, n ≥ 4; the boundary field
            is a layer with cells of one site, see :func:`boundary_covariance`.

    Raises:
        SettingsError: if the layer has fewer than four cells a side.
    """
    if blocks.shape[1] < 4:
        raise SettingsError(
            f"A layer of {blocks.shape[1]} cells a side has no correlation length.",
            "Use a larger lattice or a layer nearer the boundary.",
        )
    chunks, mean = len(blocks), blocks.mean(axis=0)
    if chunks == 1:
        return Estimate(value=2.0 * float(second_moment_length(_power(mean))), error=0.0)
    full = _power(mean)
    without = _power((chunks * mean - blocks) / (chunks - 1))
    power, _ = jackknife(full, without)
    bias = full - power
    # The bias of a power without one chunk is that of all, up to 1/chunks.
    replicas = second_moment_length(without - bias * chunks / (chunks - 1))
    value = 2.0 * float(second_moment_length(power))
    if not np.isfinite(replicas).all() or not np.isfinite(value):
        raise SettingsError(
            "The correlations of the layer are noise at long distance.", "Draw more samples."
        )
    return Estimate(value=value, error=2.0 * float(jackknife(replicas.mean(), replicas)[1]))


def boundary_covariance(field: np.ndarray, *, chunks: int = 20) -> np.ndarray:
    """Covariance of a boundary field ``[samples, L, L]`` by displacement, ``[chunks, L, L, 1, 1]``.

    Raises:
        SettingsError: if the samples make no chunks.
    """
    size = len(field) // chunks if chunks > 1 else 0
    if size < 1:
        raise SettingsError(f"{len(field)} samples make no {chunks} chunks.", "Draw more samples.")
    grid = (field - field.mean())[: size * chunks, ..., None]
    return np.stack([grid_covariance(part, part) for part in np.split(grid, chunks)])
