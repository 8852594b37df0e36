"""Reflections keep the action, volumes and the way back, and they reach every site."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.holography.actions import ComplexPhi4
from emergence.holography.reflections import reflected

numbers = st.integers(0, 2**31 - 1)


def fields(seed: int, side: int, number: int = 3) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=(number, side, side, 2)))


def key(seed: int) -> tf.Tensor:
    return tf.constant([seed, 7], tf.int32)


def complex_of(field: tf.Tensor) -> np.ndarray:
    return field.numpy()[..., 0] + 1j * field.numpy()[..., 1]


@settings(max_examples=30, deadline=None)
@given(
    seed=numbers,
    side=st.sampled_from([2, 4, 8]),
    most=st.integers(1, 20),
    t=st.floats(0.01, 2.0),
    lam=st.floats(0.1, 30.0),
)
def test_the_action_and_every_modulus_are_kept(seed, side, most, t, lam) -> None:
    before = fields(seed, side)
    after = complex_of(reflected(before, key(seed), most))
    action = ComplexPhi4(t, -2.0 * lam, lam)
    np.testing.assert_allclose(action.value(after), action.value(complex_of(before)), rtol=1e-9)
    np.testing.assert_allclose(np.abs(after), np.abs(complex_of(before)), rtol=1e-9)


def test_every_site_moves_and_a_constant_field_stays() -> None:
    before = fields(1, 8)
    after = reflected(before, key(2), 1)
    assert np.all(np.abs(after - before).max(axis=-1) > 1e-6)
    constant = tf.ones([2, 4, 4, 2], tf.float64) * tf.constant([0.6, -1.7], tf.float64)
    np.testing.assert_allclose(reflected(constant, key(3), 10), constant, rtol=1e-12)


def test_a_site_whose_neighbours_cancel_stays() -> None:
    field = np.zeros((1, 4, 4, 2))
    field[0, 1, 1] = 1.0, 2.0
    np.testing.assert_array_equal(reflected(tf.constant(field), key(1), 3), field)


def test_what_was_done_is_undone_by_the_reversed_order() -> None:
    """Of one sweep there are two orders, and one undoes the other."""
    start = fields(4, 4)
    once = {seed: reflected(start, key(seed), 1) for seed in range(12)}
    back = {
        (first, second): np.abs(reflected(once[first], key(second), 1) - start).max() < 1e-9
        for first in range(12)
        for second in range(12)
    }
    assert all(any(back[first, second] for second in range(12)) for first in range(12))
    assert not all(back.values()), "The same order once more does not lead back."


@pytest.mark.parametrize("seed", range(4))
def test_volumes_are_kept(seed: int) -> None:
    field = fields(seed, 4, 1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(field)
        after = reflected(field, key(seed), 3)
    jacobian = tape.jacobian(after, field, experimental_use_pfor=False)
    jacobian = jacobian.numpy().reshape(32, 32)
    assert abs(np.linalg.det(jacobian)) == pytest.approx(1.0, rel=1e-9)


def test_numbers_of_sweeps_differ_and_follow_the_seed() -> None:
    field = fields(5, 8, 1)
    found = [reflected(field, key(seed), 6).numpy() for seed in range(30)]
    np.testing.assert_array_equal(found[3], reflected(field, key(3), 6))
    different = {each.tobytes() for each in found}
    assert 6 < len(different) <= 12, "Six numbers of sweeps, two orders."


@pytest.mark.parametrize("shape", [(1, 4, 4, 1), (1, 5, 5, 2)])
def test_real_fields_and_odd_sides_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="complex fields on an even torus"):
        reflected(tf.zeros(shape), key(1), 1)
