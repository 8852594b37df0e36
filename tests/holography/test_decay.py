"""Decay fits on data of known rate."""

from unittest.mock import Mock

import numpy as np
import pytest
from scipy.optimize import least_squares

from emergence.errors import SettingsError
from emergence.holography.decay import DecayFit, _Law, fit_decay

DISTANCE = np.linspace(1.0, 6.0, 12)


def noisy_fit(
    rng: np.random.Generator, *, rate: float = 1.5, noise: float = 2e-4, scatter: float = 0.0
) -> DecayFit:
    law = np.exp(-0.5 - rate * DISTANCE) * np.exp(scatter * rng.standard_normal(12))
    error = np.full(12, noise)
    value = law + noise * rng.standard_normal(12)
    replicas = value + noise * rng.standard_normal((40, 12))
    return fit_decay(DISTANCE, value, error, replicas=replicas)


def test_exact_law_is_found_exactly() -> None:
    fit = fit_decay(DISTANCE, np.exp(-0.5 - 1.5 * DISTANCE), np.zeros(12))
    assert fit.rate == pytest.approx(1.5, abs=1e-5)
    assert fit.intercepts == pytest.approx([-0.5], abs=1e-4)
    assert fit.scatter < 2e-3
    assert fit.error < 1e-3


def test_errors_cover_the_truth_with_noise_far_above_the_tail() -> None:
    # The last points are e^-9.5 ≈ 7e-5, below their errors: dropping them would flatten the slope.
    rng = np.random.default_rng(1)
    fits = [noisy_fit(rng) for _ in range(16)]
    pulls = np.array([(fit.rate - 1.5) / fit.error for fit in fits])
    assert abs(pulls.mean()) < 0.7
    assert 0.4 < np.sqrt(np.mean(pulls**2)) < 1.6
    assert np.mean([fit.chi_square for fit in fits]) == pytest.approx(10.0, abs=4.0)


def test_scatter_about_the_law_enters_the_error() -> None:
    rng = np.random.default_rng(2)
    fits = [noisy_fit(rng, noise=1e-8, scatter=0.3) for _ in range(16)]
    assert np.median([fit.scatter for fit in fits]) == pytest.approx(0.3, abs=0.08)
    pulls = np.array([(fit.rate - 1.5) / fit.error for fit in fits])
    assert 0.5 < np.sqrt(np.mean(pulls**2)) < 1.6
    assert all(fit.scatter_error > 0.9 * fit.error for fit in fits)


# The pairs of a cell and one above it on a torus of 32 sites: layers 0 to 3 under layers 1 to 4.
FEW = np.array([(other - level, other) for other in range(1, 5) for level in range(other)])


@pytest.mark.parametrize(
    ("start", "shortens"), [([-0.5, 0.3, 0.7], False), ([-7.0, -7.0, 0.7], True)]
)
def test_replicas_that_are_fitted_at_once_end_where_each_would_alone(
    start: list[float], shortens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From near, and from where the model lies far below the noise and the first steps overshoot."""
    rng = np.random.default_rng(11)
    law = _Law(DISTANCE, np.full(12, 2e-3), np.repeat([0, 1], 6))
    truth, width = np.array([-0.5, 0.3, 0.7]), np.linspace(0.5, 2.0, 12)
    values = law.model(truth) + 2e-3 * rng.standard_normal((20, 12))
    calls = {}
    for name in ("_step", "_miss"):
        calls[name] = Mock(side_effect=getattr(law, name))
        monkeypatch.setattr(law, name, calls[name])
    found = law.refit(values, np.array(start), width)
    halvings = calls["_miss"].call_count - calls["_step"].call_count - 1
    # The last step of all may be rounding.
    assert (halvings > 2) == shortens, halvings
    for row, one in zip(values, found, strict=True):

        def miss(parameters: np.ndarray, row: np.ndarray = row) -> np.ndarray:
            return (law.transform(row) - law.transform(law.model(parameters))) / width

        alone = least_squares(miss, truth, xtol=1e-13, ftol=1e-13, gtol=1e-13)
        assert one == pytest.approx(alone.x, abs=1e-6)


def test_where_nothing_is_told_by_the_data_a_replica_stays() -> None:
    law = _Law(np.full(12, 1e6), np.full(12, 2e-3), np.zeros(12, dtype=int))
    start = np.array([-0.5, 1e3])
    found = law.refit(np.full((3, 12), 1e-3), start, np.full(12, 1e200))
    assert found == pytest.approx(np.tile(start, (3, 1)))


def test_few_pairs_in_groups_know_their_error() -> None:
    """Six degrees of freedom less; a likelihood that is not restricted is off by a factor of two."""
    rng = np.random.default_rng(5)
    pulls = []
    for _ in range(200):
        value = np.exp(-1.5 * FEW[:, 0] + 0.3 * rng.standard_normal(len(FEW)))
        error = np.full(len(FEW), 1e-8)
        fit = fit_decay(np.log(2.0) * FEW[:, 0], value, error, group=FEW[:, 1])
        pulls.append((fit.rate - 1.5 / np.log(2.0)) / fit.error)
    # Student's t of five degrees of freedom is beyond 3 in 3 % of all cases.
    assert np.mean(np.abs(pulls) > 3.0) < 0.08
    assert np.mean(np.abs(pulls) > 1.0) == pytest.approx(0.36, abs=0.1)


def test_pairs_that_leave_no_freedom_tell_no_slope() -> None:
    """A torus of 8 sites: one pair is alone in its group, two are left for two parameters."""
    few = FEW[FEW[:, 1] < 3]
    with pytest.raises(SettingsError, match="2 pairs of bulk cells leave 0 degrees of freedom"):
        fit_decay(few[:, 0], np.exp(-few[:, 0]), np.zeros(3), group=few[:, 1])


def test_groups_have_their_own_amplitudes() -> None:
    group = np.arange(12) % 2 * 5
    value = np.exp(-0.8 * DISTANCE) * np.where(group, 3.0, 1.0)
    fit = fit_decay(DISTANCE, value, np.zeros(12), group=group)
    assert fit.rate == pytest.approx(0.8, abs=1e-5)
    np.testing.assert_allclose(fit.intercepts, [0.0, np.log(3.0)], atol=1e-4)
    np.testing.assert_array_equal(fit.groups, [0, 5])
    assert fit_decay(DISTANCE, value, np.zeros(12)).scatter > 0.3


def test_the_right_distance_wins() -> None:
    rng = np.random.default_rng(3)
    value = np.exp(-1.2 * DISTANCE) * (1.0 + 0.05 * rng.standard_normal(12))
    error = 0.02 * value
    right = fit_decay(DISTANCE, value, error)
    wrong = fit_decay(np.log(DISTANCE), value, error)
    assert right.aic < wrong.aic - 4.0
    assert right.bic < wrong.bic - 4.0
    assert right.parameters == 3


def test_noise_alone_is_refused() -> None:
    rng = np.random.default_rng(4)
    with pytest.raises(SettingsError, match="above the noise"):
        fit_decay(DISTANCE, 1e-3 * rng.uniform(-1, 1, 12), np.full(12, 1e-3))
    with pytest.raises(SettingsError, match="No pair"):
        fit_decay(DISTANCE, np.zeros(12), np.zeros(12))
