"""What both trainings draw from: random windows of potentials, and what belongs to them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import tensorflow as tf


class WindowsProblem(ABC):
    """The part of a training problem (:func:`emergence.training.train`) that draws windows.

    Args:
        seeds: independent trainings side by side.
        seed: of the initial parameters.
        potential: ``[windows, sites]``, 1/length².
        dtype: precision of the training.
    """

    def __init__(self, seeds: int, seed: int, potential: np.ndarray, dtype: str) -> None:
        self.seeds, self.seed, self.dtype = seeds, seed, dtype
        self._potential = tf.constant(potential, dtype)

    @property
    @abstractmethod
    def rolls(self) -> bool:
        """Whether the state rolls by matrices, so that its derivatives can roll along with it
        (:mod:`emergence.jacobians`)."""

    @abstractmethod
    def fresh(self, seeds: int) -> dict[str, np.ndarray]:
        """Name → initial parameters ``[seeds, ...]`` in double precision."""

    @abstractmethod
    def belonging(self, index: tf.Tensor, window: int) -> tuple[tf.Tensor, ...]:
        """What belongs to the windows ``index`` ``[seeds, batch]``, cut to ``window`` sites."""

    def initial_parameters(self, candidates: int = 1) -> dict[str, np.ndarray]:
        """Name → ``[seeds · candidates, ...]`` in the training's precision."""
        start = self.fresh(self.seeds * candidates)
        return {name: value.astype(self.dtype) for name, value in start.items()}

    def draw(self, seed: tf.Tensor, batch: int, window: int) -> tuple[tf.Tensor, ...]:
        """Random windows for every seed, cut to ``window`` sites: V, then what belongs to them."""
        number, sites = self._potential.shape
        shape = [self.seeds, batch]
        index = tf.random.stateless_uniform(shape, seed, maxval=number, dtype=tf.int32)
        window = min(window, sites)
        return tf.gather(self._potential[:, :window], index), *self.belonging(index, window)
