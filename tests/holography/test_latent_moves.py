"""Which latents a proposal moves, and how many; that balance is kept is shown by exact covariances."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.holography.bijectors import PlaneChart
from emergence.holography.latent_moves import Scattered, Subtrees
from emergence.holography.positions import bulk_positions

SIDE, CHAINS = 8, 200
LEVELS = bulk_positions(SIDE)["level"]
CHART = PlaneChart(components=1)


def moved(moves: Scattered, level: int, strength: float) -> np.ndarray:
    """Where a proposal of this strength, on top of one unit, differs, ``[chains, L, L]``."""
    state = CHART.sample(tf.constant([1, 2]), [CHAINS, SIDE, SIDE], tf.float64)
    strengths = tf.constant(np.minimum(moves.first_strength(2) + strength, 0.0))
    proposed = moves.propose(state, strengths, tf.constant(level), tf.constant([5, level]))
    return (proposed != state).numpy()[..., 0]


@pytest.mark.parametrize("strength", [0.0, -1.0, -3.0])
@pytest.mark.parametrize("level", range(4))
def test_scattered_latents_are_of_their_level(level: int, strength: float) -> None:
    found = moved(Scattered(LEVELS, CHART.move), level, strength)
    assert found.any()
    assert not found[:, level != LEVELS].any()


class TestSubtrees:
    moves = Subtrees(LEVELS, CHART.move)

    def squares(self, found: np.ndarray, level: int) -> np.ndarray:
        """Latents that moved in each block of a level, ``[chains, blocks]``."""
        size = min(2 ** (level + 1), SIDE)
        parts = found.reshape(CHAINS, SIDE // size, size, SIDE // size, size)
        return parts.sum(axis=(2, 4)).reshape(CHAINS, -1)

    def test_units_are_blocks(self) -> None:
        assert self.moves.numbers.tolist() == [16, 4, 1, 1]
        assert np.exp(-self.moves.first_strength(1)[0]).tolist() == pytest.approx([16, 4, 1, 1])

    @pytest.mark.parametrize(
        ("level", "latents"), [(0, {0, 3}), (1, {0, 15}), (2, {3, 63}), (3, {1, 64})]
    )
    def test_a_block_is_moved_with_all_that_is_below_it(self, level: int, latents: set) -> None:
        # Of a single block, the jitter makes a step of every second proposal.
        found = moved(self.moves, level, strength=20.0)
        assert set(self.squares(found, level).ravel()) == latents
        assert not found[:, level < LEVELS].any()

    @pytest.mark.parametrize("level", range(4))
    def test_a_step_leaves_what_is_below(self, level: int) -> None:
        found = moved(self.moves, level, strength=-3.0)
        assert set(found.sum(axis=(1, 2))) == {1 if level == 3 else 3}
        assert not found[:, level != LEVELS].any()
        assert np.all((self.squares(found, level) > 0).sum(axis=1) == 1), "One block, always."

    def test_as_many_blocks_as_the_share_says(self) -> None:
        # Four blocks of sixteen on average, the jitter aside: its mean of e^u is sinh 1.
        count = (self.squares(moved(self.moves, 0, np.log(4.0)), 0) > 0).sum(axis=1)
        assert count.min() >= 1
        assert count.mean() == pytest.approx(4.0 * np.sinh(1.0), rel=0.15)

    def test_every_block_has_its_turn(self) -> None:
        found = self.squares(moved(self.moves, 1, strength=-3.0), 1).sum(axis=0)
        assert np.all(found > 0)
