"""The original's network of the square: its size, its formula, what each site sees, its samples."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from emergence.errors import SettingsError
from emergence.retraining import paper_square
from emergence.retraining.lattice import Lattice
from emergence.retraining.models import Heisenberg, Ising
from emergence.retraining.ordering import Moves
from emergence.retraining.paper_square import PaperSquare

SEEDS, UNITS = 2, 4
SMALL = PaperSquare(Heisenberg(Lattice("square", 2), 0.5), layers=2, units=UNITS)
ODD = PaperSquare(Ising(Lattice("square", 3), 2.0), layers=2, units=UNITS)


def averaged(net):
    group = tuple(map(tuple, net.model.lattice.point_group.tolist()))
    return PaperSquare(net.model, net.layers, net.units, group)


def weights(net, dtype="float64", scale=0.3):
    """Random, so that everything acts."""
    rng = np.random.default_rng(7)
    start = net.initial_parameters(SEEDS, 0)
    drawn = {n: v + scale * rng.standard_normal(v.shape) for n, v in start.items()}
    return {name: tf.constant(value, dtype) for name, value in drawn.items()}


def configurations(net, batch, dtype="float64"):
    spins = np.random.default_rng(8).choice([-1.0, 1.0], (SEEDS, batch, net.model.sites))
    return tf.constant(spins, dtype)


def every_configuration(sites):
    every = np.array(list(itertools.product([-1.0, 1.0], repeat=sites)))
    return tf.constant(np.broadcast_to(every, (SEEDS, *every.shape)))


def run(function, *arguments, compiled=False):
    return tf.function(function, autograph=False, jit_compile=compiled)(*arguments)


def grid_of(net, spins):
    """``[rows, columns, SEEDS, batch]``."""
    return tf.reshape(tf.transpose(spins, [2, 0, 1]), [net.size, net.size, *spins.shape[:2]])


class Reference:
    """The network written for one configuration of one seed, site by site, with nothing shared."""

    def __init__(self, net, parameters, seed):
        self.net, self.w = net, {name: value.numpy()[seed] for name, value in parameters.items()}

    def dense(self, name, values):
        return values @ self.w[f"{name}/weight"] + self.w[f"{name}/bias"]

    def norm(self, name, values):
        values = (values - values.mean()) / np.sqrt(values.var() + 1e-5)
        return values * self.w[f"{name}/scale"] + self.w[f"{name}/shift"]

    def memory(self, name, inputs):
        hidden, cell, outputs = None, np.zeros(UNITS), []
        for x in inputs:
            gates = self.dense(f"{name}/input", x)
            gates = gates if hidden is None else gates + self.dense(f"{name}/hidden", hidden)
            i, f, g, o = np.split(gates, 4)
            sigmoid = 1.0 / (1.0 + np.exp(-np.stack([i, f, o])))
            cell = sigmoid[1] * cell + sigmoid[0] * np.tanh(g)
            hidden = self.norm(f"{name}/norm", np.tanh(cell) * sigmoid[2])
            cell = self.norm(f"{name}/cell", cell)
            outputs.append(hidden)
        return np.array(outputs)

    def layer(self, k, values):
        size = self.net.size
        down = np.stack([self.memory(f"{k}/down", values[:, j]) for j in range(size)], axis=1)
        right = np.stack([self.memory(f"{k}/right", row) for row in down])
        left = np.stack([self.memory(f"{k}/left", row[::-1])[::-1] for row in down])
        outputs = np.zeros((size, size, UNITS))
        for i, j in np.ndindex(size, size):
            before = right[i, j - 1] if j else np.zeros(UNITS)
            above = left[i - 1, j] if i else np.zeros(UNITS)
            wide = np.maximum(self.dense(f"{k}/widen", np.append(before, above)), 0.0)
            total = self.dense(f"{k}/narrow", wide) + (values[i, j] if k else 0.0)
            outputs[i, j] = self.norm(f"{k}/norm", total)
        return outputs

    def log_probability_and_phase(self, spins):
        values = np.stack([spins < 0, spins > 0], axis=-1).astype(float)
        values = values.reshape(self.net.size, self.net.size, 2)
        for k in range(self.net.layers):
            values = self.layer(k, values)
        heads = []
        for head, last in (("probability", "odds"), ("angle", "phase")):
            inner = values
            for layer in (1, 2):
                inner = np.maximum(self.dense(f"{head}{layer}", inner), 0.0)
            heads.append(self.dense(last, inner).reshape(self.net.model.sites, -1))
        up = (spins > 0).astype(int)
        at = np.arange(len(spins))
        logits = heads[0] - np.log(np.exp(heads[0]).sum(axis=1, keepdims=True))
        return logits[at, up].sum(), np.arctan2(heads[1][at, 2 + up], heads[1][at, up]).sum()


def test_has_the_published_number_of_parameters():
    start = PaperSquare(Heisenberg(Lattice("square", 4))).initial_parameters(1, 0)
    assert sum(value.size for value in start.values()) == 2_978_950


def test_is_the_published_network():
    net, spins = ODD, configurations(ODD, 3)
    parameters = weights(net)
    log_p, phase = run(net.log_probability, parameters, spins)
    for seed, row in np.ndindex(SEEDS, 3):
        expected = Reference(net, parameters, seed).log_probability_and_phase(
            spins[seed, row].numpy()
        )
        np.testing.assert_allclose((log_p[seed, row], phase[seed, row]), expected, rtol=1e-11)


@pytest.mark.parametrize("net", [SMALL, ODD, averaged(SMALL)], ids=["2x2", "3x3", "averaged"])
def test_squared_amplitudes_of_all_configurations_sum_to_one(net):
    modulus, phase = run(net.log_amplitude, weights(net), every_configuration(net.model.sites))
    np.testing.assert_allclose(np.exp(2.0 * modulus).sum(axis=1), 1.0, rtol=1e-12)
    assert np.std(modulus) > 0.1
    assert np.std(phase) > 0.1


def test_each_site_sees_exactly_the_raster_past():
    net = PaperSquare(ODD.model, layers=2, units=12)
    parameters, grid = weights(net), grid_of(net, configurations(net, 1))
    sites = net.model.sites

    @tf.function(autograph=False)
    def derivatives():
        with tf.GradientTape() as tape:
            copies = tf.repeat(grid, sites, axis=3)  # one per conditional differentiated
            tape.watch(copies)
            odds, phases = net.conditionals(parameters, copies)
            both = odds + tf.reduce_sum(phases, axis=-1)
            both = tf.reshape(both, [sites, SEEDS, sites])
            total = tf.reduce_sum(tf.linalg.diag_part(tf.transpose(both, [1, 0, 2])))
        return tf.reshape(tape.gradient(total, copies), [sites, SEEDS, sites])

    found = derivatives().numpy()
    flipped = np.repeat(grid.numpy(), sites + 1, axis=3).reshape(sites, SEEDS, sites + 1)
    for site in range(sites):
        flipped[site, :, site + 1] *= -1.0
    flipped = tf.constant(flipped.reshape(net.size, net.size, SEEDS, sites + 1))
    odds = run(net.conditionals, parameters, flipped)[0].numpy().reshape(sites, SEEDS, -1)
    changes = np.abs(odds[:, :, 1:] - odds[:, :, :1])
    for conditional, other in np.ndindex(sites, sites):
        if other < conditional:
            assert np.any(np.abs(found[other, :, conditional]) > 1e-9)
            assert np.any(changes[conditional, :, other] > 1e-9)
        else:
            assert not found[other, :, conditional].any()
            # Rows of a product may differ in their last digit by where they lie in it.
            assert np.all(changes[conditional, :, other] < 1e-12)


def test_samples_are_drawn_by_the_conditionals_of_the_whole_lattice():
    net, batch, seed = ODD, 40, tf.constant([5, 6])
    parameters = weights(net)
    spins = run(net.sample, parameters, seed, batch)
    assert spins.shape == (SEEDS, batch, net.model.sites)
    single = {name: tf.cast(value, tf.float32) for name, value in parameters.items()}
    assert run(net.sample, single, seed, 2).dtype == tf.float32
    grid = grid_of(net, spins)
    odds, _ = run(net.conditionals, parameters, grid)
    chance = tf.random.stateless_uniform(grid.shape, seed, dtype=tf.float64).numpy()
    np.testing.assert_array_equal(grid.numpy() > 0, chance < 1.0 / (1.0 + np.exp(-odds.numpy())))
    assert 0.0 < np.mean(grid.numpy() > 0) < 1.0


@pytest.mark.parametrize(
    ("net", "compiled"), [(SMALL, True), (averaged(SMALL), False)], ids=["one", "averaged"]
)
def test_samples_follow_the_enumerated_probabilities(net, compiled):
    batch, parameters = 20_000, weights(net)
    spins = run(net.sample, parameters, tf.constant([1, 2]), batch, compiled=compiled).numpy()
    modulus, _ = run(net.log_amplitude, parameters, every_configuration(4))
    numbers = ((spins > 0) @ (1 << np.arange(4)[::-1])).astype(int)
    for seed in range(SEEDS):
        expected = batch * np.exp(2.0 * modulus[seed])
        assert expected.min() > 5.0
        counts = np.bincount(numbers[seed], minlength=16)
        assert stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("net", [SMALL, averaged(SMALL)], ids=["one direction", "averaged"])
def test_ratios_are_differences_to_the_moved_configurations(net):
    parameters, spins = weights(net), configurations(net, 3)
    ratios = run(net.ratios, parameters, spins)
    amplitude = tf.function(net.log_amplitude, autograph=False)
    before = amplitude(parameters, spins)
    for move, pair in enumerate(Moves(net.model).pairs):
        moved = spins.numpy().copy()
        moved[:, :, pair[pair >= 0]] *= -1.0
        after = amplitude(parameters, tf.constant(moved))
        np.testing.assert_allclose(ratios.modulus[:, move], after[0] - before[0], atol=1e-12)
        np.testing.assert_allclose(ratios.phase[:, move], after[1] - before[1], atol=1e-12)


def test_ratios_pad_the_last_chunk_of_moves(monkeypatch):
    net = ODD  # nine moves
    parameters, spins = weights(net), configurations(net, 3)
    whole = run(net.ratios, parameters, spins)
    row_bytes = net.model.sites * 4 * UNITS * 8 * 4
    monkeypatch.setattr(paper_square, "CHUNK_BYTES", 4 * SEEDS * 3 * row_bytes)
    parts = run(net.ratios, parameters, spins)
    assert parts.modulus.shape == (SEEDS, 9, 3)
    np.testing.assert_allclose(parts.modulus, whole.modulus, atol=1e-12)
    np.testing.assert_allclose(parts.phase, whole.phase, atol=1e-12)


def test_averaging_directions_makes_every_image_alike():
    net, spins = averaged(ODD), configurations(ODD, 2)
    parameters, group = weights(net), ODD.model.lattice.point_group
    images = tf.concat([tf.gather(spins, image, axis=2) for image in group], axis=1)
    shape = (SEEDS, len(group), 2)
    modulus, phase = (np.reshape(v, shape) for v in run(net.log_amplitude, parameters, images))
    log_p, angle = (np.reshape(v, shape) for v in run(net.log_probability, parameters, images))
    assert np.ptp(log_p, axis=1).min() > 1e-3
    p = np.exp(log_p)
    expected = p.mean(axis=1)[:, None]
    np.testing.assert_allclose(np.exp(2.0 * modulus), np.repeat(expected, 8, axis=1), rtol=1e-11)
    direction = (p * np.exp(1j * angle)).sum(axis=1)[:, None]
    direction = np.repeat(direction / np.abs(direction), 8, axis=1)
    np.testing.assert_allclose(np.exp(1j * phase), direction, atol=1e-10)


def test_gradients_reach_every_parameter_and_agree_with_finite_differences():
    net = ODD  # on 2 × 2 no site sees two sites to its left
    parameters, spins = weights(net), configurations(net, 3)

    def objective(parameters):
        modulus, phase = net.log_amplitude(parameters, spins)
        return tf.reduce_sum(modulus) + tf.reduce_sum(phase)

    def gradients(parameters):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            value = objective(parameters)
        return tape.gradient(value, parameters)

    found = run(gradients, parameters, compiled=True)
    evaluate = tf.function(objective, autograph=False)
    rng, step = np.random.default_rng(0), 1e-6
    for name, gradient in found.items():
        assert np.any(gradient.numpy()), name
    along = {name: tf.constant(rng.standard_normal(v.shape)) for name, v in parameters.items()}
    ends = [evaluate({n: v + sign * step * along[n] for n, v in parameters.items()})
            for sign in (1.0, -1.0)]  # fmt: skip
    slope = sum(float(tf.reduce_sum(found[name] * along[name])) for name in found)
    np.testing.assert_allclose((ends[0] - ends[1]) / (2.0 * step), slope, rtol=1e-6)


def test_the_same_weights_serve_twice_the_size():
    large = PaperSquare(Heisenberg(Lattice("square", 4)), layers=2, units=UNITS)
    parameters = weights(SMALL)
    assert {n: v.shape for n, v in weights(large).items()} == {
        n: v.shape for n, v in parameters.items()
    }
    spins = run(large.sample, parameters, tf.constant([0, 1]), 5)
    assert spins.shape == (SEEDS, 5, 16)
    assert np.all(np.isfinite(run(large.log_amplitude, parameters, spins)))


def test_precision_follows_the_parameters():
    parameters = weights(SMALL, "float32")
    spins = configurations(SMALL, 5, "float32")
    single = run(SMALL.log_amplitude, parameters, spins)
    double = run(SMALL.log_amplitude, weights(SMALL), tf.cast(spins, tf.float64))
    assert single[0].dtype == single[1].dtype == tf.float32
    np.testing.assert_allclose(single, double, atol=1e-4)


def test_refuses_a_chain():
    with pytest.raises(SettingsError, match="two-dimensional network cannot read the open chain"):
        PaperSquare(Heisenberg(Lattice("chain", 4)))
