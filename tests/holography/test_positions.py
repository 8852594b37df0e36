"""The layout of the bulk: how many latents a level has, and where each of them is."""

import numpy as np

from emergence.holography.positions import bulk_positions


def test_positions_in_the_bulk() -> None:
    found = bulk_positions(8)
    counts = np.bincount(found["level"].ravel())
    np.testing.assert_array_equal(counts, [48, 12, 3, 1])
    np.testing.assert_array_equal(found["z"], 2 ** found["level"])
    # The three of a block share a place: the block's centre.
    block = [(4, 6), (6, 4), (6, 6)]
    assert {(found["x"][p], found["y"][p]) for p in block} == {(5.5, 5.5)}
    assert [found["member"][p] for p in block] == [1, 2, 3]
    assert (found["x"][0, 1], found["y"][0, 1], found["z"][0, 1]) == (0.5, 0.5, 1)
    assert (found["x"][0, 0], found["level"][0, 0], found["member"][0, 0]) == (3.5, 3, 0)
