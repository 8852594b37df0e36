"""How a study of a bulk is stored, and what reads it back without TensorFlow."""

from __future__ import annotations

import numpy as np

from emergence.artifacts import Arrays
from emergence.holography.bulk_pairs import PairInformation

MAPS = ("trained", "untrained", "haar", "random", "optimal")
"""Every map that true samples are pushed through, see :mod:`.bulk_maps`."""

FOOTPRINT_MAPS = ("trained", "untrained", "haar")
"""Those whose footprints are measured."""

PAIR_COLUMNS = ("level", "other", "separation", "count", "vertical", "value", "error", "replicas")
"""Fields of :class:`.bulk_pairs.PairInformation` that are stored."""


def store_pairs(pairs: PairInformation) -> Arrays:
    """Pairs as arrays ``pair_<column>``; replicas in single precision, as only their scatter is used."""
    found = {f"pair_{key}": getattr(pairs, key) for key in PAIR_COLUMNS}
    return found | {"pair_replicas": pairs.replicas.astype(np.float32)}


def stored_pairs(arrays: Arrays, name: str, side: int) -> PairInformation:
    """The pairs of one map, from the arrays of :func:`.bulk_study.study`."""
    columns = {key: arrays[f"{name}_pair_{key}"] for key in PAIR_COLUMNS}
    return PairInformation(side, **columns | {"replicas": columns["replicas"].astype(np.float64)})
