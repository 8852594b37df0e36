"""Updates polynomial in V as plain arrays."""

import numpy as np

from emergence.introspection.polynomial import near_identity, update_matrices


def test_update_matrices_are_the_polynomial():
    weights = np.random.default_rng(0).standard_normal((2, 3, 2, 2))
    potential = np.array([-3.0, 0.0, 5.0])
    matrices = update_matrices(weights, potential, 2.0)
    assert matrices.shape == (2, 3, 2, 2)
    for seed in range(2):
        for site, value in enumerate(potential / 2.0):
            expected = weights[seed, 0] + value * weights[seed, 1] + value**2 * weights[seed, 2]
            np.testing.assert_allclose(matrices[seed, site], expected, rtol=1e-14)


def test_update_matrices_are_of_double_precision_even_for_single_weights():
    weights = np.float32(np.random.default_rng(0).standard_normal((1, 2, 2, 2)))
    assert update_matrices(weights, np.array([1.0]), 3.0).dtype == np.float64


def test_the_start_is_a_shrunken_identity_with_noise():
    weights = near_identity(np.random.default_rng(1), 500, 2, 3, 0.9, 0.05)
    assert weights.shape == (500, 3, 3, 3)
    centre = np.zeros((3, 3, 3))
    centre[0] = 0.9 * np.eye(3)
    np.testing.assert_allclose(weights.mean(axis=0), centre, atol=5 * 0.05 / np.sqrt(500))
    np.testing.assert_allclose(weights.std(axis=0), 0.05, rtol=0.2)


def test_without_noise_the_start_forgets_at_its_rate():
    weights = near_identity(np.random.default_rng(1), 1, 3, 2, 0.9, 0.0)
    matrix = update_matrices(weights, np.array([7.0]), 1.0)[0, 0]
    np.testing.assert_allclose(np.linalg.matrix_power(matrix, 50), 0.9**50 * np.eye(2))
