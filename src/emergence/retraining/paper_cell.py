"""The original's network of the chain: a gated unit without reset gate, with a learnt phase.

    h̃ = tanh(W x + U h),  z = σ(W' x + U' h),  h ← LayerNorm[(1 − z) h + z h̃],

where x is the one-hot code of the spin before; two heads, each of two ReLU layers, give the
log-odds of spin up and a phase for either spin. 128 units make 100,870 parameters.
Source: Roth, arXiv:2003.06228, and its public code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from emergence.retraining.cells import uniform
from emergence.updates import Parameters

NORM_EPSILON = 1e-5
"""Added to the variance in layer normalisation, as in the original's framework."""


def one_hot(spins: tf.Tensor) -> tf.Tensor:
    """(down, up) of spins ±1 along a new last axis; a spin of 0 reads as nothing."""
    return tf.stack([tf.nn.relu(-spins), tf.nn.relu(spins)], axis=-1)


def affine(parameters: Parameters, name: str, values: tf.Tensor) -> tf.Tensor:
    """A layer applied to ``[..., seeds, rows, inputs]``: one product per seed, whatever leads."""
    product = tf.einsum("...sri,sio->...sro", values, parameters[f"{name}/weight"])
    return product + parameters[f"{name}/bias"][:, None]


def affine_start(
    rng: np.random.Generator, seeds: int, name: str, inputs: int, outputs: int
) -> dict[str, np.ndarray]:
    """Weight and bias of a layer, uniform with variance 1 / (3 · inputs)."""
    bias = uniform(rng, seeds, 1, outputs, inputs)[:, 0]
    return {f"{name}/weight": uniform(rng, seeds, inputs, outputs), f"{name}/bias": bias}


def normalised(parameters: Parameters, name: str, values: tf.Tensor) -> tf.Tensor:
    """Layer normalisation of ``[..., seeds, rows, units]`` (Ba et al., arXiv:1607.06450)."""
    centred = values - tf.reduce_mean(values, axis=-1, keepdims=True)
    variance = tf.reduce_mean(centred**2, axis=-1, keepdims=True)
    scaled = centred * tf.math.rsqrt(variance + NORM_EPSILON)
    return scaled * parameters[f"{name}/scale"][:, None] + parameters[f"{name}/shift"][:, None]


def norm_start(seeds: int, name: str, units: int) -> dict[str, np.ndarray]:
    """Scale one, shift zero."""
    return {f"{name}/scale": np.ones((seeds, units)), f"{name}/shift": np.zeros((seeds, units))}


def heads(parameters: Parameters, hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Conditionals read from hidden states ``[..., seeds, rows, units]``.

    Returns:
        log-odds of spin up ``[..., seeds, rows]``; phases of spin down and up
        ``[..., seeds, rows, 2]``.
    """
    outputs = []
    for head, last in (("probability", "odds"), ("angle", "phase")):
        values = hidden
        for layer in (1, 2):
            values = tf.nn.relu(affine(parameters, f"{head}{layer}", values))
        outputs.append(affine(parameters, last, values))
    logits, parts = outputs
    return logits[..., 1] - logits[..., 0], tf.atan2(parts[..., 2:], parts[..., :2])


def heads_start(rng: np.random.Generator, seeds: int, units: int) -> dict[str, np.ndarray]:
    """Parameters of :func:`heads`: 2 logits; 2 cosines and 2 sines, each for spin down and up."""
    parameters = {}
    for head, last, outputs in (("probability", "odds", 2), ("angle", "phase", 4)):
        for layer in (1, 2):
            parameters |= affine_start(rng, seeds, f"{head}{layer}", units, units)
        parameters |= affine_start(rng, seeds, last, units, outputs)
    return parameters


@dataclass(frozen=True)
class PaperCell:
    """The original's cell, for chains.

    Each gate's W and U have a bias of their own, although only the sum acts once there is a hidden
    state. Before that, as in the original, the first spin meets W alone, and the heads read zeros
    at the first site.
    """

    units: int = 128

    has_phase = True

    def initial_parameters(self, rng: np.random.Generator, seeds: int) -> dict[str, np.ndarray]:
        """Name → float64 array ``[seeds, ...]``; candidate and gate share a matrix, side by side."""
        units = self.units
        return (
            affine_start(rng, seeds, "spin", 2, 2 * units)
            | affine_start(rng, seeds, "hidden", units, 2 * units)
            | norm_start(seeds, "norm", units)
            | heads_start(rng, seeds, units)
        )

    def step(
        self,
        parameters: Parameters,
        left: tuple[tf.Tensor, tf.Tensor],
        above: tuple[tf.Tensor, tf.Tensor] | None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """See :class:`emergence.retraining.cells.Cell`."""
        hidden, spin = left
        # Layer normalisation leaves no hidden state at exactly zero but the one before the start.
        started = tf.cast(tf.reduce_any(hidden != 0.0, axis=-1, keepdims=True), hidden.dtype)
        seen = affine(parameters, "spin", one_hot(spin))
        seen += started * affine(parameters, "hidden", hidden)
        candidate, gate = tf.split(seen, 2, axis=-1)
        mixed = hidden + tf.sigmoid(gate) * (tf.tanh(candidate) - hidden)
        first = (spin == 0.0)[..., None]
        hidden = tf.where(first, hidden, normalised(parameters, "norm", mixed))
        return hidden, *heads(parameters, hidden)
