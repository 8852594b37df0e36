"""The bench runs through and its numbers mean what its tables say; no speed is asserted."""

import math

import numpy as np
import pytest
import quick_bench
import tensorflow as tf

from emergence.holography import bench


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_quick_run_prints_both_tables() -> None:
    printed, (rows, rates) = quick_bench.run("holography")
    assert len(rows) == 1 and rows[0]["ours"] > 0.0 and rows[0]["other"] > 0.0
    assert len(rates) == 2 + 1 + 2 + 1
    for rate in rates:
        assert math.isfinite(rate["value"]) and rate["value"] > 0.0, rate
    for name in ("on the boundary", "clusters", "Ising network"):
        assert any(name in rate["what"] for rate in rates), name
    assert "the numbers mean nothing" in printed


def test_both_ways_of_a_training_step_are_the_same_flow() -> None:
    ours, plain = (bench.critical(4, gathered=g) for g in (False, True))
    parameters = {name: tf.constant(v) for name, v in ours.initial_parameters().items()}
    latents = ours.flow.chart.sample(tf.constant([1, 2]), [1, 3, 4, 4], tf.float32)
    couplings = tf.zeros([1, 3, 2])
    one, other = (p.flow.generate(parameters, latents, couplings) for p in (ours, plain))
    np.testing.assert_allclose(one[0], other[0], atol=1e-5)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-5)


def test_operations_are_those_of_the_dense_layers() -> None:
    """On 2 × 2 each of the seven couplings runs its network once."""
    layers = 25 * 32 + 32 * 32 + 32 * 31
    assert bench.operations(2) == 2 * 7 * layers
    assert bench.operations(4) == 5 * bench.operations(2)
