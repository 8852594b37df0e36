"""Levels of one torus as the start on a larger one."""

import numpy as np
import pytest

from emergence.errors import ArtifactError
from emergence.holography.actions import ComplexPhi4
from emergence.holography.densities import Phi4Theory
from emergence.holography.hierarchy import spline_flow, with_prior
from emergence.holography.transfer import source_level, transfer

THEORY = Phi4Theory.of(ComplexPhi4.recalled(0.28))


def test_transfer_keeps_the_ends_and_fills_the_middle() -> None:
    assert [source_level(level, 2, 3) for level in range(3)] == [0, 1, 1]
    assert [source_level(level, 3, 5) for level in range(5)] == [0, 1, 1, 1, 2]
    assert [source_level(level, 1, 2) for level in range(2)] == [0, 0]
    small, large = (spline_flow(THEORY, side, width=8, bins=4) for side in (4, 8))
    start = small.initial_parameters(np.random.default_rng(0), 1)
    grown = transfer(start, 4, 8)
    large.check_parameters(grown)
    np.testing.assert_array_equal(grown["2/decimator/field"], start["1/decimator/field"])
    np.testing.assert_array_equal(grown["0/disentangler/field"], start["0/disentangler/field"])
    with pytest.raises(ArtifactError, match="2 levels"):
        transfer(start, 8, 16)


def test_a_flow_whose_prior_was_trained_is_not_grown() -> None:
    coupled = with_prior(spline_flow(THEORY, 4, width=8, bins=4), 1)
    with pytest.raises(ArtifactError, match="prior of their own"):
        transfer(coupled.initial_parameters(np.random.default_rng(0), 1), 4, 8)
