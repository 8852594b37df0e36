"""Real NVP on the reals of a block: bijection, Jacobian, size of the published network."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.holography.real_nvp import RealNVP


def perturbed(bijector: RealNVP, contexts: int = 0, dtype=tf.float64) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(1)
    start = bijector.initial_parameters(rng, 2, contexts)
    return {k: tf.constant(v + 0.2 * rng.standard_normal(v.shape), dtype) for k, v in start.items()}


def blocks_of(components: int, batch: int, dtype=tf.float64) -> tf.Tensor:
    shape = (2, 4, components, 2, 2, batch)
    return tf.constant(np.random.default_rng(2).standard_normal(shape), dtype)


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
    np.testing.assert_allclose(back, blocks, atol=tolerance)
    np.testing.assert_allclose(log_det_back, -log_det, atol=10.0 * tolerance)


@pytest.mark.parametrize("components", [1, 2])
def test_log_det_is_that_of_the_autodiff_jacobian(components: int) -> None:
    bijector = RealNVP(components, couplings=3, width=8, depth=3)
    parameters = perturbed(bijector)
    blocks = blocks_of(components, 1)
    flat = tf.reshape(blocks, [2, -1])
    with tf.GradientTape() as tape:
        tape.watch(flat)
        moved, log_det = bijector.forward(parameters, tf.reshape(flat, blocks.shape))
        moved = tf.reshape(moved, flat.shape)
    jacobian = tape.batch_jacobian(moved, flat)
    np.testing.assert_allclose(log_det[:, 0], np.linalg.slogdet(jacobian)[1], atol=1e-10)


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


def test_blocks_are_treated_alike_and_apart() -> None:
    bijector = RealNVP(couplings=4, width=8)
    parameters, blocks = perturbed(bijector), blocks_of(2, 3)
    moved, _ = bijector.forward(parameters, blocks)
    shifted, _ = bijector.forward(parameters, tf.roll(blocks, [1, 1], axis=[3, 4]))
    np.testing.assert_allclose(shifted, tf.roll(moved, [1, 1], axis=[3, 4]), atol=1e-12)
    alone, _ = bijector.forward(parameters, blocks[:, :, :, :1, :1])
    np.testing.assert_allclose(alone, moved[:, :, :, :1, :1], atol=1e-12)


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
