"""The naive way to the local energy: every connected configuration read from its first site.

N configurations of N sites are N² cells of each sample, against N²/2 of the shared prefixes and
N · window of the truncated branches. It is what ``make bench`` measures them against, with the
same care: compiled, and in groups of moves that fit into the processor's cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from emergence.retraining.wavefunction import Ratios, RecurrentState
from emergence.updates import Parameters

GROUP_ROWS = 1000
"""Configurations read side by side, about."""


@dataclass(frozen=True)
class NaiveState(RecurrentState):
    """A recurrent wave function whose ratios share nothing between a sample and its moves."""

    def _signs(self, each: int) -> np.ndarray:
        """−1 at the sites that a move flips, ``[groups, each, sites]``; the last are no moves."""
        pairs, sites = self.network.moves.pairs, self.model.sites
        signs = np.ones((-(-len(pairs) // each) * each, sites))
        for move, pair in enumerate(pairs):
            signs[move, pair[pair >= 0]] = -1.0
        return signs.reshape(-1, each, sites)

    def ratios(self, parameters: Parameters, spins: tf.Tensor) -> Ratios:
        """ln ψ(s')/ψ(s) for every move, as differences of sums over all sites."""
        seeds, batch, sites = spins.shape
        each = max(1, GROUP_ROWS // batch)

        def stacked(values: tuple[tf.Tensor, tf.Tensor | None], number: int) -> tf.Tensor:
            # A map cannot carry the None of a positive wave function.
            parts = tf.stack([part for part in values if part is not None])
            return tf.reshape(parts, [-1, seeds, number, batch])

        def group(signs: tf.Tensor) -> tf.Tensor:
            moved = tf.reshape(spins[:, None] * signs[:, None], [seeds, each * batch, sites])
            return stacked(self.log_amplitude(parameters, moved), each)

        after = tf.map_fn(
            group,
            tf.constant(self._signs(each), spins.dtype),
            fn_output_signature=spins.dtype,
            parallel_iterations=1,
        )  # [groups, modulus (and phase), seeds, moves of a group, batch]
        after = tf.transpose(after, [1, 2, 0, 3, 4])
        after = tf.reshape(after, [after.shape[0], seeds, -1, batch])
        after = after[:, :, : len(self.network.moves.pairs)]
        change = after - stacked(self.log_amplitude(parameters, spins), 1)
        return Ratios(change[0], change[1] if change.shape[0] == 2 else None)
