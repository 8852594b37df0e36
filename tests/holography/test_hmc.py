"""Hamiltonian Monte Carlo: its invariants, and densities whose moments are known."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.errors import DivergenceError, SettingsError
from emergence.holography.autocorrelation import estimate_mean
from emergence.holography.hmc import HamiltonianSampler
from emergence.holography.leapfrog import leapfrog

COVARIANCE = np.array([[2.0, 0.6, 0.0], [0.6, 0.5, -0.1], [0.0, -0.1, 1.0]])
MEAN = np.array([1.0, -2.0, 0.5])
PRECISION = np.linalg.inv(COVARIANCE)


def gaussian(state: tf.Tensor) -> tf.Tensor:
    """ln of N(MEAN, COVARIANCE) up to a constant, ``[chains, 3]`` → ``[chains]``."""
    offset = state - tf.constant(MEAN, state.dtype)
    return -0.5 * tf.einsum("ca,ab,cb->c", offset, tf.constant(PRECISION, state.dtype), offset)


def moments(state: tf.Tensor) -> dict[str, tf.Tensor]:
    first = {f"x{i}": state[:, i] for i in range(3)}
    return first | {f"x{i}x{j}": state[:, i] * state[:, j] for i in range(3) for j in range(i + 1)}


def equilibrium(chains: int, seed: int = 0) -> tf.Tensor:
    draws = np.random.default_rng(seed).multivariate_normal(MEAN, COVARIANCE, size=chains)
    return tf.constant(draws)


def assert_gaussian(series: dict[str, np.ndarray]) -> None:
    second = COVARIANCE + np.outer(MEAN, MEAN)
    exact = {f"x{i}": MEAN[i] for i in range(3)}
    exact |= {f"x{i}x{j}": second[i, j] for i in range(3) for j in range(i + 1)}
    for name, value in exact.items():
        result = estimate_mean(series[name])
        assert result.value == pytest.approx(value, abs=4.5 * result.error), name
        assert result.error < 0.1


def test_tuning_reaches_its_target_and_the_chains_the_gaussian() -> None:
    sampler = HamiltonianSampler(gaussian, moments, leapfrogs=4, jitter=0.3)
    start = tf.constant(np.full((16, 3), 8.0))
    tuned = [sampler.tune(start, trajectories=300, seed=1, step=first) for first in (1e-3, 30.0)]
    assert tuned[0][1] == pytest.approx(tuned[1][1], rel=0.15)
    state, step = tuned[0]
    run = sampler.run(state, step=step, trajectories=800, seed=2)
    assert run.acceptance == pytest.approx(0.8, abs=0.1)
    assert_gaussian(run.series)


def test_large_steps_are_corrected_by_the_acceptance() -> None:
    # Half of the proposals fail: without the accept step these moments would be far off.
    sampler = HamiltonianSampler(gaussian, moments, leapfrogs=3)
    run = sampler.run(equilibrium(64), step=0.85, trajectories=1500, seed=3)
    assert 0.3 < run.acceptance < 0.85
    assert_gaussian(run.series)
    # ⟨e^{−ΔH}⟩ = 1 (Creutz), an average over few large values.
    factor = estimate_mean(np.exp(-run.energy_error))
    assert factor.value == pytest.approx(1.0, abs=4.0 * factor.error)
    assert factor.error < 0.1
    # For accepted trajectories the series is that of the states.
    assert run.series["x0"].shape == run.accepted.shape == (64, 1500)
    np.testing.assert_allclose(run.series["x0"][:, -1], run.state[:, 0])
    stayed = run.series["x0"][:, 1:] == run.series["x0"][:, :-1]
    np.testing.assert_array_equal(stayed, ~run.accepted[:, 1:])


def quartic(state: tf.Tensor) -> tf.Tensor:
    return -tf.reduce_sum(0.25 * state**4 + 0.1 * state * tf.roll(state, 1, axis=1), axis=1)


def value_and_gradient(state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(state)
        value = quartic(state)
    return value, tape.gradient(value, state)


def follow(
    state: np.ndarray, momentum: np.ndarray, step: float, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(state, momentum, ΔH) after ``count`` leapfrog steps."""
    state, momentum = tf.constant(state), tf.constant(momentum)
    value, gradient = value_and_gradient(state)
    end, end_momentum, end_value, end_gradient = leapfrog(
        value_and_gradient, state, momentum, gradient, tf.constant(step, tf.float64), count
    )
    np.testing.assert_allclose(end_gradient, value_and_gradient(end)[1])
    kinetic = 0.5 * tf.reduce_sum(end_momentum**2 - momentum**2, axis=1)
    return end.numpy(), end_momentum.numpy(), (kinetic - end_value + value).numpy()


def test_leapfrog_runs_backwards_and_keeps_the_volume() -> None:
    rng = np.random.default_rng(4)
    state, momentum = rng.standard_normal((2, 5, 4))
    end, end_momentum, error = follow(state, momentum, 0.2, 7)
    assert np.abs(end - state).max() > 0.5 and np.abs(error).max() > 1e-4
    back, back_momentum, back_error = follow(end, -end_momentum, 0.2, 7)
    np.testing.assert_allclose(back, state, atol=1e-13)
    np.testing.assert_allclose(back_momentum, -momentum, atol=1e-13)
    np.testing.assert_allclose(back_error, -error, atol=1e-13)
    # The Jacobian of (q, p) → (q', p') by central differences, each direction a chain.
    origin = np.concatenate([state[0], momentum[0]])
    shifts = 1e-5 * np.concatenate([np.eye(8), -np.eye(8)])
    moved = origin + shifts
    q, p, _ = follow(moved[:, :4], moved[:, 4:], 0.2, 7)
    ends = np.concatenate([q, p], axis=1)
    jacobian = (ends[:8] - ends[8:]) / 2e-5
    assert np.linalg.det(jacobian) == pytest.approx(1.0, abs=1e-7)


def test_energy_error_falls_with_the_square_of_the_step() -> None:
    rng = np.random.default_rng(5)
    state, momentum = rng.standard_normal((2, 200, 4))
    size = [np.std(follow(state, momentum, 0.4 / n, 3 * n)[2]) for n in (4, 8, 16)]
    assert size[0] / size[1] == pytest.approx(4.0, rel=0.1)
    assert size[1] / size[2] == pytest.approx(4.0, rel=0.03)


def test_runs_are_fixed_by_the_seed_and_follow_their_context() -> None:
    def scaled(state: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        return -0.5 * tf.reduce_sum((state / width[:, None]) ** 2, axis=1)

    def square(state: tf.Tensor, width: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"square": tf.reduce_mean(state**2, axis=1) / width**2}

    sampler = HamiltonianSampler(scaled, square, leapfrogs=3, jitter=0.2)
    width = tf.constant(np.array([1.0, 1.0, 2.0, 2.0]))
    start = width[:, None] * tf.constant(np.random.default_rng(6).standard_normal((4, 6)))
    runs = [
        sampler.run(start, step=0.5, trajectories=400, seed=seed, context=(width,))
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0].series["square"], runs[1].series["square"])
    assert not np.array_equal(runs[0].series["square"], runs[2].series["square"])
    result = estimate_mean(runs[0].series["square"])
    assert result.value == pytest.approx(1.0, abs=4.0 * result.error)


def test_a_trajectory_that_leaves_the_support_is_rejected_and_a_lost_start_is_told() -> None:
    def half_line(state: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.math.log(state) - state, axis=1)  # NaN for a negative state

    sampler = HamiltonianSampler(half_line, lambda state: {"x": state[:, 0]}, leapfrogs=2)
    start = tf.constant(np.random.default_rng(7).gamma(2.0, size=(16, 1)))
    run = sampler.run(start, step=0.8, trajectories=1500, seed=8)
    assert not np.isfinite(run.energy_error).all() and run.series["x"].min() > 0.0
    result = estimate_mean(run.series["x"])
    assert result.value == pytest.approx(2.0, abs=4.0 * result.error)
    lost = tf.constant(np.full((16, 1), -1.0))
    with pytest.raises(DivergenceError, match="not finite"):
        sampler.run(lost, step=0.1, trajectories=1500, seed=1)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="no trajectories"):
        HamiltonianSampler(gaussian, moments, leapfrogs=0)
    sampler = HamiltonianSampler(gaussian, moments, leapfrogs=1)
    with pytest.raises(SettingsError, match="cannot run"):
        sampler.run(equilibrium(2), step=0.0, trajectories=5, seed=1)
    with pytest.raises(SettingsError, match="target"):
        sampler.tune(equilibrium(2), trajectories=5, seed=1, target=1.0)


def widths(state: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    return -0.5 * tf.reduce_sum((state / width[:, None]) ** 2, axis=1)


def spread(state: tf.Tensor, width: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"square": tf.reduce_mean(state**2, axis=1) / width**2}


@pytest.mark.parametrize("fused", [True, False])
def test_groups_of_chains_have_steps_of_their_own(fused: bool) -> None:
    sampler = HamiltonianSampler(widths, spread, leapfrogs=3, jitter=0.2, fused=fused)
    width = tf.constant(np.repeat([0.1, 3.0], 8))
    start = width[:, None] * tf.constant(np.random.default_rng(9).standard_normal((16, 4)))
    state, steps = sampler.tune(start, trajectories=200, seed=1, groups=2, context=(width,))
    assert steps[1] / steps[0] == pytest.approx(30.0, rel=0.2)
    run = sampler.run(state, step=steps, trajectories=600, seed=2, context=(width,))
    acceptance = run.accepted.reshape(2, -1).mean(axis=1)
    assert acceptance.min() > 0.7 and acceptance.max() < 0.95
    assert np.ptp(acceptance) < 0.05
    for part in np.split(run.series["square"], 2):
        result = estimate_mean(part)
        assert result.value == pytest.approx(1.0, abs=4.0 * result.error)
        assert result.error < 0.1
    with pytest.raises(SettingsError, match="shared out"):
        sampler.run(state, step=np.ones(3), trajectories=600, seed=2, context=(width,))
