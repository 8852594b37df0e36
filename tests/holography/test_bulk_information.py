"""Information budgets from samples, and the multi-information of the bulk."""

import numpy as np
import pytest

from emergence.errors import SettingsError
from emergence.holography.actions import FreeField
from emergence.holography.bulk import BulkCovariance
from emergence.holography.bulk_information import (
    BUDGET,
    bulk_multi_information,
    linear_budgets,
    multi_information,
    random_block,
    sampled_budget,
)
from emergence.holography.exact import free_sample
from emergence.holography.information import (
    HAAR,
    block_transform,
    conditional_mutual_information,
    free_field_covariance,
    information_budget,
    mutual_information,
)
from emergence.holography.linear_map import LinearMap, to_blocks

COVARIANCE = free_field_covariance(8, 0.25)


def samples(count: int, seed: int = 1) -> np.ndarray:
    return free_sample(FreeField(1.0, 2.125), 8, count, np.random.default_rng(seed))


def doubled_covariance(covariance: np.ndarray) -> np.ndarray:
    """Of circular complex variables ``[n, n]``: (real, imaginary) of each, ``[2n, 2n]``."""
    parts = np.array([[covariance.real, -covariance.imag], [covariance.imag, covariance.real]])
    size = len(covariance)
    return 0.5 * parts.transpose(2, 0, 3, 1).reshape(2 * size, 2 * size)


def haar(blocks: np.ndarray) -> np.ndarray:
    return blocks @ HAAR.T


@pytest.mark.parametrize("kind", ["complex", "real", "channels"])
def test_sampled_budget_of_haar_is_the_exact_one(kind: str) -> None:
    field = samples(4000)
    copies = 1.0 if kind == "real" else 2.0
    if kind == "real":
        field = field.real
    if kind == "channels":
        field = np.stack([field.real, field.imag], axis=-1)
        blocked = np.stack([haar(to_blocks(field[..., c])) for c in (0, 1)], axis=-1)
    budget = sampled_budget(field, blocked if kind == "channels" else haar, chunks=10)
    exact = information_budget(COVARIANCE, block_transform(COVARIANCE))
    for name in ("total", "coarse", "conditional", "bulk", "slides_defect"):
        miss = budget[name].value - copies * getattr(exact, name)
        assert abs(miss) < 4.0 * budget[name].error + 1e-3
        assert budget[name].error < 0.02
    # The covariances of a linear step satisfy the chain rule sample by sample.
    assert budget["chain_defect"].value == pytest.approx(0.0, abs=1e-10)
    assert budget["slides_defect"].value > 3.0 * budget["slides_defect"].error
    assert tuple(budget) == BUDGET


@pytest.mark.parametrize("blocks", [(0,), (0, 1, 6)])
@pytest.mark.parametrize("kind", ["complex", "real"])
def test_budget_by_momenta_is_that_of_determinants_of_the_whole_lattice(
    kind: str, blocks: tuple[int, ...]
) -> None:
    field = samples(300, seed=7)
    field = field if kind == "complex" else field.real
    original = to_blocks(field)
    step = haar(original) + 0.3 * np.abs(original) ** 2 * original[..., ::-1]
    budget = sampled_budget(field, step, blocks, chunks=2)
    joint = np.concatenate([original, step], axis=3)
    joint = joint - joint.mean(axis=(0, 1, 2))

    def direct(part: np.ndarray) -> list[float]:
        moved = [np.roll(part, (y, x), axis=(1, 2)) for y in range(4) for x in range(4)]
        flat = np.concatenate([each.reshape(len(part), -1) for each in moved])
        covariance = flat.T @ flat.conj() / len(flat)
        copies = 1
        if kind == "complex":
            covariance, copies = doubled_covariance(covariance), 2
        variables = np.arange(len(covariance)).reshape(16, 8, copies)
        own = variables[list(blocks)]
        other = np.delete(variables, blocks, axis=0)
        everything = other[:, :4].ravel()
        coarse, details = own[:, 4].ravel(), own[:, 5:].ravel()
        return [
            mutual_information(covariance, own[:, :4].ravel(), everything),
            mutual_information(covariance, coarse, everything),
            conditional_mutual_information(covariance, details, everything, coarse),
            mutual_information(covariance, details, other[:, 5:].ravel()),
        ]

    halves = [np.array(direct(part)) for part in (joint, joint[:150], joint[150:])]
    # The jackknife of two halves: what one of them gives stands for the other left out.
    expected = 2.0 * halves[0] - 0.5 * (halves[1] + halves[2])
    found = [budget[name].value for name in ("total", "coarse", "conditional", "bulk")]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert min(found) > 0.1


def test_covariances_of_a_nonlinear_step_break_the_chain_rule() -> None:
    def bent(blocks: np.ndarray) -> np.ndarray:
        turned = haar(blocks)
        turned[..., 0] = turned[..., 0] ** 3
        return turned

    budget = sampled_budget(samples(2000).real, bent, chunks=8)
    # The Gaussian estimate of what a cube keeps falls short, and all of it shows.
    assert budget["chain_defect"].value > 5.0 * budget["chain_defect"].error
    straight = sampled_budget(samples(2000).real, haar, chunks=8)
    assert budget["coarse"].value < straight["coarse"].value


def test_multi_information_is_chained_mutual_information() -> None:
    rng = np.random.default_rng(2)
    factor = rng.standard_normal((4, 9))
    covariance = factor @ factor.T
    chain = sum(mutual_information(covariance, np.arange(k), np.array([k])) for k in range(1, 4))
    assert multi_information(covariance) == pytest.approx(chain, rel=1e-10)
    pair = mutual_information(covariance, np.array([0, 1]), np.array([2, 3]))
    assert multi_information(covariance, 2) == pytest.approx(pair, rel=1e-10)
    assert multi_information(np.diag([1.0, 5.0, 0.1])) == pytest.approx(0.0, abs=1e-14)


def test_complex_covariances_count_both_components() -> None:
    rng = np.random.default_rng(3)
    factor = rng.standard_normal((4, 9)) + 1j * rng.standard_normal((4, 9))
    covariance = factor @ factor.conj().T
    doubled = doubled_covariance(covariance)
    np.testing.assert_allclose(doubled, doubled.T, atol=1e-13)
    # x†Cx of a complex circular variable, through its real and imaginary parts.
    points = factor @ (rng.standard_normal((9, 20_000)) + 1j * rng.standard_normal((9, 20_000)))
    parts = np.stack([points.real, points.imag], axis=1).reshape(8, -1)
    np.testing.assert_allclose(parts @ parts.T / 40_000, doubled, atol=1.0)
    assert multi_information(covariance) == pytest.approx(multi_information(doubled, 2), rel=1e-10)


def test_sampled_multi_information_of_the_bulk_is_unbiased() -> None:
    map_ = LinearMap.haar(8)
    exact = multi_information(map_.covariance(COVARIANCE))
    bulk = BulkCovariance.sampled(map_.invert(samples(3000)), map_.table, chunks=15)
    sampled = bulk_multi_information(bulk)
    raw = multi_information(bulk.dense())
    assert abs(sampled.value - 2.0 * exact) < 4.0 * sampled.error < 1.0
    assert abs(raw - 2.0 * exact) > 2.0 * abs(sampled.value - 2.0 * exact)
    whole = BulkCovariance.exact(map_.covariance(COVARIANCE), map_.table)
    assert bulk_multi_information(whole).value == pytest.approx(exact)
    # Reflections forbid correlations between Haar's details of one block, but not after a turn.
    assert bulk_multi_information(whole, cells=True).value == pytest.approx(exact)
    turned = LinearMap.shared(8, random_block(np.random.default_rng(6)))
    whole = BulkCovariance.exact(turned.covariance(COVARIANCE), turned.table)
    between = bulk_multi_information(whole, cells=True).value
    assert between < 0.9 * bulk_multi_information(whole).value


def test_smooth_maps_hide_less_in_the_bulk_than_rough_ones() -> None:
    rng = np.random.default_rng(4)
    maps = {"haar": HAAR, "identity": np.eye(4), "random": random_block(rng)}
    budgets = linear_budgets(COVARIANCE, maps)
    for budget in budgets.values():
        assert budget.chain_defect == pytest.approx(0.0, abs=1e-12)
        assert budget.total == pytest.approx(budgets["haar"].total)
    assert max(budgets, key=lambda name: budgets[name].coarse) == "haar"
    assert min(budgets, key=lambda name: budgets[name].bulk) == "haar"


def test_random_blocks_are_orthogonal_and_differ() -> None:
    rng = np.random.default_rng(5)
    first, second = random_block(rng), random_block(rng)
    np.testing.assert_allclose(first @ first.T, np.eye(4), atol=1e-14)
    assert np.abs(first - second).max() > 0.1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sampled_budget(samples(8), haar, ()), "at least one block"),
        (lambda: sampled_budget(samples(8), haar, chunks=9), "make no 9 chunks"),
        (lambda: sampled_budget(samples(4), haar, chunks=4), "more samples than variables"),
        (lambda: multi_information(np.ones((3, 3))), "more samples"),
    ],
)
def test_bad_input_is_told_in_a_sentence(call, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        call()
    assert words in str(caught.value)
