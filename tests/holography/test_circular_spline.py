"""Circular splines: bijections of the circle, and derivatives by their knots."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.holography.circular_spline import circular_spline, knots


@given(st.integers(0, 2**31), st.integers(2, 12))
@settings(max_examples=20, deadline=None)
def test_circular_spline_is_an_increasing_bijection_of_the_circle(seed: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    rows = 64
    raw = np.repeat(2.0 * rng.standard_normal((1, 3 * bins, 1)), rows, axis=2)
    sizes, slopes = knots(tf.constant(raw), bins)
    np.testing.assert_allclose(tf.reduce_sum(sizes, axis=2), 2.0 * np.pi, rtol=1e-12)
    angle = tf.constant(np.linspace(-np.pi, np.pi, rows)[None])
    with tf.GradientTape() as tape:
        tape.watch(angle)
        value, log_slope = circular_spline(angle, sizes, slopes)
    assert np.all(np.diff(value.numpy()) > 0.0)
    np.testing.assert_allclose(value[0, 0], -np.pi, atol=1e-9)
    np.testing.assert_allclose(value[0, -1], np.pi, atol=1e-9)
    np.testing.assert_allclose(tf.math.log(tape.gradient(value, angle)), log_slope, atol=1e-8)
    np.testing.assert_allclose(log_slope[0, 0], log_slope[0, -1], atol=1e-8)
    back, back_slope = circular_spline(value, sizes, slopes, inverse=True)
    np.testing.assert_allclose(back, angle, atol=1e-9)
    np.testing.assert_allclose(back_slope, -log_slope, atol=1e-7)


def test_zero_knots_are_the_identity() -> None:
    angle = tf.constant(np.linspace(-3.1, 3.1, 33)[None])
    value, log_slope = circular_spline(angle, *knots(tf.zeros([1, 24, 33], tf.float64), 8))
    np.testing.assert_allclose(value, angle, atol=1e-12)
    np.testing.assert_allclose(log_slope, 0.0, atol=1e-12)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("bins", [1, 2, 5, 8])
def test_derivatives_by_angle_and_knots_are_those_of_differences(bins: int, inverse: bool) -> None:
    """Many rows at once, so that every bin is met; the fused loop's derivative is written by hand."""
    rng = np.random.default_rng(bins)
    rows = 40
    raw = rng.standard_normal((1, 3 * bins, rows))
    angle = rng.uniform(-np.pi, np.pi, (1, rows))
    weight = rng.standard_normal((2, 1, rows))

    @tf.function(jit_compile=True, autograph=False)
    def value(angle, raw):
        found = circular_spline(angle, *knots(raw, bins), inverse=inverse)
        return tf.add_n([w * v for w, v in zip(weight, found, strict=True)])

    given = tf.constant(angle), tf.constant(raw)
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = value(*given)
    by_angle, by_raw = tape.gradient(total, given)
    step = 1e-6
    difference = (value(angle + step, raw) - value(angle - step, raw)) / (2.0 * step)
    np.testing.assert_allclose(by_angle, difference, atol=1e-6, rtol=1e-5)
    for row in range(3 * bins):
        moved = np.zeros_like(raw)
        moved[:, row] = step
        difference = (value(angle, raw + moved) - value(angle, raw - moved)) / (2.0 * step)
        np.testing.assert_allclose(by_raw[:, row], difference, atol=1e-6, rtol=1e-5)
