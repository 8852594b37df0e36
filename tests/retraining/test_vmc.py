"""The gradient of the energy against enumeration, and a training that must find a ground state."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from emergence import training
from emergence.retraining import diagonalisation, exact
from emergence.retraining.cells import GatedUnit
from emergence.retraining.local_energy import Hamiltonian
from emergence.retraining.models import build_model
from emergence.retraining.ordering import Moves
from emergence.retraining.paper_cell import PaperCell
from emergence.retraining.recurrent import Recurrent
from emergence.retraining.vmc import CLIP, EnergyMinimisation, clipped
from emergence.retraining.wavefunction import RecurrentState
from emergence.settings import GrowthStage

STAGE = GrowthStage(update="adam", steps=5, batch=8)
MODELS = {
    "positive": (build_model("ising", "chain", 5, field=1.0), GatedUnit(4)),
    "masked": (build_model("heisenberg", "chain", 4), GatedUnit(4)),
    "phases": (build_model("heisenberg", "chain", 4), PaperCell(3)),
}


def problem_of(name, **stage):
    model, cell = MODELS[name]
    masked = model.conserves_magnetisation and not cell.has_phase
    state = RecurrentState(Recurrent(cell, Moves(model), masked))
    marshall = masked
    problem = EnergyMinimisation(state, Hamiltonian(model, marshall), 1, 7, tf.float64)
    return problem.for_stage(STAGE.model_copy(update=stage))


def configurations_of(problem):
    model = problem.hamiltonian.model
    ups = model.up_spins if problem.state.network.masked else None
    states = diagonalisation.patterns(model.sites, ups)
    return tf.constant(diagonalisation.spins_of(states, model.sites)[None], tf.float64)


def energy_of(problem, weights, spins):
    """⟨ψ|H|ψ⟩ / ⟨ψ|ψ⟩ by the sum over all configurations: nothing is sampled."""
    modulus, _ = problem.state.log_amplitude(weights, spins)
    law = tf.exp(2.0 * modulus)
    real, _ = problem.hamiltonian.local_energy(spins, problem.state.ratios(weights, spins))
    return tf.reduce_sum(law * real)


@pytest.mark.parametrize("name", MODELS)
def test_the_score_function_gradient_is_the_derivative_of_the_enumerated_energy(name):
    problem = problem_of(name)
    rng = np.random.default_rng(0)
    start = {
        k: v + 0.3 * rng.normal(size=v.shape) for k, v in problem.initial_parameters(1).items()
    }
    weights = {k: tf.constant(v) for k, v in start.items()}
    spins = configurations_of(problem)
    real, imaginary = problem.hamiltonian.local_energy(spins, problem.state.ratios(weights, spins))
    with tf.GradientTape() as tape:
        tape.watch(weights)
        modulus, phase = problem.state.log_amplitude(weights, spins)
        law = tf.stop_gradient(tf.exp(2.0 * modulus))
        loss = tf.reduce_sum(law * (real - tf.reduce_sum(law * real)) * modulus)
        if phase is not None:
            loss += tf.reduce_sum(law * imaginary * phase)
        loss = 2.0 * loss
    gradient = tape.gradient(loss, weights, unconnected_gradients="zero")
    direction = {k: rng.normal(size=v.shape) for k, v in start.items()}
    step = 1e-5
    energies = [
        energy_of(problem, {k: tf.constant(v + s * direction[k]) for k, v in start.items()}, spins)
        for s in (-step, step)
    ]
    slope = sum(float(np.sum(gradient[k].numpy() * direction[k])) for k in start)
    np.testing.assert_allclose(slope, (energies[1] - energies[0]) / (2 * step), rtol=2e-5)
    assert abs(slope) > 1e-3


def test_the_surrogate_has_that_gradient_on_its_own_samples():
    problem = problem_of("positive", batch=4096)
    weights = {k: tf.constant(2.0 * v) for k, v in problem.initial_parameters(1).items()}
    seed = tf.constant([[3, 1]])
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss, reported = problem.objective(weights, (seed,))
    found = tape.gradient(loss, weights)
    spins = configurations_of(problem)
    step, exact_slope = 1e-4, {}
    for sign in (-1, 1):
        moved = weights | {"odds/bias": weights["odds/bias"] + sign * step}
        exact_slope[sign] = float(energy_of(problem, moved, spins))
    expected = (exact_slope[1] - exact_slope[-1]) / (2 * step)
    np.testing.assert_allclose(found["odds/bias"][0, 0], expected, atol=0.15)
    np.testing.assert_allclose(
        reported[0, 0], energy_of(problem, weights, spins), atol=4 * (reported[0, 1] / 4096) ** 0.5
    )


def test_temperature_and_penalty_enter_the_gradient_and_not_the_reported_energy():
    plain = problem_of("positive", batch=64)
    weights = {k: tf.constant(v) for k, v in plain.initial_parameters(1).items()}
    seed = (tf.constant([[3, 0]]),)

    def found(problem):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss, reported = problem.objective(weights, seed)
        return tape.gradient(loss, weights)["odds/bias"].numpy(), reported.numpy()

    reference = found(plain)
    for change in ({"temperature": 1.0}, {"penalty": 0.1}):
        other = found(problem_of("positive", batch=64, **change))
        np.testing.assert_array_equal(other[1], reference[1])
        assert not np.allclose(other[0], reference[0])


def test_outliers_are_clipped_and_the_mean_stays_zero():
    energies = tf.constant([[0.0] * 99 + [1000.0]], tf.float64)
    deviation = clipped(energies).numpy()[0]
    assert abs(deviation.mean()) < 1e-12
    spread = np.abs(energies.numpy() - 10.0).mean()
    assert np.ptp(deviation) <= (CLIP + 1) * spread + 1e-9 < 1000.0


@pytest.mark.parametrize("name", ["positive", "masked"])
def test_natural_gradient_finds_the_ground_state_of_a_small_chain(name, tmp_path):
    problem = dataclasses.replace(problem_of(name), stage=None)
    stages = [
        GrowthStage(update="adam", steps=60, batch=64, rate=1e-2, window=5),
        GrowthStage(
            update="natural_gradient", steps=80, batch=64, rate=0.2, damping=1e-3, window=5
        ),
    ]
    trained = training.train(problem, stages, seed=1, title="small", checkpoint=tmp_path / "c")
    truth = exact.reference_energy(problem.hamiltonian.model).energy
    weights = {k: tf.constant(v) for k, v in trained.parameters.items()}
    energy = float(energy_of(problem_of(name), weights, configurations_of(problem_of(name))))
    assert truth - 1e-9 < energy < truth + 2e-3 * abs(truth)
    assert {"loss", "variance"} <= set(trained.history.columns)
    late = trained.history.iloc[-1]
    assert late["variance"] < 0.2 * trained.history.iloc[0]["variance"]
