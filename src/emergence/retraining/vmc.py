"""Variational Monte Carlo as a problem of the training loop: sample, local energies, gradient.

The gradient of the energy is 2 Re⟨(E − Ē)* ∂ ln ψ⟩ over samples of |ψ|², the mean serving as the
baseline. For the gradient alone, local energies far from the mean are clipped; what is reported is
never clipped. The original's entropy annealing adds T ln p to the energy, and its soft constraint
adds a multiple of the squared magnetisation (Roth, arXiv:2003.06228, public code).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from emergence import natural_gradient
from emergence.retraining.local_energy import Hamiltonian
from emergence.retraining.wavefunction import RecurrentState, WaveFunction
from emergence.settings import GrowthStage
from emergence.updates import Parameters

CLIP = 5.0
"""Deviations beyond so many mean absolute deviations are clipped, for the gradient alone."""

COOLING_STEPS = 1000.0
"""The temperature halves after so many steps (public code: T = 1 / (1 + 0.001 · step))."""


@dataclass(frozen=True)
class EnergyMinimisation:
    """Minimise the energy of a wave function, over an ensemble of seeds."""

    state: WaveFunction
    hamiltonian: Hamiltonian
    seeds: int
    seed: int
    dtype: tf.DType = tf.float32
    stage: GrowthStage | None = None

    metrics = ("variance",)

    def for_stage(self, stage: GrowthStage) -> EnergyMinimisation:
        """With the stage's symmetry and truncation."""
        state = self.state
        if isinstance(state, RecurrentState):
            state = replace(state, symmetric=stage.symmetric, window=stage.truncation)
        return replace(self, stage=stage, state=state)

    def initial_parameters(self, candidates: int) -> dict[str, np.ndarray]:
        """Name → array ``[seeds · candidates, ...]``."""
        start = self.state.initial_parameters(self.seeds * candidates, self.seed)
        return {name: value.astype(self.dtype.as_numpy_dtype) for name, value in start.items()}

    def draw(self, seed: tf.Tensor, batch: int, window: int) -> tuple[tf.Tensor, ...]:
        """The seed itself: samples depend on the parameters, so ``objective`` draws them."""
        return (tf.tile(seed[None], [self.seeds, 1]),)

    def _sampled(
        self, parameters: Parameters, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """Samples and their local energies, through which no gradient flows."""
        frozen = {name: tf.stop_gradient(value) for name, value in parameters.items()}
        spins = tf.stop_gradient(self.state.sample(frozen, seed, self.stage.batch))
        ratios = self.state.ratios(frozen, spins)
        real, imaginary = self.hamiltonian.local_energy(spins, ratios)
        return spins, tf.stop_gradient(real), imaginary

    def objective(
        self, parameters: Parameters, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Surrogate whose gradient is that of the (free) energy; energy and variance reported."""
        seed = batch[0][0]
        spins, real, imaginary = self._sampled(parameters, seed)
        modulus, phase = self.state.log_amplitude(parameters, spins)
        total = real
        if self.stage.temperature:
            cooled = self.stage.temperature / (1.0 + tf.cast(seed[1], real.dtype) / COOLING_STEPS)
            total = total + 2.0 * cooled * tf.stop_gradient(modulus)
        if self.stage.penalty:
            total = total + self.stage.penalty * tf.reduce_sum(spins, axis=2) ** 2
        loss = tf.reduce_mean(clipped(total) * modulus, axis=1)
        if phase is not None:
            loss = loss + tf.reduce_mean(clipped(tf.stop_gradient(imaginary)) * phase, axis=1)
        return 2.0 * loss, _report(real)

    def scores(
        self, parameters: Parameters, batch: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Centred ∂ ln ψ and local energies, for the natural gradient of a positive ψ."""
        spins, real, _ = self._sampled(parameters, batch[0][0])
        rows = natural_gradient.per_sample(
            lambda copies, alone: self.state.log_amplitude(copies, alone)[0], parameters, spins
        )
        rows = rows - tf.reduce_mean(rows, axis=1, keepdims=True)
        return rows, clipped(real), _report(real)


def clipped(energies: tf.Tensor) -> tf.Tensor:
    """Deviations from the mean ``[seeds, batch]``, outliers clipped, centred again."""
    deviation = energies - tf.reduce_mean(energies, axis=1, keepdims=True)
    bound = CLIP * tf.reduce_mean(tf.abs(deviation), axis=1, keepdims=True)
    deviation = tf.clip_by_value(deviation, -bound, bound)
    return deviation - tf.reduce_mean(deviation, axis=1, keepdims=True)


def _report(energies: tf.Tensor) -> tf.Tensor:
    """Mean and variance of local energies, ``[seeds, 2]``."""
    return tf.stack(
        [tf.reduce_mean(energies, axis=1), tf.math.reduce_variance(energies, axis=1)], axis=1
    )
