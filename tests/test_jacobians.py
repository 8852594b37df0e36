"""Jacobians of residuals against finite differences and closed forms."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from rolled import Rolled

from emergence import jacobians


class TestJacobian:
    @pytest.mark.parametrize("rolling", [False, True], ids=["copies", "rolling"])
    @pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
    def test_agrees_with_finite_differences_through_a_loop(self, compiled, rolling):
        problem = Rolled()
        flat, batch, shapes = problem.flat, problem.batch, problem.shapes

        @tf.function(jit_compile=compiled, autograph=False)
        def rows(flat):
            if rolling:
                return jacobians.of_problem(problem, flat, batch, shapes)[0]
            return jacobians.jacobian(problem.residuals, flat, batch, shapes)

        ours = rows(flat).numpy()
        assert ours.shape == (2, flat.shape[1], 3 * 4)
        step = 1e-6
        for index in range(flat.shape[1]):
            shift = step * np.eye(flat.shape[1])[index]
            above = problem.residuals(jacobians.unflatten(flat + shift, shapes), batch).numpy()
            below = problem.residuals(jacobians.unflatten(flat - shift, shapes), batch).numpy()
            np.testing.assert_allclose(ours[:, index], (above - below) / (2 * step), atol=5e-9)

    def test_the_residuals_come_with_it(self):
        problem = Rolled()
        parameters = jacobians.unflatten(problem.flat, problem.shapes)
        expected = problem.residuals(parameters, problem.batch)
        for some in (problem, SimpleNamespace(residuals=problem.residuals)):
            values = jacobians.of_problem(some, problem.flat, problem.batch, problem.shapes)[1]
            np.testing.assert_allclose(values, expected, rtol=1e-12)

    def test_of_a_linear_map_is_the_map(self):
        matrix = np.random.default_rng(2).standard_normal((2, 5, 3))

        def linear(parameters, batch):
            return tf.einsum("srp,sp->sr", batch[0], parameters["x"])

        rows = jacobians.jacobian(
            linear, tf.ones([2, 3], tf.float64), (tf.constant(matrix),), {"x": (3,)}
        )
        np.testing.assert_allclose(rows.numpy(), np.swapaxes(matrix, 1, 2), rtol=1e-15)
