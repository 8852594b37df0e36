"""The recurrence against a plain loop in NumPy, one system and one site at a time."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.introspection.polynomial import update_matrices
from emergence.introspection.recurrence import polynomial_step, powers, roll

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
    return roll(polynomial_step(weights), start, powers(potential, DEGREE, UNIT))


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
        assert states.numpy().ravel().tolist() == [1.0, 1.0, 2.0]

    def test_gradients_pass_through_it(self, parts):
        weights, start, potential = parts
        variable = tf.constant(weights)
        with tf.GradientTape() as tape:
            tape.watch(variable)
            drive = powers(tf.constant(potential), DEGREE, UNIT)
            end = roll(polynomial_step(variable), tf.constant(start), drive)[:, :, -1]
            value = tf.reduce_sum(end)
        gradient = tape.gradient(value, variable).numpy()
        shift = np.zeros_like(weights)
        shift[1, 2, 0, 1] = 1e-6
        above, below = (
            rolled(weights + sign * shift, start, potential).numpy()[:, :, -1].sum()
            for sign in (1, -1)
        )
        assert gradient[1, 2, 0, 1] == pytest.approx((above - below) / 2e-6, rel=1e-6)
