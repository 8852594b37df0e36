"""The optimal linear map of a Gaussian field."""

import numpy as np
import pytest

from emergence.errors import SettingsError
from emergence.holography.actions import lattice_cosines
from emergence.holography.bulk_information import multi_information, random_block
from emergence.holography.information import free_field_covariance
from emergence.holography.linear_map import LinearMap
from emergence.holography.optimal_map import (
    _Propagation,
    linear_multi_information,
    optimal_linear_map,
)


def spectrum(side: int, mass: float) -> np.ndarray:
    return 1.0 / (mass + 4.0 - 2.0 * lattice_cosines(side))


def random_map(rng: np.random.Generator, levels: int) -> LinearMap:
    blocks = [[random_block(rng) for _ in range(levels)] for _ in range(2)]
    return LinearMap(
        *(np.array(part) + 0.1 * rng.standard_normal((levels, 4, 4)) for part in blocks)
    )


@pytest.mark.parametrize("side", [2, 4, 8])
def test_recursion_over_spectra_agrees_with_dense_covariances(side: int) -> None:
    map_ = random_map(np.random.default_rng(side), side.bit_length() - 1)
    dense = multi_information(map_.covariance(free_field_covariance(side, 0.25)))
    assert linear_multi_information(spectrum(side, 0.25), map_) == pytest.approx(dense, rel=1e-10)


@pytest.mark.parametrize("side", [2, 8])
def test_gradient_against_differences(side: int) -> None:
    rng = np.random.default_rng(7)
    map_ = random_map(rng, side.bit_length() - 1)
    maps = np.stack([map_.decimators, map_.disentanglers])
    propagation = _Propagation(spectrum(side, 0.1))
    direction = rng.standard_normal(maps.shape)
    step = 1e-6 * direction
    numeric = (propagation.cost(maps + step)[0] - propagation.cost(maps - step)[0]) / 2e-6
    assert np.sum(propagation.cost(maps)[1] * direction) == pytest.approx(numeric, rel=1e-5)


def test_multi_information_is_the_divergence_from_independent_latents() -> None:
    side, map_ = 4, LinearMap.haar(4)
    covariance = free_field_covariance(side, 0.25)
    inverse = np.linalg.inv(map_.matrix)
    best = inverse @ np.diag(np.diagonal(map_.covariance(covariance))) @ inverse.T

    def divergence(first: np.ndarray, second: np.ndarray) -> float:
        log_dets = np.linalg.slogdet(second)[1] - np.linalg.slogdet(first)[1]
        return 0.5 * (np.trace(np.linalg.solve(second, first)) - len(first) + log_dets)

    forward = linear_multi_information(spectrum(side, 0.25), map_)
    assert forward == pytest.approx(divergence(covariance, best), rel=1e-10)
    # The reverse one, at latent variances that are the inverse precisions.
    precision = np.diagonal(map_.matrix @ np.linalg.inv(covariance) @ map_.matrix.T)
    best = inverse @ np.diag(1.0 / precision) @ inverse.T
    reverse = linear_multi_information(1.0 / spectrum(side, 0.25), map_)
    assert reverse == pytest.approx(divergence(best, covariance), rel=1e-10)


def test_haar_is_the_best_orthogonal_tree_and_disentanglers_improve_on_it() -> None:
    rng = np.random.default_rng(8)
    field = spectrum(8, 0.25)
    haar = linear_multi_information(field, LinearMap.haar(8))
    tree = optimal_linear_map(field, disentangle=False, starts=2, rng=rng)
    assert tree.multi_information == pytest.approx(haar, abs=1e-4)
    full = optimal_linear_map(field, starts=2, iterations=150, rng=rng)
    assert full.multi_information < 0.7 * haar
    assert full.multi_information == min(full.starts)
    assert full.map.log_det == pytest.approx(0.0, abs=1e-9)
    dense = multi_information(full.map.covariance(free_field_covariance(8, 0.25)))
    assert full.multi_information == pytest.approx(dense, rel=1e-8)


def test_general_blocks_leave_almost_nothing() -> None:
    rng = np.random.default_rng(9)
    field = spectrum(4, 0.25)
    best = {
        orthogonal: optimal_linear_map(field, orthogonal=orthogonal, starts=2, rng=rng)
        for orthogonal in (True, False)
    }
    assert best[False].multi_information < 0.5 * best[True].multi_information
    assert best[False].multi_information > 0.0
    # A white field needs no renormalisation.
    white = optimal_linear_map(np.ones((4, 4)), starts=1, rng=rng)
    assert white.multi_information == pytest.approx(0.0, abs=1e-9)


def test_bad_input_is_told_in_a_sentence() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SettingsError, match="power of two"):
        optimal_linear_map(np.ones((6, 6)), rng=rng)
    with pytest.raises(SettingsError, match="positive"):
        optimal_linear_map(np.zeros((4, 4)), rng=rng)
