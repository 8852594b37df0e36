"""The learnt prior of the bulk."""

import numpy as np
import pytest

from emergence.errors import SettingsError
from emergence.holography.actions import FreeField
from emergence.holography.bulk import BulkCovariance
from emergence.holography.bulk_prior import fit, gaussian_latents, shrunk
from emergence.holography.exact import free_sample
from emergence.holography.information import free_field_covariance
from emergence.holography.linear_map import LinearMap

HAAR = LinearMap.haar(4)


def white(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((count, 16)) + 1j * rng.standard_normal((count, 16))) / np.sqrt(2)


def test_latents_of_the_prior_are_standard_complex_gaussians() -> None:
    rng = np.random.default_rng(2)
    polar = np.stack([rng.standard_normal((4000, 16)), rng.uniform(-np.pi, np.pi, (4000, 16))], -1)
    plane = rng.standard_normal((4000, 16, 2))
    for zeta in (gaussian_latents(polar, polar=True), gaussian_latents(plane, polar=False)):
        assert zeta.shape == (4000, 16)
        assert np.mean(np.abs(zeta) ** 2) == pytest.approx(1.0, abs=0.02)
        # The size of a complex Gaussian: the square is exponential.
        assert np.mean(np.abs(zeta) ** 4) == pytest.approx(2.0, abs=0.1)
        assert abs(np.mean(zeta**2)) < 0.02
    s = np.array([[[-40.0, 0.0], [40.0, 1.0]]])
    assert np.isfinite(gaussian_latents(s, polar=True)).all()


def test_independent_latents_gain_nothing() -> None:
    prior = fit(white(4000), HAAR.table, chunks=10)
    assert abs(prior.gain.value) < 4.0 * prior.gain.error + 0.01
    assert prior.held_out.value < 0.01
    # The full fit pays for its noise; what keeps the couplings above it has next to none to pay for.
    assert abs(prior.selected.value) < 0.02 < -prior.held_out.value
    assert prior.kept < 0.1
    assert prior.coupling.max() < 0.1


def test_correlated_gaussian_latents_gain_their_whole_divergence() -> None:
    action = FreeField(1.0, 2.1)
    field = free_sample(action, 4, 6000, np.random.default_rng(3))
    zeta = HAAR.invert(field)
    # 2e_k = m² + 4 − 2cos k_x − 2cos k_y with m² = 0.2; a complex field has two real components.
    covariance = 2.0 * HAAR.covariance(free_field_covariance(4, 0.2))
    exact = float(np.trace(covariance)) - 16.0 - np.linalg.slogdet(covariance)[1]
    prior = fit(zeta, HAAR.table, chunks=10)
    assert exact > 1.0
    assert abs(prior.gain.value - exact) < 4.0 * prior.gain.error + 0.01 * exact
    assert abs(prior.held_out.value - exact) < 4.0 * prior.held_out.error + 0.01 * exact
    assert prior.held_out.value < prior.gain.value
    assert prior.held_out.value < prior.selected.value < prior.gain.value + 0.05
    assert abs(prior.selected.value - exact) < 4.0 * prior.selected.error + 0.05 * exact
    assert 0.2 < prior.kept < 1.0
    strongest = np.argmax(prior.coupling)
    assert prior.level[strongest] == prior.other[strongest] == 0
    assert prior.coupling[strongest] > 5.0 * prior.error[strongest]
    assert prior.separation[strongest] == 2.0


def test_what_is_noise_is_taken_away_and_what_is_not_is_kept() -> None:
    """One correlation of a half between the first two latents of each cell of the first layer."""
    zeta = white(4000)
    for first, second, *_ in HAAR.table.cells[0].reshape(-1, 3):
        zeta[:, second] = 0.5 * zeta[:, first] + np.sqrt(0.75) * zeta[:, second]
    sampled = BulkCovariance.sampled(zeta, HAAR.table, chunks=10)
    every = np.arange(10)
    covariance, kept = shrunk(sampled, every, 4.0)
    first, second = HAAR.table.cells[0][0, 0, :2]
    assert abs(covariance[first, second]) == pytest.approx(0.5, abs=0.02)
    away = covariance.copy()
    for cell in HAAR.table.cells[0].reshape(-1, 3):
        away[np.ix_(cell, cell)] = np.eye(3)
    np.testing.assert_array_equal(away, np.eye(16))
    assert 0.0 < kept < 0.1
    np.testing.assert_array_equal(shrunk(sampled, every, np.inf)[0], np.eye(16))
    exact = -4.0 * np.log(0.75)
    found = fit(zeta, HAAR.table, chunks=10).selected
    assert abs(found.value - exact) < 4.0 * found.error + 0.02


def test_too_few_chunks_to_choose_couplings_by_are_told_in_a_sentence() -> None:
    with pytest.raises(SettingsError, match="cannot be divided again"):
        fit(white(400), HAAR.table, chunks=6)


def test_too_few_samples_are_told_in_a_sentence() -> None:
    with pytest.raises(SettingsError, match="make no 10 chunks"):
        fit(white(5), HAAR.table, chunks=10)
    with pytest.raises(SettingsError, match="so few samples"):
        fit(white(4), HAAR.table, chunks=2)
