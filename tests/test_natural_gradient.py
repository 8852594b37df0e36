"""The natural gradient against the textbook formula in the space of parameters."""

import numpy as np
import tensorflow as tf

from emergence import natural_gradient
from emergence.settings import Stage

SEEDS, ROWS, SIZE = 2, 5, 7


class Linear:
    """Scores and errors that do not depend on the parameters."""

    def __init__(self, rng):
        self.rows = rng.normal(size=(SEEDS, ROWS, SIZE))
        self.errors = rng.normal(size=(SEEDS, ROWS))

    def scores(self, parameters, batch):
        return tf.constant(self.rows), tf.constant(self.errors), tf.zeros([SEEDS], tf.float64)


def stage(**changes):
    return Stage(
        update="natural_gradient", steps=10, batch=4, window=1,
        **{"rate": 0.5, "final_rate": 1.0, "damping": 0.1, "momentum": 0.0, "clip_norm": 1e6} | changes,
    )  # fmt: skip


def take(problem, carried=None, scale=1.0, **changes):
    parameters = {"b": tf.ones([SEEDS, 3], tf.float64), "a": tf.zeros([SEEDS, 2, 2], tf.float64)}
    carried = carried or natural_gradient.start(parameters)
    return natural_gradient.step(
        problem, parameters, carried, (), stage(**changes), tf.constant(0),
        tf.constant(scale, tf.float64),
    )  # fmt: skip


def direction(problem, damping=0.1):
    """(XᵀX + λ)⁻¹ Xᵀ ε, seed by seed, in the space of parameters."""
    found = []
    for rows, errors in zip(problem.rows, problem.errors, strict=True):
        x, e = rows / np.sqrt(ROWS), errors / np.sqrt(ROWS)
        shift = damping * np.trace(x @ x.T) / ROWS
        found.append(np.linalg.solve(x.T @ x + shift * np.eye(SIZE), x.T @ e))
    return np.array(found)


def test_a_step_in_sample_space_is_the_step_in_parameter_space():
    problem = Linear(np.random.default_rng(0))
    parameters, carried, _ = take(problem)
    expected = direction(problem)
    np.testing.assert_allclose(carried["direction"], expected, rtol=1e-10)
    np.testing.assert_allclose(parameters["a"], -0.5 * expected[:, :4].reshape(SEEDS, 2, 2))
    np.testing.assert_allclose(parameters["b"], 1.0 - 0.5 * expected[:, 4:])


def test_the_step_is_no_longer_than_its_bound_and_the_guard_shortens_it():
    problem = Linear(np.random.default_rng(1))
    start = np.concatenate([np.zeros((SEEDS, 4)), np.ones((SEEDS, 3))], axis=1)

    def length(**changes):
        parameters = take(problem, **changes)[0]
        flat = np.concatenate([np.reshape(parameters[k], (SEEDS, -1)) for k in "ab"], axis=1)
        return np.linalg.norm(flat - start, axis=1)

    np.testing.assert_allclose(length(clip_norm=1e-3), 1e-3)
    np.testing.assert_allclose(length(scale=0.5), 0.5 * length())


def test_what_new_samples_do_not_contradict_is_kept():
    problem = Linear(np.random.default_rng(2))
    last = np.random.default_rng(3).normal(size=(SEEDS, SIZE))
    carried = take(problem, {"direction": tf.constant(last)}, momentum=0.9, damping=1e-9)[1]
    kept = carried["direction"].numpy()
    alone = direction(problem, 1e-9)
    for seed in range(SEEDS):
        x = problem.rows[seed]
        # Along the samples the new direction decides, across them the old one is left.
        np.testing.assert_allclose(x @ kept[seed], x @ alone[seed], rtol=1e-5)
        across = np.eye(SIZE) - np.linalg.pinv(x) @ x
        np.testing.assert_allclose(across @ kept[seed], 0.9 * across @ last[seed], rtol=1e-5)


def test_scores_that_are_not_finite_give_nan_and_not_an_exception():
    problem = Linear(np.random.default_rng(4))
    problem.rows[1, 0, 0] = np.inf
    parameters, _, _ = take(problem)
    assert np.isfinite(parameters["b"][0]).all()
    assert np.isnan(parameters["b"][1]).all()


def test_gradients_per_sample_are_those_of_each_sample_alone():
    rng = np.random.default_rng(5)
    parameters = {
        "w": tf.constant(rng.normal(size=(2, 3))),
        "v": tf.constant(rng.normal(size=(2, 1))),
    }
    samples = tf.constant(rng.normal(size=(2, 4, 3)))

    def function(weights, x):
        return tf.sin(tf.linalg.matvec(x, weights["w"])) * weights["v"]

    found = natural_gradient.per_sample(function, parameters, samples).numpy()
    for seed, row in np.ndindex(2, 4):
        x, w, v = samples[seed, row].numpy(), parameters["w"][seed].numpy(), parameters["v"][seed]
        expected = [np.sin(x @ w), *(v * np.cos(x @ w) * x).numpy()]
        np.testing.assert_allclose(found[seed, row], expected, rtol=1e-12)
