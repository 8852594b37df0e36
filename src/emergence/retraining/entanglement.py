"""Entanglement of a wave function that can only be sampled: Rényi's second entropy by swapping.

For two independent samples s, s' of |ψ|², exchange their first ℓ spins:

    e^{−S2(ℓ)} = tr ρ_ℓ² = ⟨ψ(s'_≤ℓ, s_>ℓ) ψ(s_≤ℓ, s'_>ℓ) / [ψ(s) ψ(s')]⟩

(Hastings et al., arXiv:1001.2335). A sign that is a product over sites, such as Marshall's, cancels.
Amplitudes that are zero, as beyond the magnetisation that a masked network keeps, contribute zero.
All in logarithms, as amplitudes of long chains leave the range of any float.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from emergence.errors import SettingsError
from emergence.retraining import free_fermions
from emergence.retraining.diagonalisation import ground_state
from emergence.retraining.models import Ising, Model

LogAmplitude = Callable[[np.ndarray], tuple[ArrayLike, ArrayLike | None]]
"""Spins ``[seeds, rows, sites]`` → ln |ψ| and the phase (or None), ``[seeds, rows]``."""

MOST_DIAGONALISED = 2**20
"""Basis states up to which the exact entropy comes from a diagonalisation."""


def cut_lengths(sites: int, most: int = 12) -> np.ndarray:
    """Lengths ℓ from 1 to half of the chain, which is among them, about evenly spaced."""
    half = sites // 2
    return np.unique(np.round(np.linspace(1, half, min(most, half))).astype(np.int64))


def renyi_entropy(
    log_amplitude: LogAmplitude,
    first: np.ndarray,
    second: np.ndarray,
    lengths: np.ndarray,
    batch: int,
) -> tuple[np.ndarray, np.ndarray]:
    """S2 of the first ℓ sites on the path, with its standard error, natural logarithm.

    Args:
        log_amplitude: of the wave function that the samples are of; compiled, if it is to be fast.
        first, second: two independent sets of samples ±1, ``[seeds, pairs, sites]``, of the type
            that ``log_amplitude`` takes.
        lengths: ℓ, ``[lengths]``.
        batch: pairs evaluated in one call; divides ``pairs``.

    Returns:
        entropy and standard error (jackknife), float64 ``[seeds, lengths]``. The entropy is
        infinite where the mean over pairs is not positive: then the pairs were too few.

    Raises:
        SettingsError: the two sets differ in shape, are no multiple of the batch or hold fewer
            than two pairs.
    """
    pairs = first.shape[1]
    if first.shape != second.shape or pairs % batch or pairs < 2:
        raise SettingsError(
            f"Samples {first.shape} and {second.shape} cannot be swapped in batches of {batch}.",
            "Give two sets of equal size, a multiple of the batch.",
        )
    parts = [slice(start, start + batch) for start in range(0, pairs, batch)]
    logs = [_swapped(log_amplitude, first[:, p], second[:, p], lengths) for p in parts]
    modulus, phase = (np.concatenate(kind, axis=2) for kind in zip(*logs, strict=True))
    return jackknife(modulus, phase)


def _swapped(
    log_amplitude: LogAmplitude, first: np.ndarray, second: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """ln of the ratio of amplitudes, modulus and phase, float64 ``[seeds, lengths, pairs]``."""

    def asked(spins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        modulus, phase = log_amplitude(spins)
        modulus = np.asarray(modulus, np.float64)
        return modulus, np.zeros_like(modulus) if phase is None else np.asarray(phase, np.float64)

    before = [asked(spins) for spins in (first, second)]
    modulus, phase = [], []
    for length in lengths:
        inside = np.arange(first.shape[2]) < length
        after = [asked(np.where(inside, a, b)) for a, b in ((first, second), (second, first))]
        change = [
            after[0][k] + after[1][k] - before[0][k] - before[1][k] for k in range(2)
        ]  # modulus, phase
        modulus.append(change[0])
        phase.append(change[1])
    return np.stack(modulus, axis=1), np.stack(phase, axis=1)


def jackknife(modulus: np.ndarray, phase: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """−ln of the mean of e^{modulus} cos(phase) over the last axis, and its standard error.

    The entropy is corrected for the bias of a logarithm by the same resampling, which leaves out
    one pair at a time.
    """
    largest = modulus.max(axis=-1, keepdims=True)
    values = np.exp(modulus - largest) * np.cos(phase)
    count = values.shape[-1]
    total = values.sum(axis=-1, keepdims=True)
    left_out = (total - values) / (count - 1)
    good = np.all(left_out > 0.0, axis=-1) & (total[..., 0] > 0.0)
    entropy = np.full(good.shape, np.inf)
    error = np.full(good.shape, np.inf)
    every = -np.log(total[..., 0][good] / count) - largest[..., 0][good]
    each = -np.log(left_out[good]) - largest[good]
    entropy[good] = count * every - (count - 1) * each.mean(axis=-1)
    error[good] = np.sqrt((count - 1) * each.var(axis=-1))
    return entropy, error


def exact_entropy(model: Model, lengths: np.ndarray) -> np.ndarray | None:
    """S2 of the first ℓ sites of the exact ground state, ``[lengths]``; None if out of reach."""
    chain = model.lattice.geometry == "chain"
    if chain and isinstance(model, Ising) and not model.lattice.periodic:
        matrix = free_fermions.correlation_matrix(model)
        return np.array([free_fermions.entropy(matrix, int(length), 2) for length in lengths])
    if 2**model.sites > MOST_DIAGONALISED:
        return None
    state = ground_state(model)
    return np.array([state.entropy(range(int(length)), 2) for length in lengths])
