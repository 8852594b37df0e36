"""The learnt prior of the bulk."""

import numpy as np
import pytest

from emergence.errors import SettingsError
from emergence.holography.actions import FreeField
from emergence.holography.bulk_prior import fit, gaussian_latents
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
    strongest = np.argmax(prior.coupling)
    assert prior.level[strongest] == prior.other[strongest] == 0
    assert prior.coupling[strongest] > 5.0 * prior.error[strongest]
    assert prior.separation[strongest] == 2.0


def test_too_few_samples_are_told_in_a_sentence() -> None:
    with pytest.raises(SettingsError, match="make no 10 chunks"):
        fit(white(5), HAAR.table, chunks=10)
    with pytest.raises(SettingsError, match="so few samples"):
        fit(white(4), HAAR.table, chunks=2)
