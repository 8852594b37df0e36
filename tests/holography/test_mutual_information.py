"""Estimators of mutual information against laws whose information is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import i0

from emergence.errors import SettingsError
from emergence.holography.mutual_information import (
    canonical_information,
    estimate,
    gaussian_information,
    jackknife,
    neighbour_information,
)

TURN = 2.0 * np.pi


def correlated(
    rng: np.random.Generator, count: int, correlation: float, *, complex_: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    def white() -> np.ndarray:
        real = rng.standard_normal(count)
        return real + 1j * rng.standard_normal(count) if complex_ else real

    x = white()
    return x, correlation * x + np.sqrt(1.0 - correlation**2) * white()


def von_mises_information(kappa: float) -> float:
    def integrand(angle: float) -> float:
        density = np.exp(kappa * np.cos(angle)) / (TURN * i0(kappa))
        return density * np.log(TURN * density)

    return quad(integrand, -np.pi, np.pi)[0]


@pytest.mark.parametrize(("complex_", "kappa"), [(False, 0.5), (True, 1.0)])
def test_gaussian_estimate_of_correlated_gaussians(complex_: bool, kappa: float) -> None:
    rng = np.random.default_rng(1)
    x, y = correlated(rng, 20_000, 0.6, complex_=complex_)
    result = estimate(x, y, rng=rng)
    exact = -kappa * np.log(1.0 - 0.36)
    assert abs(result.value - exact) < 4.0 * result.error < 0.1 * exact
    assert result.floor < 1e-3


def test_gaussian_information_of_vectors_is_that_of_their_covariance() -> None:
    rng = np.random.default_rng(2)
    mixing = rng.standard_normal((5, 5))
    points = rng.standard_normal((3000, 5)) @ mixing.T
    sample = np.cov(points.T)
    determinants = [np.linalg.slogdet(part)[1] for part in (sample[:2, :2], sample[2:, 2:], sample)]
    expected = 0.5 * (determinants[0] + determinants[1] - determinants[2])
    value = gaussian_information(points[:, :2], points[:, 2:])
    assert value == pytest.approx(expected, rel=1e-10)
    # Real and imaginary parts as real components, of a mixed pair.
    value = gaussian_information(points[:, 0] + 1j * points[:, 1], points[:, 2:])
    assert value == pytest.approx(expected, rel=1e-10)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_gaussian_information_does_not_see_linear_maps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = correlated(rng, 300, 0.5, complex_=True)
    before = gaussian_information(x, y)
    assert gaussian_information((2.0 - 1.0j) * x + 3.0, 0.1j * y) == pytest.approx(before, rel=1e-9)
    assert before > 0.0


def test_jackknife_removes_the_bias_of_few_samples() -> None:
    rng = np.random.default_rng(3)
    # A quarter of the samples' own number of independent components: strong bias.
    raw, corrected = [], []
    for _ in range(100):
        x, y = rng.standard_normal((2, 60, 2))
        raw.append(gaussian_information(x, y))
        corrected.append(estimate(x, y, chunks=10, shuffles=0, rng=rng).value)
    spread = np.std(corrected) / np.sqrt(len(corrected))
    assert np.mean(raw) > 0.03
    assert abs(np.mean(corrected)) < 4.0 * spread < 0.03


def test_jackknife_error_is_the_spread_between_samples() -> None:
    rng = np.random.default_rng(4)
    for estimator in (gaussian_information, neighbour_information):
        results = [
            estimate(*correlated(rng, 200, 0.6), estimator, chunks=8, shuffles=0, rng=rng)
            for _ in range(40)
        ]
        spread = np.std([result.value for result in results], ddof=1)
        error = np.sqrt(np.mean([result.error**2 for result in results]))
        assert 0.7 < error / spread < 1.5


@pytest.mark.parametrize("complex_", [False, True])
def test_nearest_neighbours_on_gaussians(complex_: bool) -> None:
    rng = np.random.default_rng(5)
    x, y = correlated(rng, 2000, 0.7, complex_=complex_)
    result = estimate(x, y, neighbour_information, chunks=5, rng=rng)
    exact = -(1.0 if complex_ else 0.5) * np.log(1.0 - 0.49)
    assert abs(result.value - exact) < 4.0 * result.error + 0.02
    assert abs(result.floor) < 0.03 < result.value


@pytest.mark.parametrize("kappa", [0.5, 4.0])
def test_nearest_neighbours_on_von_mises_angles(kappa: float) -> None:
    rng = np.random.default_rng(6)
    first = rng.uniform(0.0, TURN, 2000)
    second = first + rng.vonmises(0.0, kappa, 2000)
    exact = von_mises_information(kappa)

    def periodic(x: np.ndarray, y: np.ndarray) -> float:
        return neighbour_information(x, y, period=TURN)

    result = estimate(first, second, periodic, chunks=5, rng=rng)
    assert abs(result.value - exact) < 4.0 * result.error + 0.02
    # The linear correlation of angles misses most of it, cut open at 0.
    assert gaussian_information(np.mod(first, TURN), np.mod(second, TURN)) < 0.75 * exact


def test_nearest_neighbours_see_what_covariances_do_not() -> None:
    rng = np.random.default_rng(7)
    x = rng.standard_normal(2000)
    y = x**2 + 0.1 * rng.standard_normal(2000)
    assert gaussian_information(x, y) < 0.02
    assert neighbour_information(x, y) > 1.0


def test_canonical_information_broadcasts_over_pairs() -> None:
    cross = np.array([0.0, 0.3, 0.6])[:, None, None]
    value = canonical_information(np.eye(1), np.eye(1), cross, circular=True)
    np.testing.assert_allclose(value, -np.log(1.0 - cross[:, 0, 0] ** 2))


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    chunks = np.random.default_rng(8).standard_normal(12)
    without = (chunks.sum() - chunks) / 11
    value, error = jackknife(chunks.mean(), without)
    assert value == pytest.approx(chunks.mean())
    assert error == pytest.approx(chunks.std(ddof=1) / np.sqrt(12))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gaussian_information(np.ones(2), np.arange(2.0)), "more samples"),
        (lambda: gaussian_information(np.ones(9), np.arange(9.0)), "constant components"),
        (lambda: gaussian_information(np.eye(3)[0], np.eye(3)[0]), "correlated perfectly"),
        (lambda: neighbour_information(np.arange(4), np.arange(4)), "no 4 neighbours"),
        (lambda: jackknife(np.zeros(()), np.zeros(1)), "at least 2 chunks"),
        (
            lambda: estimate(np.ones(3), np.ones(3), chunks=5, rng=np.random.default_rng(0)),
            "make no 5 chunks",
        ),
    ],
)
def test_bad_input_is_told_in_a_sentence(call, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        call()
    assert words in str(caught.value)
