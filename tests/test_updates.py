"""Flattening of parameters, and Adam against NumPy; every seed on its own."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence import updates
from emergence.settings import Stage

ADAM = Stage(update="adam", steps=40, batch=4, window=5, rate=0.03, clip_norm=0.7, ridge=0.05)


def constants(values, dtype="float64"):
    return {name: tf.constant(value, dtype) for name, value in values.items()}


def random_parameters(seeds=3, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "weights": rng.standard_normal((seeds, 2, 3)),
        "bias": rng.standard_normal((seeds, 2)),
        "scale": rng.standard_normal(seeds),
    }


shapes = st.dictionaries(
    st.text("abcz_", min_size=1, max_size=3),
    st.lists(st.integers(1, 3), max_size=3).map(tuple),
    min_size=1,
    max_size=4,
)


class TestFlatten:
    @settings(max_examples=50, deadline=None)
    @given(shapes=shapes, seeds=st.integers(1, 3))
    def test_there_and_back(self, shapes, seeds):
        rng = np.random.default_rng(0)
        values = {name: rng.standard_normal((seeds, *shape)) for name, shape in shapes.items()}
        flat = updates.flatten(constants(values))
        assert flat.shape == (seeds, sum(int(np.prod(shape)) for shape in shapes.values()))
        back = updates.unflatten(flat, shapes)
        assert set(back) == set(values)
        for name, value in values.items():
            assert np.array_equal(back[name].numpy(), value)

    def test_the_order_is_that_of_the_names(self):
        flat = updates.flatten(constants({"b": [[3.0, 4.0]], "a": [[1.0, 2.0]]}))
        assert flat.numpy().tolist() == [[1.0, 2.0, 3.0, 4.0]]


def test_per_seed_broadcasts_along_the_first_axis():
    like = tf.zeros([2, 3, 4])
    factors = updates.per_seed(tf.constant([2.0, 5.0]), like)
    assert factors.shape == (2, 1, 1)
    assert (like + factors).numpy()[1].min() == 5.0


def quartic(parameters):
    """A loss with a gradient in every entry, different for every seed."""
    total = 0.0
    for value in parameters.values():
        flat = tf.reshape(value, [value.shape[0], -1])
        total += tf.reduce_sum(0.25 * flat**4 - 0.3 * flat, axis=1)
    return total, 2.0 * total


def numpy_adam(parameters, stage, steps, rate_scale):
    """Kingma & Ba's algorithm 1 for one seed, with the loop's clipping, ridge and schedule."""
    theta = np.concatenate([parameters[name].ravel() for name in sorted(parameters)])
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    for step in range(steps):
        gradient = theta**3 - 0.3 + 2.0 * stage.ridge * theta
        gradient = gradient * min(1.0, stage.clip_norm / np.linalg.norm(gradient))
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        cosine = 0.5 * (1.0 + np.cos(np.pi * step / stage.steps))
        rate = rate_scale * stage.rate * (stage.final_rate + (1.0 - stage.final_rate) * cosine)
        unbiased = second / (1.0 - 0.99 ** (step + 1))
        theta = theta - rate * first / (1.0 - 0.9 ** (step + 1)) / (np.sqrt(unbiased) + 1e-8)
    return theta


def adam_step(objective, parameters, carried, stage, step, rate_scale):
    """One step of the training loop on named parameters: new ones, what they carry, the report."""
    shapes = updates.shapes_of(parameters)
    vectors = updates.adam_vectors(parameters, carried)
    gradient, reported = updates.adam_gradient(objective, vectors["p"], shapes, stage)
    vectors = updates.adam_update(gradient, vectors, stage, step, rate_scale)
    return *updates.adam_named(vectors, shapes), reported


def run_adam(values, stage=ADAM, steps=1, rate_scale=1.0, objective=quartic):
    parameters = constants(values)
    carried = updates.adam_start(parameters)
    for step in range(steps):
        parameters, carried, reported = adam_step(
            objective, parameters, carried, stage, tf.constant(step), tf.constant(rate_scale)
        )
    return parameters, carried, reported


class TestAdam:
    @pytest.mark.parametrize("rate_scale", [1.0, 0.25])
    def test_is_the_published_algorithm(self, rate_scale):
        values = random_parameters()
        ours, _, _ = run_adam(values, steps=25, rate_scale=rate_scale)
        for seed, flat in enumerate(updates.flatten(ours).numpy()):
            start = {name: value[seed] for name, value in values.items()}
            expected = numpy_adam(start, ADAM, 25, rate_scale)
            np.testing.assert_allclose(flat, expected, rtol=0, atol=1e-13)

    def test_reports_the_second_value_before_the_step(self):
        values = random_parameters()
        _, _, reported = run_adam(values)
        np.testing.assert_array_equal(reported.numpy(), quartic(constants(values))[1].numpy())

    def test_each_seed_is_clipped_by_its_own_norm(self):
        values = random_parameters()
        wild = {name: value.copy() for name, value in values.items()}
        for value in wild.values():
            value[1] *= 1e3
        calm_parameters, calm, _ = run_adam(values)
        wild_parameters, carried, _ = run_adam(wild)
        moments = [carried[f"m/{name}"].numpy()[1].ravel() for name in sorted(values)]
        norm = np.linalg.norm(np.concatenate(moments)) / (1.0 - updates.BETA_1)
        assert norm == pytest.approx(ADAM.clip_norm, rel=1e-12)
        for name in values:
            for seed in (0, 2):
                assert np.array_equal(calm_parameters[name][seed], wild_parameters[name][seed])
                assert np.array_equal(calm[f"m/{name}"][seed], carried[f"m/{name}"][seed])

    def test_a_gradient_below_the_bound_is_left_as_it_is(self):
        loose = ADAM.model_copy(update={"clip_norm": 1e6, "ridge": 0.0})
        _, carried, _ = run_adam({"x": np.array([[3.0]])}, stage=loose)
        assert carried["m/x"].numpy()[0, 0] == pytest.approx(0.1 * (27.0 - 0.3), rel=1e-14)

    def test_the_rate_falls_on_a_cosine_to_its_last_value(self):
        # The gradient is constant, so every step is the rate itself.
        stage = ADAM.model_copy(update={"final_rate": 0.2, "ridge": 0.0})
        parameters, carried = constants({"x": [[0.0]]}), None
        carried = updates.adam_start(parameters)
        steps = []
        for step in range(stage.steps + 1):
            before = parameters["x"].numpy()[0, 0]
            parameters, carried, _ = adam_step(
                lambda p: (tf.reduce_sum(0.5 * p["x"], axis=1), tf.zeros([1], tf.float64)),
                parameters, carried, stage, tf.constant(step), tf.constant(1.0),
            )  # fmt: skip
            steps.append(before - parameters["x"].numpy()[0, 0])
        assert steps[0] == pytest.approx(stage.rate, rel=1e-6)
        assert steps[stage.steps // 2] == pytest.approx(0.6 * stage.rate, rel=1e-6)
        assert steps[-1] == pytest.approx(0.2 * stage.rate, rel=1e-6)
        assert np.all(np.diff(steps) < 0)

    def test_a_parameter_that_the_loss_ignores_stays(self):
        def ignores(parameters):
            loss = tf.reduce_sum(parameters["x"] ** 2, axis=1)
            return loss, loss

        stage = ADAM.model_copy(update={"ridge": 0.0})
        values = {"x": np.ones((2, 1)), "idle": np.ones((2, 3))}
        parameters, _, _ = run_adam(values, stage=stage, steps=3, objective=ignores)
        assert np.array_equal(parameters["idle"].numpy(), values["idle"])
        assert np.all(parameters["x"].numpy() < 1.0)

    def test_keeps_single_precision(self):
        parameters = constants({"x": [[1.0, 2.0]]}, "float32")
        new, carried, _ = adam_step(
            quartic, parameters, updates.adam_start(parameters), ADAM,
            tf.constant(0), tf.constant(1.0, tf.float64),
        )  # fmt: skip
        assert {value.dtype for value in (*new.values(), *carried.values())} == {tf.float32}
