"""The Γ-method and blocking against series whose τ_int is known."""

from collections.abc import Mapping

import numpy as np
import pyerrors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from emergence.errors import DivergenceError
from emergence.holography.autocorrelation import (
    Function,
    estimate,
    estimate_all,
    estimate_mean,
)


def autoregressive(
    tau: float, chains: int, length: int, rng: np.random.Generator, width: int = 1
) -> np.ndarray:
    """AR(1) of unit variance from its stationary distribution, ``[width, chains, length]``."""
    decay = (2.0 * tau - 1.0) / (2.0 * tau + 1.0)
    noise = rng.standard_normal((width, chains, length)) * np.sqrt(1.0 - decay**2)
    noise[..., 0] /= np.sqrt(1.0 - decay**2)
    return lfilter([1.0], [1.0, -decay], noise, axis=-1)


def blocking(
    series: Mapping[str, np.ndarray], function: Function, block: int
) -> tuple[float, float]:
    """(value, error) of a function of means by the jackknife over blocks of ``block`` steps.

    The error is right where a block is much longer than τ_int; ``block`` divides the chains' length.
    """
    means = {name: values.reshape(-1, block).mean(axis=1) for name, values in series.items()}
    blocks = len(next(iter(means.values())))
    without = {name: (mean.sum() - mean) / (blocks - 1) for name, mean in means.items()}
    values = np.array(
        [function({name: mean[i] for name, mean in without.items()}) for i in range(blocks)]
    )
    value = function({name: float(mean.mean()) for name, mean in means.items()})
    return float(value), float(np.sqrt((blocks - 1) * np.mean((values - values.mean()) ** 2)))


@pytest.mark.parametrize(
    ("tau", "chains", "length"),
    [(0.5, 4, 2000), (4.0, 1, 20_000), (10.0, 4, 8000), (10.0, 64, 200)],
)
def test_error_and_tau_of_an_autoregressive_series(tau: float, chains: int, length: int) -> None:
    rng = np.random.default_rng(int(10 * tau) + chains)
    estimates = [estimate_mean(x) for x in autoregressive(tau, chains, length, rng, width=40)]
    exact = np.sqrt(2.0 * tau / (chains * length))
    assert np.mean([e.error for e in estimates]) == pytest.approx(exact, rel=0.1)
    assert np.mean([e.tau for e in estimates]) == pytest.approx(tau, rel=0.15)
    # The quoted errors of error and of τ are the scatter of both.
    pulls = np.array([e.value / e.error for e in estimates])
    assert 0.65 < np.std(pulls) < 1.45
    spread = np.std([e.tau for e in estimates])
    assert spread == pytest.approx(np.mean([e.tau_error for e in estimates]), rel=0.5)
    assert all(e.windowed and e.samples == chains * length for e in estimates)


def test_derived_quantity_agrees_with_error_propagation_and_with_blocking() -> None:
    rng = np.random.default_rng(3)
    x, y = autoregressive(5.0, 4, 6000, rng, width=2)
    series = {"a": 2.0 + x, "b": 3.0 + 0.5 * x + 0.1 * y}

    def ratio(means: dict[str, float]) -> float:
        return means["a"] ** 2 / means["b"]

    result = estimate(series, ratio)
    mean_a, mean_b = series["a"].mean(), series["b"].mean()
    slope_a, slope_b = 2.0 * mean_a / mean_b, -((mean_a / mean_b) ** 2)
    variance = (slope_a + 0.5 * slope_b) ** 2 + (0.1 * slope_b) ** 2
    exact = np.sqrt(variance * 10.0 / x.size)
    assert result.value == pytest.approx(mean_a**2 / mean_b)
    assert result.error == pytest.approx(exact, rel=0.12)
    value, error = blocking(series, ratio, 200)
    assert value == pytest.approx(result.value, rel=1e-6)
    assert error == pytest.approx(exact, rel=0.2)


def by_hand(series: np.ndarray, factor: float) -> tuple[float, float, float, int]:
    """(error, its error, τ_int, window) of the mean of ``[chains, time]`` by sums over all pairs.

    U. Wolff, hep-lat/0306017, eqs. (31), (42) and (49) to (52), about the mean of all chains.
    """
    deviations = series - series.mean()
    chains, length = series.shape
    samples = chains * length
    gamma = [
        np.sum(deviations[:, : length - w] * deviations[:, w:]) / (chains * (length - w))
        for w in range(length // 2)
    ]
    total = gamma[0]
    for window in range(1, length // 2):
        total += 2.0 * gamma[window]
        tau = max(0.5 * total / gamma[0], 0.5 + 1e-15)
        scale = factor / np.log((2.0 * tau + 1.0) / (2.0 * tau - 1.0))
        if np.exp(-window / scale) < scale / np.sqrt(window * samples):
            break
    total = max(total, gamma[0]) * (1.0 + (2.0 * window + 1.0) / samples)
    error = np.sqrt(total / samples)
    tau = max(0.5, 0.5 * total / (gamma[0] + total / samples))
    return error, error * np.sqrt((window + 0.5) / samples), tau, window


@pytest.mark.parametrize("tau", [0.5, 3.0, 10.0])
@pytest.mark.parametrize(("chains", "length"), [(1, 4000), (16, 400)])
@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0])
def test_errors_are_those_of_the_sums_over_all_pairs(tau, chains, length, factor) -> None:
    x, y = autoregressive(tau, chains, length, np.random.default_rng(int(tau)), width=2)
    series = {"square": (x + 0.5) ** 2, "fourth": (x + 0.5) ** 4, "other": 3.0 + 0.5 * x + 0.1 * y}
    a, b, c = (series[name].mean() for name in ("square", "fourth", "other"))
    linear = {
        "mean": (lambda m: m["square"], a, series["square"]),
        "ratio": (
            lambda m: m["square"] / m["other"],
            a / c,
            series["square"] / c - a / c**2 * series["other"],
        ),
        "binder": (
            lambda m: m["fourth"] / m["square"] ** 2,
            b / a**2,
            series["fourth"] / a**2 - 2.0 * b / a**3 * series["square"],
        ),
    }
    for name, (function, value, form) in linear.items():
        mine = estimate(series, function, factor=factor)
        error, error_of_error, integrated, window = by_hand(form, factor)
        assert mine.window == window, name
        assert mine.value == pytest.approx(value, rel=1e-12), name
        # The slopes are central differences here and derivatives there.
        assert mine.error == pytest.approx(error, rel=1e-3), name
        assert mine.error_of_error == pytest.approx(error_of_error, rel=1e-3), name
        assert mine.tau == pytest.approx(integrated, rel=1e-3), name


def test_many_short_chains_have_their_error_about_the_mean_of_all_and_less_about_their_own() -> (
    None
):
    tau, chains, length, seeds = 10.0, 64, 200, 150
    series = autoregressive(tau, chains, length, np.random.default_rng(11), width=seeds)
    mine = [estimate_mean(x) for x in series]
    names = [f"chains|{index}" for index in range(chains)]
    theirs = [pyerrors.Obs(list(x), names) for x in series]
    for observable in theirs:
        observable.gamma_method(S=1.5)
    exact = np.sqrt(2.0 * tau / (chains * length))
    assert np.mean([e.error for e in mine]) == pytest.approx(exact, rel=0.05)
    assert np.mean([o.dvalue for o in theirs]) < 0.82 * exact
    # The true mean 0 lies within one standard error with probability 0.683, four deviations of 150
    # seeds being 0.152; with three quarters of the error, with 0.55.
    covered = np.mean([abs(e.value) < e.error for e in mine])
    uncovered = np.mean([abs(o.value) < o.dvalue for o in theirs])
    assert covered == pytest.approx(0.683, abs=0.152)
    assert uncovered < covered - 0.05


def test_a_linear_form_is_the_mean_of_the_combined_series() -> None:
    rng = np.random.default_rng(4)
    x, y = autoregressive(3.0, 2, 500, rng, width=2)
    both = estimate({"x": x, "y": y, "z": x}, lambda means: 2.0 * means["x"] - 0.7 * means["y"])
    direct = estimate_mean(2.0 * x - 0.7 * y)
    assert both.error == pytest.approx(direct.error, rel=1e-6)
    assert both.tau == pytest.approx(direct.tau, rel=1e-6)
    assert estimate_all({"x": x}, {"only": lambda means: means["x"]})["only"] == estimate_mean(x)


@given(st.floats(0.1, 100.0), st.floats(-1e3, 1e3), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_errors_scale_with_the_series_and_ignore_a_constant(
    scale: float, shift: float, seed: int
) -> None:
    x = autoregressive(2.0, 2, 300, np.random.default_rng(seed))[0]
    plain, moved = estimate_mean(x), estimate_mean(scale * x + shift)
    assert moved.error == pytest.approx(scale * plain.error, rel=1e-6)
    assert moved.tau == pytest.approx(plain.tau, rel=1e-6)
    assert moved.window == plain.window


def test_chains_that_never_met_are_told() -> None:
    x = autoregressive(2.0, 4, 2000, np.random.default_rng(6))[0]
    assert estimate_mean(x).agreement > 1e-3
    apart = estimate_mean(x + 5.0 * np.arange(4)[:, None])
    # Fluctuations about the mean of all chains: the error grows to the scatter between them.
    assert apart.error == pytest.approx(5.0 * np.sqrt(1.25) / 2.0, rel=0.3)
    near = estimate_mean(x + 0.2 * np.arange(4)[:, None])
    assert near.agreement < 1e-4


def test_an_alternating_series_gets_no_error_below_that_of_independent_samples() -> None:
    noise = np.random.default_rng(7).standard_normal((4, 1001))
    result = estimate_mean(noise[:, 1:] - 0.9 * noise[:, :-1])
    assert result.tau == pytest.approx(0.5, abs=1e-3)
    assert result.error == pytest.approx(np.sqrt(1.81 / 4000.0), rel=0.05)


def test_a_constant_has_no_error_and_a_function_without_value_none_either() -> None:
    flat = estimate_mean(np.full((2, 50), 7.3))
    assert (flat.value, flat.error, flat.tau) == (pytest.approx(7.3), 0.0, 0.5)
    x = np.random.default_rng(0).standard_normal((2, 50))
    lost = estimate({"x": x}, lambda means: float("nan"))
    assert np.isnan(lost.value) and np.isnan(lost.error) and not lost.windowed


def test_series_that_are_not_finite_or_do_not_fit_are_refused() -> None:
    x = np.zeros((2, 50))
    x[1, 3] = np.nan
    with pytest.raises(DivergenceError, match="not finite"):
        estimate_mean(x)
    with pytest.raises(ValueError, match="one shape"):
        estimate({"x": np.zeros((2, 5)), "y": np.zeros((2, 6))}, lambda means: 0.0)
    with pytest.raises(ValueError, match="at least 4"):
        estimate_mean(np.zeros((5, 3)))
