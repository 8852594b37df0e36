"""Mutual information of pairs of bulk cells."""

import numpy as np
import pytest

from emergence.holography.actions import FreeField
from emergence.holography.bulk import BulkCovariance
from emergence.holography.bulk_pairs import PairInformation, pair_information
from emergence.holography.exact import free_sample
from emergence.holography.information import free_field_covariance, mutual_information
from emergence.holography.linear_map import LinearMap


def exact_pairs(side: int, mass: float, **options) -> PairInformation:
    haar = LinearMap.haar(side)
    covariance = haar.covariance(free_field_covariance(side, mass))
    return pair_information(BulkCovariance.exact(covariance, haar.table), **options)


def total_of(pairs: PairInformation) -> float:
    """Sum over all pairs of cells, nats."""
    return float(pairs.count @ pairs.value)


def total_error(pairs: PairInformation) -> float:
    """Its standard error, by the replicas."""
    return float((pairs.replicas @ pairs.count).std(ddof=1))


def test_pairs_against_determinants() -> None:
    haar = LinearMap.haar(8)
    covariance = haar.covariance(free_field_covariance(8, 0.25))
    cells = {level: part.reshape(-1, part.shape[-1]) for level, part in haar.table.cells.items()}
    total = 0.0
    for level, members in cells.items():
        for other, others in cells.items():
            for i, first in enumerate(members):
                for j, second in enumerate(others):
                    if (level, i) < (other, j):
                        total += mutual_information(covariance, first, second)
    pairs = exact_pairs(8, 0.25)
    assert total_of(pairs) == pytest.approx(total, rel=1e-10)
    assert pairs.count.sum() == pytest.approx(22 * 21 / 2)
    near = pairs.select((pairs.level == 0) & (pairs.other == 0) & (pairs.separation == 2.0))
    expected = np.mean(
        [mutual_information(covariance, cells[0][0], cells[0][cell]) for cell in (1, 4)]
    )
    assert near.value == pytest.approx(expected, rel=1e-10)
    assert near.count == 32.0


def test_between_latents_is_the_mean_over_their_pairs() -> None:
    haar = LinearMap.haar(8)
    covariance = haar.covariance(free_field_covariance(8, 0.25))
    pairs = exact_pairs(8, 0.25, between="latents")
    upper = pairs.select(pairs.vertical & (pairs.level == 2) & (pairs.other == 3))
    assert upper.value == pytest.approx(0.0, abs=1e-20)
    near = pairs.select((pairs.level == 1) & (pairs.other == 1) & (pairs.separation > 5.0))
    first, second = haar.table.cells[1][0, 0], haar.table.cells[1][1, 1]
    each = [mutual_information(covariance, [a], [b]) for a in first for b in second]
    assert near.value == pytest.approx(np.mean(each), rel=1e-10)


def test_sampled_information_has_the_exact_values_within_its_errors() -> None:
    haar = LinearMap.haar(8)
    rng = np.random.default_rng(11)
    latents = haar.invert(free_sample(FreeField(1.0, 2.125), 8, 3000, rng))
    pairs = pair_information(
        BulkCovariance.sampled(latents, haar.table, chunks=30), resamples=100, rng=rng
    )
    exact = exact_pairs(8, 0.25)
    # Two components, hence twice; vanishing information is quadratic noise, not Gaussian.
    real = 2.0 * exact.value > 1e-3
    pull = (pairs.value - 2.0 * exact.value)[real] / pairs.error[real]
    assert np.sqrt(np.mean(pull**2)) < 1.7
    assert np.abs(pairs.value[~real]).max() < 3e-3
    np.testing.assert_allclose(pairs.replicas.std(axis=0)[real], pairs.error[real], rtol=0.5)
    middle = pairs.replicas.mean(axis=0) - pairs.value
    np.testing.assert_array_less(np.abs(middle[real]), 0.6 * pairs.error[real])
    total, error = total_of(pairs), total_error(pairs)
    assert abs(total - 2.0 * total_of(exact)) < 4.0 * error < 0.2 * total


def test_real_channels_and_complex_latents_agree() -> None:
    haar = LinearMap.haar(8)
    rng = np.random.default_rng(12)
    latents = haar.invert(free_sample(FreeField(1.0, 2.125), 8, 2000, rng))
    channels = np.stack([latents.real, latents.imag], axis=-1)
    values = [
        pair_information(
            BulkCovariance.sampled(part, haar.table, chunks=10), resamples=20, rng=rng
        ).value
        for part in (latents, channels)
    ]
    np.testing.assert_allclose(*values, atol=4e-3)


def test_independent_latents_share_nothing() -> None:
    haar = LinearMap.haar(8)
    rng = np.random.default_rng(13)
    latents = rng.standard_normal((2000, 64))
    pairs = pair_information(
        BulkCovariance.sampled(latents, haar.table, chunks=20), resamples=50, rng=rng
    )
    assert np.abs(pairs.value / pairs.error).max() < 6.0
    assert abs(total_of(pairs)) < 4.0 * total_error(pairs)


def test_misuse_is_a_bug() -> None:
    with pytest.raises(ValueError, match="'cells' or 'latents'"):
        exact_pairs(4, 1.0, between="friends")
    haar = LinearMap.haar(4)
    sampled = BulkCovariance.sampled(np.eye(16), haar.table, chunks=2)
    with pytest.raises(ValueError, match="random generator"):
        pair_information(sampled)
