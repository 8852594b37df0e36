"""The translator: the exact law is among its weights, and only densities and V reach it."""

import dataclasses
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from translators import LINEAR, WAVENUMBER, random_weights

from emergence import jacobians
from emergence.introspection import schrodinger, translator
from emergence.introspection.translator import (
    Shape,
    TranslatorProblem,
    evaluate,
    gather_per_seed,
    initial_parameters,
    lead_coordinates,
)
from emergence.settings import Stage, TranslatorSettings
from emergence.training import train

READOUTS = get_args(TranslatorSettings.model_fields["readout"].annotation)
SPACING, DISTANCE = 0.1, 0.8
SINGLE = Shape(hidden=2, degree=1, readout="quadratic", learnt_start=True, unit=4.0)


def exact_parameters(update, gauge=None):
    """The bilinears as hidden state, seen in another basis if there is a gauge."""
    gauge = np.eye(3) if gauge is None else gauge
    return {
        "update": gauge @ update @ np.linalg.inv(gauge),
        "start": gauge[None],
        "readout": np.linalg.inv(gauge)[None, 0],
    }


def relative_error(prediction, truth):
    return np.sqrt(np.mean((prediction - truth) ** 2) / np.mean(truth**2))


class TestExactLaw:
    @pytest.mark.parametrize("kind", schrodinger.STARTS)
    def test_of_the_lattice_is_met_to_rounding(self, make_world, exact_weights, kind):
        world = make_world(start=kind, solver="central_difference")
        parameters = exact_parameters(exact_weights(3, 2, "central_difference"))
        density, hidden = evaluate(LINEAR, parameters, world.lead[None], world.potential)
        assert density.shape == (1, *world.potential.shape)
        assert hidden.shape == (1, *world.bilinears.shape)
        np.testing.assert_allclose(density[0], world.density, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(hidden[0], world.bilinears, rtol=1e-10, atol=1e-11)

    def test_of_the_continuum_is_met_to_the_truncation_of_the_polynomial(
        self, make_world, exact_weights
    ):
        world = make_world()
        errors = []
        for degree in (1, 2, 3):
            shape = dataclasses.replace(LINEAR, degree=degree)
            parameters = exact_parameters(exact_weights(3, degree))
            density, _ = evaluate(shape, parameters, world.lead[None], world.potential)
            errors.append(relative_error(density[0], world.density))
        # a²V reaches 0.08, and a higher power of it is left out each time.
        assert errors[1] < errors[0] / 50
        assert errors[2] < errors[1] / 50
        assert 1e-8 < errors[2] < 1e-5

    def test_is_not_met_by_the_other_discretisation(self, make_world, exact_weights):
        world = make_world()
        parameters = exact_parameters(exact_weights(3, 2, "central_difference"))
        density, _ = evaluate(LINEAR, parameters, world.lead[None], world.potential)
        assert relative_error(density[0], world.density) > 1e-3

    def test_holds_in_any_basis_of_the_hidden_state(self, make_world, exact_weights):
        world = make_world(solver="central_difference")
        gauge = np.random.default_rng(1).standard_normal((3, 3))
        parameters = exact_parameters(exact_weights(3, 2, "central_difference"), gauge)
        density, hidden = evaluate(LINEAR, parameters, world.lead[None], world.potential)
        np.testing.assert_allclose(density[0], world.density, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(hidden[0], world.bilinears @ gauge.T, rtol=1e-8, atol=1e-9)

    def test_of_the_wave_itself_is_met_by_a_quadratic_readout_of_a_learnt_start(
        self, make_world, exact_weights
    ):
        world = make_world(start="single", solver="central_difference")
        born = np.zeros((1, 2, 2))
        born[0, 0, 0] = 1.0
        parameters = {
            "update": exact_weights(2, 1, "central_difference"),
            "start": world.waves[:1, 0, :, None],
            "readout": born,
        }
        # The lead is not looked at: any will do.
        lead = np.full((1, len(world.potential), 3), np.nan)
        density, hidden = evaluate(SINGLE, parameters, lead, world.potential)
        np.testing.assert_allclose(density[0], world.density, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(hidden[0], world.waves, rtol=1e-10, atol=1e-12)

    def test_is_a_minimum_of_the_training_loss(self, make_world, exact_weights):
        world = make_world(solver="central_difference")
        problem = TranslatorProblem(
            LINEAR, 1, 0, world.potential, world.density[None], world.lead[None]
        )
        batch = problem.draw(tf.constant([1, 2]), 4, 20)
        exact = exact_parameters(exact_weights(3, 2, "central_difference"))
        loss, reported = problem.objective({k: tf.constant(v) for k, v in exact.items()}, batch)
        assert loss.numpy()[0] < 1e-20
        assert np.array_equal(loss, reported)
        exact["update"] = exact["update"] * 1.001
        assert problem.objective({k: tf.constant(v) for k, v in exact.items()}, batch)[0][0] > 1e-5


class TestWhatReachesIt:
    """Only V and three densities of the lead, and of V only what lies to the left."""

    @pytest.mark.parametrize("readout", READOUTS)
    def test_no_site_knows_a_later_potential(self, make_world, readout):
        world = make_world(sites=6)
        shape = dataclasses.replace(LINEAR, readout=readout)
        parameters = random_weights(shape)
        before, _ = evaluate(shape, parameters, world.lead[None], world.potential)
        for site in range(6):
            changed = world.potential.copy()
            changed[:, site] += 1.0
            after, _ = evaluate(shape, parameters, world.lead[None], changed)
            assert np.array_equal(after[..., :site], before[..., :site])
            assert np.all(after[..., site:] != before[..., site:])

    def test_no_system_and_no_seed_knows_another(self, make_world):
        world = make_world(sites=6)
        parameters = random_weights(LINEAR)
        before, _ = evaluate(LINEAR, parameters, world.lead[None], world.potential)
        potential, lead = world.potential.copy(), world.lead.copy()
        potential[2], lead[2] = 0.0, 1.0
        after, _ = evaluate(LINEAR, parameters, lead[None], potential)
        assert np.array_equal(np.delete(after, 2, axis=1), np.delete(before, 2, axis=1))
        assert np.all(after[:, 2] != before[:, 2])
        parameters["readout"][1] += 1.0
        other, _ = evaluate(LINEAR, parameters, lead[None], potential)
        assert np.array_equal(other[0], after[0])
        assert np.all(other[1] != after[1])

    def test_a_batch_is_potentials_densities_and_leads_of_the_same_systems(self, make_world):
        world = make_world(batch=7, sites=9)
        noisy = np.stack([world.density, 2.0 * world.density])
        problem = TranslatorProblem(LINEAR, 2, 0, world.potential, noisy, world.lead[None])
        potential, density, lead = (
            part.numpy() for part in problem.draw(tf.constant([3, 4]), 5, 6)
        )
        assert potential.shape == (2, 5, 6)
        assert density.shape == (2, 5, 6)
        assert lead.shape == (2, 5, 3)
        for seed in range(2):
            for window in range(5):
                system = np.flatnonzero(world.potential[:, 0] == potential[seed, window, 0])[0]
                assert np.array_equal(potential[seed, window], world.potential[system, :6])
                assert np.array_equal(density[seed, window], noisy[seed, system, :6])
                assert np.array_equal(lead[seed, window], world.lead[system])
        assert not np.array_equal(potential[0], potential[1])

    def test_waves_that_differ_by_a_phase_or_a_mirror_are_one_and_the_same_to_it(self):
        rng = np.random.default_rng(0)
        start = schrodinger.draw_starts(rng, 4, "current", WAVENUMBER, 60.0)
        potential = rng.uniform(-8, 4, (4, 10))
        parameters = random_weights(LINEAR)
        shown = []
        for same in (start, -start, np.conj(start), np.exp(1.1j) * start):
            lead = schrodinger.lead_densities(same, SPACING, 8)
            lead = lead_coordinates(lead, DISTANCE, WAVENUMBER)
            shown.append(evaluate(LINEAR, parameters, lead[None], potential)[0])
        for density in shown[1:]:
            np.testing.assert_allclose(density, shown[0], rtol=1e-12)


class TestDraws:
    @pytest.fixture
    def problem(self, make_world):
        world = make_world(batch=30, sites=8)
        return TranslatorProblem(
            LINEAR, 2, 0, world.potential, world.density[None], world.lead[None]
        )

    def test_are_fixed_by_their_seed(self, problem):
        one, same, other = (problem.draw(tf.constant([1, last]), 6, 8) for last in (1, 1, 2))
        assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
        assert not np.array_equal(one[0], other[0])

    def test_a_window_longer_than_the_data_is_the_data(self, problem):
        assert problem.draw(tf.constant([1, 1]), 6, 99)[1].shape == (2, 6, 8)

    def test_shuffled_densities_stay_those_of_their_seed(self):
        values = tf.constant(np.arange(12.0).reshape(2, 3, 2))
        index = tf.constant([[0, 2], [1, 1]])
        assert gather_per_seed(values, index).numpy().tolist() == [
            [[0, 1], [4, 5]],
            [[8, 9], [8, 9]],
        ]
        assert gather_per_seed(values[:1], index).numpy().tolist() == [
            [[0, 1], [4, 5]],
            [[2, 3], [2, 3]],
        ]


class TestStarts:
    @pytest.mark.parametrize("readout", READOUTS)
    @pytest.mark.parametrize("learnt", [False, True])
    def test_are_finite_far_beyond_the_window_for_every_seed(self, make_world, readout, learnt):
        shape = dataclasses.replace(LINEAR, readout=readout, learnt_start=learnt)
        world = make_world(sites=50)
        density, hidden = evaluate(
            shape, initial_parameters(shape, 3, 0), world.lead[None], world.potential
        )
        assert np.isfinite(density).all()
        assert np.isfinite(hidden).all()
        assert len(np.unique(density[:, 0, 0])) == 3

    def test_are_fixed_by_the_seed_and_differ_between_seeds(self, make_world):
        world = make_world()
        make = [
            TranslatorProblem(
                LINEAR, 2, seed, world.potential, world.density[None], world.lead[None]
            )
            for seed in (1, 1, 2)
        ]
        one, same, other = (problem.initial_parameters(3) for problem in make)
        for name, value in one.items():
            assert len(value) == 6
            assert np.array_equal(value, same[name])
            assert not np.array_equal(value, other[name])
            assert len(np.unique(value.reshape(6, -1), axis=0)) == 6

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_are_in_the_precision_of_the_training(self, make_world, dtype):
        world = make_world()
        problem = TranslatorProblem(
            LINEAR, 2, 1, world.potential, world.density[None], world.lead[None], dtype
        )
        start = problem.initial_parameters(1)
        assert {value.dtype for value in start.values()} == {np.dtype(dtype)}
        batch = problem.draw(tf.constant([1, 2]), 3, 5)
        assert problem.residuals(start, batch).dtype == dtype


class TestResiduals:
    @pytest.fixture
    def problem(self, make_world):
        world = make_world(sites=5)
        return TranslatorProblem(
            LINEAR, 2, 1, world.potential, world.density[None], world.lead[None]
        )

    def test_are_relative_to_each_window(self, problem):
        parameters = {k: tf.constant(v) for k, v in random_weights(LINEAR).items()}
        potential, density, lead = problem.draw(tf.constant([1, 2]), 3, 5)
        # A linear translator doubles its prediction with the lead.
        double = tf.constant([[[1.0], [2.0], [4.0]]], tf.float64)
        ours = problem.residuals(parameters, (potential, density, lead))
        louder = problem.residuals(parameters, (potential, density * double, lead * double))
        np.testing.assert_allclose(louder, ours, rtol=1e-10)

    def test_of_a_silent_network_have_mean_square_one(self, problem):
        parameters = {k: tf.zeros_like(v) for k, v in random_weights(LINEAR).items()}
        batch = problem.draw(tf.constant([1, 2]), 3, 5)
        np.testing.assert_allclose(problem.objective(parameters, batch)[0], 1.0, rtol=1e-12)

    @pytest.mark.parametrize("learnt", [False, True])
    def test_the_chain_rule_along_the_window_gives_the_derivatives(self, make_world, learnt):
        world = make_world(sites=4)
        shape = dataclasses.replace(LINEAR, readout="general", learnt_start=learnt)
        problem = TranslatorProblem(
            shape, 2, 1, world.potential, world.density[None], world.lead[None]
        )
        parameters = {k: tf.constant(v) for k, v in random_weights(shape).items()}
        shapes = {name: tuple(value.shape[1:]) for name, value in parameters.items()}
        assert problem.start_names < set(shapes)
        assert problem.rolls
        batch = problem.draw(tf.constant([1, 2]), 3, 4)
        flat = jacobians.flatten(parameters)
        through, values = jacobians.of_problem(problem, flat, batch, shapes)
        whole = jacobians.jacobian(problem.residuals, flat, batch, shapes)
        np.testing.assert_allclose(through, whole, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(values, problem.residuals(parameters, batch), rtol=1e-10)


class TestEvaluate:
    def test_does_not_depend_on_the_chunk(self, make_world):
        world = make_world(batch=5)
        parameters = random_weights(LINEAR)
        whole = evaluate(LINEAR, parameters, world.lead[None], world.potential)
        parts = evaluate(LINEAR, parameters, world.lead[None], world.potential, chunk=2)
        for one, other in zip(whole, parts, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13)

    def test_is_in_double_precision_for_single_weights_and_takes_leads_of_each_seed(
        self, make_world
    ):
        world = make_world()
        parameters = {k: v.astype(np.float32) for k, v in random_weights(LINEAR).items()}
        leads = np.stack([world.lead, 2.0 * world.lead])
        density, hidden = evaluate(LINEAR, parameters, leads, world.potential)
        assert density.dtype == hidden.dtype == np.float64
        plain, _ = evaluate(LINEAR, parameters, world.lead[None], world.potential)
        np.testing.assert_allclose(density[0], plain[0], rtol=1e-13)
        np.testing.assert_allclose(density[1], 2.0 * plain[1], rtol=1e-13)


def test_a_short_training_learns(make_world, tmp_path):
    world = make_world(family="shallow", batch=40, sites=10)
    problem = TranslatorProblem(
        LINEAR, 2, 7, world.potential, world.density[None], world.lead[None]
    )
    stages = [
        Stage(update="adam", steps=200, batch=16, window=6, rate=0.03),
        Stage(update="levenberg_marquardt", steps=12, batch=30, window=10),
    ]
    trained = train(problem, stages, seed=3, title="Translator", checkpoint=tmp_path / "checkpoint")
    losses = trained.history.groupby("step")["loss"].max()
    assert losses.iloc[0] > 1e-2
    assert np.all(trained.loss < 1e-4)
    unseen = make_world(family="shallow", batch=10, sites=10, seed=9)
    density, _ = translator.evaluate(
        LINEAR, trained.parameters, unseen.lead[None], unseen.potential
    )
    for seed in range(2):
        assert relative_error(density[seed], unseen.density) < 0.05
