"""The original's network of the square: five layers of recurrent networks that see the past.

In each layer a long short-term memory runs down the columns; its output feeds one that runs from
left to right and one from right to left. The first is shifted by a column, the second by a row, so
that site (i, j) sees exactly the sites before it in raster order: the rows above and, in its own
row, those to the left. Two 1×1 layers mix both; a residual and layer normalisation follow.

    (h, c) ← LayerNorm[LSTM(x, h, c)],   x ← LayerNorm[W₂ ReLU(W₁ [right, left]) + x].

The spins enter as one-hot code (no residual in the first layer, which has no units yet); heads as on
the chain. W₁ widens to four times the units; input and hidden state of every LSTM have a bias each,
and both h and c are normalised: 2,978,950 parameters for 5 layers of 128 units. No weight knows
the size of the lattice. Source: Roth, arXiv:2003.06228, and its public code.

The original samples by evaluating the whole lattice anew for each site, L⁴ steps in all. Here states
are carried, so that a site costs one step of each memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from emergence.errors import SettingsError
from emergence.randomness import generator
from emergence.retraining.models import Model
from emergence.retraining.ordering import Moves
from emergence.retraining.paper_cell import (
    affine,
    affine_start,
    heads,
    heads_start,
    norm_start,
    normalised,
    one_hot,
)
from emergence.retraining.wavefunction import Ratios, average
from emergence.updates import Parameters

CHUNK_BYTES = 2**24
"""Memory that the moved configurations of one chunk may take: larger ones leave the cache."""

DIRECTIONS = ("down", "right", "left")


def memory_start(
    rng: np.random.Generator, seeds: int, name: str, inputs: int, units: int
) -> dict[str, np.ndarray]:
    """Parameters of one long short-term memory; input, forget, cell and output gate side by side."""
    return (
        affine_start(rng, seeds, f"{name}/input", inputs, 4 * units)
        | affine_start(rng, seeds, f"{name}/hidden", units, 4 * units)
        | norm_start(seeds, f"{name}/norm", units)
        | norm_start(seeds, f"{name}/cell", units)
    )


def remember(
    parameters: Parameters,
    name: str,
    driven: tf.Tensor,
    state: tuple[tf.Tensor, tf.Tensor],
    started: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step of a long short-term memory (Hochreiter & Schmidhuber 1997), normalised.

    Args:
        driven: the input layer's output ``[..., seeds, batch, 4 · units]``.
        state: hidden and cell state, each ``[..., seeds, batch, units]``.
        started: whether a step came before; the first one meets no hidden layer, nor its bias.
    """
    hidden, cell = state
    kept = affine(parameters, f"{name}/hidden", hidden)
    driven = driven + tf.where(started, kept, tf.zeros([], kept.dtype))
    taken, held, candidate, shown = tf.split(driven, 4, axis=-1)
    cell = tf.sigmoid(held) * cell + tf.sigmoid(taken) * tf.tanh(candidate)
    hidden = tf.sigmoid(shown) * tf.tanh(cell)
    return (
        normalised(parameters, f"{name}/norm", hidden),
        normalised(parameters, f"{name}/cell", cell),
    )


def remember_all(
    parameters: Parameters, name: str, inputs: tf.Tensor, backward: bool = False
) -> tf.Tensor:
    """Hidden states after each of ``inputs`` ``[steps, lines, seeds, batch, inputs]``, as one loop.

    Every line starts from nothing; ``backward`` runs from the last step to the first.
    """
    driven = affine(parameters, f"{name}/input", inputs)
    steps = driven.shape[0]
    units = driven.shape[-1] // 4
    empty = tf.zeros([*driven.shape[1:-1], units], driven.dtype)
    # Arrays, not slices of a tensor: the gradient of a slice would be as large as the whole.
    drives = tf.TensorArray(driven.dtype, steps, element_shape=driven.shape[1:]).unstack(driven)
    shown = tf.TensorArray(driven.dtype, steps, element_shape=empty.shape)

    def body(step: tf.Tensor, hidden: tf.Tensor, cell: tf.Tensor, shown: tf.TensorArray) -> Any:
        place = steps - 1 - step if backward else step
        state = remember(parameters, name, drives.read(place), (hidden, cell), step > 0)
        return step + 1, *state, shown.write(place, state[0])

    *_, shown = tf.while_loop(
        lambda step, *_: step < steps,
        body,
        (tf.constant(0), empty, empty, shown),
        maximum_iterations=steps,
    )
    return shown.stack()


def mixed(
    parameters: Parameters, layer: int, right: tf.Tensor, left: tf.Tensor, below: tf.Tensor | None
) -> tf.Tensor:
    """Output of a layer from what its two directions know; ``below`` is what it was given."""
    both = tf.concat([right, left], axis=-1)
    values = affine(parameters, f"{layer}/narrow", tf.nn.relu(
        affine(parameters, f"{layer}/widen", both)
    ))  # fmt: skip
    values = values if below is None else values + below
    return normalised(parameters, f"{layer}/norm", values)


@dataclass(frozen=True)
class PaperSquare:
    """The original's network of the square as a wave function.

    Attributes:
        directions: permutations of the sites, as in :attr:`Lattice.point_group`, over which
            |ψ|² = mean_g p(gs) and the phase arg Σ_g p(gs) e^{iφ(gs)} are averaged. The original
            reads its squares in one direction.

    Raises:
        SettingsError: a model that does not live on a square.
    """

    model: Model
    layers: int = 5
    units: int = 128
    directions: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.model.lattice.geometry != "square":
            raise SettingsError(
                f"The two-dimensional network cannot read the {self.model.lattice}.",
                "Choose a square, or the network of the chain.",
            )

    @property
    def size(self) -> int:
        """L."""
        return self.model.lattice.size

    @cached_property
    def _images(self) -> np.ndarray:
        if not self.directions:
            return np.arange(self.model.sites)[None]
        return np.array(self.directions)

    def initial_parameters(self, seeds: int, seed: int) -> dict[str, np.ndarray]:
        """Name → float64 array ``[seeds, ...]``."""
        rng, units = generator(seed, "wave function"), self.units
        parameters = heads_start(rng, seeds, units)
        for layer in range(self.layers):
            inputs = {"down": 2 if layer == 0 else units}
            for direction in DIRECTIONS:
                name = f"{layer}/{direction}"
                parameters |= memory_start(rng, seeds, name, inputs.get(direction, units), units)
            parameters |= affine_start(rng, seeds, f"{layer}/widen", 2 * units, 4 * units)
            parameters |= affine_start(rng, seeds, f"{layer}/narrow", 4 * units, units)
            parameters |= norm_start(seeds, f"{layer}/norm", units)
        return parameters

    def conditionals(self, parameters: Parameters, spins: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Log-odds of up ``[rows, columns, seeds, batch]`` and phases ``[..., 2 (down, up)]``.

        ``spins`` are ``[rows, columns, seeds, batch]``; each site's are given the raster past.
        """
        values = one_hot(spins)
        for layer in range(self.layers):
            down = remember_all(parameters, f"{layer}/down", values)
            by_column = tf.transpose(down, [1, 0, 2, 3, 4])
            right = remember_all(parameters, f"{layer}/right", by_column)
            left = remember_all(parameters, f"{layer}/left", by_column, backward=True)
            right = tf.transpose(tf.pad(right[:-1], [[1, 0]] + 4 * [[0, 0]]), [1, 0, 2, 3, 4])
            left = tf.pad(tf.transpose(left[:, :-1], [1, 0, 2, 3, 4]), [[1, 0]] + 4 * [[0, 0]])
            values = mixed(parameters, layer, right, left, values if layer else None)
        return heads(parameters, values)

    def log_probability(
        self, parameters: Parameters, spins: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """log p and the sum of phases in one reading direction, ``[seeds, batch]``."""
        seeds, batch = spins.shape[:2]
        grid = tf.reshape(tf.transpose(spins, [2, 0, 1]), [self.size, self.size, seeds, batch])
        odds, phases = self.conditionals(parameters, grid)
        phase = tf.where(grid > 0.0, phases[..., 1], phases[..., 0])
        log_p = -tf.nn.softplus(-grid * odds)
        return tf.reduce_sum(log_p, axis=[0, 1]), tf.reduce_sum(phase, axis=[0, 1])

    def log_amplitude(
        self, parameters: Parameters, spins: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """ln |ψ| and the phase of configurations ``[seeds, batch, sites]``, ``[seeds, batch]``."""
        images = tf.concat([tf.gather(spins, image, axis=2) for image in self._images], axis=1)
        shape = [spins.shape[0], len(self._images), spins.shape[1]]
        log_p, phase = self.log_probability(parameters, images)
        return average(tf.reshape(log_p, shape), tf.reshape(phase, shape), 1)

    def ratios(self, parameters: Parameters, spins: tf.Tensor) -> Ratios:
        """ln ψ(s')/ψ(s) for every move of :class:`Moves`, each s' evaluated from the start."""
        seeds, batch, sites = spins.shape
        signs = self._signs(Moves(self.model).pairs)
        row_bytes = sites * 4 * self.units * spins.dtype.size * len(self._images) * 4
        each = min(max(1, CHUNK_BYTES // (seeds * batch * row_bytes)), len(signs))
        count = -(-len(signs) // each)
        padded = np.concatenate([signs, np.ones((count * each - len(signs), sites))])
        modulus, phase = self.log_amplitude(parameters, spins)

        def changes(sign: tf.Tensor) -> tf.Tensor:
            """Of the moves in one chunk, ``[2, seeds, moves, batch]``."""
            moved = tf.reshape(spins[:, None] * sign[:, None], [seeds, each * batch, sites])
            parts = zip(self.log_amplitude(parameters, moved), (modulus, phase), strict=True)
            shape = [seeds, each, batch]
            return tf.stack([tf.reshape(after, shape) - before[:, None] for after, before in parts])

        chunks = tf.constant(padded.reshape(count, each, sites), spins.dtype)
        done = tf.map_fn(changes, chunks, parallel_iterations=1)
        done = tf.reshape(tf.transpose(done, [1, 2, 0, 3, 4]), [2, seeds, count * each, batch])
        return Ratios(done[0, :, : len(signs)], done[1, :, : len(signs)])

    def _signs(self, pairs: np.ndarray) -> np.ndarray:
        """−1 where a move flips a spin, ``[moves, sites]``."""
        signs = np.ones((len(pairs), self.model.sites + 1))
        np.put_along_axis(signs, pairs, -1.0, axis=1)  # −1, for no second spin, is the extra one
        return signs[:, :-1]

    def sample(self, parameters: Parameters, seed: tf.Tensor, batch: int) -> tf.Tensor:
        """Exact, independent samples of |ψ|², ``[seeds, batch, sites]``."""
        spins = _Sampling(self, parameters, batch).run(seed)
        if not self.directions:
            return spins
        # p(gs) averaged over g is the law of g⁻¹s for a random g and a sample s of p.
        drawn = tf.random.stateless_uniform(
            spins.shape[:2], seed + tf.constant([0, 1 << 30]), 0, len(self._images), tf.int32
        )
        inverse = tf.constant(np.argsort(self._images, axis=1))
        return tf.gather(spins, tf.gather(inverse, drawn), batch_dims=2)


@dataclass(frozen=True)
class _Sampling:
    """Ancestral sampling with states carried; lists have one entry per layer."""

    network: PaperSquare
    parameters: Parameters
    batch: int

    def _empty(self, *leading: int) -> tf.Tensor:
        some = self.parameters["odds/weight"]
        return tf.zeros([*leading, some.shape[0], self.batch, self.network.units], some.dtype)

    def run(self, seed: tf.Tensor) -> tf.Tensor:
        """``[seeds, batch, sites]``."""
        layers, size = range(self.network.layers), self.network.size
        empty = self._empty(size)
        nothing, seeds = [(empty, empty) for _ in layers], empty.shape[1]
        chance = tf.random.stateless_uniform(
            [size, size, seeds, self.batch], seed, dtype=empty.dtype
        )

        def body(row: tf.Tensor, down: list, left: list, spins: tf.Tensor) -> Any:
            down, line = self._row(row, down, left, chance[row])
            left = [
                remember_all(self.parameters, f"{k}/left", down[k][0], backward=True)
                for k in layers
            ]
            here = tf.range(size) == row
            return row + 1, down, left, tf.where(here[:, None, None, None], line, spins)

        *_, spins = tf.while_loop(
            lambda row, *_: row < size,
            body,
            (tf.constant(0), nothing, [empty for _ in layers], tf.zeros_like(chance)),
            maximum_iterations=size,
        )
        return tf.transpose(tf.reshape(spins, [size**2, seeds, self.batch]), [1, 2, 0])

    def _row(self, row: tf.Tensor, down: list, left: list, chance: tf.Tensor) -> tuple[list, Any]:
        """Sample one row; the columns' states below it, and its spins ``[columns, seeds, batch]``.

        Args:
            down: hidden and cell state of each column above the row.
            left: what the row above knows from its right, ``[columns, seeds, batch, units]``.
        """
        size = self.network.size
        empty = self._empty()

        def body(column: tf.Tensor, down: list, right: list, spins: tf.Tensor) -> Any:
            inputs = self._known(column, right, left)
            odds, _ = heads(self.parameters, inputs[-1])
            up = tf.cast(chance[column] < tf.sigmoid(odds), odds.dtype)
            spin = 2.0 * up - 1.0
            inputs = [one_hot(spin), *inputs[:-1]]
            states = [self._past(k, row, column, inputs[k], down[k], right[k])
                      for k in range(self.network.layers)]  # fmt: skip
            here = tf.range(size) == column
            spins = tf.where(here[:, None, None], spin, spins)
            return column + 1, [s[0] for s in states], [s[1] for s in states], spins

        _, down, _, spins = tf.while_loop(
            lambda column, *_: column < size,
            body,
            (tf.constant(0), down, [(empty, empty) for _ in down], tf.zeros_like(chance)),
            maximum_iterations=size,
        )
        return down, spins

    def _known(self, column: tf.Tensor, right: list, left: list) -> list[tf.Tensor]:
        """Output of every layer at the site about to be sampled."""
        outputs = [None]
        for layer, (state, above) in enumerate(zip(right, left, strict=True)):
            outputs.append(mixed(self.parameters, layer, state[0], above[column], outputs[-1]))
        return outputs[1:]

    def _past(
        self,
        layer: int,
        row: tf.Tensor,
        column: tf.Tensor,
        inputs: tf.Tensor,
        down: tuple[tf.Tensor, tf.Tensor],
        right: tuple[tf.Tensor, tf.Tensor],
    ) -> tuple[Any, Any]:
        """A layer's states once the site is past: the columns', and that along the row."""
        name, parameters = f"{layer}/down", self.parameters
        driven = affine(parameters, f"{name}/input", inputs)
        here = tuple(state[column] for state in down)
        here = remember(parameters, name, driven, here, row > 0)
        mask = (tf.range(self.network.size) == column)[:, None, None, None]
        down = tuple(tf.where(mask, new, old) for new, old in zip(here, down, strict=True))
        name = f"{layer}/right"
        driven = affine(parameters, f"{name}/input", here[0])
        return down, remember(parameters, name, driven, right, column > 0)
