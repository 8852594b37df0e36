"""Where the latents of a hierarchical flow live in its bulk."""

from __future__ import annotations

import numpy as np

from emergence.holography.actions import check_side


def bulk_positions(side: int) -> dict[str, np.ndarray]:
    """Where each latent lives in the bulk, arrays ``[L, L]`` in the layout of the latents.

    Returns:
        ``level`` (log2 L for the last site), ``x`` and ``y`` (column and row of its block's centre
        on the boundary, lattice units), ``z`` = 2^level, and ``member`` (which site of its block).

    Raises:
        SettingsError: for a side that is not a power of two.
    """
    check_side(side, power_of_two=True)
    row, column = np.indices((side, side))
    both = row | column
    # The lowest bit set in either coordinate is the stride of the last lattice that has the site.
    stride = np.where(both == 0, side, both & -both)
    level = np.log2(stride).astype(int)
    centre = np.where(stride == side, 0.5 * (side - 1), stride - 0.5)
    member = 2 * ((row // stride) % 2) + (column // stride) % 2
    start = 2 * stride
    return {
        "level": level,
        "x": np.where(stride == side, centre, column // start * start + centre),
        "y": np.where(stride == side, centre, row // start * start + centre),
        "z": stride,
        "member": np.where(stride == side, 0, member),
    }
