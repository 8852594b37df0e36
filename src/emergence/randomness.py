"""Every random number of a run, derived from one root seed and the names of what it is for.

Streams are named, not numbered: adding an arm to the settings changes no other arm's numbers.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(root: int, *names: object) -> int:
    """A seed in [0, 2³¹) fixed by the root seed and a sequence of names."""
    text = "\x1f".join([str(root), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little") >> 1


def generator(root: int, *names: object) -> np.random.Generator:
    """A NumPy generator on the stream of these names."""
    return np.random.default_rng(derive_seed(root, *names))
