"""What a trained wave function is worth: energies, samples, memory and entropy, in double precision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from emergence.artifacts import Arrays
from emergence.errors import DivergenceError
from emergence.evaluating import compiled, dtype
from emergence.randomness import derive_seed
from emergence.retraining import entanglement, probes, profiles
from emergence.retraining.arms import hamiltonian_of, state_of, symmetrised
from emergence.retraining.local_energy import Hamiltonian
from emergence.retraining.wavefunction import RecurrentState, WaveFunction
from emergence.settings import Settings

REFERENCE_SITES = 80
"""Below, more samples are drawn, so that their number times the sites stays the same."""

SHARES = {"final": 1.0, "plain": 0.5, "zero shot": 0.125, "shuffled": 0.125, "untrained": 0.125}
"""Of the samples, by purpose: what misses by a thousandth and more is told apart by fewer, and the
plain network counts each sample once from either side."""

PROBE_SAMPLES = 256
"""Samples on which the memory of a network is measured."""


def evaluate(
    settings: Settings, name: str, size: int, parameters: Arrays, purpose: str, averaged: bool
) -> Arrays:
    """Energies of a wave function, exact local energies in double precision.

    Args:
        purpose: a key of :data:`SHARES`; "plain" is the network alone beside its average, see
            :func:`_compiled_images`.

    Returns:
        ``energy``, ``error`` (standard error of the mean) ``[seeds]`` and what :func:`energies`
        gives beside them; for the purpose "final" also, of chains and where a probe needs them,
        ``samples`` int8 ``[seeds, configurations, sites]`` and, of an average on an open chain,
        ``mirrored_sides`` with ``…_error`` from one batch, each sample counted from either side.

    Raises:
        DivergenceError: a local energy is not finite.
    """
    chosen = settings.retraining
    arm = chosen.chains[name]
    state, hamiltonian = state_of(arm, size), hamiltonian_of(arm, size)
    chain = isinstance(state, RecurrentState) and profiles.has_two_ends(state.model)
    if averaged:
        state = symmetrised(state)
    double = {key: tf.constant(value, dtype()) for key, value in parameters.items()}
    seed = derive_seed(settings.seed, "retraining", name, size, purpose)
    # Energies of small systems fluctuate more, site by site, and cost less.
    more = max(1, REFERENCE_SITES // state.model.sites)
    samples = SHARES[purpose] * (arm.samples or more * chosen.samples)
    batches = max(1, int(samples) // chosen.batch)
    mirrored = chain and purpose == "plain" and arm.averaged
    terms = _compiled_images if mirrored else _compiled_terms
    sums = energies(hamiltonian, terms(state, hamiltonian, chosen.batch), double, seed, batches)
    if not all(np.isfinite(value).all() for value in sums.values()):
        raise DivergenceError(
            f"The local energies of {name} at size {size} are not finite ({purpose}).",
            "Train with a lower rate or more damping, or start from other weights.",
        )
    if purpose == "final" and (arm.geometry == "chain" or size in arm.probes):
        sums["samples"] = configurations(
            state, double, derive_seed(seed, "configurations"), chosen.configurations, chosen.batch
        )
    if purpose == "final" and chain and averaged:
        terms = _compiled_images(state, hamiltonian, chosen.batch)
        once = energies(hamiltonian, terms, double, derive_seed(seed, "mirrored"), 1)
        sums |= {f"mirrored_{key}": once[key] for key in ("sides", "sides_error")}
    return sums


class _Mean:
    """Mean and standard error of independent samples that arrive in batches on the last axis."""

    def __init__(self) -> None:
        self.number, self.total, self.square = 0, 0.0, 0.0

    def add(self, values: np.ndarray) -> None:
        self.number += values.shape[-1]
        self.total = self.total + values.sum(axis=-1)
        self.square = self.square + (values**2).sum(axis=-1)

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        mean = self.total / self.number
        variance = np.maximum(self.square / self.number - mean**2, 0.0)
        return mean, np.sqrt(variance / self.number)


TermsOf = Callable[[dict[str, tf.Tensor], tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""(parameters, seed) → what each term of the Hamiltonian contributes to the local energy of each
sample of a batch, diagonal ``[seeds, bonds, batch]`` and off it ``[seeds, moves, batch]``."""


def energies(
    hamiltonian: Hamiltonian,
    terms_of: TermsOf,
    parameters: dict[str, tf.Tensor],
    seed: int,
    batches: int,
) -> Arrays:
    """Means over samples, each with the standard error of whole samples as ``…_error``.

    Returns:
        ``energy`` with ``error``, and ``variance`` of what is averaged, ``[seeds]``; ``diagonal``
        ``[seeds, bonds]`` and ``moving`` ``[seeds, moves]``, the terms. On an open chain: ``bonds``
        ``[seeds, N − 1]``, the energy of each bond; ``sides`` ``[seeds, pairs]``, that of each bond
        of the left half minus its mirror image; ``central`` ``[seeds]``, per site of the middle.
    """
    model, totals = hamiltonian.model, []
    means: dict[str, _Mean] = defaultdict(_Mean)
    for index in range(batches):
        parts = [values.numpy() for values in terms_of(parameters, tf.constant([seed, index]))]
        for key, values in zip(("diagonal", "moving"), parts, strict=True):
            means[key].add(values)
        totals.append(sum(values.sum(axis=1) for values in parts))
        if profiles.has_two_ends(model):
            bonds = profiles.bond_profile(model, *parts)
            means["bonds"].add(bonds)
            means["sides"].add(profiles.sides(bonds))
            means["central"].add(np.tensordot(bonds, profiles.central_bonds(model.sites), (1, 0)))
    total = np.concatenate(totals, axis=1)
    arrays = {
        "energy": total.mean(axis=1),
        "error": total.std(axis=1) / np.sqrt(total.shape[1]),
        "variance": total.var(axis=1),
    }
    for key, mean in means.items():
        arrays[key], arrays[f"{key}_error"] = mean.found()
    return arrays


@cache
def _compiled_terms(state: WaveFunction, hamiltonian: Hamiltonian, batch: int) -> TermsOf:
    """Samples of the wave function itself; compiled once."""

    @compiled
    def some(parameters: dict[str, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        spins = state.sample(parameters, seed, batch)
        terms = hamiltonian.terms(spins, state.ratios(parameters, spins))
        return terms.diagonal, terms.moving

    return some


@cache
def _compiled_images(state: RecurrentState, hamiltonian: Hamiltonian, batch: int) -> TermsOf:
    """Samples s of the average over the point group, each counted once for every image gs.

    With weights p(gs) / mean_g p(gs) the mean is that of p. What p and its mirror image have in
    common drops out of left minus right sample by sample, so that the noise shrinks with the bias.
    """
    both = replace(state, symmetric=True)

    @compiled
    def some(parameters: dict[str, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = both.all_images(both.sample(parameters, seed, batch))
        terms = hamiltonian.terms(images, state.ratios(parameters, images))
        seeds, number = images.shape[0], images.shape[1] // batch
        log_p = 2.0 * state.log_amplitude(parameters, images)[0]
        share = tf.nn.softmax(tf.reshape(log_p, [seeds, 1, number, batch]), axis=2)

        def weighted(values: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(tf.reshape(values, [seeds, -1, number, batch]) * share, axis=2)

        return weighted(terms.diagonal), weighted(terms.moving)

    return some


def configurations(
    state: WaveFunction, parameters: dict[str, tf.Tensor], seed: int, number: int, batch: int
) -> np.ndarray:
    """Samples of |ψ|² as int8 ``[seeds, number, sites]``."""

    @compiled
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
        {key: tf.constant(value, dtype()) for key, value in some.items()}
        for some in (parameters, untrained)
    )
    arrays: Arrays = {}
    if isinstance(state, RecurrentState) and arm.geometry == "chain":
        plain = configurations(
            state, double, derive_seed(settings.seed, name, size, "probe"), PROBE_SAMPLES,
            min(chosen.batch, PROBE_SAMPLES),
        )  # fmt: skip
        arrays |= probes.memory(state.network, double, fresh, tf.constant(plain, dtype()))
    state = symmetrised(state) if arm.averaged else state

    @compiled
    def log_amplitude(spins: tf.Tensor) -> Any:
        modulus, phase = state.log_amplitude(double, spins)
        return modulus, tf.zeros_like(modulus) if phase is None else phase

    half = samples.shape[1] // (2 * chosen.batch) * chosen.batch
    real = dtype().as_numpy_dtype
    sets = [samples[:, :half].astype(real), samples[:, half : 2 * half].astype(real)]
    lengths = entanglement.cut_lengths(samples.shape[2])
    renyi, error = entanglement.renyi_entropy(log_amplitude, *sets, lengths, chosen.batch)
    return arrays | {"lengths": lengths, "renyi": renyi, "renyi_error": error}
