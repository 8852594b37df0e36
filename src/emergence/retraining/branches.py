"""Branches: what a move of the Hamiltonian changes in the probability of a sample.

A branch starts at the first site that its move flips, from the hidden state that the sample itself
has there: everything before is shared, exactly. Branches that start within the same few positions
form a block: copies of the sample at the block's first position, each with its own spins flipped,
which advance together to the last site (the exact sum) or for ``window`` positions (the truncated
sum: the network has then forgotten the flip up to an error that
:func:`emergence.retraining.local_energy.gate` measures). A block is small enough for the processor's
cache. Changes of log p are accumulated branch minus sample, as differencing two sums over all sites
would lose digits in single precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import tensorflow as tf

from emergence.retraining.recurrent import Recurrent
from emergence.updates import Parameters

BLOCK_ROWS = 1000
"""Rows of a block, about: more leave the cache, fewer do not fill a matrix product."""


class Branched(NamedTuple):
    """Of every move: how much it changes log p and the phase, ``[seeds, moves, batch]``."""

    log_probability: tf.Tensor
    phase: tf.Tensor | None


def branches(
    network: Recurrent, parameters: Parameters, spins: tf.Tensor, window: int | None = None
) -> Branched:
    """Change of log p and phase under every move, for samples ``[seeds, batch, sites]`` of ±1.

    At least ``window`` positions of each branch are followed (and at least as far as the move's
    second site) and the rest is taken as unchanged; None for the exact sum.
    """
    moves, sites = network.moves, network.sites
    window = sites if window is None else min(max(window, moves.reach + 1), sites)
    path = tf.gather(tf.transpose(spins, [2, 0, 1]), moves.path.sites)
    change = _Scan(network, parameters, path, window).run()
    change = tf.gather(change, moves.slot, axis=2)
    return Branched(change[0], change[1] if network.cell.has_phase else None)


class _Sample(NamedTuple):
    """The samples themselves."""

    memory: tf.Tensor
    """At the first position of each block, ``[blocks, columns, seeds, batch, units]``."""
    ups: tf.Tensor
    """The same, ``[blocks, seeds, batch]``."""
    each: tf.Tensor
    """Log p (and phase) of each conditional, ``[positions, 1 or 2, seeds, batch]``."""


@dataclass(frozen=True)
class _Scan:
    """The scan over positions, for configurations ``path`` ``[positions, seeds, batch]``."""

    network: Recurrent
    parameters: Parameters
    path: tf.Tensor
    window: int

    @cached_property
    def length(self) -> int:
        """Positions at which the branches of one block start."""
        rows = self.path.shape[2] * self.network.moves.per_position
        return max(1, min(BLOCK_ROWS // rows, self.network.sites))

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.network.sites // self.length)

    @property
    def slots(self) -> int:
        """Branches of one sample in a block."""
        return self.length * self.network.moves.per_position

    def run(self) -> tf.Tensor:
        """Changes of all branches, ``[1 or 2, seeds, blocks · slots, batch]``."""
        sample = self._sample()
        parts, seeds, batch = sample.each.shape[1:]
        shape = [parts, seeds, self.slots, batch]
        done = tf.TensorArray(self.path.dtype, self.blocks, element_shape=shape)
        _, done = tf.while_loop(
            lambda block, _: block < self.blocks,
            lambda block, done: (block + 1, done.write(block, self._block(sample, block))),
            (tf.constant(0), done),
            maximum_iterations=self.blocks,
        )
        change = tf.transpose(done.stack(), [1, 2, 0, 3, 4])
        return tf.reshape(change, [parts, seeds, self.blocks * self.slots, batch])

    def _sample(self) -> _Sample:
        """One pass of the samples alone."""
        network, sites = self.network, self.network.sites
        seeds, batch = self.path.shape[1:]
        dtype, parts = self.path.dtype, 2 if network.cell.has_phase else 1
        memory = network.empty_memory(self.parameters, batch)
        arrays = tuple(
            tf.TensorArray(dtype, size, element_shape=shape)
            for size, shape in (
                (self.blocks + 1, memory.shape),
                (self.blocks + 1, [seeds, batch]),
                (sites, [parts, seeds, batch]),
            )
        )

        def body(position: tf.Tensor, memory: tf.Tensor, ups: tf.Tensor, arrays: Any) -> Any:
            # Written anew until the first position of the block, which stays.
            block = (position + self.length - 1) // self.length
            memories, counts, each = arrays
            memories, counts = memories.write(block, memory), counts.write(block, ups)
            left, above = network.neighbour_spins(self.path, position)
            memory, odds, phases = network.advance(
                self.parameters, memory, position, left, above, ups
            )
            spin = self.path[position]
            each = each.write(position, _conditionals(spin, odds, phases))
            return position + 1, memory, ups + tf.nn.relu(spin), (memories, counts, each)

        *_, arrays = tf.while_loop(
            lambda position, *_: position < sites,
            body,
            (tf.constant(0), memory, tf.zeros([seeds, batch], dtype), arrays),
            maximum_iterations=sites,
        )
        return _Sample(*(array.stack() for array in arrays))

    def _block(self, sample: _Sample, block: tf.Tensor) -> tf.Tensor:
        """Changes of the branches of one block, ``[1 or 2, seeds, slots, batch]``."""
        begin = block * self.length
        parts, seeds, batch = sample.each.shape[1:]
        end = tf.minimum(begin + self.length - 1 + self.window, self.network.sites)
        memory = tf.tile(sample.memory[block], [1, 1, self.slots, 1])
        ups = tf.tile(sample.ups[block][:, None], [1, self.slots, 1])
        change = tf.zeros([parts, seeds, self.slots, batch], self.path.dtype)
        _, _, _, change = tf.while_loop(
            lambda position, *_: position < end,
            lambda position, *carried: (
                position + 1,
                *self._step(*carried, position, begin, sample.each[position]),
            ),
            (begin, memory, ups, change),
            parallel_iterations=1,
        )
        return change

    def _step(
        self,
        memory: tf.Tensor,
        ups: tf.Tensor,
        change: tf.Tensor,
        position: tf.Tensor,
        begin: tf.Tensor,
        each: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One position for all branches of the block that starts at ``begin``."""
        network, moves = self.network, self.network.moves
        seeds, slots, batch = ups.shape
        number = tf.range(slots)
        first = begin + number // moves.per_position
        table = tf.reshape(tf.constant(moves.partner), [-1])
        slot = tf.minimum(begin * moves.per_position + number, table.shape[0] - 1)
        second = tf.gather(table, slot)
        one = tf.ones([], self.path.dtype)

        def seen(spin: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
            """Spins of samples ``[seeds, batch]`` as each branch has them."""
            flipped = tf.logical_or(first == where, second == where)
            return spin[:, None] * tf.where(flipped, -one, one)[:, None]

        def flat(values: tf.Tensor) -> tf.Tensor:
            return tf.reshape(values, [seeds, slots * batch])

        left, above = network.neighbour_spins(self.path, position)
        memory, odds, phases = network.advance(
            self.parameters,
            memory,
            position,
            flat(seen(left, position - 1)),
            flat(seen(above, tf.gather(tf.constant(moves.path.above), position))),
            flat(ups),
        )
        spin = seen(tf.gather(self.path, position), position)
        if phases is not None:
            phases = tf.reshape(phases, [*spin.shape, 2])
        after = _conditionals(spin, tf.reshape(odds, spin.shape), phases)
        return memory, ups + tf.nn.relu(spin), change + (after - each[:, :, None])


def _conditionals(spin: tf.Tensor, odds: tf.Tensor, phases: tf.Tensor | None) -> tf.Tensor:
    """Log p (and phase) of spins ``[...]`` given their log-odds, ``[1 or 2, ...]``."""
    parts = [-tf.nn.softplus(-spin * odds)]
    if phases is not None:
        parts.append(tf.where(spin > 0, phases[..., 1], phases[..., 0]))
    return tf.stack(parts)
