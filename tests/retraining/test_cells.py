"""Recurrent cells: one step against its formula, seed by seed, and what they start from."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.retraining.cells import GatedUnit, TensorUnit, linear, one_hot
from emergence.retraining.paper_cell import PaperCell

CELLS = [GatedUnit(5), TensorUnit(4), PaperCell(6)]
SEEDS, ROWS = 3, 7


def weights(cell, seed=0, scale=0.3):
    """Random, so that everything acts; float64."""
    rng = np.random.default_rng(seed)
    start = cell.initial_parameters(rng, SEEDS)
    return {n: v + scale * rng.standard_normal(v.shape) for n, v in start.items()}


def inputs(cell, seed=1):
    """Hidden state and spin of two neighbours; both signs and the edge occur."""
    rng = np.random.default_rng(seed)
    spins = rng.choice([-1.0, 0.0, 1.0], (2, SEEDS, ROWS))
    hidden = rng.standard_normal((2, SEEDS, ROWS, cell.units)) * (spins != 0)[..., None]
    return hidden, spins


def step(cell, parameters, hidden, spins):
    above = (tf.constant(hidden[1]), tf.constant(spins[1]))
    parameters = {n: tf.constant(v) for n, v in parameters.items()}
    return cell.step(
        parameters,
        (tf.constant(hidden[0]), tf.constant(spins[0])),
        above if isinstance(cell, TensorUnit) else None,
    )


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def code(spin):
    """(down, up), both 0 beyond the edge."""
    return np.array([spin == -1, spin == 1], float)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: type(cell).__name__)
class TestEveryCell:
    def test_returns_what_the_engine_needs(self, cell):
        hidden, odds, phases = step(cell, weights(cell), *inputs(cell))
        assert hidden.shape == (SEEDS, ROWS, cell.units)
        assert odds.shape == (SEEDS, ROWS)
        assert (phases is not None) == cell.has_phase
        assert phases is None or phases.shape == (SEEDS, ROWS, 2)

    def test_treats_each_seed_as_if_it_were_alone(self, cell):
        parameters, (hidden, spins) = weights(cell), inputs(cell)
        together = step(cell, parameters, hidden, spins)
        one = {n: v[1:2] for n, v in parameters.items()}
        alone = step(cell, one, hidden[:, 1:2], spins[:, 1:2])
        for whole, part in zip(together, alone, strict=True):
            if whole is not None:
                np.testing.assert_allclose(whole[1:2], part, rtol=1e-12, atol=1e-14)

    def test_treats_each_row_as_if_it_were_alone(self, cell):
        parameters, (hidden, spins) = weights(cell), inputs(cell)
        together = step(cell, parameters, hidden, spins)
        alone = step(cell, parameters, hidden[:, :, 2:4], spins[:, :, 2:4])
        for whole, part in zip(together, alone, strict=True):
            if whole is not None:
                np.testing.assert_allclose(whole[:, 2:4], part, rtol=1e-12, atol=1e-14)

    def test_starts_from_float64_arrays_with_a_seed_axis(self, cell):
        start = cell.initial_parameters(np.random.default_rng(0), SEEDS)
        assert "odds/weight" in start
        for name, value in start.items():
            assert value.dtype == np.float64
            assert value.shape[0] == SEEDS, name
        again = cell.initial_parameters(np.random.default_rng(0), SEEDS)
        assert all(np.array_equal(start[name], again[name]) for name in start)
        assert not np.array_equal(start["odds/weight"][0], start["odds/weight"][1])

    def test_lets_gradients_reach_every_parameter(self, cell):
        hidden, spins = inputs(cell)
        parameters = {n: tf.constant(v) for n, v in weights(cell).items()}
        neighbours = [(tf.constant(h), tf.constant(s)) for h, s in zip(hidden, spins, strict=True)]
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            above = neighbours[1] if isinstance(cell, TensorUnit) else None
            after, odds, phases = cell.step(parameters, neighbours[0], above)
            total = tf.reduce_sum(after**2) + tf.reduce_sum(odds**3)
            total += 0.0 if phases is None else tf.reduce_sum(phases**2)
        for name, gradient in tape.gradient(total, parameters).items():
            assert np.all(np.isfinite(gradient)), name
            assert np.any(gradient.numpy()), name


def test_spins_are_coded_side_by_side_and_the_edge_as_nothing():
    first, second = tf.constant([[-1.0, 1.0, 0.0]]), tf.constant([[1.0, 0.0, -1.0]])
    expected = [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]
    np.testing.assert_array_equal(one_hot(first, second)[0], expected)
    np.testing.assert_array_equal(one_hot(first)[0], [row[:2] for row in expected])


@pytest.mark.parametrize("biased", [True, False])
def test_linear_layers_have_weights_and_a_bias_per_seed(biased):
    rng = np.random.default_rng(0)
    weight, bias, values = (rng.standard_normal(s) for s in [(2, 3, 4), (2, 4), (2, 5, 3)])
    parameters = {"a/weight": tf.constant(weight)}
    if biased:
        parameters["a/bias"] = tf.constant(bias)
    ours = linear(parameters, "a", tf.constant(values))
    for seed in range(2):
        expected = values[seed] @ weight[seed] + (bias[seed] if biased else 0.0)
        np.testing.assert_allclose(ours[seed], expected)


@pytest.mark.parametrize("cell", [GatedUnit(5), TensorUnit(4)], ids=["gated", "tensor"])
def test_the_conditionals_start_near_one_half(cell):
    start = cell.initial_parameters(np.random.default_rng(0), SEEDS)
    odds = step(cell, start, *inputs(cell))[1]
    assert np.all(np.abs(odds) < 0.5)
    zeros = np.zeros((2, SEEDS, ROWS))
    at_the_edge = step(cell, start, np.zeros((2, SEEDS, ROWS, cell.units)), zeros)[1]
    np.testing.assert_array_equal(at_the_edge, 0.0)


def test_the_gated_unit_is_its_formula():
    cell = GatedUnit(5)
    parameters, (hidden, spins) = weights(cell), inputs(cell)
    after, odds, _ = step(cell, parameters, hidden, spins)
    for seed, row in np.ndindex(SEEDS, ROWS):
        w = {name: value[seed] for name, value in parameters.items()}
        h, x = hidden[0, seed, row], code(spins[0, seed, row]) @ w["spin/weight"] + w["spin/bias"]
        kept = h @ w["hidden/weight"] + w["hidden/bias"]
        reset, update = sigmoid(kept[:5] + x[:5]), sigmoid(kept[5:10] + x[5:10])
        candidate = np.tanh(x[10:] + reset * kept[10:])
        expected = (1.0 - update) * candidate + update * h
        np.testing.assert_allclose(after[seed, row], expected, rtol=1e-12)
        head = expected @ w["odds/weight"] + w["odds/bias"]
        np.testing.assert_allclose(odds[seed, row], head[0], rtol=1e-11)


def test_the_tensor_unit_is_a_trilinear_form_of_codes_and_states():
    cell = TensorUnit(4)
    parameters, (hidden, spins) = weights(cell), inputs(cell)
    after, odds, _ = step(cell, parameters, hidden, spins)
    for seed, row in np.ndindex(SEEDS, ROWS):
        w = {name: value[seed] for name, value in parameters.items()}
        states = np.concatenate(hidden[:, seed, row])
        codes = np.concatenate([code(s) for s in spins[:, seed, row]])
        tensor = w["tensor/weight"].reshape(4, 8, 8)  # code, state, output
        pre = np.einsum("c,s,cso->o", codes, states, tensor)
        pre += codes @ w["spin/weight"] + w["tensor/bias"]
        update = sigmoid(pre[4:])
        expected = update * np.tanh(pre[:4]) + (1.0 - update) * (states @ w["merge/weight"])
        np.testing.assert_allclose(after[seed, row], expected, rtol=1e-12)
        head = expected @ w["odds/weight"] + w["odds/bias"]
        np.testing.assert_allclose(odds[seed, row], head[0], rtol=1e-11)
