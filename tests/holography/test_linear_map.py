"""Linear hierarchical bijectors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.errors import SettingsError
from emergence.holography.linear_map import LinearMap, from_blocks, to_blocks


def random_map(rng: np.random.Generator, levels: int) -> LinearMap:
    blocks = rng.standard_normal((2, levels, 4, 4)) + 2.0 * np.eye(4)
    return LinearMap(blocks[0], blocks[1])


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_generate_inverts_invert_and_the_jacobian_is_exact(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    map_ = random_map(rng, levels)
    field = rng.standard_normal((3, map_.side, map_.side))
    scale = np.abs(map_.matrix).max() * np.linalg.cond(map_.matrix)
    back = map_.generate(map_.invert(field))
    np.testing.assert_allclose(back, field, atol=1e-13 * scale)
    assert map_.log_det == pytest.approx(np.linalg.slogdet(map_.matrix)[1], abs=1e-8)
    latents = map_.invert(field)
    np.testing.assert_allclose(latents, field.reshape(3, -1) @ map_.matrix.T, atol=1e-9 * scale)


def test_haar_is_orthogonal_and_its_top_is_the_mean() -> None:
    haar = LinearMap.haar(8)
    np.testing.assert_allclose(haar.matrix @ haar.matrix.T, np.eye(64), atol=1e-14)
    assert haar.log_det == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(haar.matrix[-1], np.full(64, 1.0 / 8.0), atol=1e-15)


def test_latents_sit_where_they_act() -> None:
    haar = LinearMap.haar(8)
    row, column = np.divmod(np.arange(64), 8)
    weight = haar.matrix**2
    np.testing.assert_allclose(weight @ row, haar.table.y, atol=1e-12)
    np.testing.assert_allclose(weight @ column, haar.table.x, atol=1e-12)
    # The blocks of level ℓ are squares of side 2^(ℓ+1).
    size = np.sum(weight > 0.0, axis=1)
    details = haar.table.level < 3
    np.testing.assert_array_equal(size[details], 4.0 ** (haar.table.level[details] + 1))


def test_translations_by_blocks_move_the_latents_of_a_level() -> None:
    rng = np.random.default_rng(1)
    map_ = random_map(rng, 3)
    field = rng.standard_normal((1, 8, 8))
    moved = map_.invert(np.roll(field, (4, 0), axis=(1, 2)))[0]
    latents = map_.invert(field)[0]
    for level in (0, 1):
        cells = map_.table.cells[level]
        shift = 4 // map_.table.spacing(level)
        np.testing.assert_allclose(moved[cells], np.roll(latents[cells], shift, 0), atol=1e-10)
    # A translation by half a block does not.
    half = map_.invert(np.roll(field, (1, 0), axis=(1, 2)))[0]
    assert np.abs(np.sort(half) - np.sort(latents)).max() > 0.01


def test_disentanglers_reach_across_blocks_and_around_the_torus() -> None:
    identity = np.tile(np.eye(4), (2, 1, 1))
    mixing = identity.copy()
    mixing[0, 0, 3] = 1.0
    map_ = LinearMap(identity, mixing)
    # Offset blocks start at odd sites: the site (3, 3) takes (0, 0), its neighbour over the corner.
    touched = map_.matrix - LinearMap(identity).matrix
    assert np.argwhere(touched).size > 0
    field = np.zeros((1, 4, 4))
    field[0, 0, 0] = 1.0
    plain = LinearMap(identity).invert(field)
    response = map_.invert(field) - plain
    alone = np.zeros((1, 4, 4))
    alone[0, 3, 3] = 1.0
    np.testing.assert_allclose(response, LinearMap(identity).invert(alone))


def test_blocks_round_trip() -> None:
    field = np.arange(2 * 64.0).reshape(2, 8, 8)
    np.testing.assert_array_equal(from_blocks(to_blocks(field)), field)
    np.testing.assert_array_equal(to_blocks(field)[0, 0, 1], [2.0, 3.0, 10.0, 11.0])


def test_wrong_shapes_and_sides() -> None:
    haar = LinearMap.haar(4)
    with pytest.raises(ValueError, match="fields"):
        haar.invert(np.zeros((1, 8, 8)))
    with pytest.raises(ValueError, match="latents"):
        haar.generate(np.zeros((1, 4, 4)))
    with pytest.raises(SettingsError, match="power of two"):
        LinearMap.haar(6)
