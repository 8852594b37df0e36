"""Index tables give the same map as rolls: samples, Jacobian, and derivatives."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.holography.bijectors import to_blocks
from emergence.holography.gathered import GatheredSpline
from emergence.holography.spline import PolarSpline

ARCHITECTURE = {"bins": 4, "width": 8}


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
def test_it_is_the_same_bijector(fresh: bool, inverse: bool) -> None:
    rng = np.random.default_rng(2)
    ours, plain = (kind(fresh=fresh, **ARCHITECTURE) for kind in (PolarSpline, GatheredSpline))
    parameters = {
        name: tf.constant(value + 0.3 * rng.standard_normal(value.shape))
        for name, value in ours.initial_parameters(rng, 2, 1).items()
    }
    lattice = rng.uniform(-3.0, 3.0, [2, 2, 4, 4, 5])
    context = tf.constant(rng.standard_normal([2, 1, 5]))

    def found(bijector):
        blocks = to_blocks(tf.constant(lattice))
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            run = bijector.inverse if inverse else bijector.forward
            moved, log_det = run(parameters, blocks, context)
            score = tf.reduce_sum(tf.cos(moved)) + tf.reduce_sum(log_det**2)
        slopes = tape.gradient(score, parameters)
        return [moved, log_det, *(slopes[name] for name in sorted(slopes))]

    assert ours.joins(ours)
    assert not plain.joins(plain), "In a flow it would be run as the other."
    for one, other in zip(found(ours), found(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
