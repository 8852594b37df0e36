"""Covariances of bulk cells, exact and sampled."""

import numpy as np
import pytest

from emergence.errors import SettingsError
from emergence.holography.actions import FreeField
from emergence.holography.bulk import (
    BulkCovariance,
    BulkTable,
    grid_covariance,
    paired_latents,
)
from emergence.holography.exact import free_sample
from emergence.holography.information import free_field_covariance
from emergence.holography.linear_map import LinearMap
from emergence.holography.mutual_information import gaussian_information


def noisy_map(side: int) -> LinearMap:
    rng = np.random.default_rng(3)
    blocks = rng.standard_normal((2, side.bit_length() - 1, 4, 4)) + 2.0 * np.eye(4)
    return LinearMap(blocks[0], blocks[1])


def test_grid_covariance_against_a_loop() -> None:
    rng = np.random.default_rng(1)
    fine = rng.standard_normal((5, 4, 4, 3)) + 1j * rng.standard_normal((5, 4, 4, 3))
    coarse = rng.standard_normal((5, 2, 2, 2)) + 1j * rng.standard_normal((5, 2, 2, 2))
    result = grid_covariance(fine, coarse)
    for row, column in ((0, 0), (1, 2), (3, 3)):
        expected = np.zeros((3, 2), dtype=complex)
        for j in range(2):
            for k in range(2):
                cell = fine[:, (2 * j + row) % 4, (2 * k + column) % 4]
                expected += cell.T @ coarse[:, j, k].conj() / 20.0
        np.testing.assert_allclose(result[row, column], expected, atol=1e-13)


def test_cells_of_the_table() -> None:
    table = LinearMap.haar(8).table
    assert {level: cells.shape for level, cells in table.cells.items()} == {
        0: (4, 4, 3),
        1: (2, 2, 3),
        2: (1, 1, 3),
        3: (1, 1, 1),
    }
    np.testing.assert_array_equal(table.cells[0].ravel(), np.arange(48))
    np.testing.assert_array_equal(table.z[[0, 48, 60, 63]], [1.0, 2.0, 4.0, 8.0])


def test_a_table_in_another_order_has_the_same_cells() -> None:
    original = LinearMap.haar(8).table
    order = np.random.default_rng(2).permutation(64)
    columns = {name: getattr(original, name)[order] for name in ("level", "x", "y")}
    table = BulkTable.of({name: part.reshape(8, 8) for name, part in columns.items()})
    for level, cells in table.cells.items():
        same = np.sort(order[cells], axis=-1)
        np.testing.assert_array_equal(same, original.cells[level])


def test_offsets_are_nearest_images_on_the_torus() -> None:
    table = LinearMap.haar(8).table
    np.testing.assert_allclose(table.offsets(0, 0)[0], [0.0, 2.0, 4.0, 2.0])
    # The middle of a level-0 block is a site diagonally away from that of its level-1 block.
    np.testing.assert_allclose(table.offsets(0, 1)[0, 0], np.sqrt(2.0))
    np.testing.assert_allclose(table.offsets(0, 1)[3, 3], np.hypot(3.0, 3.0))


@pytest.mark.parametrize("side", [4, 8])
def test_exact_covariance_of_a_translation_invariant_field_is_kept_whole(side: int) -> None:
    map_ = noisy_map(side)
    covariance = map_.covariance(free_field_covariance(side, 0.25))
    bulk = BulkCovariance.exact(covariance, map_.table)
    np.testing.assert_allclose(bulk.dense(), covariance, atol=1e-12 * np.abs(covariance).max())
    # Not so for a field that is not invariant: its cells are averaged.
    uneven = covariance.copy()
    uneven[0, 0] *= 2.0
    assert np.abs(BulkCovariance.exact(uneven, map_.table).dense() - uneven).max() > 0.01


@pytest.mark.parametrize("kind", ["complex", "channels"])
def test_sampled_covariance_converges_to_the_exact_one(kind: str) -> None:
    map_ = noisy_map(8)
    rng = np.random.default_rng(4)
    latents = map_.invert(free_sample(FreeField(1.0, 2.125), 8, 4000, rng))
    # S = Σ e_k|φ_k|² has ½/e_k per component.
    exact = map_.covariance(free_field_covariance(8, 0.25))
    if kind == "channels":
        latents = np.stack([latents.real, latents.imag], axis=-1)
    bulk = BulkCovariance.sampled(latents, map_.table, chunks=4)
    assert bulk.circular == (kind == "complex")
    dense = bulk.dense()
    scale = np.sqrt(np.outer(np.diagonal(exact), np.diagonal(exact)))
    if kind == "channels":
        np.testing.assert_array_less(np.abs(dense[::2, 1::2]) / scale, 0.08)
        dense = 2.0 * dense[::2, ::2]
    np.testing.assert_array_less(np.abs(0.5 * dense - exact) / scale, 0.08)
    width = 3 if kind == "complex" else 6
    assert bulk.blocks[0, 1].shape == (4, 4, 4, width, width)


def test_paired_latents_of_one_offset() -> None:
    table = LinearMap.haar(8).table
    latents = np.arange(2 * 64.0).reshape(2, 64)
    x, y = paired_latents(latents, table, (0, 1), (1, 2), (2, 0))
    assert x.shape == y.shape == (8,)
    fine, coarse = table.cells[0], table.cells[1]
    # The first coarse cell, then the second, whose fine cells are two columns on.
    np.testing.assert_array_equal(x[:2], [fine[1, 2, 2], fine[1, 0, 2]])
    np.testing.assert_array_equal(y[:2], [coarse[0, 0, 0], coarse[0, 1, 0]])
    assert paired_latents(np.zeros((2, 64, 2)), table, (0, 0), (1, 0))[0].shape == (32, 2)


def test_pooled_pairs_have_the_information_of_the_covariance() -> None:
    haar = LinearMap.haar(8)
    rng = np.random.default_rng(5)
    latents = haar.invert(free_sample(FreeField(1.0, 2.125), 8, 4000, rng))
    pooled = gaussian_information(*paired_latents(latents, haar.table, (0, 0), (1, 0), (0, 0)))
    covariance = haar.covariance(free_field_covariance(8, 0.25))
    a, b = haar.table.cells[0][1, 0, 0], haar.table.cells[0][0, 0, 0]
    exact = -np.log(1.0 - covariance[a, b] ** 2 / covariance[a, a] ** 2)
    exact_other = -np.log(1.0 - covariance[a + 1, b] ** 2 / covariance[a, a] ** 2)
    assert pooled == pytest.approx(exact, abs=0.003)
    assert abs(exact - exact_other) > 0.01


def test_bad_input_is_told_in_a_sentence() -> None:
    table = LinearMap.haar(4).table
    level = table.level.copy()
    level[0] = 1
    with pytest.raises(SettingsError, match="do not fill"):
        BulkTable(4, level, table.x, table.y)
    with pytest.raises(SettingsError, match="at least 2 chunks"):
        BulkCovariance.sampled(np.zeros((5, 16)), table, chunks=1)
    with pytest.raises(ValueError, match="side²"):
        BulkTable(8, table.level, table.x, table.y)
