"""Pairs of bulk cells that share what is given, and a study made of them for the readings."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from emergence.holography.bulk_pairs import PairInformation
from emergence.holography.bulk_stored import PAIR_COLUMNS


def sharing(
    pairs: PairInformation, value: np.ndarray, *, noise: float = 0.0, seed: int = 0
) -> PairInformation:
    """The same pairs with other values ``[P]``, and thirty replicas where there is noise."""
    error = np.full(value.size, noise)
    rng = np.random.default_rng(seed)
    value = value + error * rng.standard_normal(value.size)
    replicas = value + error * rng.standard_normal((30 if noise else 0, value.size))
    return replace(pairs, value=value, error=error, replicas=replicas)


def stored(pairs: PairInformation, name: str) -> dict[str, np.ndarray]:
    """The arrays that a study keeps of the pairs of one map."""
    return {f"{name}_pair_{column}": getattr(pairs, column) for column in PAIR_COLUMNS}


class MadeResults:
    """As much of :class:`analysis.Results` as the readings of bulks ask for.

    One study, called "made"; none where there are no arrays.
    """

    def __init__(self, arrays: dict[str, np.ndarray], size: int = 8, seed: int = 7) -> None:
        self.arrays = {"t": np.array(0.3)} | arrays
        self.settings = SimpleNamespace(seed=seed)
        study = SimpleNamespace(flow="flow", size=size)
        self.chosen = SimpleNamespace(
            bulks={"made": study} if arrays else {}, flows={"flow": SimpleNamespace(shipped=None)}
        )

    def bulk(self, name: str) -> dict[str, np.ndarray]:
        return self.arrays
