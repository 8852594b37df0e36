"""What a trained wave function is worth: energies, samples, memory and entropy, in double precision."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from emergence.errors import DivergenceError
from emergence.randomness import derive_seed
from emergence.retraining import entanglement, probes, profiles
from emergence.retraining.arms import hamiltonian_of, state_of, symmetrised
from emergence.retraining.local_energy import Hamiltonian
from emergence.retraining.wavefunction import RecurrentState, WaveFunction
from emergence.settings import Settings

Arrays = dict[str, np.ndarray]

REFERENCE_SITES = 80
"""Below, more samples are drawn, so that their number times the sites stays the same."""

PROBE_SAMPLES = 256
"""Samples on which the memory of a network is measured."""


def evaluate(
    settings: Settings, name: str, size: int, parameters: Arrays, purpose: str, averaged: bool
) -> Arrays:
    """Energies of a wave function, exact local energies in double precision.

    Returns:
        ``energy``, ``error`` (standard error of the mean), ``variance`` (of the local energy)
        ``[seeds]``; ``diagonal`` ``[seeds, bonds]`` and ``moving`` ``[seeds, moves]``, what each
        term of the Hamiltonian contributes, with ``…_error``; on an open chain ``central``
        ``[seeds]``, the energy per site of its middle half, with ``central_error``; ``samples``
        int8 ``[seeds, configurations, sites]``.

    Raises:
        DivergenceError: a local energy is not finite.
    """
    chosen = settings.retraining
    arm = chosen.chains[name]
    state, hamiltonian = state_of(arm, size), hamiltonian_of(arm, size)
    if averaged:
        state = symmetrised(state)
    double = {key: tf.constant(value, tf.float64) for key, value in parameters.items()}
    seed = derive_seed(settings.seed, "retraining", name, size, purpose)
    # Energies of small systems fluctuate more, site by site, and cost less.
    more = max(1, REFERENCE_SITES // state.model.sites)
    sums = energies(state, hamiltonian, double, seed, more * chosen.samples, chosen.batch)
    if not all(np.isfinite(value).all() for value in sums.values()):
        raise DivergenceError(
            f"The local energies of {name} at size {size} are not finite ({purpose}).",
            "Train with a lower rate or more damping, or start from other weights.",
        )
    if purpose in ("final", "plain"):
        sums["samples"] = configurations(
            state, double, derive_seed(seed, "configurations"), chosen.configurations, chosen.batch
        )
    return sums


def energies(
    state: WaveFunction,
    hamiltonian: Hamiltonian,
    parameters: dict[str, tf.Tensor],
    seed: int,
    samples: int,
    batch: int,
) -> Arrays:
    """Mean, error and variance of local energies and of the terms they are made of."""
    some = _compiled_terms(state, hamiltonian, batch)
    model = hamiltonian.model
    open_chain = model.lattice.geometry == "chain" and not model.lattice.periodic
    weights = profiles.central_weights(model) if open_chain else None
    totals, middles, parts = [], [], {"diagonal": [], "moving": []}
    for index in range(samples // batch):
        found = some(parameters, tf.constant([seed, index]))
        found = [values.numpy() for values in found]
        for key, values in zip(parts, found, strict=True):
            parts[key].append((values.sum(axis=2), (values**2).sum(axis=2)))
        totals.append(sum(values.sum(axis=1) for values in found))
        if weights is not None:
            shares = zip(found, weights, strict=True)
            middles.append(sum(np.einsum("stb,t->sb", *pair) for pair in shares))
    total = np.concatenate(totals, axis=1)
    arrays = {
        "energy": total.mean(axis=1),
        "error": total.std(axis=1) / np.sqrt(samples),
        "variance": total.var(axis=1),
    }
    if middles:
        middle = np.concatenate(middles, axis=1)
        arrays["central"] = middle.mean(axis=1)
        arrays["central_error"] = middle.std(axis=1) / np.sqrt(samples)
    for key, sums in parts.items():
        mean, square = (sum(s[i] for s in sums) / samples for i in (0, 1))
        arrays[key] = mean
        arrays[f"{key}_error"] = np.sqrt(np.maximum(square - mean**2, 0.0) / samples)
    return arrays


@cache
def _compiled_terms(state: WaveFunction, hamiltonian: Hamiltonian, batch: int) -> Any:
    """(parameters, seed) → what each term contributes to each local energy; compiled once."""

    @tf.function(jit_compile=True, autograph=False)
    def some(parameters: dict[str, tf.Tensor], seed: tf.Tensor) -> Any:
        spins = state.sample(parameters, seed, batch)
        terms = hamiltonian.terms(spins, state.ratios(parameters, spins))
        return terms.diagonal, terms.moving

    return some


def configurations(
    state: WaveFunction, parameters: dict[str, tf.Tensor], seed: int, number: int, batch: int
) -> np.ndarray:
    """Samples of |ψ|² as int8 ``[seeds, number, sites]``."""

    @tf.function(jit_compile=True, autograph=False)
    def some(parameters: dict[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        return tf.cast(state.sample(parameters, seed, batch), tf.int8)

    drawn = [some(parameters, tf.constant([seed, i])).numpy() for i in range(number // batch)]
    return np.concatenate(drawn, axis=1)


def probe(
    settings: Settings,
    name: str,
    size: int,
    parameters: Arrays,
    untrained: Arrays,
    samples: np.ndarray,
) -> Arrays:
    """Memory of a network, trained and not, and the Rényi-2 entropy of its samples.

    Args:
        samples: int8 ``[seeds, configurations, sites]`` of the averaged wave function.

    Returns:
        What :func:`probes.memory` gives, on a chain; ``lengths`` ``[lengths]`` and ``renyi``,
        ``renyi_error`` ``[seeds, lengths]``.
    """
    chosen = settings.retraining
    arm = chosen.chains[name]
    state = state_of(arm, size)
    double, fresh = (
        {key: tf.constant(value, tf.float64) for key, value in some.items()}
        for some in (parameters, untrained)
    )
    arrays: Arrays = {}
    if isinstance(state, RecurrentState) and arm.geometry == "chain":
        plain = configurations(
            state, double, derive_seed(settings.seed, name, size, "probe"), PROBE_SAMPLES,
            min(chosen.batch, PROBE_SAMPLES),
        )  # fmt: skip
        arrays |= probes.memory(state.network, double, fresh, tf.constant(plain, tf.float64))
    state = symmetrised(state) if arm.averaged else state

    @tf.function(jit_compile=True, autograph=False)
    def log_amplitude(spins: tf.Tensor) -> Any:
        modulus, phase = state.log_amplitude(double, spins)
        return modulus, tf.zeros_like(modulus) if phase is None else phase

    half = samples.shape[1] // (2 * chosen.batch) * chosen.batch
    sets = [samples[:, :half].astype(np.float64), samples[:, half : 2 * half].astype(np.float64)]
    lengths = entanglement.cut_lengths(samples.shape[2])
    renyi, error = entanglement.renyi_entropy(log_amplitude, *sets, lengths, chosen.batch)
    return arrays | {"lengths": lengths, "renyi": renyi, "renyi_error": error}
