"""The original's network of the chain: its size, its formula, and how it meets the first spins."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.retraining.paper_cell import PaperCell, affine, normalised

UNITS = 6


def weights(seed=0, seeds=1):
    """Random, so that everything acts; float64."""
    rng = np.random.default_rng(seed)
    start = PaperCell(UNITS).initial_parameters(rng, seeds)
    return {n: v + 0.3 * rng.standard_normal(v.shape) for n, v in start.items()}


def step(parameters, hidden, spin):
    """One step of rows ``[rows, units]`` and ``[rows]``, one seed."""
    parameters = {n: tf.constant(v) for n, v in parameters.items()}
    results = PaperCell(UNITS).step(
        parameters, (tf.constant(hidden[None]), tf.constant(spin[None])), None
    )
    return [part[0].numpy() for part in results]


def reference(parameters, hidden, spin, biased=True):
    """The published formula for one row, W and U written apart."""
    w = {name: value[0] for name, value in parameters.items()}
    x = w["spin/weight"][0 if spin < 0 else 1] + w["spin/bias"]
    u = hidden @ w["hidden/weight"] + (w["hidden/bias"] if biased else 0.0)
    candidate = np.tanh(x[:UNITS] + u[:UNITS])
    z = 1.0 / (1.0 + np.exp(-x[UNITS:] - u[UNITS:]))
    h = (1.0 - z) * hidden + z * candidate
    h = (h - h.mean()) / np.sqrt(h.var() + 1e-5)
    return h * w["norm/scale"] + w["norm/shift"]


def reference_heads(parameters, h):
    w = {name: value[0] for name, value in parameters.items()}
    outputs = []
    for head, last in (("probability", "odds"), ("angle", "phase")):
        values = h
        for layer in (1, 2):
            values = values @ w[f"{head}{layer}/weight"] + w[f"{head}{layer}/bias"]
            values = np.maximum(values, 0.0)
        outputs.append(values @ w[f"{last}/weight"] + w[f"{last}/bias"])
    probabilities = np.exp(outputs[0]) / np.exp(outputs[0]).sum()
    cos_down, cos_up, sin_down, sin_up = outputs[1]
    return probabilities, np.angle([cos_down + 1j * sin_down, cos_up + 1j * sin_up])


def test_has_the_published_number_of_parameters():
    start = PaperCell().initial_parameters(np.random.default_rng(0), 2)
    assert sum(value[0].size for value in start.values()) == 100_870


def test_is_the_published_formula_with_both_heads():
    rng = np.random.default_rng(1)
    hidden, spin = rng.standard_normal((8, UNITS)), rng.choice([-1.0, 1.0], 8)
    parameters = weights()
    after, odds, phases = step(parameters, hidden, spin)
    for row in range(8):
        expected = reference(parameters, hidden[row], spin[row])
        np.testing.assert_allclose(after[row], expected, rtol=1e-11)
        (down, up), angles = reference_heads(parameters, expected)
        np.testing.assert_allclose(odds[row], np.log(up / down), rtol=1e-10)
        np.testing.assert_allclose(phases[row], angles, rtol=1e-10)


def test_reads_zeros_at_the_first_site():
    parameters = weights()
    after, odds, phases = step(parameters, np.zeros((1, UNITS)), np.zeros(1))
    assert not after.any()
    (down, up), angles = reference_heads(parameters, np.zeros(UNITS))
    np.testing.assert_allclose(odds[0], np.log(up / down), rtol=1e-10)
    np.testing.assert_allclose(phases[0], angles, rtol=1e-10)


def test_meets_the_first_spin_without_a_hidden_state_or_its_bias():
    parameters = weights()
    after, _, _ = step(parameters, np.zeros((2, UNITS)), np.array([-1.0, 1.0]))
    for row, spin in enumerate((-1.0, 1.0)):
        expected = reference(parameters, np.zeros(UNITS), spin, biased=False)
        np.testing.assert_allclose(after[row], expected, rtol=1e-11)
        biased = reference(parameters, np.zeros(UNITS), spin)
        assert np.max(np.abs(biased - expected)) > 1e-3


def test_phases_cover_the_circle_and_stay_on_it():
    rng = np.random.default_rng(2)
    phases = step(
        weights(3), 3.0 * rng.standard_normal((400, UNITS)), rng.choice([-1.0, 1.0], 400)
    )[2]
    assert np.all(np.abs(phases) <= np.pi)
    assert np.ptp(phases) > 2.0


def test_layer_normalisation_has_mean_and_variance_of_its_parameters():
    values = np.random.default_rng(0).standard_normal((2, 3, 50)) * 40.0 + 7.0
    parameters = {"a/scale": np.full((2, 50), 3.0), "a/shift": np.full((2, 50), -1.0)}
    ours = normalised({n: tf.constant(v) for n, v in parameters.items()}, "a", tf.constant(values))
    np.testing.assert_allclose(np.mean(ours, axis=-1), -1.0, atol=1e-12)
    np.testing.assert_allclose(np.std(ours, axis=-1), 3.0, rtol=1e-6)


@pytest.mark.parametrize("leading", [(), (4,), (4, 2)])
def test_layers_take_any_leading_axes(leading):
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((3, 5, 2)), rng.standard_normal((3, 2))
    values = rng.standard_normal((*leading, 3, 7, 5))
    ours = affine(
        {"a/weight": tf.constant(weight), "a/bias": tf.constant(bias)}, "a", tf.constant(values)
    )
    np.testing.assert_allclose(ours, values @ weight + bias[:, None], rtol=1e-12)
