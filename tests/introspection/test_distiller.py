"""The distiller: the exact law is among its weights, and its encoder reads the start alone."""

import dataclasses
import itertools
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from emergence import jacobians
from emergence.introspection import distiller
from emergence.introspection.distiller import (
    DistillerProblem,
    Shape,
    evaluate,
    initial_parameters,
    quadratic_features,
)
from emergence.settings import DistillerSettings, Stage
from emergence.training import train

LATTICE = "central_difference"
BORN = Shape(hidden=3, latent=2, degree=1, decoder="quadratic", cell="linear", unit=4.0)
DENSITY = Shape(hidden=3, latent=3, degree=2, decoder="linear", cell="linear", unit=4.0)
DECODERS = get_args(DistillerSettings.model_fields["decoder"].annotation)
CELLS = get_args(DistillerSettings.model_fields["cell"].annotation)
every_architecture = pytest.mark.parametrize(
    ("decoder", "cell"), list(itertools.product(DECODERS, CELLS))
)


def straight_encoder(linear, constant):
    """An encoder whose tanh layer is off: start ``[hidden]`` → start @ linear + constant."""
    hidden, latent = linear.shape
    return {
        "encoder_in": np.zeros((1, hidden, distiller.ENCODER_WIDTH)),
        "encoder_bias": np.zeros((1, distiller.ENCODER_WIDTH)),
        "encoder_out": np.zeros((1, distiller.ENCODER_WIDTH, latent)),
        "encoder_linear": linear[None],
        "encoder_constant": constant[None],
    }


def random_weights(shape, seeds=2):
    rng = np.random.default_rng(3)
    start = initial_parameters(shape, seeds, 0)
    return {name: value + 0.2 * rng.standard_normal(value.shape) for name, value in start.items()}


def tensors(parameters):
    return {name: tf.constant(value) for name, value in parameters.items()}


def variant(decoder, cell, latent=2):
    return dataclasses.replace(BORN, decoder=decoder, cell=cell, latent=latent)


class TestExactLaw:
    def born_parameters(self, world, update):
        # Three starts are few enough for an affine map from their bilinears to their waves.
        known = np.concatenate([world.bilinears[:, 0], np.ones((len(world.potential), 1))], axis=1)
        encoder = np.linalg.lstsq(known, world.waves[:, 0])[0]
        np.testing.assert_allclose(known @ encoder, world.waves[:, 0], atol=1e-12)
        # (g₁², g₁g₂, g₂²) are the bilinears themselves.
        return straight_encoder(encoder[:3], encoder[3]) | {
            "update": update,
            "decoder": np.eye(3)[None],
        }

    @pytest.mark.parametrize("start", ["single", "arc"])
    def test_two_latents_under_born_s_rule_are_the_wave(self, make_world, exact_weights, start):
        world = make_world(start=start, solver=LATTICE, batch=3)
        parameters = self.born_parameters(world, exact_weights(2, 1, LATTICE))
        latent, loss = evaluate(BORN, parameters, world.bilinears[None], world.potential)
        assert latent.shape == (1, *world.waves.shape)
        np.testing.assert_allclose(latent[0], world.waves, rtol=1e-9, atol=1e-10)
        assert loss.shape == (1,)
        assert loss[0] < 1e-20

    def test_the_sign_of_the_wave_is_nobody_s_business(self, make_world, exact_weights):
        world = make_world(start="single", solver=LATTICE, batch=3)
        parameters = self.born_parameters(world, exact_weights(2, 1, LATTICE))
        for name in ("encoder_linear", "encoder_constant"):
            parameters[name] = -parameters[name]
        latent, loss = evaluate(BORN, parameters, world.bilinears[None], world.potential)
        np.testing.assert_allclose(latent[0], -world.waves, rtol=1e-9, atol=1e-10)
        assert loss[0] < 1e-20

    def test_of_the_continuum_is_met_to_the_truncation_of_the_polynomial(
        self, make_world, exact_weights
    ):
        world = make_world(start="single", batch=3)
        losses = []
        for degree in (1, 2, 3):
            shape = dataclasses.replace(BORN, degree=degree)
            parameters = self.born_parameters(world, exact_weights(2, degree))
            losses.append(evaluate(shape, parameters, world.bilinears[None], world.potential)[1][0])
        assert losses[1] < losses[0] / 1e3
        assert losses[2] < losses[1] / 1e3
        assert losses[2] < 1e-13

    @pytest.mark.parametrize("start", ["circle", "current"])
    def test_three_latents_decoded_linearly_are_the_density_matrix(
        self, make_world, exact_weights, start
    ):
        world = make_world(start=start, solver=LATTICE)
        parameters = straight_encoder(np.eye(3), np.zeros(3)) | {
            "update": exact_weights(3, 2, LATTICE),
            "decoder": np.eye(3)[None],
        }
        latent, loss = evaluate(DENSITY, parameters, world.bilinears[None], world.potential)
        np.testing.assert_allclose(latent[0], world.bilinears, rtol=1e-9, atol=1e-10)
        assert loss[0] < 1e-20

    def test_two_latents_decoded_linearly_are_not_enough(self, make_world, exact_weights):
        world = make_world(start="single", solver=LATTICE, batch=3)
        parameters = self.born_parameters(world, exact_weights(2, 1, LATTICE))
        latent, _ = evaluate(BORN, parameters, world.bilinears[None], world.potential)
        # Even the best linear decoder of the true wave leaves most of the density unexplained.
        waves, truth = latent.reshape(-1, 2), world.bilinears.reshape(-1, 3)
        best = waves @ np.linalg.lstsq(waves, truth)[0]
        assert np.mean((best - truth) ** 2) > 0.05 * np.mean(truth**2)

    def test_the_loss_evaluated_is_the_loss_trained(self, make_world):
        world = make_world(batch=4, sites=8)
        hidden = np.stack([world.bilinears, 2.0 * world.bilinears])
        parameters = random_weights(BORN)
        problem = DistillerProblem(BORN, 2, 0, world.potential, hidden)
        potential = tf.constant(np.broadcast_to(world.potential, (2, *world.potential.shape)))
        loss, reported = problem.objective(tensors(parameters), (potential, tf.constant(hidden)))
        assert np.array_equal(loss, reported)
        np.testing.assert_allclose(
            evaluate(BORN, parameters, hidden, world.potential)[1], loss, rtol=1e-12
        )


class TestWhatReachesIt:
    @every_architecture
    def test_the_encoder_reads_the_start_alone(self, make_world, decoder, cell):
        world = make_world(sites=5)
        shape = variant(decoder, cell)
        parameters = random_weights(shape)
        hidden = np.broadcast_to(world.bilinears, (2, *world.bilinears.shape)).copy()
        before, _ = evaluate(shape, parameters, hidden, world.potential)
        later = hidden.copy()
        later[:, :, 1:] += 1.0
        after, _ = evaluate(shape, parameters, later, world.potential)
        assert np.array_equal(after, before)
        first = hidden.copy()
        first[:, :, 0] += 0.1
        assert np.all(evaluate(shape, parameters, first, world.potential)[0] != before)

    @pytest.mark.parametrize("cell", CELLS)
    def test_no_latent_knows_a_later_potential(self, make_world, cell):
        world = make_world(sites=5)
        shape = variant("linear", cell)
        parameters = random_weights(shape)
        hidden = np.broadcast_to(world.bilinears, (2, *world.bilinears.shape))
        before, _ = evaluate(shape, parameters, hidden, world.potential)
        for site in range(5):
            changed = world.potential.copy()
            changed[:, site] += 1.0
            after, _ = evaluate(shape, parameters, hidden, changed)
            # The latent before the first site comes first.
            assert np.array_equal(after[:, :, : site + 1], before[:, :, : site + 1])
            assert np.all(np.any(after[:, :, site + 1 :] != before[:, :, site + 1 :], axis=-1))

    def test_a_batch_is_potentials_and_hidden_states_of_the_same_systems(self, make_world):
        world = make_world(batch=7, sites=9)
        hidden = np.stack([world.bilinears, 2.0 * world.bilinears])
        problem = DistillerProblem(BORN, 2, 0, world.potential, hidden)
        potential, shown = (part.numpy() for part in problem.draw(tf.constant([3, 4]), 5, 6))
        assert potential.shape == (2, 5, 6)
        assert shown.shape == (2, 5, 7, 3)
        for seed in range(2):
            for window in range(5):
                system = np.flatnonzero(world.potential[:, 0] == potential[seed, window, 0])[0]
                assert np.array_equal(potential[seed, window], world.potential[system, :6])
                assert np.array_equal(shown[seed, window], hidden[seed, system, :7])


class TestQuadraticFeatures:
    @pytest.mark.parametrize("size", [1, 2, 3, 5])
    def test_are_all_products_of_two_once(self, size):
        latent = np.random.default_rng(size).standard_normal((4, size))
        ours = quadratic_features(tf.constant(latent)).numpy()
        expected = [latent[:, a] * latent[:, b] for a in range(size) for b in range(size) if a <= b]
        assert np.array_equal(ours, np.stack(expected, -1))

    @given(values=st.lists(st.floats(-10, 10), min_size=2, max_size=2))
    def test_do_not_tell_a_latent_from_its_negative(self, values):
        latent = tf.constant(values, tf.float64)
        assert np.array_equal(quadratic_features(latent), quadratic_features(-latent))

    def test_know_no_constant_and_no_linear_part(self):
        # Born's rule is built in: nothing at zero, and fourfold at twice the latent.
        assert not quadratic_features(tf.zeros([3])).numpy().any()
        latent = tf.constant([0.3, -0.7])
        np.testing.assert_allclose(
            quadratic_features(2.0 * latent), 4.0 * quadratic_features(latent)
        )


class TestArchitectures:
    @every_architecture
    def test_start_finite_and_every_weight_matters(self, make_world, decoder, cell):
        world = make_world(sites=6)
        shape = variant(decoder, cell)
        hidden = np.broadcast_to(world.bilinears, (2, *world.bilinears.shape))
        problem = DistillerProblem(shape, 2, 0, world.potential, hidden)
        parameters = tensors(problem.initial_parameters())
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            loss, _ = problem.objective(parameters, problem.draw(tf.constant([1, 2]), 3, 6))
        assert loss.shape == (2,)
        assert np.isfinite(loss).all()
        for name, gradient in tape.gradient(loss, parameters).items():
            assert np.isfinite(gradient).all(), name
            assert np.abs(gradient).max() > 0.0, name

    @pytest.mark.parametrize("latent", [1, 2, 3, 6])
    def test_latent_dimensions_are_as_asked(self, make_world, latent):
        world = make_world(sites=4)
        shape = variant("quadratic", "linear", latent)
        parameters = initial_parameters(shape, 2, 0)
        assert parameters["decoder"].shape == (2, latent * (latent + 1) // 2, 3)
        hidden = np.broadcast_to(world.bilinears, (2, *world.bilinears.shape))
        rolled, loss = evaluate(shape, parameters, hidden, world.potential)
        assert rolled.shape == (2, 5, 5, latent)
        assert np.isfinite(loss).all()

    def test_the_general_cell_is_a_residual_network_of_latent_and_potential(self):
        shape = dataclasses.replace(BORN, cell="general", degree=2)
        parameters = random_weights(shape, 1)
        start, value = np.array([0.3, -0.2]), 1.7
        ours = distiller.latents_from(
            shape,
            tensors(parameters),
            tf.constant(start[None, None]),
            tf.constant([[[value]]], tf.float64),
        )
        joined = np.concatenate([start, [value / 4.0, (value / 4.0) ** 2]])
        inner = np.tanh(joined @ parameters["cell_in"][0] + parameters["cell_bias"][0])
        np.testing.assert_allclose(ours[0, 0, 0], start)
        np.testing.assert_allclose(ours[0, 0, 1], start + inner @ parameters["cell_out"][0])

    def test_the_general_decoder_has_two_unbounded_layers(self):
        def silu(x):
            return x / (1.0 + np.exp(-x))

        shape = variant("general", "linear")
        parameters = random_weights(shape, 1)
        latent = np.random.default_rng(0).standard_normal((1, 2, 3, 2))
        ours = distiller.decode(shape, tensors(parameters), tf.constant(latent))
        p = {name: value[0] for name, value in parameters.items()}
        inner = silu(latent[0] @ p["decoder_in"] + p["decoder_bias_1"])
        inner = silu(inner @ p["decoder_middle"] + p["decoder_bias_2"])
        expected = inner @ p["decoder_out"] + p["decoder_constant"]
        np.testing.assert_allclose(ours[0], expected, rtol=1e-12)

    def test_the_encoder_is_a_tanh_layer_beside_a_straight_one(self):
        parameters = random_weights(BORN, 1)
        hidden = np.random.default_rng(0).standard_normal((1, 4, 3))
        ours = distiller.encode(tensors(parameters), tf.constant(hidden))
        p = {name: value[0] for name, value in parameters.items()}
        inner = np.tanh(hidden[0] @ p["encoder_in"] + p["encoder_bias"])
        expected = (
            inner @ p["encoder_out"] + hidden[0] @ p["encoder_linear"] + p["encoder_constant"]
        )
        np.testing.assert_allclose(ours[0], expected, rtol=1e-12)

    @every_architecture
    def test_starts_are_fixed_by_the_seed_and_differ_between_seeds(self, decoder, cell):
        shape = variant(decoder, cell)
        one, same, other = (initial_parameters(shape, 3, seed) for seed in (1, 1, 2))
        for name, value in one.items():
            assert np.array_equal(value, same[name])
            assert not np.array_equal(value, other[name])
            assert len(np.unique(value.reshape(3, -1), axis=0)) == 3

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_candidates_are_further_starts_in_the_precision_of_the_training(
        self, make_world, dtype
    ):
        world = make_world(sites=4)
        problem = DistillerProblem(
            BORN, 1, 0, world.potential, world.bilinears[None].astype(dtype), dtype
        )
        start = problem.initial_parameters(4)
        assert {(len(value), value.dtype) for value in start.values()} == {(4, np.dtype(dtype))}
        batch = problem.draw(tf.constant([1, 2]), 3, 4)
        first = {name: value[:1] for name, value in start.items()}
        assert problem.residuals(first, batch).dtype == dtype


class TestResiduals:
    def test_are_relative_to_each_window(self, make_world):
        world = make_world(sites=5)
        parameters = tensors(
            straight_encoder(np.eye(3), np.zeros(3))
            | {name: random_weights(DENSITY, 1)[name] for name in ("update", "decoder")}
        )
        problem = DistillerProblem(DENSITY, 1, 0, world.potential, world.bilinears[None])
        potential, hidden = problem.draw(tf.constant([1, 2]), 3, 5)
        louder = hidden * tf.constant([1.0, 3.0, 9.0], tf.float64)[None, :, None, None]
        # Everything is linear here, so that the prediction grows with what it starts from.
        np.testing.assert_allclose(
            problem.residuals(parameters, (potential, louder)),
            problem.residuals(parameters, (potential, hidden)),
            rtol=1e-10,
        )

    @every_architecture
    def test_the_chain_rule_along_the_window_gives_the_derivatives(self, make_world, decoder, cell):
        world = make_world(sites=3)
        shape = variant(decoder, cell)
        hidden = np.broadcast_to(world.bilinears, (2, *world.bilinears.shape))
        problem = DistillerProblem(shape, 2, 0, world.potential, hidden)
        parameters = tensors(random_weights(shape))
        shapes = {name: tuple(value.shape[1:]) for name, value in parameters.items()}
        assert problem.start_names == {name for name in shapes if name.startswith("encoder")}
        # Otherwise the plain Jacobian would be compared with itself, and trainings be slow.
        assert problem.rolls == (cell == "linear")
        batch = problem.draw(tf.constant([1, 2]), 2, 3)
        flat = jacobians.flatten(parameters)
        through, values = jacobians.of_problem(problem, flat, batch, shapes)
        whole = jacobians.jacobian(problem.residuals, flat, batch, shapes)
        np.testing.assert_allclose(through, whole, rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(values, problem.residuals(parameters, batch), rtol=1e-10)


def test_a_short_training_learns(make_world, tmp_path):
    world = make_world(family="shallow", start="arc", batch=40, sites=8)
    hidden = np.broadcast_to(world.bilinears, (2, *world.bilinears.shape))
    problem = DistillerProblem(BORN, 2, 7, world.potential, hidden)
    stages = [
        Stage(update="adam", steps=200, batch=16, window=6, rate=0.03, candidates=2),
        Stage(update="levenberg_marquardt", steps=12, batch=30, window=8),
    ]
    trained = train(problem, stages, seed=3, title="Distiller", checkpoint=tmp_path / "checkpoint")
    losses = trained.history.groupby("step")["loss"].max()
    assert losses.iloc[0] > 1e-2
    assert np.all(trained.loss < 1e-3)
    unseen = make_world(family="shallow", start="arc", batch=10, sites=8, seed=9)
    hidden = np.broadcast_to(unseen.bilinears, (2, *unseen.bilinears.shape))
    assert np.all(evaluate(BORN, trained.parameters, hidden, unseen.potential)[1] < 1e-2)
