"""Importance weights and independence Metropolis against enumerable and Gaussian targets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfc

from emergence.errors import SettingsError
from emergence.holography.autocorrelation import estimate_mean
from emergence.holography.metropolis import (
    WeightsError,
    effective_samples,
    expected_acceptance,
    independence_metropolis,
    reweight,
)

TARGET = np.array([0.05, 0.15, 0.3, 0.5])
PROPOSAL = np.array([0.4, 0.3, 0.2, 0.1])
VALUES = np.array([1.0, -2.0, 0.5, 3.0])


def draw(shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """States drawn from PROPOSAL and their log-weights, 3 nats above the normalised ones."""
    states = np.random.default_rng(seed).choice(4, size=shape, p=PROPOSAL)
    return states, np.log(TARGET / PROPOSAL)[states] + 3.0


def transition_matrix() -> np.ndarray:
    """Independence Metropolis on the four states, exactly."""
    weight = TARGET / PROPOSAL
    matrix = PROPOSAL[None, :] * np.minimum(1.0, weight[None, :] / weight[:, None])
    np.fill_diagonal(matrix, 0.0)
    return matrix + np.diag(1.0 - matrix.sum(axis=1))


def test_chain_has_the_discrete_target_its_autocorrelation_and_its_acceptance() -> None:
    states, log_weights = draw((4, 40_000), 1)
    chain = independence_metropolis(log_weights, np.random.default_rng(2))
    visited = chain.series(states)
    measured = estimate_mean(VALUES[visited])
    assert measured.value == pytest.approx(TARGET @ VALUES, abs=4.0 * measured.error)
    for state in range(4):
        occupied = estimate_mean((visited == state).astype(float))
        assert occupied.value == pytest.approx(TARGET[state], abs=4.0 * occupied.error)
    # τ_int = ½ + Σ_{t≥1} ρ(t) with the exact transition matrix.
    matrix = transition_matrix()
    centred = VALUES - TARGET @ VALUES
    resolvent = np.linalg.solve(np.eye(4) - matrix + TARGET[None, :], centred)
    tau = (TARGET * centred) @ resolvent / ((TARGET * centred) @ centred) - 0.5
    assert measured.tau == pytest.approx(tau, rel=0.1)
    weight = TARGET / PROPOSAL
    accepting = np.minimum(1.0, weight[None, :] / weight[:, None])
    acceptance = TARGET @ accepting @ PROPOSAL
    assert chain.accepted.mean() == pytest.approx(acceptance, abs=0.01)
    assert expected_acceptance(log_weights) == pytest.approx(acceptance, abs=0.01)
    assert not chain.warning


def test_reweighting_has_the_discrete_target_and_an_honest_error() -> None:
    pulls = []
    for seed in range(60):
        states, log_weights = draw((2000,), seed)
        samples = {"x": VALUES[states], "y": VALUES[states] ** 2}
        result = reweight(samples, log_weights, lambda m: m["y"] - m["x"] ** 2, batches=40)
        exact = TARGET @ VALUES**2 - (TARGET @ VALUES) ** 2
        pulls.append((result.value - exact) / result.error)
        assert not result.underpowered
    assert abs(np.mean(pulls)) < 4.0 / np.sqrt(60)
    assert 0.7 < np.std(pulls) < 1.35


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_gaussian_log_weights_have_the_known_effective_size_and_acceptance(sigma: float) -> None:
    log_weights = sigma * np.random.default_rng(3).standard_normal((8, 50_000)) - 700.0
    share = effective_samples(log_weights) / log_weights.size
    assert share == pytest.approx(np.exp(-(sigma**2)), rel=0.05)
    acceptance = erfc(sigma / 2.0)
    assert expected_acceptance(log_weights) == pytest.approx(acceptance, rel=0.01)
    chain = independence_metropolis(log_weights, np.random.default_rng(4))
    assert chain.accepted.mean() == pytest.approx(acceptance, rel=0.02)


@given(
    st.lists(st.floats(-50.0, 50.0), min_size=2, max_size=30),
    st.floats(-1e4, 1e4),
)
@settings(deadline=None)
def test_effective_size_is_bounded_and_knows_no_constant(
    log_weights: list[float], constant: float
) -> None:
    weights = np.array(log_weights)
    size = effective_samples(weights)
    assert 1.0 - 1e-9 <= size <= len(weights) + 1e-9
    assert effective_samples(weights + constant) == pytest.approx(size, rel=1e-6)
    assert effective_samples(np.repeat(weights, 3)) == pytest.approx(3.0 * size)
    pairs = [np.exp(min(a, b) - weights.max()) for i, a in enumerate(weights) for b in weights[:i]]
    mean = np.mean(np.exp(weights - weights.max()))
    assert expected_acceptance(weights) == pytest.approx(np.mean(pairs) / mean, rel=1e-9)


def test_degenerate_weights_are_underpowered() -> None:
    rng = np.random.default_rng(5)
    log_weights = 40.0 * rng.standard_normal(500)
    result = reweight({"x": rng.standard_normal(500)}, log_weights, lambda means: means["x"])
    assert result.effective < 10.0 and result.underpowered
    assert "Underpowered" in str(result) and "fewer than 10" in str(result)
    assert "Underpowered" in independence_metropolis(log_weights[None], rng).warning
    fine = reweight({"x": rng.standard_normal(500)}, np.zeros(500), lambda means: means["x"])
    assert not fine.underpowered and "(" not in str(fine)


@pytest.mark.parametrize(
    ("log_weights", "message"),
    [
        ([0.0, np.nan, 1.0], "1 of 3 importance weights are not finite"),
        ([0.0, np.inf, 1.0], "1 of 3 importance weights are not finite"),
        ([-np.inf, -np.inf], "All importance weights are zero"),
    ],
)
def test_useless_weights_are_one_sentence(log_weights: list[float], message: str) -> None:
    for function in (effective_samples, expected_acceptance):
        with pytest.raises(WeightsError, match=message):
            function(np.array(log_weights))
    with pytest.raises(WeightsError, match=message):
        independence_metropolis(np.array([log_weights]), np.random.default_rng(0))


def test_a_start_outside_the_support_is_left_at_once() -> None:
    log_weights = np.array([[-np.inf, -5.0, -np.inf, -5.0]])
    chain = independence_metropolis(log_weights, np.random.default_rng(0))
    assert chain.index.tolist() == [[0, 1, 1, 3]]


def test_shapes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SettingsError, match="at least two"):
        independence_metropolis(np.zeros((3, 1)), np.random.default_rng(0))
    with pytest.raises(ValueError, match="shape"):
        reweight({"x": np.zeros(3)}, np.zeros(4), lambda means: 0.0, batches=2)
    with pytest.raises(ValueError, match="batches"):
        reweight({"x": np.zeros(4)}, np.zeros(4), lambda means: 0.0, batches=5)


def test_few_samples_make_a_batch_each() -> None:
    values = np.random.default_rng(6).standard_normal(12)
    few = reweight({"x": values}, np.zeros(12), lambda means: means["x"])
    assert few.error == pytest.approx(values.std(ddof=1) / np.sqrt(12))
    assert not few.underpowered
    assert reweight({"x": values[:9]}, np.zeros(9), lambda means: means["x"]).underpowered
    many = {"x": np.random.default_rng(7).standard_normal(130)}
    whole = reweight(many, np.zeros(130), lambda means: means["x"])
    assert whole == reweight(many, np.zeros(130), lambda means: means["x"], batches=50)
