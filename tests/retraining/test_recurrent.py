"""Recurrent wave functions: normalised, causal, sampled from what they say, masked, of any size."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from emergence.retraining.cells import GatedUnit, TensorUnit
from emergence.retraining.lattice import Lattice
from emergence.retraining.models import Heisenberg, Ising
from emergence.retraining.ordering import Moves
from emergence.retraining.paper_cell import PaperCell
from emergence.retraining.recurrent import Recurrent

SEEDS = 2
CHAIN, SQUARE = Lattice("chain", 8), Lattice("square", 3)


def network(cell, lattice, masked=False):
    model = Heisenberg(lattice) if masked else Ising(lattice, 1.0)
    return Recurrent(cell, Moves(model), masked)


NETWORKS = {
    "gated chain": network(GatedUnit(5), CHAIN),
    "original chain": network(PaperCell(12), CHAIN),
    "tensor square of 2": network(TensorUnit(4), Lattice("square", 2)),
    "tensor square of 3": network(TensorUnit(4), SQUARE),
}
MASKED = {
    "gated chain": network(GatedUnit(5), Lattice("chain", 10), True),
    "original chain": network(PaperCell(12), CHAIN, True),
    "tensor square": network(TensorUnit(4), Lattice("square", 2), True),
}
each_network = pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
each_masked = pytest.mark.parametrize("net", MASKED.values(), ids=MASKED)


def weights(net, dtype="float64", scale=0.5):
    """Random weights, far enough from the start that everything acts."""
    rng = np.random.default_rng(5)
    start = net.cell.initial_parameters(rng, SEEDS)
    drawn = {n: v + scale * rng.standard_normal(v.shape) for n, v in start.items()}
    return {name: tf.constant(value, dtype) for name, value in drawn.items()}


def every_configuration(sites):
    """``[SEEDS, 2^sites, sites]``; the first site is the most significant bit."""
    every = np.array(list(itertools.product([-1.0, 1.0], repeat=sites)))
    return np.broadcast_to(every, (SEEDS, *every.shape))


def number(spins):
    """Index of a configuration among all."""
    return ((np.asarray(spins) > 0) @ (1 << np.arange(spins.shape[-1])[::-1])).astype(int)


def log_probability(net, parameters, spins):
    function = tf.function(net.log_probability, autograph=False)
    return function(parameters, tf.constant(spins, parameters["odds/weight"].dtype))


def step_by_step(net, parameters, spins):
    """Log-odds at every position ``[positions, SEEDS, batch]``, one call of the cell at a time."""
    path = tf.constant(np.moveaxis(spins, 2, 0)[net.moves.path.sites])
    memory, ups, odds = net.empty_memory(parameters, spins.shape[1]), tf.zeros_like(path[0]), []
    for position in range(net.sites):
        left, above = net.neighbour_spins(path, tf.constant(position))
        memory, here, _ = net.advance(parameters, memory, tf.constant(position), left, above, ups)
        ups += tf.nn.relu(path[position])
        odds.append(here)
    return path.numpy(), np.array(odds)


@each_network
def test_probabilities_of_all_configurations_sum_to_one(net):
    log_p, phase = log_probability(net, weights(net), every_configuration(net.sites))
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1.0, rtol=1e-12)
    assert np.std(log_p) > 0.1
    assert (phase is not None) == net.cell.has_phase
    assert phase is None or np.std(phase) > 0.1


@each_network
def test_one_step_at_a_time_gives_the_same_as_the_scan(net):
    parameters = weights(net)
    spins = np.random.default_rng(0).choice([-1.0, 1.0], (SEEDS, 6, net.sites))
    path, odds = step_by_step(net, parameters, spins)
    expected = -np.log1p(np.exp(-path * odds)).sum(axis=0)
    np.testing.assert_allclose(log_probability(net, parameters, spins)[0], expected, rtol=1e-12)


@each_network
def test_conditionals_depend_on_earlier_positions_and_on_no_later_one(net):
    parameters = weights(net)
    spins = np.random.default_rng(1).choice([-1.0, 1.0], (SEEDS, 1, net.sites))
    spins = np.repeat(spins, net.sites + 1, axis=1)
    for position, site in enumerate(net.moves.path.sites):
        spins[:, position + 1, site] *= -1
    odds = step_by_step(net, parameters, spins)[1]
    changes = np.abs(odds[:, :, 1:] - odds[:, :, :1])  # [conditional, seed, flipped position]
    for conditional, flipped in np.ndindex(net.sites, net.sites):
        change = changes[conditional, :, flipped]
        # Rows of a product may differ in their last digit by where they lie in it.
        assert np.all(change < 1e-13) if flipped >= conditional else np.all(change > 1e-9)


@pytest.mark.parametrize("name", ["original chain", "tensor square of 3"])
def test_gradients_of_conditionals_reach_earlier_positions_alone(name):
    net = NETWORKS[name]
    parameters = weights(net)
    spins = np.random.default_rng(2).choice([-1.0, 1.0], (SEEDS, 2, net.sites))
    path = tf.constant(np.moveaxis(spins, 2, 0)[net.moves.path.sites])
    memory, ups = net.empty_memory(parameters, 2), tf.zeros_like(path[0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(path)
        odds = []
        for position in range(net.sites):
            left, above = net.neighbour_spins(path, tf.constant(position))
            memory, here, _ = net.advance(
                parameters, memory, tf.constant(position), left, above, ups
            )
            odds.append(here)
    for conditional in range(1, net.sites):
        gradient = tf.convert_to_tensor(tape.gradient(odds[conditional], path)).numpy()
        assert np.all(gradient[:conditional] != 0.0)
        assert not gradient[conditional:].any()


@pytest.mark.parametrize("name", ["original chain", "tensor square of 3"])
def test_samples_follow_the_enumerated_probabilities(name):
    net, batch = NETWORKS[name], 20_000
    parameters = weights(net)
    sample = tf.function(net.sample, autograph=False, jit_compile=True)
    spins = sample(parameters, tf.constant([3, 4]), batch)
    assert spins.shape == (SEEDS, batch, net.sites)
    assert set(np.unique(spins)) == {-1.0, 1.0}
    log_p, _ = log_probability(net, parameters, every_configuration(net.sites))
    for seed in range(SEEDS):
        expected = batch * np.exp(log_p[seed])
        counts = np.bincount(number(spins[seed]), minlength=2**net.sites)
        common = expected > 5.0
        counts = np.append(counts[common], counts[~common].sum())
        expected = np.append(expected[common], expected[~common].sum())
        assert stats.chisquare(counts, expected).pvalue > 1e-3
    assert not np.array_equal(spins[0], spins[1])


def test_samples_are_drawn_by_the_conditionals_that_the_scan_gives():
    net = NETWORKS["tensor square of 3"]
    parameters, seed = weights(net), tf.constant([1, 2])
    spins = tf.function(net.sample, autograph=False)(parameters, seed, 50).numpy()
    path, odds = step_by_step(net, parameters, spins)
    chance = tf.random.stateless_uniform(path.shape, seed, dtype=tf.float64).numpy()
    np.testing.assert_array_equal(path > 0, chance < 1.0 / (1.0 + np.exp(-odds)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_follows_the_parameters(dtype):
    net = NETWORKS["original chain"]
    parameters = weights(net, dtype)
    spins = net.sample(parameters, tf.constant([0, 1]), 3)
    assert spins.dtype == dtype
    assert {part.dtype for part in net.log_probability(parameters, spins)} == {tf.as_dtype(dtype)}


@each_masked
def test_masked_probability_lies_within_zero_magnetisation(net):
    every = every_configuration(net.sites)
    log_p, phase = log_probability(net, weights(net), every)
    balanced = every[0].sum(axis=1) == 0
    np.testing.assert_allclose(np.exp(log_p)[:, balanced].sum(axis=1), 1.0, rtol=1e-12)
    assert np.exp(log_p)[:, ~balanced].max() == 0.0
    assert phase is None or np.all(np.isfinite(phase))


@each_masked
def test_masked_samples_have_zero_magnetisation(net):
    spins = tf.function(net.sample, autograph=False)(weights(net), tf.constant([0, 1]), 300)
    assert not np.any(np.sum(spins, axis=2))
    assert len(np.unique(number(spins.numpy()))) > 4


@each_masked
def test_masking_leaves_gradients_finite(net):
    parameters = weights(net)
    spins = net.sample(parameters, tf.constant([0, 1]), 4)

    @tf.function(autograph=False)
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            loss = tf.reduce_sum(net.log_probability(parameters, spins)[0])
        return tape.gradient(loss, parameters, unconnected_gradients="zero")

    found = gradients()
    assert all(np.all(np.isfinite(value)) for value in found.values())
    assert np.any(found["odds/weight"].numpy())


@pytest.mark.parametrize(
    ("cell", "geometry", "size"),
    [(GatedUnit(5), "chain", 5), (PaperCell(6), "chain", 5), (TensorUnit(4), "square", 2)],
)
def test_the_same_weights_serve_twice_the_size(cell, geometry, size):
    small = network(cell, Lattice(geometry, size))
    large = network(cell, Lattice(geometry, 2 * size))
    parameters = weights(small)
    assert {n: v.shape for n, v in weights(large).items()} == {
        n: v.shape for n, v in parameters.items()
    }
    spins = large.sample(parameters, tf.constant([0, 1]), 2).numpy()
    assert np.all(np.isfinite(log_probability(large, parameters, spins)[0]))
    if geometry == "chain":  # The first half of the large chain is the small chain.
        path, odds = step_by_step(large, parameters, spins)
        begun = -np.log1p(np.exp(-path * odds))[:size].sum(axis=0)
        ours = log_probability(small, parameters, spins[:, :, :size])[0]
        np.testing.assert_allclose(ours, begun, rtol=1e-12)
