"""Couplings in a loop: the same as one after the other, derivatives included."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.holography.scan import scan_couplings

SEEDS, REALS, BATCH, COUPLINGS = 2, 3, 8, 4
ORDER = [2, 0, 3, 1]


def couple(index, lattice, context, weight, bias):
    """Scales by what half of the coordinates and the context say, other half first."""
    kept = tf.cast(tf.range(REALS) % 2 == index % 2, lattice.dtype)[:, None]
    given = tf.concat([kept * lattice, context], axis=1)
    scale = (1.0 - kept) * tf.tanh(weight @ given + bias[..., None])
    return lattice * tf.exp(scale) + scale, tf.reduce_sum(scale, axis=1)


def one_after_the_other(lattice, context, weight, bias):
    log_det = tf.zeros([SEEDS, BATCH], lattice.dtype)
    for index in ORDER:
        lattice, change = couple(index, lattice, context, weight[index], bias[index])
        log_det += change
    return lattice, log_det


@pytest.fixture
def given():
    rng = np.random.default_rng(1)
    shapes = [
        [SEEDS, REALS, BATCH],
        [SEEDS, 1, BATCH],
        [COUPLINGS, SEEDS, REALS, REALS + 1],
        [COUPLINGS, SEEDS, REALS],
    ]
    return [tf.constant(rng.standard_normal(shape)) for shape in shapes]


def with_derivatives(function, given):
    """Both outputs, and the derivatives of a nonlinear function of both by everything given."""

    @tf.function(jit_compile=True, autograph=False)
    def compiled(*given):
        with tf.GradientTape() as tape:
            tape.watch(given)
            lattice, log_det = function(*given)
            score = tf.reduce_sum(tf.sin(lattice)) + tf.reduce_sum(log_det**2)
        return lattice, log_det, tape.gradient(score, given)

    return tf.nest.flatten(compiled(*given))


def test_it_is_one_coupling_after_the_other(given) -> None:
    def scanned(lattice, context, *stacked):
        return scan_couplings(couple, ORDER, lattice, context, list(stacked))

    expected = with_derivatives(one_after_the_other, given)
    for found, value in zip(with_derivatives(scanned, given), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-10, atol=1e-12)
    assert np.abs(expected[2]).min() > 1e-6, "No derivative is zero by accident."
