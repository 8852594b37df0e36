"""The actions as TensorFlow functions, against the NumPy ones."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.errors import SettingsError
from emergence.holography.actions import ComplexPhi4, FreeField, IsingDualField
from emergence.holography.densities import (
    IsingTheory,
    MonotoneTable,
    Phi4Theory,
    RadialLaw,
    fourier_basis,
)
from emergence.holography.single_site import SingleSiteLaw


def complex_pair(side: int, scale: float) -> tuple[np.ndarray, tf.Tensor]:
    """Fields ``[6, L, L]`` complex and the same ``[2, 3, L, L, 2]``."""
    real = scale * np.random.default_rng(side).standard_normal((2, 3, side, side, 2))
    return (real[..., 0] + 1j * real[..., 1]).reshape(6, side, side), tf.constant(real)


@pytest.mark.parametrize("side", [2, 4, 8])
@pytest.mark.parametrize(
    "action",
    [ComplexPhi4.recalled(0.28), ComplexPhi4(1.0, 1.0, 1.0), FreeField(1.0, 2.25)],
)
def test_complex_actions_are_the_numpy_ones_up_to_their_constant(action, side: int) -> None:
    field, tensor = complex_pair(side, 1.3)
    theory = Phi4Theory.of(action)
    couplings = theory.couplings(2, 3, tf.float64)
    value = theory.action(tensor, couplings) - theory.constant(couplings, side)
    np.testing.assert_allclose(value.numpy().ravel(), action.value(field), rtol=1e-11)


def test_couplings_belong_to_samples() -> None:
    field, tensor = complex_pair(4, 1.5)
    t = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    mu = np.array([-300.0, -200.0, -100.0, -10.0, 0.0, 5.0])
    couplings = tf.constant(np.stack([t, mu], axis=1).reshape(2, 3, 2))
    theory = Phi4Theory(0.28, -200.0, 25.0)
    value = theory.action(tensor, couplings) - theory.constant(couplings, 4)
    for index, number in enumerate(value.numpy().ravel()):
        one = ComplexPhi4(t[index], mu[index], 25.0).value(field[index : index + 1])
        assert number == pytest.approx(one[0], rel=1e-11)


def test_single_precision_keeps_the_action_of_a_thin_ring() -> None:
    rng = np.random.default_rng(1)
    radius = np.sqrt(4.0 + rng.standard_normal((1, 50, 32, 32)) / np.sqrt(50.0))
    angle = 0.3 * rng.standard_normal(radius.shape)
    field = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    theory = Phi4Theory.of(ComplexPhi4.recalled(0.28))
    exact = theory.action(tf.constant(field), theory.couplings(1, 50, tf.float64))
    single = theory.action(
        tf.constant(field, tf.float32), theory.couplings(1, 50, tf.float32)
    ).numpy()
    # The bare action is −4e5, which single precision knows to 0.03 only.
    np.testing.assert_allclose(single, exact, atol=6e-3)


@pytest.mark.parametrize("side", [2, 4, 8])
def test_ising_action_is_the_numpy_one(side: int) -> None:
    field = 3.0 * np.random.default_rng(side).standard_normal((2, 3, side, side, 1))
    theory = IsingTheory(2.269)
    value = theory.action(tf.constant(field), theory.couplings(2, 3, tf.float64))
    expected = IsingDualField(2.269).value(field.reshape(6, side, side))
    np.testing.assert_allclose(value.numpy().ravel(), expected, rtol=1e-11)


@pytest.mark.parametrize("side", [2, 4, 16])
def test_fourier_basis_is_orthonormal_and_diagonalises_neighbours(side: int) -> None:
    basis = fourier_basis(side)
    np.testing.assert_allclose(basis @ basis.T, np.eye(side), atol=1e-12)
    shift = np.roll(np.eye(side), 1, axis=0)
    found = basis @ (shift + shift.T) @ basis.T
    expected = np.diag(2.0 * np.cos(2.0 * np.pi * np.arange(side) / side))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_unstable_theories_are_refused() -> None:
    with pytest.raises(SettingsError, match="lambda > 0"):
        Phi4Theory(0.28, -200.0, 0.0)
    with pytest.raises(SettingsError, match="temperature"):
        IsingTheory(-1.0)


COUPLINGS = [(-199.44, 25.0), (-100.0, 25.0), (-2.0, 1.0), (1.0, 1.0), (2.25, 0.0)]


@pytest.mark.parametrize(("mu", "lam"), COUPLINGS)
def test_radial_law_is_the_single_site_law(mu: float, lam: float) -> None:
    normal = np.linspace(-6.0, 6.0, 1201)
    exact, law = SingleSiteLaw(mu, lam), RadialLaw(mu, lam)
    same = tf.constant(np.full(normal.shape, mu))
    radius, volume = law.radius(tf.constant(normal), same)
    np.testing.assert_allclose(radius, exact.radius(normal), rtol=1e-10)
    np.testing.assert_allclose(volume, exact.log_volume(normal), atol=2e-8)
    back, volume_back = law.normal(radius, same)
    np.testing.assert_allclose(back, normal, atol=1e-10)
    np.testing.assert_allclose(volume_back, volume, atol=1e-9)


@pytest.mark.parametrize(("mu", "lam"), COUPLINGS)
def test_volume_is_the_derivative_of_the_radius_itself(mu: float, lam: float) -> None:
    law = RadialLaw(mu, lam)
    normal = tf.constant(np.linspace(-5.0, 5.0, 57))
    with tf.GradientTape() as tape:
        tape.watch(normal)
        radius, volume = law.radius(normal, tf.constant(mu, tf.float64))
    slope = tape.gradient(radius, normal)
    np.testing.assert_allclose(tf.math.log(radius * slope), volume, atol=1e-10)
    with tf.GradientTape() as tape:
        tape.watch(radius)
        back, _ = law.normal(radius, tf.constant(mu, tf.float64))
    np.testing.assert_allclose(tape.gradient(back, radius), 1.0 / slope, rtol=1e-9)


@pytest.mark.parametrize(("mu", "lam"), COUPLINGS)
def test_radial_law_in_single_precision(mu: float, lam: float) -> None:
    law = RadialLaw(mu, lam)
    normal = tf.constant(np.linspace(-4.0, 4.0, 401), tf.float32)
    radius, _ = law.radius(normal, tf.constant(mu, tf.float32))
    back, volume = law.normal(radius, tf.constant(mu, tf.float32))
    # On a ring of relative width 2 %, ulps of the radius are 50 times as many of s.
    np.testing.assert_allclose(back, normal, atol=3e-5)
    assert np.isfinite(volume).all()


def test_a_thin_ring_takes_mu_of_each_sample() -> None:
    law = RadialLaw(-100.0, 25.0)
    law.check_range(-300.0, -100.0)
    mu = tf.constant([-300.0, -200.0, -100.0], tf.float64)
    radius, volume = law.radius(tf.constant([0.5, 0.5, 0.5], tf.float64), mu)
    for index, value in enumerate(mu.numpy()):
        exact = SingleSiteLaw(value, 25.0)
        assert radius[index].numpy() == pytest.approx(float(exact.radius(0.5)), rel=1e-12)
        assert volume[index].numpy() == pytest.approx(float(exact.log_volume(0.5)), abs=1e-9)
    with pytest.raises(SettingsError, match="not thin"):
        law.check_range(-100.0, -10.0)


def test_far_below_the_ring_the_radius_stays_positive() -> None:
    normal = tf.constant([-20.0, -28.0, -40.0, -100.0], tf.float64)
    radius, _ = RadialLaw(-200.0, 25.0).radius(normal, tf.constant(-200.0, tf.float64))
    assert np.all(radius.numpy() > 0.0) and np.all(np.diff(radius.numpy()) < 0.0)
    back, _ = RadialLaw(-200.0, 25.0).normal(radius, tf.constant(-200.0, tf.float64))
    np.testing.assert_allclose(back, normal, rtol=1e-9)


def test_table_of_a_known_function() -> None:
    table = MonotoneTable(lambda x: (np.sinh(x), np.cosh(x)), -3.0, 3.0)
    x = tf.constant(np.linspace(-3.0, 3.0, 101))
    value, log_slope = table(x)
    np.testing.assert_allclose(value, np.sinh(x), atol=1e-11)
    np.testing.assert_allclose(log_slope, np.log(np.cosh(x)), atol=1e-8)
    beyond, log_slope = table(tf.constant([5.0], tf.float64))
    assert beyond.numpy()[0] == pytest.approx(np.sinh(3.0) + 2.0 * np.cosh(3.0), rel=1e-9)
    assert log_slope.numpy()[0] == pytest.approx(np.log(np.cosh(3.0)), rel=1e-9)
