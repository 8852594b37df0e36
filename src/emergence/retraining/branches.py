"""Branches: what a move of the Hamiltonian changes in the probability of a sample.

A branch starts at the first site that its move flips, from the hidden state that the sample itself
has there: everything before is shared, exactly. All branches of all samples advance together with
the samples in one scan. Changes of log p are accumulated from the flip on, branch minus sample, as
differencing two sums over all sites would lose digits in single precision.

The exact sum follows every branch to the last site. It runs in segments, each with only the
branches that have started by its end, which saves almost half of the work. The truncated sum
follows a branch for ``window`` positions, in a ring of slots: the network has then forgotten the
flip up to an error that :func:`emergence.retraining.local_energy.gate` measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from emergence.retraining.recurrent import Recurrent
from emergence.updates import Parameters

SEGMENTS = 4
"""More would save little work (a half at most) and cost as many compiled loops."""


class Branched(NamedTuple):
    """Of every move: how much it changes log p and the phase, ``[seeds, moves, batch]``."""

    log_probability: tf.Tensor
    phase: tf.Tensor | None


class _Carried(NamedTuple):
    memory: tf.Tensor
    ups: tf.Tensor
    """``[seeds, 1 + slots, batch]``; slot 0 is the sample itself."""
    change: tf.Tensor
    """``[1 or 2 (log p, phase), seeds, slots, batch]``."""


def branches(
    network: Recurrent, parameters: Parameters, spins: tf.Tensor, window: int | None = None
) -> Branched:
    """Change of log p and phase under every move, for samples ``[seeds, batch, sites]`` of ±1.

    ``window`` positions of each branch are followed (at least as far as the move's second site)
    and the rest is taken as unchanged; None for the exact sum.
    """
    moves, sites = network.moves, network.sites
    window = sites if window is None else min(max(window, moves.reach + 1), sites)
    path = tf.gather(tf.transpose(spins, [2, 0, 1]), moves.path.sites)
    scan = _Scan(network, parameters, path, window)
    carried = scan.start()
    if window == sites:
        ends = sorted({-(-sites * (k + 1) // SEGMENTS) for k in range(SEGMENTS)})
        for begin, end in zip([0, *ends], ends, strict=False):
            carried, _ = scan.run(scan.grown(carried, end), begin, end)
        change = carried.change
    else:
        carried, left = scan.run(scan.grown(carried, window), 0, sites)
        # left[t] belongs to the branches that started at t - window; the others are in the ring.
        left = tf.transpose(left[window:], [1, 2, 0, 3, 4])
        left = tf.reshape(left, [*left.shape[:2], -1, left.shape[4]])
        ring = tf.roll(carried.change, -(sites % window) * moves.per_position, axis=2)
        change = tf.concat([left, ring], axis=2)
    change = tf.gather(change, moves.slot, axis=2)
    return Branched(change[0], change[1] if network.cell.has_phase else None)


@dataclass(frozen=True)
class _Scan:
    """The scan over positions, for configurations ``path`` ``[positions, seeds, batch]``."""

    network: Recurrent
    parameters: Parameters
    path: tf.Tensor
    window: int

    def start(self) -> _Carried:
        """The sample alone, before the first position."""
        seeds, batch = self.path.shape[1:]
        parts = 2 if self.network.cell.has_phase else 1
        return _Carried(
            self.network.empty_memory(self.parameters, batch),
            tf.zeros([seeds, 1, batch], self.path.dtype),
            tf.zeros([parts, seeds, 0, batch], self.path.dtype),
        )

    def grown(self, carried: _Carried, positions: int) -> _Carried:
        """With room for the branches that start at so many positions."""
        more = positions * self.network.moves.per_position - carried.change.shape[2]
        rows = more * self.path.shape[2]
        return _Carried(
            tf.pad(carried.memory, [[0, 0], [0, 0], [0, rows], [0, 0]]),
            tf.pad(carried.ups, [[0, 0], [0, more], [0, 0]]),
            tf.pad(carried.change, [[0, 0], [0, 0], [0, more], [0, 0]]),
        )

    def run(self, carried: _Carried, begin: int, end: int) -> tuple[_Carried, tf.Tensor | None]:
        """Positions ``begin`` to ``end``; also the changes of branches as they leave the ring."""
        truncated = self.window < self.network.sites
        each = self.network.moves.per_position
        parts, seeds, _, batch = carried.change.shape
        left = tf.TensorArray(
            self.path.dtype, end - begin, element_shape=[parts, seeds, each, batch]
        )

        def body(position: tf.Tensor, carried: _Carried, left: tf.TensorArray) -> Any:
            first = tf.math.floormod(position, self.window) * each
            if truncated:
                # tf.slice, not indices: the compiler needs to know the size.
                leaving = tf.slice(carried.change, [0, 0, first, 0], [parts, seeds, each, batch])
                left = left.write(position - begin, leaving)
            return position + 1, self._step(self._restarted(carried, first), position), left

        _, carried, left = tf.while_loop(
            lambda position, *_: position < end,
            body,
            (tf.constant(begin), carried, left),
            maximum_iterations=end - begin,
        )
        return carried, left.stack() if truncated else None

    def _restarted(self, carried: _Carried, first: tf.Tensor) -> _Carried:
        """Slots ``first`` and following begin anew, as copies of the sample."""
        each, slots = self.network.moves.per_position, carried.change.shape[2]
        batch = self.path.shape[2]
        number = tf.range(slots)
        new = tf.logical_and(number >= first, number < first + each)
        rows = tf.repeat(tf.concat([[False], new], axis=0), batch)
        sample = tf.tile(carried.memory[:, :, :batch], [1, 1, 1 + slots, 1])
        memory = tf.where(rows[:, None], sample, carried.memory)
        ups = tf.where(tf.concat([[False], new], axis=0)[:, None], carried.ups[:, :1], carried.ups)
        zero = tf.zeros([], carried.change.dtype)
        return _Carried(memory, ups, tf.where(new[:, None], zero, carried.change))

    def _signs(self, position: tf.Tensor, slots: int) -> tuple[tf.Tensor, tf.Tensor]:
        """First and second position of the move in each slot, ``[slots]``."""
        moves = self.network.moves
        number = tf.range(slots)
        turn, rank = number // moves.per_position, number % moves.per_position
        first = position - tf.math.floormod(position - turn, self.window)
        table = tf.reshape(tf.constant(moves.partner), [-1])
        second = tf.gather(table, tf.maximum(first, 0) * moves.per_position + rank)
        return first, second

    def _step(self, carried: _Carried, position: tf.Tensor) -> _Carried:
        network, moves = self.network, self.network.moves
        _, seeds, slots, batch = carried.change.shape
        first, second = self._signs(position, slots)
        one = tf.ones([], self.path.dtype)

        def seen(spin: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
            """Spins of samples ``[seeds, batch]`` as the sample and each branch have them."""
            flipped = tf.logical_or(first == where, second == where)
            sign = tf.concat([[one], tf.where(flipped, -one, one)], axis=0)
            return spin[:, None] * sign[:, None]

        def flat(values: tf.Tensor) -> tf.Tensor:
            return tf.reshape(values, [seeds, (1 + slots) * batch])

        left, above = network.neighbour_spins(self.path, position)
        memory, odds, phases = network.advance(
            self.parameters,
            carried.memory,
            position,
            flat(seen(left, position - 1)),
            flat(seen(above, tf.gather(tf.constant(moves.path.above), position))),
            flat(carried.ups),
        )
        spin = seen(tf.gather(self.path, position), position)
        each = [-tf.nn.softplus(-spin * tf.reshape(odds, spin.shape))]
        if phases is not None:
            phases = tf.reshape(phases, [*spin.shape, 2])
            each.append(tf.where(spin > 0, phases[..., 1], phases[..., 0]))
        change = carried.change + tf.stack([part[:, 1:] - part[:, :1] for part in each])
        return _Carried(memory, carried.ups + tf.nn.relu(spin), change)
