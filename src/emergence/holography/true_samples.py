"""True samples of a complex boundary, from an exact or a cluster sampler, and their symmetries."""

from __future__ import annotations

import numpy as np

from emergence.holography.actions import ComplexPhi4, FreeField
from emergence.holography.cluster import draw_phi4
from emergence.holography.exact import free_sample
from emergence.randomness import derive_seed, generator


def draw(
    action: ComplexPhi4 | FreeField,
    side: int,
    *,
    chains: int,
    samples: int,
    thinning: int,
    thermalisation: int,
    seed: int,
) -> np.ndarray:
    """Fields of a theory, ``[chains · samples, L, L]`` complex, chain after chain.

    Those of the free field are independent; others are ``thinning`` cluster sweeps apart. Each is
    then moved by a random symmetry of the theory, see :func:`moved`.
    """
    rng = generator(seed, "symmetries")
    if isinstance(action, FreeField):
        field = free_sample(action, side, chains * samples, generator(seed, "free"))
    else:
        field = draw_phi4(
            action,
            side,
            chains=chains,
            samples=samples,
            thinning=thinning,
            thermalisation=thermalisation,
            seed=derive_seed(seed, "cluster"),
        ).reshape(-1, side, side)
    return moved(field, rng)


def moved(field: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each field ``[batch, L, L]`` moved by a random translation, symmetry of the square, rotation
    of the phase and complex conjugation.

    The theory's law is invariant under all of them, hence a moved true sample is a true sample; that
    the map into the bulk is not invariant under all of them does not matter to this. Neighbours in a
    chain become less alike, and the mean of the field, which is zero, is so in few samples too.
    A model's own samples must not be moved: their law has only the symmetries of the model.
    """
    batch, side = field.shape[:2]
    shifts = rng.integers(side, size=(batch, 2))
    turns, mirrored, conjugated = (rng.integers(n, size=batch) for n in (4, 2, 2))
    result = np.empty_like(field)
    for index, one in enumerate(field):
        one = np.rot90(np.roll(one, tuple(shifts[index]), axis=(0, 1)), turns[index])
        one = one.T if mirrored[index] else one
        result[index] = one.conj() if conjugated[index] else one
    return result * np.exp(2j * np.pi * rng.random(batch))[:, None, None]
