"""Energies of a network and of its average over directions, against enumeration."""

from dataclasses import replace

import numpy as np
import pytest

from emergence.retraining import diagonalisation, evaluation, profiles
from emergence.retraining.arms import hamiltonian_of, state_of
from emergence.retraining.models import model_of
from emergence.settings import parse

SITES = 6


@pytest.fixture(scope="module")
def arm(build_settings):
    content = build_settings()
    content["retraining"]["chains"]["ising"]["sizes"] = {SITES: "brief"}
    return parse(content, "settings of a test").retraining.chains["ising"]


@pytest.fixture(scope="module")
def weights(arm):
    """Of a network that tells left from right."""
    start = state_of(arm, SITES).initial_parameters(1, 3)
    return {name: 3.0 * value for name, value in start.items()}


def enumerated(arm, state, weights):
    """⟨ψ|H|ψ⟩ of a positive wave function."""
    matrix, states = diagonalisation.hamiltonian(model_of(arm, SITES))
    spins = diagonalisation.spins_of(states, SITES).astype(np.float64)
    psi = np.exp(state.log_amplitude(weights, spins[None])[0].numpy()[0])
    assert psi @ psi == pytest.approx(1.0)
    return psi @ (matrix @ psi)


def found(arm, state, weights, terms, batches=64):
    hamiltonian = hamiltonian_of(arm, SITES)
    return evaluation.energies(hamiltonian, terms(state, hamiltonian, 128), weights, 1, batches)


@pytest.mark.parametrize("terms", ["_compiled_terms", "_compiled_images"])
def test_the_network_alone_has_its_enumerated_energy_either_way(arm, weights, terms):
    state = state_of(arm, SITES)
    arrays = found(arm, state, weights, getattr(evaluation, terms))
    exact = enumerated(arm, state, weights)
    assert abs(arrays["energy"][0] - exact) < 4.5 * arrays["error"][0]
    assert 0.0 < arrays["error"][0] < 0.02 * abs(exact)


def test_left_minus_right_is_the_same_either_way_and_sharper_from_both_sides(arm, weights):
    state = state_of(arm, SITES)
    alone = found(arm, state, weights, evaluation._compiled_terms)
    paired = found(arm, state, weights, evaluation._compiled_images)
    assert paired["sides"].shape == (1, 2)
    noise = np.hypot(alone["sides_error"], paired["sides_error"])
    assert np.all(np.abs(alone["sides"] - paired["sides"]) < 4.5 * noise)
    assert np.all(paired["sides_error"] < 0.5 * alone["sides_error"])
    assert np.any(np.abs(paired["sides"]) > 10.0 * paired["sides_error"])


def test_the_average_has_no_side(arm, weights):
    both = replace(state_of(arm, SITES), symmetric=True)
    paired = found(arm, both, weights, evaluation._compiled_images, batches=1)
    assert np.all(np.abs(paired["sides"]) < 1e-12)
    independent = found(arm, both, weights, evaluation._compiled_terms)
    in_errors = independent["sides"] / independent["sides_error"]
    assert np.all(np.abs(in_errors) < 4.5)


def test_bonds_middle_and_energy_are_of_the_same_samples(arm, weights):
    arrays = found(arm, state_of(arm, SITES), weights, evaluation._compiled_terms, batches=2)
    model = model_of(arm, SITES)
    bonds = profiles.bond_profile(model, arrays["diagonal"][0], arrays["moving"][0])
    np.testing.assert_allclose(arrays["bonds"][0], bonds)
    np.testing.assert_allclose(arrays["central"][0], profiles.central_bonds(SITES) @ bonds)
    total = arrays["diagonal"].sum() + arrays["moving"].sum()
    assert total == pytest.approx(arrays["energy"][0])


def test_an_error_is_that_of_whole_samples():
    values = np.random.default_rng(0).normal(size=(2, 3, 400))
    mean = evaluation._Mean()
    for part in np.split(values, 4, axis=-1):
        mean.add(part)
    np.testing.assert_allclose(mean.found()[0], values.mean(axis=-1))
    np.testing.assert_allclose(mean.found()[1], values.std(axis=-1) / 20.0)
