"""Levels of a flow on one torus as the start of a flow on a larger one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emergence.errors import ArtifactError
from emergence.holography.actions import check_side


def transfer(
    parameters: Mapping[str, np.ndarray], from_side: int, to_side: int
) -> dict[str, np.ndarray]:
    """Levels trained on a smaller torus as the start on a larger one.

    The level nearest the boundary stays there, as what it sees is the theory itself; the coarsest
    level, trained on a 2×2 torus, stays on that; the levels in between that are new repeat the one
    below the coarsest, or the coarsest where there is no other.

    Raises:
        ArtifactError: if the parameters are not of a flow with log2 ``from_side`` levels.
        SettingsError: for a side that is not a power of two.
    """
    check_side(from_side, power_of_two=True)
    check_side(to_side, power_of_two=True)
    old, new = from_side.bit_length() - 1, to_side.bit_length() - 1
    present = {name.split("/")[0] for name in parameters}
    if "prior" in present:
        raise ArtifactError(
            "Weights with a prior of their own cannot start a flow of another side.",
            "Give those of the flow whose map they have.",
        )
    if present != set(map(str, range(old))) or new < old:
        raise ArtifactError(
            f"Weights of {len(present)} levels cannot start a flow of side {to_side} from side"
            f" {from_side}.",
            "Give the weights of a flow trained on a smaller torus, and its side.",
        )
    return {
        f"{level}/{name.split('/', 1)[1]}": np.array(value)
        for level in range(new)
        for name, value in parameters.items()
        if int(name.split("/")[0]) == source_level(level, old, new)
    }


def source_level(level: int, old: int, new: int) -> int:
    """Which of ``old`` levels starts ``level`` of ``new``."""
    if level == new - 1 or old == 1:
        return old - 1
    return min(level, max(1, old - 2)) if old > 1 else 0
