"""Wave functions made of a recurrent network: samples, amplitudes, and amplitudes after a move.

|ψ(s)|² = p(s), or, symmetrised, the mean of p over the images of s under the lattice's point group
(parity of a chain, C4v of a square), with the phase arg Σ_g p(gs) e^{iφ(gs)} (Roth,
arXiv:2003.06228: the average over reading directions). Of the Ising model the flip of all spins is
among the symmetries: a network is free to break it where the gap is small, the ground state is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from emergence.randomness import generator
from emergence.retraining.branches import branches
from emergence.retraining.models import Model
from emergence.retraining.recurrent import Recurrent
from emergence.updates import Parameters


class Ratios(NamedTuple):
    """ln ψ(s')/ψ(s) for every move, real and imaginary part, ``[seeds, moves, batch]``."""

    modulus: tf.Tensor
    phase: tf.Tensor | None


class WaveFunction(Protocol):
    """What variational Monte Carlo needs. Spins are ±1, ``[seeds, batch, sites]``, by site."""

    model: Model

    def initial_parameters(self, seeds: int, seed: int) -> dict[str, np.ndarray]:
        """Name → float64 array ``[seeds, ...]``."""

    def sample(self, parameters: Parameters, seed: tf.Tensor, batch: int) -> tf.Tensor:
        """Independent samples of |ψ|²."""

    def log_amplitude(
        self, parameters: Parameters, spins: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """ln |ψ| and the phase, ``[seeds, batch]``, differentiable; no phase where ψ > 0."""

    def ratios(self, parameters: Parameters, spins: tf.Tensor) -> Ratios:
        """ln ψ(s')/ψ(s) for every move of :class:`ordering.Moves`."""


@dataclass(frozen=True)
class RecurrentState:
    """A recurrent network as a wave function.

    Attributes:
        window: positions that a branch is followed; None for exact ratios.
    """

    network: Recurrent
    symmetric: bool = False
    window: int | None = None

    @property
    def model(self) -> Model:
        """What the samples are configurations of."""
        return self.network.moves.model

    @cached_property
    def _images(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.network.moves.images(self.symmetric)

    def initial_parameters(self, seeds: int, seed: int) -> dict[str, np.ndarray]:
        """Name → float64 array ``[seeds, ...]``."""
        return self.network.cell.initial_parameters(generator(seed, "wave function"), seeds)

    def sample(self, parameters: Parameters, seed: tf.Tensor, batch: int) -> tf.Tensor:
        """Independent samples of |ψ|²."""
        spins = self.network.sample(parameters, seed, batch)
        group, signs, _ = self._images
        if len(group) == 1:
            return spins
        # p(gs) averaged over g is the law of an image, by a random g, of a sample of p.
        drawn = tf.random.stateless_uniform(
            spins.shape[:2], seed + tf.constant([0, 1 << 30]), 0, len(group), tf.int32
        )
        signs = tf.gather(tf.constant(signs, spins.dtype), drawn)
        return signs[..., None] * tf.gather(
            spins, tf.gather(tf.constant(group), drawn), batch_dims=2
        )

    def all_images(self, spins: tf.Tensor) -> tf.Tensor:
        """Samples and their images under the symmetries, ``[seeds, images · batch, sites]``."""
        group, signs, _ = self._images
        images = [
            float(sign) * tf.gather(spins, image, axis=2)
            for image, sign in zip(group, signs, strict=True)
        ]
        return tf.concat(images, axis=1)

    def _of_images(self, parameters: Parameters, images: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """log p and phase of each image, ``[seeds, images, batch]``."""
        log_p, phase = self.network.log_probability(parameters, images)
        shape = [images.shape[0], len(self._images[0]), -1]
        return tf.reshape(log_p, shape), None if phase is None else tf.reshape(phase, shape)

    def log_amplitude(
        self, parameters: Parameters, spins: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """ln |ψ| and the phase, ``[seeds, batch]``."""
        log_p, phase = self._of_images(parameters, self.all_images(spins))
        return average(log_p, phase, 1)

    def ratios(self, parameters: Parameters, spins: tf.Tensor) -> Ratios:
        """ln ψ(s')/ψ(s) for every move; branches share the prefix with their sample."""
        images = self.all_images(spins)
        branched = branches(self.network, parameters, images, self.window)
        number, moved = len(self._images[0]), self._images[2]
        if number == 1:
            return Ratios(0.5 * branched.log_probability, branched.phase)

        def by_image(change: tf.Tensor) -> tf.Tensor:
            """``[seeds, moves, images, batch]``, the moves as the original counts them."""
            parts = tf.split(change, number, axis=2)
            aligned = [tf.gather(p, order, axis=1) for p, order in zip(parts, moved, strict=True)]
            return tf.stack(aligned, axis=2)

        log_p, phase = self._of_images(parameters, images)
        changed, turned = by_image(branched.log_probability) + log_p[:, None], None
        if phase is not None:
            turned = by_image(branched.phase) + phase[:, None]
        before, after = average(log_p, phase, 1), average(changed, turned, 2)
        modulus = after[0] - before[0][:, None]
        return Ratios(modulus, None if phase is None else after[1] - before[1][:, None])


def average(
    log_p: tf.Tensor, phase: tf.Tensor | None, axis: int
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """ln |ψ| and phase of the average over images along ``axis``."""
    total = tf.reduce_logsumexp(log_p, axis=axis)
    modulus = 0.5 * (total - np.log(log_p.shape[axis]))
    if phase is None:
        return modulus, None
    if log_p.shape[axis] == 1:
        return modulus, tf.squeeze(phase, axis)
    share = tf.exp(log_p - tf.expand_dims(total, axis))
    sine = tf.reduce_sum(share * tf.sin(phase), axis=axis)
    cosine = tf.reduce_sum(share * tf.cos(phase), axis=axis)
    return modulus, tf.atan2(sine, cosine)
