"""What a grown chain writes beyond the sites it has seen: why S1 is left to chance."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from emergence.finished import read
from emergence.retraining.arms import state_of
from emergence.retraining.evaluation import configurations
from emergence.settings import load

ROOT = Path(__file__).parents[2]
ARM = load(ROOT / "config/laptop.yaml").retraining.chains["ising"]


def neighbours(trained_at: int) -> np.ndarray:
    """⟨σᶻσᶻ⟩ of each bond of a chain twice as long, from the shipped network as it is."""
    (shipped,) = read(ROOT / f"weights/laptop/retraining/chains/ising/{trained_at}.npz").values()
    parameters = {name: tf.constant(value) for name, value in shipped.parameters.items()}
    drawn = configurations(state_of(ARM, 2 * trained_at), parameters, 7, 2048, 256)[0]
    drawn = drawn.astype(float)
    return (drawn[:, 1:] * drawn[:, :-1]).mean(axis=0)


# As the reason in claims/retraining.yaml and claims/findings.md have it.
@pytest.mark.parametrize(("trained_at", "beyond"), [(20, 0.96), (40, 0.47), (80, 0.62)])
def test_the_network_counts_its_sites(trained_at, beyond):
    found = neighbours(trained_at)
    # That of the infinite chain is 2/π; edges are weaker, and left out.
    assert found[4 : trained_at - 4].mean() == pytest.approx(2.0 / np.pi, abs=0.03)
    assert found[trained_at:].mean() == pytest.approx(beyond, abs=0.05)
