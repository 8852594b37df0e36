"""Local energies and wave functions against dense matrices, by enumeration."""

import numpy as np
import pytest
import tensorflow as tf
from spin_models import marshall_sign

from emergence.errors import SettingsError
from emergence.retraining import diagonalisation
from emergence.retraining.cells import GatedUnit, TensorUnit
from emergence.retraining.local_energy import Hamiltonian
from emergence.retraining.models import build_model
from emergence.retraining.ordering import Moves
from emergence.retraining.paper_cell import PaperCell
from emergence.retraining.recurrent import Recurrent
from emergence.retraining.wavefunction import RecurrentState, average

MODELS = {
    "ising": build_model("ising", "chain", 6, field=1.0),
    "heisenberg": build_model("heisenberg", "chain", 6),
    "j1j2": build_model("j1j2", "chain", 6, j2=0.3),
    "ising square": build_model("ising", "square", 3, "periodic", field=3.0),
    "heisenberg square": build_model("heisenberg", "square", 2),
}


def state_of(model, symmetric=False, cell=None):
    cell = cell or (GatedUnit(5) if model.lattice.geometry == "chain" else TensorUnit(3))
    masked = model.conserves_magnetisation and not cell.has_phase
    return RecurrentState(Recurrent(cell, Moves(model), masked), symmetric)


def weights_of(state, seeds=2):
    start = state.initial_parameters(seeds, 3)
    return {name: tf.constant(2.0 * value) for name, value in start.items()}


def basis_of(state):
    """Every configuration that the network can draw, and the Hamiltonian between them."""
    model = state.model
    matrix, states = diagonalisation.hamiltonian(model)
    return matrix, diagonalisation.spins_of(states, model.sites).astype(np.float64)


def compiled(state):
    return tf.function(
        lambda weights, spins: (
            state.log_amplitude(weights, spins), state.ratios(weights, spins)
        ), jit_compile=True, autograph=False,
    )  # fmt: skip


@pytest.mark.parametrize("symmetric", [False, True], ids=["plain", "averaged"])
@pytest.mark.parametrize("name", MODELS)
def test_local_energies_are_those_of_the_dense_hamiltonian(name, symmetric):
    state = state_of(MODELS[name], symmetric)
    matrix, spins = basis_of(state)
    marshall = state.model.conserves_magnetisation
    samples = tf.tile(tf.constant(spins)[None], [2, 1, 1])
    (modulus, _), ratios = compiled(state)(weights_of(state), samples)
    psi = np.exp(modulus.numpy())
    np.testing.assert_allclose((psi**2).sum(axis=1), 1.0, rtol=1e-12)
    if marshall:
        psi = psi * marshall_sign(state.model.lattice, spins)
    real, imaginary = Hamiltonian(state.model, marshall).local_energy(samples, ratios)
    assert imaginary is None
    np.testing.assert_allclose(real, (matrix @ psi.T).T / psi, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("symmetric", [False, True], ids=["plain", "averaged"])
def test_a_learnt_phase_enters_the_local_energy(symmetric):
    model = build_model("heisenberg", "chain", 4)
    state = state_of(model, symmetric, PaperCell(4))
    matrix, spins = basis_of(state)
    samples = tf.tile(tf.constant(spins)[None], [2, 1, 1])
    (modulus, phase), ratios = compiled(state)(weights_of(state), samples)
    psi = np.exp(modulus.numpy() + 1j * phase.numpy())
    real, imaginary = Hamiltonian(model).local_energy(samples, ratios)
    expected = (matrix @ psi.T).T / psi
    np.testing.assert_allclose(
        real.numpy() + 1j * imaginary.numpy(), expected, rtol=1e-8, atol=1e-9
    )
    assert np.abs(expected.imag).max() > 1e-3


def test_the_average_over_images_is_invariant_and_a_single_image_is_the_network():
    model = MODELS["ising square"]
    spins = tf.constant(np.random.default_rng(0).choice([-1.0, 1.0], (1, 7, model.sites)))
    plain, averaged = state_of(model), state_of(model, symmetric=True)
    weights = weights_of(plain, seeds=1)
    reference = averaged.log_amplitude(weights, spins)[0].numpy()
    for image in model.lattice.point_group:
        turned = tf.gather(spins, image, axis=2)
        np.testing.assert_allclose(averaged.log_amplitude(weights, turned)[0], reference)
    np.testing.assert_allclose(averaged.log_amplitude(weights, -spins)[0], reference)
    turned = tf.gather(spins, model.lattice.point_group[1], axis=2)
    difference = plain.log_amplitude(weights, turned)[0] - plain.log_amplitude(weights, spins)[0]
    assert np.abs(difference).max() > 1e-4


def test_averaged_samples_follow_the_averaged_law():
    """χ² of 4,096 samples against the enumerated probabilities of a chain of 4."""
    model = build_model("ising", "chain", 4, field=1.0)
    state = state_of(model, symmetric=True)
    weights = {k: 4.0 * v for k, v in weights_of(state, 1).items()}
    _, spins = basis_of(state)
    law = np.exp(2.0 * state.log_amplitude(weights, tf.constant(spins)[None])[0].numpy()[0])
    drawn = state.sample(weights, tf.constant([5, 6]), 4096).numpy()[0]
    counts = (drawn[:, None] == spins[None]).all(axis=2).sum(axis=0)
    assert counts.sum() == 4096
    expected = 4096 * law
    assert np.sum((counts - expected) ** 2 / expected) < 45.0  # 15 degrees, p = 1e-4


def test_two_images_average_as_complex_numbers_weighted_by_probability():
    log_p = tf.constant([[[0.0], [np.log(3.0)]]], tf.float64)
    phase = tf.constant([[[0.0], [np.pi / 2]]], tf.float64)
    modulus, angle = average(log_p, phase, 1)
    np.testing.assert_allclose(modulus, 0.5 * np.log(2.0))
    np.testing.assert_allclose(angle, np.arctan2(3.0, 1.0))


def test_a_sign_rule_needs_two_sublattices():
    with pytest.raises(SettingsError, match="no two sublattices"):
        Hamiltonian(build_model("ising", "square", 3, "periodic", field=1.0), marshall=True)
