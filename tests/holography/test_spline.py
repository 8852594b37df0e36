"""The U(1) spline bijector: bijection, Jacobian, symmetries, and what it reads."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emergence.holography.spline import PolarSpline

ORDERS = [{"order": (3, 1, 2), "fresh": True}, {"order": (3, 0, 1, 2)}]
few = settings(max_examples=8, deadline=None)
SEEDS = st.integers(0, 2**31 - 2)


@cache
def traced(fresh: bool):
    """The bijector of either order, and both of its directions as graphs."""
    (order,) = (each for each in ORDERS if each.get("fresh", False) == fresh)
    bijector = PolarSpline(**order, width=8)
    runs = (tf.function(run, autograph=False) for run in (bijector.forward, bijector.inverse))
    return bijector, *runs


def perturbed(bijector, seed: int = 0, contexts: int = 0, dtype=tf.float64, size: float = 0.2):
    rng = np.random.default_rng(seed)
    start = bijector.initial_parameters(rng, 1, contexts)
    return {
        k: tf.constant(v + size * rng.standard_normal(v.shape), dtype) for k, v in start.items()
    }


def blocks_of(seed: int, high: int, batch: int, dtype=tf.float64) -> tf.Tensor:
    rng = np.random.default_rng(seed)
    blocks = rng.standard_normal((1, 4, 2, high, high, batch))
    blocks[:, :, 1] = rng.uniform(-np.pi, np.pi, blocks[:, :, 1].shape)
    return tf.constant(blocks, dtype)


def as_complex(blocks: tf.Tensor) -> np.ndarray:
    """s and e^{iθ}, which do not care for turns."""
    blocks = np.asarray(blocks, dtype=np.float64)
    return np.concatenate([blocks[:, :, :1] + 0j, np.exp(1j * blocks[:, :, 1:])], axis=2)


@pytest.mark.parametrize("order", ORDERS)
def test_starts_as_the_identity(order: dict) -> None:
    bijector = PolarSpline(**order, width=8)
    start = bijector.initial_parameters(np.random.default_rng(0), 1, 0)
    blocks = blocks_of(1, 2, 3)
    moved, log_det = bijector.forward({k: tf.constant(v) for k, v in start.items()}, blocks)
    np.testing.assert_allclose(as_complex(moved), as_complex(blocks), atol=1e-12)
    np.testing.assert_allclose(log_det, 0.0, atol=1e-11)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("surroundings", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float64, 1e-10), (tf.float32, 1e-5)])
def test_inverse_takes_back(order: dict, surroundings: bool, dtype, tolerance: float) -> None:
    bijector = PolarSpline(**order, surroundings=surroundings, width=8)
    parameters = perturbed(bijector, contexts=2, dtype=dtype, size=0.1)
    blocks = blocks_of(2, 2, 16, dtype)
    context = tf.random.stateless_normal([1, 2, 16], [0, 1], dtype=dtype)
    moved, log_det = bijector.forward(parameters, blocks, context)
    back, log_det_back = bijector.inverse(parameters, moved, context)
    assert np.abs(as_complex(moved) - as_complex(blocks)).max() > 0.1
    np.testing.assert_allclose(as_complex(back), as_complex(blocks), rtol=0, atol=tolerance)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=0, atol=100.0 * tolerance)


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("inverse", [False, True])
@few
@given(seed=SEEDS)
def test_log_det_is_that_of_the_jacobian(fresh: bool, inverse: bool, seed: int) -> None:
    bijector, *runs = traced(fresh)
    parameters = perturbed(bijector, seed)
    blocks = blocks_of(seed, 2, 1)
    size = blocks.numpy().size

    def told(step: float) -> tuple[float, float]:
        """ln |det| by differences, and the bijector's own."""
        # Every sample of one batch has another coordinate moved; the last is where they start from.
        moves = step * np.eye(size).reshape(*blocks.shape[:-1], size)
        batch = tf.concat([blocks + moves, blocks - moves, blocks], axis=-1)
        moved, log_det = (each.numpy() for each in runs[inverse](parameters, batch))
        change = moved[..., :size] - moved[..., size:-1]
        change[:, :, 1] = np.angle(np.exp(1j * change[:, :, 1]))
        numeric = np.linalg.slogdet(change.reshape(size, size) / (2.0 * step))[1]
        return numeric, log_det[0, -1]

    numeric, exact = told(1e-6)
    # A knot between two steps, where the second derivative jumps, makes differences of the step.
    assume(abs(told(4e-6)[0] - numeric) < 1e-5)
    assert exact == pytest.approx(numeric, abs=1e-5)


def test_derivatives_of_the_loop_are_those_of_differences() -> None:
    bijector = PolarSpline((3, 0, 1, 2), width=6, bins=4)
    parameters = perturbed(bijector, contexts=1)
    blocks = blocks_of(4, 2, 2)
    context = tf.constant([[[0.3, -0.7]]], tf.float64)

    def value(parameters, blocks, context) -> tf.Tensor:
        moved, log_det = bijector.forward(parameters, blocks, context)
        return tf.reduce_sum(tf.sin(moved)) + tf.reduce_sum(log_det)

    with tf.GradientTape() as tape:
        tape.watch([parameters, blocks, context])
        total = value(parameters, blocks, context)
    slopes, by_blocks, by_context = tape.gradient(total, [parameters, blocks, context])
    rng = np.random.default_rng(0)
    way = {k: tf.constant(rng.standard_normal(v.shape)) for k, v in parameters.items()}
    step = 1e-6
    ahead, behind = (
        value({k: v + s * way[k] for k, v in parameters.items()}, blocks, context)
        for s in (step, -step)
    )
    expected = sum(tf.reduce_sum(slopes[k] * way[k]) for k in way)
    assert float((ahead - behind) / (2 * step)) == pytest.approx(float(expected), rel=1e-5)
    for given_value, slope, place in ((blocks, by_blocks, 1), (context, by_context, 2)):
        way = tf.constant(rng.standard_normal(given_value.shape))
        arguments = [[parameters, blocks, context] for _ in range(2)]
        arguments[0][place] = given_value + step * way
        arguments[1][place] = given_value - step * way
        found = float((value(*arguments[0]) - value(*arguments[1])) / (2 * step))
        assert found == pytest.approx(float(tf.reduce_sum(slope * way)), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("fresh", [True, False])
@few
@given(seed=SEEDS, angle=st.floats(-np.pi, np.pi))
def test_turning_the_latents_turns_the_field(fresh: bool, seed: int, angle: float) -> None:
    bijector, forward, inverse = traced(fresh)
    parameters = perturbed(bijector, seed)
    blocks = blocks_of(seed, 2, 4)
    turn = np.zeros((1, 1, 2, 1, 1, 1))
    turn[:, :, 1] = angle
    for run in (forward, inverse):
        moved, log_det = run(parameters, blocks)
        turned, log_det_turned = run(parameters, blocks + turn)
        np.testing.assert_allclose(as_complex(turned), as_complex(moved + turn), rtol=0, atol=1e-8)
        np.testing.assert_allclose(log_det_turned, log_det, rtol=0, atol=1e-8)


@pytest.mark.parametrize("fresh", [True, False])
@few
@given(seed=SEEDS, shift=st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_blocks_are_treated_alike(fresh: bool, seed: int, shift: tuple[int, int]) -> None:
    bijector, forward, _ = traced(fresh)
    parameters = perturbed(bijector, seed)
    blocks = blocks_of(seed, 4, 2)
    moved, _ = forward(parameters, blocks)
    shifted, _ = forward(parameters, tf.roll(blocks, shift, axis=[3, 4]))
    np.testing.assert_allclose(shifted, tf.roll(moved, shift, axis=[3, 4]), rtol=0, atol=1e-10)


def test_without_surroundings_blocks_do_not_see_each_other() -> None:
    blocks = blocks_of(7, 2, 1)
    other = blocks.numpy()
    other[:, :, 1, 1, 1] += 0.5
    for surroundings in (False, True):
        bijector = PolarSpline((3, 0, 1, 2), surroundings=surroundings, width=8)
        parameters = perturbed(bijector)
        one, _ = bijector.forward(parameters, blocks)
        two, _ = bijector.forward(parameters, tf.constant(other))
        same = np.allclose(one[:, :, :, 0, 0], two[:, :, :, 0, 0], atol=1e-12)
        assert same is not surroundings


def test_a_decimator_reads_no_site_before_it_is_informed() -> None:
    informed = PolarSpline((3, 1, 2), fresh=True).informed()
    np.testing.assert_array_equal(informed[0], [1, 0, 1, 0, 0, 1, 0, 1])
    np.testing.assert_array_equal(informed[1], [0, 1, 0, 1, 1, 0, 1, 0])
    np.testing.assert_array_equal(informed[2], np.ones(8))
    own_block = PolarSpline((0, 3), surroundings=False).informed()
    np.testing.assert_array_equal(own_block[0], [0, 0, 0, 0, 1, 0, 1, 1])
    np.testing.assert_array_equal(own_block[1], [1, 1, 0, 1, 0, 0, 0, 0])


def test_opposite_neighbours_whose_field_vanishes_do_no_harm() -> None:
    bijector = PolarSpline((0,), surroundings=False, width=8)
    parameters = perturbed(bijector, dtype=tf.float32)
    # Sites 1 and 2 cancel and site 3 weighs nothing: H = 0.
    weight = np.ones((1, 1, 8), np.float32)
    weight[..., 7] = 0.0
    parameters["field"] = tf.constant(weight)
    blocks = np.zeros((1, 4, 2, 1, 1, 1), np.float32)
    blocks[0, 2, 1] = np.pi
    blocks[0, 0, 1] = 1.0
    given_blocks = tf.constant(blocks)
    with tf.GradientTape() as tape:
        tape.watch([given_blocks, parameters])
        moved, log_det = bijector.forward(parameters, given_blocks)
        total = tf.reduce_sum(moved) + tf.reduce_sum(log_det)
    slopes = tape.gradient(total, [given_blocks, *parameters.values()])
    assert all(np.isfinite(slope).all() for slope in slopes)
    np.testing.assert_allclose(moved[0, 0, 1], 1.0, atol=1e-4)
