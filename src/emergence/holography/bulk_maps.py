"""Five maps from the boundary into the bulk, and the same true samples seen through each.

The trained flow; the untrained one, which is the identity, so that its latents are the field's own
sites; Haar wavelets; random orthogonal blocks; and the best linear map of the flow's geometry for
the measured spectrum. Latents of a model's own samples would be independent by construction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from emergence.errors import SettingsError
from emergence.holography.bulk import BulkTable
from emergence.holography.bulk_information import random_block
from emergence.holography.flow_map import FlowMap, as_reals
from emergence.holography.linear_map import LinearMap, from_blocks, to_blocks
from emergence.holography.optimal_map import optimal_linear_map


@dataclass(frozen=True)
class Bulk:
    """True samples in the bulk of one map."""

    latents: np.ndarray
    """Complex ``[samples, N]``, circular; or real ``[samples, N, 2]``."""
    table: BulkTable
    field: np.ndarray
    """The boundary, complex ``[samples, L, L]`` or real ``[…, 2]``."""
    turned: np.ndarray
    """What the first decimators act on, ``[samples, L, L]`` or ``[…, 2]``."""
    step: np.ndarray
    """(φ', ζ) of the first level, ``[samples, L/2, L/2, 4]`` or ``[…, 2]``."""
    map: LinearMap | None = None
    """The map itself, if it is linear."""


def bulks_of(
    flow: FlowMap,
    field: np.ndarray,
    coordinates: np.ndarray,
    spectrum: np.ndarray,
    rng: np.random.Generator,
) -> Iterator[tuple[str, Bulk]]:
    """The samples ``[samples, L, L]`` in the bulk of every map of :data:`.bulk_stored.MAPS`.

    One after the other: of thousands of fields on a large torus each bulk is a quarter of a gigabyte.
    """
    samples, side = field.shape[:2]
    levels = side.bit_length() - 1
    values = flow.variables(coordinates)
    turned, coarse = flow.first_step(field)
    step = to_blocks(values.reshape(field.shape))
    step[..., 0] = coarse
    parts = (values, field, turned, step)
    if not flow.circular:
        parts = tuple(as_reals(part) for part in parts)
    yield "trained", Bulk(parts[0], flow.table, *parts[1:])
    del values, turned, coarse, step, parts
    alone = LinearMap.shared(side, np.eye(4))
    sites = field.reshape(samples, -1)
    yield "untrained", Bulk(sites, flow.table, field, field, to_blocks(field), alone)
    yield "haar", linear(LinearMap.haar(side), field)
    blocks = np.array([random_block(rng) for _ in range(levels)])
    yield "random", linear(LinearMap(blocks), field)
    yield "optimal", linear(optimal(spectrum, rng), field)


def spectra(field: np.ndarray, chunks: int) -> np.ndarray:
    """⟨|φ_k|²⟩ of chunks of fields ``[samples, L, L]``, averaged over the symmetries of the square.

    Returns:
        ``[chunks, L, L]``; samples beyond whole chunks are left out.

    Raises:
        SettingsError: if the samples make no chunks.
    """
    size = len(field) // chunks
    if size < 1:
        raise SettingsError(f"{len(field)} samples make no {chunks} chunks.", "Draw more samples.")
    power = np.abs(np.fft.fft2(field[: size * chunks])) ** 2 / field[0].size
    found = power.reshape(chunks, size, *power.shape[1:]).mean(axis=1)
    found = found + np.roll(found[:, ::-1], 1, axis=1)
    found = found + np.roll(found[:, :, ::-1], 1, axis=2)
    return (found + found.swapaxes(1, 2)) / 8.0


def optimal(spectrum: np.ndarray, rng: np.random.Generator) -> LinearMap:
    """The best orthogonal linear map of the flow's geometry for a measured spectrum."""
    return optimal_linear_map(spectrum, starts=1, iterations=200, rng=rng).map


def linear(map_: LinearMap, field: np.ndarray) -> Bulk:
    """Samples in the bulk of a linear map."""
    turned = field
    if map_.disentanglers is not None:
        blocks = to_blocks(np.roll(field, (-1, -1), axis=(1, 2))) @ map_.disentanglers[0].T
        turned = np.roll(from_blocks(blocks), (1, 1), axis=(1, 2))
    step = to_blocks(turned) @ map_.decimators[0].T
    return Bulk(map_.invert(field), map_.table, field, turned, step, map_)
