"""Charts: priors, radial maps in both directions, and their Jacobians."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.holography.bijectors import (
    PlaneChart,
    PolarChart,
    RingChart,
    elu,
    from_blocks,
    held,
    to_blocks,
    wrap,
)
from emergence.holography.densities import RadialLaw
from emergence.holography.single_site import SingleSiteLaw

CHARTS = [
    PlaneChart(2),
    PlaneChart(1),
    RingChart(RadialLaw(-199.44, 25.0)),
    RingChart(RadialLaw(1.0, 1.0)),
    PolarChart(RadialLaw(-199.44, 25.0)),
    PolarChart(RadialLaw(1.0, 1.0)),
]


few = settings(max_examples=4, deadline=None)


@pytest.mark.parametrize("chart", CHARTS)
@few
@given(seed=st.integers(0, 2**31 - 2))
def test_charts_are_bijections_with_their_jacobian(chart, seed: int) -> None:
    mu = tf.fill([1, 3], tf.constant(getattr(getattr(chart, "law", None), "mu", 0.0), tf.float64))
    latents = chart.sample(tf.constant([seed, 4]), [1, 3, 2, 2], tf.float64)
    field, log_det = chart.to_field(latents, mu)
    back, log_det_back = chart.from_field(field, mu)
    np.testing.assert_allclose(back, latents, rtol=0, atol=1e-8)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=0, atol=1e-7)
    expected = autodiff_log_det(chart, latents[:, :1], mu[:, :1])
    np.testing.assert_allclose(log_det[0, 0], expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("chart", [chart for chart in CHARTS if isinstance(chart, PolarChart)])
@few
@given(seed=st.integers(0, 2**31 - 2), angle=st.floats(-np.pi, np.pi))
def test_turned_latents_are_of_the_turned_field(chart, seed: int, angle: float) -> None:
    mu = tf.fill([1, 3], tf.constant(chart.law.mu, tf.float64))
    latents = chart.sample(tf.constant([seed, 4]), [1, 3, 2, 2], tf.float64)
    field, log_det = (each.numpy() for each in chart.to_field(latents, mu))
    turned, log_det_turned = chart.to_field(latents + tf.constant([0.0, angle], tf.float64), mu)
    expected = (field[..., 0] + 1j * field[..., 1]) * np.exp(1j * angle)
    np.testing.assert_allclose(turned[..., 0], expected.real, rtol=0, atol=1e-12)
    np.testing.assert_allclose(turned[..., 1], expected.imag, rtol=0, atol=1e-12)
    np.testing.assert_allclose(log_det_turned, log_det, rtol=0, atol=1e-12)


def autodiff_log_det(chart, latents: tf.Tensor, mu: tf.Tensor) -> float:
    flat = tf.reshape(latents, [-1])
    with tf.GradientTape() as tape:
        tape.watch(flat)
        field = tf.reshape(chart.to_field(tf.reshape(flat, latents.shape), mu)[0], [-1])
    return float(np.linalg.slogdet(tape.jacobian(field, flat))[1])


@pytest.mark.parametrize("law", [RadialLaw(-199.44, 25.0), RadialLaw(1.0, 1.0)])
@pytest.mark.parametrize("kind", [PolarChart, RingChart])
def test_the_identity_flow_is_the_theory_at_hopping_zero(kind, law: RadialLaw) -> None:
    chart, exact = kind(law), SingleSiteLaw(law.mu, law.lam)
    mu = tf.fill([1, 64], tf.constant(law.mu, tf.float64))
    latents = chart.sample(tf.constant([5, 6]), [1, 64, 2, 2], tf.float64)
    field, log_det = chart.to_field(latents, mu)
    log_density = chart.log_prior(latents) - log_det
    radius = np.hypot(field[..., 0], field[..., 1])
    expected = exact.log_density(radius).sum(axis=(2, 3))
    np.testing.assert_allclose(log_density, expected, atol=1e-6)


@few
@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**31))
def test_blocks_of_any_lattice_go_back(components: int, half: int, seed: int) -> None:
    lattice = np.random.default_rng(seed).standard_normal((2, components, 2 * half, 2 * half, 3))
    blocks = to_blocks(tf.constant(lattice))
    np.testing.assert_array_equal(from_blocks(blocks), lattice)
    # Sites a whole block away are those of the next block.
    moved = to_blocks(tf.constant(np.roll(lattice, (2, 0), axis=(2, 3))))
    np.testing.assert_array_equal(moved, np.roll(blocks, 1, axis=3))


def test_blocks_hold_the_sites_of_the_lattice_and_go_back() -> None:
    lattice = tf.reshape(tf.range(2 * 3 * 4 * 4 * 5), [2, 3, 4, 4, 5])
    blocks = to_blocks(lattice)
    assert blocks.shape == [2, 4, 3, 2, 2, 5]
    np.testing.assert_array_equal(blocks[:, 1, :, 1, 0], lattice[:, :, 2, 1])
    np.testing.assert_array_equal(blocks[:, 2, :, 0, 1], lattice[:, :, 1, 2])
    np.testing.assert_array_equal(from_blocks(blocks), lattice)


@given(st.lists(st.floats(-20.0, 20.0), min_size=1, max_size=50))
def test_wrapped_angles_are_the_same_angles(values: list[float]) -> None:
    angle = tf.constant(values, tf.float64)
    wrapped = wrap(angle)
    assert np.abs(wrapped).max() <= np.pi + 1e-12
    np.testing.assert_allclose(np.exp(1j * wrapped.numpy()), np.exp(1j * angle.numpy()), atol=1e-13)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_elu_and_its_derivative_are_those_of_tensorflow(dtype) -> None:
    values = tf.constant(np.concatenate([np.linspace(-30.0, 30.0, 401), [1e-7, -1e-7]]), dtype)
    found = []
    for function in (elu, tf.nn.elu):
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = function(values)
        found.append((result, tape.gradient(result, values)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(
            one, other, rtol=0, atol=2.0 * np.finfo(dtype.as_numpy_dtype).eps
        )


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_held_values_and_their_derivatives_are_the_same_bits(dtype) -> None:
    rng = np.random.default_rng(0)
    first, second = (tf.constant(rng.standard_normal((2, 50)), dtype) for _ in range(2))

    def total(kept: bool) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([first, second])
            values = [first * second, tf.sin(first)]
            values = held(*values) if kept else values
            result = tf.exp(values[0]) * values[1]
        return [*values, *tape.gradient(result, [first, second])]

    for one, other in zip(total(True), total(False), strict=True):
        np.testing.assert_array_equal(one, other)
