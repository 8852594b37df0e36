"""Levenberg–Marquardt against closed forms, seed by seed."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from rolled import Rolled, constants

from emergence import updates
from emergence.settings import Stage

MARQUARDT = Stage(update="levenberg_marquardt", steps=40, batch=4, window=5, damping=1e-10)


def lines(parameters, batch):
    """Residuals of linear least squares."""
    design, target = batch
    return tf.einsum("snp,sp->sn", design, parameters["x"]) - target


def regression(seeds=3, rows=12, columns=4, seed=4):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((seeds, rows, columns)), rng.standard_normal((seeds, rows))


def run_marquardt(residuals, values, batch, stage=MARQUARDT, steps=1, dtype="float64"):
    parameters = constants(values, dtype)
    carried = updates.levenberg_marquardt_start(parameters, stage)
    batch = tuple(tf.constant(part, dtype) for part in batch)

    def step(parameters, carried):
        return updates.levenberg_marquardt_step(
            SimpleNamespace(residuals=residuals), parameters, carried, batch, stage
        )

    # Compiling once pays from the third step on.
    step = step if steps == 1 else tf.function(step, autograph=False)
    losses = []
    for _ in range(steps):
        parameters, carried, loss = step(parameters, carried)
        losses.append(loss.numpy())
    return parameters, carried["damping"].numpy(), losses[-1] if steps == 1 else np.array(losses)


def bent(parameters, batch):
    """arctan: far from its root a Gauss-Newton step overshoots and raises the loss."""
    return tf.atan(parameters["x"]) * batch[0]


class TestLevenbergMarquardt:
    def test_derivatives_that_roll_along_change_no_step(self):
        problem = Rolled()
        parameters = updates.unflatten(problem.flat, problem.shapes)
        whole = SimpleNamespace(residuals=problem.residuals)
        stage = MARQUARDT.model_copy(update={"ridge": 1e-3, "damping": 1.0})
        carried = updates.levenberg_marquardt_start(parameters, stage)
        results = [
            updates.levenberg_marquardt_step(some, parameters, carried, problem.batch, stage)
            for some in (problem, whole)
        ]
        (ours, _, loss), (theirs, _, other_loss) = results
        np.testing.assert_allclose(loss, other_loss, rtol=1e-9)
        np.testing.assert_allclose(updates.flatten(ours), updates.flatten(theirs), rtol=1e-7)
        assert not np.array_equal(updates.flatten(ours), problem.flat)

    def test_solves_linear_least_squares_in_one_step(self):
        design, target = regression()
        parameters, damping, loss = run_marquardt(lines, {"x": np.ones((3, 4))}, (design, target))
        for seed in range(3):
            exact, square, *_ = np.linalg.lstsq(design[seed], target[seed])
            np.testing.assert_allclose(parameters["x"][seed], exact, rtol=1e-8)
            assert loss[seed] == pytest.approx(square[0] / 12, rel=1e-12)
        assert np.all(damping == updates.DAMPING_RANGE[0])

    def test_the_ridge_is_minimised_along_but_not_reported(self):
        design, target = regression()
        stage = MARQUARDT.model_copy(update={"ridge": 0.3})
        parameters, _, loss = run_marquardt(
            lines, {"x": np.ones((3, 4))}, (design, target), stage=stage
        )
        for seed in range(3):
            normal = design[seed].T @ design[seed] / 12 + 0.3 * np.eye(4)
            exact = np.linalg.solve(normal, design[seed].T @ target[seed] / 12)
            np.testing.assert_allclose(parameters["x"][seed], exact, rtol=1e-8)
            square = np.mean((design[seed] @ exact - target[seed]) ** 2)
            assert loss[seed] == pytest.approx(square, rel=1e-8)

    def test_the_damping_scales_with_the_diagonal(self):
        # Marquardt's scaling: what the units of a parameter are does not matter.
        design, target = regression()
        units = np.array([1e-3, 1.0, 1e3, 7.0])
        stage = MARQUARDT.model_copy(update={"damping": 0.5})
        plain, _, _ = run_marquardt(lines, {"x": np.ones((3, 4))}, (design, target), stage)
        scaled, _, _ = run_marquardt(
            lines, {"x": np.ones((3, 4)) / units}, (design * units, target), stage
        )
        np.testing.assert_allclose(scaled["x"] * units, plain["x"], rtol=1e-6)

    def test_a_step_that_raises_the_loss_is_rejected_and_damped(self):
        start = np.array([[10.0], [0.1]])
        stage = MARQUARDT.model_copy(update={"damping": 1e-3})
        parameters, damping, loss = run_marquardt(bent, {"x": start}, (np.ones((2, 3)),), stage)
        assert parameters["x"].numpy()[0, 0] == 10.0
        assert loss[0] == pytest.approx(np.arctan(10.0) ** 2, rel=1e-15)
        assert abs(parameters["x"].numpy()[1, 0]) < 1e-3
        np.testing.assert_allclose(
            damping, 1e-3 * np.array([updates.DAMPING_UP, updates.DAMPING_DOWN])
        )

    def test_the_loss_never_rises_and_the_root_is_found_in_the_end(self):
        start = {"x": np.array([[10.0]])}
        _, _, losses = run_marquardt(bent, start, (np.ones((1, 3)),), steps=40)
        assert losses[0, 0] == losses[1, 0]
        assert np.all(np.diff(losses[:, 0]) <= 0)
        assert losses[-1, 0] < 1e-12

    def test_the_damping_stays_in_its_range(self):
        low, high = updates.DAMPING_RANGE
        stage = MARQUARDT.model_copy(update={"damping": high})
        _, damping, _ = run_marquardt(bent, {"x": np.array([[np.nan]])}, (np.ones((1, 3)),), stage)
        assert damping[0] == high
        _, damping, _ = run_marquardt(bent, {"x": np.array([[0.1]])}, (np.ones((1, 3)),))
        assert damping[0] == low

    def test_a_seed_that_is_not_finite_takes_no_step_and_harms_no_other(self):
        design, target = regression(seeds=5)
        start = np.ones((5, 4))
        healthy, _, loss = run_marquardt(lines, {"x": start}, (design, target))
        start[1], start[2] = np.nan, np.inf
        design = design.copy()
        design[3] = 1e200
        beside, damping, beside_loss = run_marquardt(lines, {"x": start}, (design, target))
        for seed in (0, 4):
            assert np.array_equal(beside["x"][seed], healthy["x"][seed])
            assert beside_loss[seed] == loss[seed]
        assert np.array_equal(beside["x"][1:4], start[1:4], equal_nan=True)
        assert not np.isfinite(beside_loss[1:4]).any()
        assert np.all(damping[1:4] == MARQUARDT.damping * updates.DAMPING_UP)

    def test_each_seed_goes_alone_as_it_goes_in_company(self):
        design, target = regression()
        start = np.random.default_rng(5).standard_normal((3, 4))
        together, _, _ = run_marquardt(lines, {"x": start}, (design, target))
        alone, _, _ = run_marquardt(lines, {"x": start[1:2]}, (design[1:2], target[1:2]))
        np.testing.assert_allclose(together["x"][1], alone["x"][0], rtol=1e-13)

    def test_parameters_without_curvature_do_not_move(self):
        design, target = regression()
        design[:, :, 2] = 0.0
        parameters, _, _ = run_marquardt(lines, {"x": np.ones((3, 4))}, (design, target))
        assert np.array_equal(parameters["x"].numpy()[:, 2], np.ones(3))

    @pytest.mark.parametrize(
        "dtype",
        [
            "float64",
            "float32",
        ],
    )
    def test_parameters_that_do_the_same_do_not_end_the_training(self, dtype):
        design, target = regression()
        design[:, :, 2] = design[:, :, 1]
        _, _, loss = run_marquardt(lines, {"x": np.ones((3, 4))}, (design, target), dtype=dtype)
        for seed in range(3):
            square = np.linalg.lstsq(design[seed][:, [0, 1, 3]], target[seed])[1][0]
            assert loss[seed] == pytest.approx(square / 12, rel=1e-4)
