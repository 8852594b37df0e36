"""Gaussian mutual information, the blocking step, and the chain rule."""

import numpy as np
import pytest
from free_fields import free_correlation
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.errors import SettingsError
from emergence.holography.actions import FreeField
from emergence.holography.information import (
    HAAR,
    block_sites,
    block_transform,
    conditional_mutual_information,
    free_field_covariance,
    information_budget,
    mutual_information,
)

SEEDS = st.integers(0, 2**32 - 1)


def random_covariance(seed: int, size: int) -> np.ndarray:
    factor = np.random.default_rng(seed).standard_normal((size, 2 * size))
    return factor @ factor.T / (2 * size)


def test_numbers_of_the_notes() -> None:
    covariance = free_field_covariance(8, 0.25)
    budget = information_budget(covariance, block_transform(covariance))
    assert budget.total == pytest.approx(0.5098, abs=5e-5)
    assert budget.coarse == pytest.approx(0.3006, abs=5e-5)
    assert budget.bulk == pytest.approx(0.1486, abs=5e-5)
    assert budget.coarse + budget.bulk == pytest.approx(0.4492, abs=5e-5)
    # 12 % short, while the chain rule closes.
    assert budget.slides_defect / budget.total == pytest.approx(0.12, abs=0.005)
    assert budget.chain_defect == pytest.approx(0.0, abs=1e-12)
    assert budget.conditional == pytest.approx(0.2091, abs=5e-5)


@pytest.mark.parametrize("side", [2, 3, 4])
def test_free_field_covariance_inverts_the_lattice_laplacian(side: int) -> None:
    sites = side * side
    precision = (0.25 + 4.0) * np.eye(sites)
    for x in range(side):
        for y in range(side):
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                precision[x * side + y, (x + dx) % side * side + (y + dy) % side] -= 1.0
    covariance = free_field_covariance(side, 0.25)
    np.testing.assert_allclose(covariance @ precision, np.eye(sites), atol=1e-12)


def test_complex_free_field_has_the_same_covariance_per_component() -> None:
    # S = Σ e_k|φ_k|² gives ½/e_k to each component; e_k = ½(m² + 4 − 2cos − 2cos) for t = 1.
    correlation = free_correlation(FreeField(t=1.0, mu=2.0 + 0.125), 8)
    np.testing.assert_allclose(
        0.5 * correlation.ravel(), free_field_covariance(8, 0.25)[0], rtol=1e-12
    )


@given(st.floats(-0.999, 0.999))
def test_two_variables_share_what_their_correlation_says(correlation: float) -> None:
    covariance = np.array([[4.0, 6.0 * correlation], [6.0 * correlation, 9.0]])
    expected = -0.5 * np.log1p(-(correlation**2))
    assert mutual_information(covariance, [0], [1]) == pytest.approx(expected, abs=1e-12)


def test_mutual_information_is_the_mean_log_density_ratio() -> None:
    covariance = random_covariance(3, 3)
    rng = np.random.default_rng(8)
    points = rng.multivariate_normal(np.zeros(3), covariance, size=100_000)

    def log_density(sites: list[int]) -> np.ndarray:
        part = covariance[np.ix_(sites, sites)]
        chosen = points[:, sites]
        quadratic = np.einsum("bi,ij,bj->b", chosen, np.linalg.inv(part), chosen)
        return -0.5 * (quadratic + np.linalg.slogdet(2.0 * np.pi * part)[1])

    ratio = log_density([0, 1, 2]) - log_density([0, 1]) - log_density([2])
    exact = mutual_information(covariance, [0, 1], [2])
    assert exact > 0.01
    assert exact == pytest.approx(ratio.mean(), abs=4.0 * ratio.std() / len(ratio) ** 0.5)


def test_conditional_information_is_that_of_the_residuals() -> None:
    covariance = random_covariance(4, 5)
    a, b, given_ = [0, 1], [2], [3, 4]
    kept = a + b
    cross = covariance[np.ix_(kept, given_)]
    residual = covariance[np.ix_(kept, kept)]
    residual = residual - cross @ np.linalg.solve(covariance[np.ix_(given_, given_)], cross.T)
    expected = mutual_information(residual, [0, 1], [2])
    value = conditional_mutual_information(covariance, a, b, given_)
    assert value == pytest.approx(expected, abs=1e-13)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_information_is_symmetric_positive_monotone_and_chained(seed: int) -> None:
    covariance = random_covariance(seed, 7)
    a, b, c = [0, 1], [2, 3, 4], [5, 6]
    value = mutual_information(covariance, a, b)
    assert value == pytest.approx(mutual_information(covariance, b, a), abs=1e-13)
    assert 0.0 <= value <= mutual_information(covariance, a, b + c) + 1e-13
    conditional = conditional_mutual_information(covariance, a, b, c)
    assert mutual_information(covariance, a, b + c) == pytest.approx(
        mutual_information(covariance, a, c) + conditional, abs=1e-12
    )


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_information_does_not_see_invertible_maps_within_a_region(seed: int) -> None:
    covariance = random_covariance(seed, 6)
    rng = np.random.default_rng(seed + 1)
    turn = np.zeros((6, 6))
    turn[:2, :2] = rng.standard_normal((2, 2)) + 3.0 * np.eye(2)
    turn[2:, 2:] = rng.standard_normal((4, 4)) + 5.0 * np.eye(4)
    a, b = np.arange(2), np.arange(2, 6)
    before = mutual_information(covariance, a, b)
    assert mutual_information(turn @ covariance @ turn.T, a, b) == pytest.approx(before, abs=1e-9)


def test_blocks_are_two_by_two_in_row_major_order() -> None:
    np.testing.assert_array_equal(
        block_sites(4), [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    )
    np.testing.assert_array_equal(np.sort(block_sites(8).ravel()), np.arange(64))


def test_haar_is_orthogonal_and_its_coarse_site_is_the_mean() -> None:
    np.testing.assert_allclose(HAAR @ HAAR.T, np.eye(4), atol=1e-15)
    np.testing.assert_allclose(HAAR @ np.ones(4), [2.0, 0.0, 0.0, 0.0], atol=1e-15)


def test_blocking_step_against_dense_matrices() -> None:
    covariance = random_covariance(9, 16)
    map_ = np.random.default_rng(2).standard_normal((4, 4))
    dense = np.zeros((16, 16))
    for block, sites in enumerate(block_sites(4)):
        dense[4 * block : 4 * block + 4, sites] = map_
    expected = dense @ covariance @ dense.T
    np.testing.assert_allclose(block_transform(covariance, map_), expected, atol=1e-12)


@given(SEEDS, st.sampled_from([4, 8]), st.floats(0.01, 4.0))
@settings(max_examples=20, deadline=None)
def test_chain_rule_holds_for_every_blocking_step(seed: int, side: int, mass: float) -> None:
    rng = np.random.default_rng(seed)
    transformation = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    covariance = free_field_covariance(side, mass)
    blocks = tuple(rng.choice(side * side // 4, size=2, replace=False))
    budget = information_budget(covariance, block_transform(covariance, transformation), blocks)
    assert budget.chain_defect == pytest.approx(0.0, abs=1e-10)
    assert 0.0 < budget.coarse < budget.total
    assert 0.0 < budget.conditional < budget.total
    assert budget.bulk > 0.0


def test_the_slides_identity_closes_when_the_details_decouple() -> None:
    # White noise in the details, correlated coarse sites: nothing is dropped.
    coarse = free_field_covariance(2, 0.25)
    blocked = np.eye(16)
    blocked[::4, ::4] = coarse
    order = block_sites(4).ravel()
    inverse = np.kron(np.eye(4), np.linalg.inv(HAAR))
    field = np.empty((16, 16))
    field[np.ix_(order, order)] = inverse @ blocked @ inverse.T
    budget = information_budget(field, blocked)
    assert budget.slides_defect == pytest.approx(0.0, abs=1e-12)
    assert budget.bulk == pytest.approx(0.0, abs=1e-14)
    assert budget.total == pytest.approx(mutual_information(coarse, [0], [1, 2, 3]), abs=1e-12)


def test_overlapping_regions_are_a_bug() -> None:
    with pytest.raises(ValueError, match="overlap"):
        mutual_information(np.eye(3), [0, 1], [1, 2])


def test_wrong_shapes_are_a_bug() -> None:
    with pytest.raises(ValueError, match="N = L²"):
        block_transform(np.eye(6))
    with pytest.raises(ValueError, match=r"\[4, 4\]"):
        block_transform(np.eye(16), np.eye(3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: free_field_covariance(8, 0.0), "positive mass"),
        (lambda: free_field_covariance(1, 1.0), "at least 2"),
        (lambda: block_sites(6), "power of two"),
        (lambda: block_transform(np.eye(16), np.ones((4, 4))), "independent rows"),
        (lambda: mutual_information(np.ones((2, 2)), [0], [1]), "more samples"),
        (lambda: information_budget(np.eye(16), np.eye(16), ()), "at least one block"),
        (lambda: information_budget(np.eye(16), np.eye(16), (0, 1, 2, 3)), "not all of them"),
    ],
)
def test_bad_input_is_told_in_a_sentence(call, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        call()
    assert words in str(caught.value)
