"""What a proposal of refreshed latents moves: latents of a level here and there, or whole subtrees.

Both leave the prior in balance. How much is moved at a level is one number, its *strength* σ ≤ 0, the
logarithm of a share of the level's units; where that is less than one unit, one takes a step
b = e^σ·(units of the level).

*Scattered*: a unit is a latent, and each is drawn afresh by itself. *Subtrees*: a unit is a block, and
with its latents all those below it are drawn afresh. A latent changes the field at the scale of its
level, and the error of the flow there decides about the proposal; what lies below adds hardly any to
that, and comes for nothing. Where only a step is taken, what lies below stays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Move = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
"""(latents, step b in (0, 1] ``[chains]``, seed) → proposals that leave the prior in balance."""

JITTER = 1.0
"""Each proposal's σ is moved by a uniform number within ± so much, so that no scale is left out."""

SMALLEST = 6.0
"""A step is at least e^{−SMALLEST}."""


class Scattered:
    """Latents of a level, each by itself.

    Args:
        levels: of each latent, ``[L, L]``.
        move: of the flow's prior.
    """

    target = 0.4
    """Acceptance that strengths are tuned to. Where a share is one latent, a third of the proposals
    choose none and count as accepted: of those that move anything about a tenth is. Tuned to 0.4 of
    *these*, moves are so small that errors on 16 × 16 were up to twice as large."""

    def __init__(self, levels: np.ndarray, move: Move) -> None:
        self._move = move
        self._members = np.stack([levels == level for level in np.unique(levels)])
        self.numbers = self._members.sum(axis=(1, 2))

    def first_strength(self, groups: int) -> np.ndarray:
        """One unit at every level, ``[groups, levels]``."""
        return np.tile(-np.log(self.numbers), (groups, 1))

    def lowest(self) -> np.ndarray:
        """The smallest strength of each level."""
        return -np.log(self.numbers) - SMALLEST

    def propose(
        self, state: tf.Tensor, strength: tf.Tensor, level: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        """Latents ``[chains, L, L, c]`` with some of a level moved.

        Args:
            strength: ``[groups, levels]``, of as many consecutive chains each.
            level: index of the level.
            seed: ``[2]``.
        """
        seeds = tf.random.split(seed, 3)
        number = tf.gather(tf.constant(self.numbers, state.dtype), level)
        each = self._each(state, strength, level, seeds[0])
        alone = -tf.math.log(number)
        share = tf.exp(tf.maximum(each, alone))
        step = tf.exp(tf.minimum(each - alone, 0.0))
        chosen = self._chosen(level, share, step, state.shape, seeds[1])
        return tf.where(chosen[..., None], self._move(state, step, seeds[2]), state)

    def _each(
        self, state: tf.Tensor, strength: tf.Tensor, level: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        """σ of each chain, jittered."""
        chains = state.shape[0]
        moved = tf.random.stateless_uniform([chains], seed, -JITTER, JITTER, state.dtype)
        each = tf.repeat(tf.gather(strength, level, axis=1), chains // strength.shape[0])
        return tf.minimum(each + moved, 0.0)

    def _chosen(
        self,
        level: tf.Tensor,
        share: tf.Tensor,
        step: tf.Tensor,
        shape: tf.TensorShape,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Which latents are moved, ``[chains, L, L]``."""
        drawn = tf.random.stateless_uniform(shape[:3], seed, dtype=share.dtype)
        return tf.gather(tf.constant(self._members), level) & (drawn < share[:, None, None])


class Subtrees(Scattered):
    """Blocks of a level with everything below them; of steps, one block's own latents."""

    target = 0.25
    """Acceptance: where it falls with the area that is moved, as for a random walk, the product of both
    is largest at 0.23."""

    def __init__(self, levels: np.ndarray, move: Move) -> None:
        super().__init__(levels, move)
        own, side = self._members, len(levels)
        self._below = np.logical_or.accumulate(own, axis=0)
        # A block of level k has its latents on a square of 2^(k+1) sites; the last latent is its own.
        sizes = [min(2 ** (k + 1), side) for k in range(len(own))]
        row, column = np.indices(levels.shape)
        self._blocks = np.stack([row // n * (side // n) + column // n for n in sizes]).astype(
            np.int32
        )
        self.numbers = np.array([(side // n) ** 2 for n in sizes])

    def _chosen(
        self,
        level: tf.Tensor,
        share: tf.Tensor,
        step: tf.Tensor,
        shape: tf.TensorShape,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        seeds = tf.random.split(seed, 2)
        chains, most = shape[0], int(self.numbers.max())
        number = tf.gather(tf.constant(self.numbers, tf.int32), level)
        # One at least, so that no proposal is idle; of the others so many that all are that share.
        one = tf.random.stateless_uniform([chains], seeds[0], 0, number, tf.int32)
        count = tf.cast(number, share.dtype)
        rest = (share * count - 1.0) / tf.maximum(count - 1.0, 1.0)
        drawn = tf.random.stateless_uniform([chains, most], seeds[1], dtype=share.dtype)
        blocks = (drawn < rest[:, None]) | (tf.range(most) == one[:, None])
        within = tf.gather(blocks, tf.gather(tf.constant(self._blocks), level), axis=1)
        whole = (step >= 1.0)[:, None, None]
        own, below = (tf.gather(tf.constant(part), level) for part in (self._members, self._below))
        return within & tf.where(whole, below, own)
