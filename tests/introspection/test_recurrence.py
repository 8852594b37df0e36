"""The recurrence against a plain loop in NumPy, one system and one site at a time."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.introspection.polynomial import update_matrices
from emergence.introspection.recurrence import powers, roll, roll_polynomial, roll_with_derivatives

SEEDS, BATCH, SITES, SIZE, DEGREE, UNIT = 2, 3, 6, 2, 3, 2.5


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    weights = 0.5 * rng.standard_normal((SEEDS, DEGREE + 1, SIZE, SIZE))
    start = rng.standard_normal((SEEDS, BATCH, SIZE))
    potential = 3.0 * rng.standard_normal((SEEDS, BATCH, SITES))
    return weights, start, potential


def rolled(weights, start, potential):
    weights, start, potential = map(tf.convert_to_tensor, (weights, start, potential))
    return roll_polynomial(weights, start, powers(potential, DEGREE, UNIT))[:, :, 1:]


class TestPowers:
    @settings(max_examples=25, deadline=None)
    @given(value=st.floats(-100, 100), unit=st.floats(0.1, 50), degree=st.integers(0, 3))
    def test_are_those_of_v_in_its_unit(self, value, unit, degree):
        ours = powers(tf.constant([[value]], tf.float64), degree, unit).numpy()
        assert ours.shape == (1, 1, degree + 1)
        expected = (value / unit) ** np.arange(degree + 1)
        # Subnormal numbers are zero to TensorFlow.
        np.testing.assert_allclose(ours[0, 0], expected, rtol=1e-14, atol=1e-300)

    def test_of_zero_are_one_and_zeros(self):
        assert powers(tf.zeros([1]), 3, 2.0).numpy().tolist() == [[1.0, 0.0, 0.0, 0.0]]


class TestRoll:
    def test_is_a_loop_over_sites_for_every_seed_and_system(self, parts):
        weights, start, potential = parts
        ours = rolled(*parts).numpy()
        assert ours.shape == (SEEDS, BATCH, SITES, SIZE)
        for seed in range(SEEDS):
            for system in range(BATCH):
                state = start[seed, system]
                update = update_matrices(weights, potential[seed, system], UNIT)[seed]
                for site in range(SITES):
                    state = update[site] @ state
                    np.testing.assert_allclose(ours[seed, system, site], state, rtol=1e-12)

    def test_compiled_it_is_the_same(self, parts):
        compiled = tf.function(rolled, jit_compile=True, autograph=False)
        np.testing.assert_allclose(
            compiled(*map(tf.convert_to_tensor, parts)), rolled(*parts), rtol=1e-12, atol=1e-14
        )

    def test_no_site_knows_a_later_one(self, parts):
        weights, start, potential = parts
        before = rolled(*parts).numpy()
        for site in range(SITES):
            changed = potential.copy()
            changed[:, :, site] += 1.0
            after = rolled(weights, start, changed).numpy()
            assert np.array_equal(after[:, :, :site], before[:, :, :site])
            assert np.all(np.any(after[:, :, site:] != before[:, :, site:], axis=-1))

    def test_any_step_will_do(self):
        # A counter that the drive switches on and off.
        drive = tf.constant([[[[1.0], [0.0], [1.0]]]])
        states = roll(lambda state, now: state + now, tf.zeros([1, 1, 1]), drive)
        assert states.numpy().ravel().tolist() == [0.0, 1.0, 1.0, 2.0]

    def test_a_step_of_its_own_does_the_same(self, parts):
        weights, start, potential = map(tf.convert_to_tensor, parts)

        def step(state, features):
            return tf.einsum("snk,skab,snb->sna", features, weights, state)

        drive = powers(potential, DEGREE, UNIT)
        states = roll(step, start, drive)
        np.testing.assert_allclose(states, roll_polynomial(weights, start, drive), rtol=1e-12)
        assert np.array_equal(states[:, :, 0], start)


class TestDerivatives:
    @pytest.fixture
    def loss(self, parts):
        """A function of (weights, start, drive) that every state enters with a weight of its own."""
        shape = (SEEDS, BATCH, SITES + 1, SIZE)
        mixed = np.random.default_rng(1).standard_normal(shape)
        return lambda *given: tf.reduce_sum(mixed * tf.tanh(roll_polynomial(*given)))

    @pytest.fixture
    def arguments(self, parts):
        weights, start, potential = map(tf.convert_to_tensor, parts)
        return [weights, start, powers(potential, DEGREE, UNIT)]

    @pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
    def test_agree_with_finite_differences_in_every_argument(self, loss, arguments, compiled):
        @tf.function(jit_compile=compiled, autograph=False)
        def gradients(*given):
            with tf.GradientTape() as tape:
                tape.watch(given)
                value = loss(*given)
            return tape.gradient(value, given)

        rng, step = np.random.default_rng(2), 1e-6
        for place, found in enumerate(gradients(*arguments)):
            direction = rng.standard_normal(found.shape)
            ends = []
            for sign in (1, -1):
                shifted = list(arguments)
                shifted[place] = arguments[place] + sign * step * direction
                ends.append(float(loss(*shifted)))
            along = float(tf.reduce_sum(found * direction))
            assert along == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)

    def test_can_be_differentiated_again(self, loss, arguments):
        weights = arguments[0]
        with tf.GradientTape() as outer:
            outer.watch(weights)
            with tf.GradientTape() as inner:
                inner.watch(weights)
                value = loss(*arguments)
            slope = tf.reduce_sum(inner.gradient(value, weights) ** 2)
        found = outer.gradient(slope, weights).numpy()

        def slope_at(shifted):
            with tf.GradientTape() as tape:
                tape.watch(shifted)
                value = loss(shifted, *arguments[1:])
            return float(tf.reduce_sum(tape.gradient(value, shifted) ** 2))

        shift = np.zeros(weights.shape)
        shift[1, 2, 0, 1] = 1e-6
        change = (slope_at(weights + shift) - slope_at(weights - shift)) / 2e-6
        assert found[1, 2, 0, 1] == pytest.approx(change, rel=1e-6)

    def test_that_roll_along_are_those_of_the_states(self, arguments):
        weights, start, drive = arguments
        states, moved = roll_with_derivatives(weights, start, drive)
        np.testing.assert_allclose(states, roll_polynomial(weights, start, drive), rtol=1e-12)
        entries = weights[0].shape.num_elements()
        assert moved.shape == (SITES + 1, SEEDS, entries + SIZE, SIZE, BATCH)
        step = 1e-6
        for index in range(entries + SIZE):
            shift = np.zeros(entries)
            from_start = np.zeros(SIZE)
            (shift if index < entries else from_start)[index % entries] = step
            shift = shift.reshape(weights.shape[1:])
            above, below = (
                roll_polynomial(weights + sign * shift, start + sign * from_start, drive).numpy()
                for sign in (1, -1)
            )
            expected = (above - below) / (2 * step)
            ours = np.transpose(moved[:, :, index], [1, 3, 0, 2])
            np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)
