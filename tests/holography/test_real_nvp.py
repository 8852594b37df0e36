"""Real NVP on the reals of a block: bijection, Jacobian, size of the published network."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.holography.real_nvp import RealNVP

few = settings(max_examples=8, deadline=None)
SEEDS = st.integers(0, 2**31 - 2)


@cache
def traced(components: int):
    """A bijector, and as graphs its forward direction and that with the Jacobian of all blocks."""
    bijector = RealNVP(components, couplings=4, width=8, depth=3)

    @tf.function(autograph=False)
    def with_jacobian(parameters, blocks) -> tuple[tf.Tensor, tf.Tensor]:
        flat = tf.reshape(blocks, [2, -1])
        with tf.GradientTape() as tape:
            tape.watch(flat)
            moved, log_det = bijector.forward(parameters, tf.reshape(flat, blocks.shape))
            moved = tf.reshape(moved, flat.shape)
        return log_det[:, 0], tape.batch_jacobian(moved, flat)

    return bijector, tf.function(bijector.forward, autograph=False), with_jacobian


def perturbed(
    bijector: RealNVP, contexts: int = 0, dtype=tf.float64, seed: int = 1
) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    start = bijector.initial_parameters(rng, 2, contexts)
    return {k: tf.constant(v + 0.2 * rng.standard_normal(v.shape), dtype) for k, v in start.items()}


def blocks_of(components: int, batch: int, dtype=tf.float64, seed: int = 2) -> tf.Tensor:
    shape = (2, 4, components, 2, 2, batch)
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), dtype)


@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float64, 1e-10), (tf.float32, 1e-5)])
def test_inverse_takes_back(components: int, dtype, tolerance: float) -> None:
    bijector = RealNVP(components, couplings=4, width=8)
    parameters = perturbed(bijector, 2, dtype)
    blocks = blocks_of(components, 5, dtype)
    context = tf.random.stateless_normal([2, 2, 5], [0, 1], dtype=dtype)
    moved, log_det = bijector.forward(parameters, blocks, context)
    back, log_det_back = bijector.inverse(parameters, moved, context)
    assert np.abs(moved - blocks).max() > 0.1
    np.testing.assert_allclose(back, blocks, rtol=0, atol=tolerance)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=0, atol=10.0 * tolerance)


@pytest.mark.parametrize("components", [1, 2])
@few
@given(seed=SEEDS)
def test_log_det_is_that_of_the_autodiff_jacobian(components: int, seed: int) -> None:
    bijector, _, with_jacobian = traced(components)
    log_det, jacobian = with_jacobian(
        perturbed(bijector, seed=seed), blocks_of(components, 1, seed=seed)
    )
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], rtol=0, atol=1e-10)


def test_starts_as_the_identity_and_bounds_its_scales() -> None:
    bijector = RealNVP(couplings=2, width=8)
    start = bijector.initial_parameters(np.random.default_rng(0), 2, 0)
    parameters = {name: tf.constant(value) for name, value in start.items()}
    blocks = blocks_of(2, 3)
    moved, log_det = bijector.forward(parameters, blocks)
    np.testing.assert_array_equal(moved, blocks)
    np.testing.assert_array_equal(log_det, 0.0)
    parameters["bound"] = 0.5 * tf.ones_like(parameters["bound"])
    _, log_det = bijector.forward(parameters, 1e6 * blocks)
    # Two couplings, four moved reals each, four blocks, half a unit at most.
    assert np.abs(log_det).max() <= 16.0 + 1e-9


@few
@given(seed=SEEDS, shift=st.tuples(st.integers(0, 1), st.integers(0, 1)))
def test_blocks_are_treated_alike_and_apart(seed: int, shift: tuple[int, int]) -> None:
    bijector, forward, _ = traced(2)
    parameters, blocks = perturbed(bijector, seed=seed), blocks_of(2, 3, seed=seed)
    moved, _ = forward(parameters, blocks)
    shifted, _ = forward(parameters, tf.roll(blocks, shift, axis=[3, 4]))
    np.testing.assert_allclose(shifted, tf.roll(moved, shift, axis=[3, 4]), rtol=0, atol=1e-12)
    alone, _ = forward(parameters, blocks[:, :, :, :1, :1])
    np.testing.assert_allclose(alone, moved[:, :, :, :1, :1], rtol=0, atol=1e-12)


def test_masks_are_halves_and_every_second_moves_the_rest() -> None:
    masks = RealNVP(2, couplings=6).masks()
    np.testing.assert_array_equal(masks.sum(axis=1), 4.0)
    np.testing.assert_array_equal(masks[::2] + masks[1::2], 1.0)
    assert not np.array_equal(RealNVP(2, 6, mask_seed=1).masks(), masks)


def test_the_published_ising_network_has_the_published_size() -> None:
    bijector = RealNVP(components=1, couplings=10, width=10, depth=3)
    start = bijector.initial_parameters(np.random.default_rng(0), 1, 0)
    # Two layers at each of the four levels of L = 16.
    assert 8 * sum(value.size for value in start.values()) == 50_560
