"""Recurrent cells: what a network remembers of the sites it has passed, and the next conditional.

A cell reads the hidden states and spins of the sites before it on the path (one on a chain, two on
a square) and gives its own hidden state and the log-odds of spin up. Its weights know nothing of
the lattice's size. Spins are ±1, or 0 for a neighbour beyond the edge.

Every array has a leading seed axis; rows are samples and branches alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from emergence.updates import Parameters


class Cell(Protocol):
    """What the engine of sampling and local energies needs of a network."""

    units: int
    """Width of the hidden state."""
    has_phase: bool
    """Whether ``step`` returns phases; without, amplitudes are positive."""

    def initial_parameters(self, rng: np.random.Generator, seeds: int) -> dict[str, np.ndarray]:
        """Name → float64 array ``[seeds, ...]``."""

    def step(
        self,
        parameters: Parameters,
        left: tuple[tf.Tensor, tf.Tensor],
        above: tuple[tf.Tensor, tf.Tensor] | None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """One site.

        Args:
            left: hidden state ``[seeds, rows, units]`` and spin ``[seeds, rows]`` of the neighbour
                before it on the path.
            above: the same of the neighbour in the row before; None on a chain.

        Returns:
            hidden state; log-odds of spin up ``[seeds, rows]``; phases of spin down and up
            ``[seeds, rows, 2]``, or None.
        """


def linear(parameters: Parameters, name: str, values: tf.Tensor) -> tf.Tensor:
    """``values`` ``[seeds, rows, inputs]`` times a weight matrix, plus its bias if it has one."""
    result = tf.matmul(values, parameters[f"{name}/weight"])
    bias = parameters.get(f"{name}/bias")
    return result if bias is None else result + bias[:, None]


def one_hot(*spins: tf.Tensor) -> tf.Tensor:
    """Code (down, up) of spins ``[seeds, rows]`` side by side; a spin of 0 reads as nothing."""
    return tf.stack([tf.nn.relu(part) for spin in spins for part in (-spin, spin)], axis=2)


def uniform(
    rng: np.random.Generator, seeds: int, inputs: int, outputs: int, fan: int | None = None
) -> np.ndarray:
    """Weights ``[seeds, inputs, outputs]``, uniform with variance 1 / (3 · fan)."""
    bound = (fan or inputs) ** -0.5
    return rng.uniform(-bound, bound, (seeds, inputs, outputs))


@dataclass(frozen=True)
class GatedUnit:
    """Gated recurrent unit (Cho et al., arXiv:1406.1078) with one linear output, for chains."""

    units: int = 64

    has_phase = False

    def initial_parameters(self, rng: np.random.Generator, seeds: int) -> dict[str, np.ndarray]:
        """Uniform weights; the conditionals start at one half."""
        units = self.units
        return {
            "spin/weight": uniform(rng, seeds, 2, 3 * units, units),
            "spin/bias": np.zeros((seeds, 3 * units)),
            "hidden/weight": uniform(rng, seeds, units, 3 * units),
            "hidden/bias": np.zeros((seeds, 3 * units)),
            "odds/weight": 0.1 * uniform(rng, seeds, units, 1),
            "odds/bias": np.zeros((seeds, 1)),
        }

    def step(
        self,
        parameters: Parameters,
        left: tuple[tf.Tensor, tf.Tensor],
        above: tuple[tf.Tensor, tf.Tensor] | None,
    ) -> tuple[tf.Tensor, tf.Tensor, None]:
        """See :class:`Cell`."""
        hidden, spin = left
        kept = tf.split(linear(parameters, "hidden", hidden), 3, axis=2)
        seen = tf.split(linear(parameters, "spin", one_hot(spin)), 3, axis=2)
        reset = tf.sigmoid(kept[0] + seen[0])
        update = tf.sigmoid(kept[1] + seen[1])
        candidate = tf.tanh(seen[2] + reset * kept[2])
        hidden = candidate + update * (hidden - candidate)
        return hidden, linear(parameters, "odds", hidden)[..., 0], None


@dataclass(frozen=True)
class TensorUnit:
    """Tensorised gated unit for squares: spins of both neighbours choose the weight matrices.

    Source: Hibat-Allah, Melko & Carrasquilla, arXiv:2207.14314, eqs. of the 2D cell.
    """

    units: int = 48

    has_phase = False

    def initial_parameters(self, rng: np.random.Generator, seeds: int) -> dict[str, np.ndarray]:
        """Uniform weights; the conditionals start at one half."""
        units = self.units
        return {
            "tensor/weight": uniform(rng, seeds, 8 * units, 2 * units, 4 * units),
            "spin/weight": uniform(rng, seeds, 4, 2 * units, units),
            "tensor/bias": np.zeros((seeds, 2 * units)),
            "merge/weight": uniform(rng, seeds, 2 * units, units),
            "odds/weight": 0.1 * uniform(rng, seeds, units, 1),
            "odds/bias": np.zeros((seeds, 1)),
        }

    def step(
        self,
        parameters: Parameters,
        left: tuple[tf.Tensor, tf.Tensor],
        above: tuple[tf.Tensor, tf.Tensor] | None,
    ) -> tuple[tf.Tensor, tf.Tensor, None]:
        """See :class:`Cell`."""
        both = tf.concat([left[0], above[0]], axis=2)
        codes = one_hot(left[1], above[1])
        outer = codes[..., None] * both[:, :, None]
        outer = tf.reshape(outer, [*both.shape[:2], 8 * self.units])
        pre = linear(parameters, "tensor", outer) + linear(parameters, "spin", codes)
        candidate, update = tf.tanh(pre[..., : self.units]), tf.sigmoid(pre[..., self.units :])
        merged = linear(parameters, "merge", both)
        hidden = merged + update * (candidate - merged)
        return hidden, linear(parameters, "odds", hidden)[..., 0], None
