"""Sampling and conditionals of a recurrent wave function, each as one compiled scan.

A configuration costs one cell per site, its hidden state carried along the path. Layout of what is
carried: memory ``[columns, seeds, rows, units]``, where rows are samples, or branches of samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from emergence.retraining.cells import Cell
from emergence.retraining.ordering import Moves
from emergence.updates import Parameters

FORBIDDEN = 1e4
"""Log-odds that stand for certainty where the magnetisation leaves no choice."""


@dataclass(frozen=True)
class Recurrent:
    """A cell led along the path of a model's lattice.

    ``masked`` fixes the number of up spins to half of the sites: conditionals that would lead
    elsewhere are zero, so the network never leaves zero magnetisation.
    """

    cell: Cell
    moves: Moves
    masked: bool

    @property
    def sites(self) -> int:
        """Number of sites, and of positions on the path."""
        return self.moves.model.sites

    def advance(
        self,
        parameters: Parameters,
        memory: tf.Tensor,
        position: tf.Tensor,
        left_spin: tf.Tensor,
        above_spin: tf.Tensor,
        ups: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """One position for all rows: new memory, log-odds of up, phases.

        Args:
            memory: ``[columns, seeds, rows, units]``.
            left_spin, above_spin: spins of the neighbours, ``[seeds, rows]``.
            ups: up spins so far, ``[seeds, rows]``.
        """
        path = self.moves.path
        column = tf.gather(tf.constant(path.columns), position)
        zero = tf.zeros([], memory.dtype)
        if path.width == 1:
            # The first spin of a chain reads zero spins and the zero memory it starts with.
            hidden, odds, phases = self.cell.step(parameters, (memory[0], left_spin), None)
            memory = hidden[None]
        else:
            before = tf.gather(tf.constant(path.left), position)
            left = tf.where(before >= 0, tf.gather(memory, tf.maximum(before, 0)), zero)
            above = tf.gather(memory, column)
            hidden, odds, phases = self.cell.step(
                parameters, (left, left_spin), (above, above_spin)
            )
            here = tf.range(path.width) == column
            memory = tf.where(here[:, None, None, None], hidden[None], memory)
        return memory, self._mask(odds, ups, position), phases

    def _mask(self, odds: tf.Tensor, ups: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Certain where half of the spins already point up, or down."""
        if not self.masked:
            return odds
        half = tf.cast(self.sites // 2, odds.dtype)
        certain = tf.constant(FORBIDDEN, odds.dtype)
        downs = tf.cast(position, odds.dtype) - ups
        odds = tf.where(ups >= half, -certain, odds)
        return tf.where(downs >= half, certain, odds)

    def neighbour_spins(self, spins: tf.Tensor, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Spins left and above of a position, 0 beyond the edge; ``spins`` ``[positions, ...]``."""
        path = self.moves.path
        left = tf.where(tf.gather(tf.constant(path.left), position) >= 0, position - 1, -1)
        if path.width == 1:
            left = position - 1
        above = tf.gather(tf.constant(path.above), position)
        zero = tf.zeros([], spins.dtype)
        return tuple(
            tf.where(where >= 0, tf.gather(spins, tf.maximum(where, 0)), zero)
            for where in (left, above)
        )

    def empty_memory(self, parameters: Parameters, rows: int) -> tf.Tensor:
        """What is known before the first site."""
        some = parameters["odds/weight"]
        shape = [self.moves.path.width, some.shape[0], rows, self.cell.units]
        return tf.zeros(shape, some.dtype)

    def sample(self, parameters: Parameters, seed: tf.Tensor, batch: int) -> tf.Tensor:
        """Exact, independent samples ``[seeds, batch, sites]`` of ±1 in the order of the sites."""
        memory = self.empty_memory(parameters, batch)
        seeds, dtype, sites = memory.shape[1], memory.dtype, self.sites
        chance = tf.random.stateless_uniform([sites, seeds, batch], seed, dtype=dtype)

        def body(position: tf.Tensor, memory: tf.Tensor, ups: tf.Tensor, spins: tf.Tensor) -> Any:
            left, above = self.neighbour_spins(spins, position)
            memory, odds, _ = self.advance(parameters, memory, position, left, above, ups)
            up = tf.cast(chance[position] < tf.sigmoid(odds), dtype)
            here = tf.range(sites) == position
            spins = tf.where(here[:, None, None], 2.0 * up - 1.0, spins)
            return position + 1, memory, ups + up, spins

        zeros = tf.zeros([sites, seeds, batch], dtype)
        *_, spins = tf.while_loop(
            lambda position, *_: position < sites,
            body,
            (tf.constant(0), memory, tf.zeros([seeds, batch], dtype), zeros),
            maximum_iterations=sites,
        )
        return tf.transpose(tf.gather(spins, self.moves.path.positions), [1, 2, 0])

    def log_probability(
        self, parameters: Parameters, spins: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """log p and the sum of phases, ``[seeds, batch]``; differentiable, causal, normalised."""
        sites = self.sites
        path = tf.gather(tf.transpose(spins, [2, 0, 1]), self.moves.path.sites)
        memory = self.empty_memory(parameters, spins.shape[1])
        zeros = tf.zeros(path.shape[1:], path.dtype)

        def body(
            position: tf.Tensor,
            memory: tf.Tensor,
            ups: tf.Tensor,
            total: tf.Tensor,
            phase: tf.Tensor,
        ) -> Any:
            left, above = self.neighbour_spins(path, position)
            memory, odds, phases = self.advance(parameters, memory, position, left, above, ups)
            spin = path[position]
            total = total - tf.nn.softplus(-spin * odds)
            if phases is not None:
                phase = phase + tf.where(spin > 0, phases[..., 1], phases[..., 0])
            return position + 1, memory, ups + tf.nn.relu(spin), total, phase

        *_, total, phase = tf.while_loop(
            lambda position, *_: position < sites,
            body,
            (tf.constant(0), memory, zeros, zeros, zeros),
            maximum_iterations=sites,
        )
        return total, phase if self.cell.has_phase else None
