"""Five maps from the boundary into the bulk, and the same true samples seen through each.

The trained flow; the untrained one, which is the identity, so that its latents are the field's own
sites; Haar wavelets; random orthogonal blocks; and the best linear map of the flow's geometry for
the measured spectrum. Latents of a model's own samples would be independent by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


def bulks_of(
    flow: FlowMap, field: np.ndarray, coordinates: np.ndarray, rng: np.random.Generator
) -> dict[str, Bulk]:
    """The samples ``[samples, L, L]`` in the bulk of every map of :data:`MAPS`."""
    samples, side = field.shape[:2]
    levels = side.bit_length() - 1
    values = flow.variables(coordinates)
    turned, coarse = flow.first_step(field)
    step = to_blocks(values.reshape(field.shape))
    step[..., 0] = coarse
    parts = (values, field, turned, step)
    if not flow.circular:
        parts = tuple(as_reals(part) for part in parts)
    trained = Bulk(parts[0], flow.table, *parts[1:])
    untrained = Bulk(field.reshape(samples, -1), flow.table, field, field, to_blocks(field))
    spectrum = np.mean(np.abs(np.fft.fft2(field)) ** 2, axis=0) / side**2
    blocks = np.array([random_block(rng) for _ in range(levels)])
    return {
        "trained": trained,
        "untrained": untrained,
        "haar": linear(LinearMap.haar(side), field),
        "random": linear(LinearMap(blocks), field),
        "optimal": linear(optimal(spectrum, rng), field),
    }


def optimal(spectrum: np.ndarray, rng: np.random.Generator) -> LinearMap:
    """The best orthogonal linear map for a measured spectrum, averaged over the square's symmetries."""
    flipped = np.roll(spectrum[::-1], 1, axis=0)
    spectrum = spectrum + flipped
    spectrum = spectrum + np.roll(spectrum[:, ::-1], 1, axis=1)
    spectrum = (spectrum + spectrum.T) / 8.0
    return optimal_linear_map(spectrum, starts=1, iterations=200, rng=rng).map


def linear(map_: LinearMap, field: np.ndarray) -> Bulk:
    """Samples in the bulk of a linear map."""
    turned = field
    if map_.disentanglers is not None:
        blocks = to_blocks(np.roll(field, (-1, -1), axis=(1, 2))) @ map_.disentanglers[0].T
        turned = np.roll(from_blocks(blocks), (1, 1), axis=(1, 2))
    step = to_blocks(turned) @ map_.decimators[0].T
    return Bulk(map_.invert(field), map_.table, field, turned, step)
