"""Profiles, bulk estimates and extrapolations, on exact ground states and synthetic data."""

import numpy as np
import pandas as pd
import pytest
from spin_models import heisenberg_chain, ising_chain

from emergence.errors import SettingsError
from emergence.retraining import bethe, free_fermions, profiles
from emergence.retraining.diagonalisation import ground_state
from emergence.retraining.models import build_model
from emergence.retraining.profiles import Estimate


def exact_terms(model):
    """Diagonal and moving terms of the exact ground state."""
    if model.name == "ising":
        matrix = free_fermions.correlation_matrix(model)
        diagonal = free_fermions.bond_energies(model, matrix)
        moving = free_fermions.field_energies(model, matrix)
    else:
        state = ground_state(model)
        pairs = model.bonds.pairs
        diagonal = model.diagonal * state.parallel[pairs[:, 0], pairs[:, 1]]
        moving = state.bond_energies() - diagonal
    return diagonal, moving


def test_the_profile_of_a_heisenberg_chain_sums_to_its_energy():
    model = heisenberg_chain(10)
    profile = profiles.bond_profile(model, *exact_terms(model))
    assert profile.sum() == pytest.approx(bethe.energy(model), abs=1e-9)
    np.testing.assert_allclose(profile, profile[::-1], atol=1e-9)


def test_a_profile_of_samples_is_that_of_each():
    model = heisenberg_chain(6)
    rng = np.random.default_rng(0)
    diagonal, moving = rng.normal(size=(2, 2, 5, 7))
    profile = profiles.bond_profile(model, diagonal, moving)
    alone = profiles.bond_profile(model, diagonal[1, :, 3], moving[1, :, 3])
    np.testing.assert_allclose(profile[1, :, 3], alone)
    sides = profiles.sides(profile)
    assert sides.shape == (2, 2, 7)
    np.testing.assert_allclose(sides[:, 1], profile[:, 1] - profile[:, 3])


def test_second_neighbours_are_shared_by_the_two_bonds_under_them():
    model = build_model("j1j2", "chain", 8, j2=0.5)
    profile = profiles.bond_profile(model, *exact_terms(model))
    assert profile.shape == (7,)
    assert profile.sum() == pytest.approx(-3.0, abs=1e-9)


def test_the_profile_of_an_ising_chain_lacks_half_of_the_outer_fields_alone():
    model = ising_chain(20, 1.0)
    terms = exact_terms(model)
    profile = profiles.bond_profile(model, *terms)
    missing = 0.5 * (terms[1][0] + terms[1][-1])
    assert profile.sum() + missing == pytest.approx(free_fermions.energy(model))


@pytest.mark.parametrize(("sites", "excess"), [(20, 5e-4), (80, 3e-5), (160, 6e-6)])
def test_the_middle_half_of_an_ising_chain_has_nearly_the_bulk_energy(sites, excess):
    model = ising_chain(sites, 1.0)
    found = profiles.central_bonds(sites) @ profiles.bond_profile(model, *exact_terms(model))
    assert abs(found + 4.0 / np.pi) < excess
    assert found != pytest.approx(free_fermions.energy(model) / sites, abs=1e-3)


@pytest.mark.parametrize("sites", [2, 3, 4, 5, 10, 11, 80])
def test_the_middle_half_is_symmetric_and_has_as_many_odd_as_even_bonds(sites):
    share = profiles.central_bonds(sites)
    assert share.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(share, share[::-1])
    if sites > 3:
        assert share[::2].sum() == pytest.approx(share[1::2].sum())
    # A uniform chain of bond energy 1 and field energy 1 has energy 2 per site.
    model = ising_chain(sites, 1.0)
    profile = profiles.bond_profile(model, np.ones(sites - 1), np.ones(sites))
    assert share @ profile == pytest.approx(2.0)


def test_sizes_subtracted_leave_no_edge():
    small, large = (free_fermions.energy(ising_chain(n, 1.0)) for n in (80, 160))
    one = Estimate(np.array([small]), np.array([3e-4]))
    two = Estimate(np.array([large]), np.array([4e-4]))
    found = profiles.size_difference(one, two, (80, 160))
    assert abs(found.value[0] + 4.0 / np.pi) < 1.1e-5
    assert found.error[0] == pytest.approx(5e-4 / 80)


def test_a_polynomial_is_found_with_its_errors():
    rng = np.random.default_rng(0)
    sites = np.array([10.0, 20.0, 40.0, 80.0, 160.0])
    truth = -1.2732 + 0.36 / sites - 0.2 / sites**2
    found = []
    for _ in range(300):
        values = truth + rng.normal(0.0, 1e-4, 5)
        found.append(profiles.fit_sizes(sites, Estimate(values, np.full(5, 1e-4))))
    first = np.array([fit.coefficients[0] for fit in found])
    assert first.mean() == pytest.approx(-1.2732, abs=3e-5)
    plain = np.array([fit.errors[0] for fit in found if fit.chi_squared <= fit.freedom])
    assert plain.mean() == pytest.approx(first.std(), rel=0.15)
    assert np.mean([fit.chi_squared for fit in found]) == pytest.approx(2.0, rel=0.25)
    # Points that scatter by more than their errors say: the errors grow with them.
    wild = profiles.fit_sizes(sites, Estimate(truth + 0.1 * rng.normal(size=5), np.full(5, 1e-4)))
    assert wild.errors[0] > 10.0 * plain.mean()


def test_too_few_sizes_are_refused():
    with pytest.raises(SettingsError, match="order 1 cannot be fitted to 1 points"):
        profiles.fit_sizes(np.array([10]), Estimate(np.array([1.0]), np.array([0.1])))


def test_zero_variance_finds_the_energy_on_a_line_of_checkpoints():
    rng = np.random.default_rng(0)
    variance = np.geomspace(10.0, 0.05, 60)
    energy = -20.0 + 0.3 * variance + 0.001 * np.sqrt(variance) * rng.normal(size=60)
    history = pd.DataFrame({"loss": energy, "variance": variance})
    found = profiles.zero_variance(history)
    assert abs(found.value + 20.0) < 4.0 * found.error
    assert 1e-6 < found.error < 1e-3
    assert np.isnan(profiles.zero_variance(history.head(3)).value)
    assert np.isnan(profiles.zero_variance(history.assign(variance=np.nan)).value)


def test_correlations_about_the_middle_are_those_of_the_samples():
    model = ising_chain(10, 1.0)
    state = ground_state(model)
    rng = np.random.default_rng(0)
    drawn = rng.choice(len(state.states), (2, 20_000), p=state.probabilities)
    distances = np.arange(1, 6)
    found = profiles.correlations(state.spins[drawn], distances)
    exact = free_fermions.central_correlations(model, distances)
    assert np.all(np.abs(found.value - exact) < 4.5 * found.error)
    np.testing.assert_allclose(found.error, np.sqrt((1 - exact**2) / 20_000) + 0 * found.error,
                               rtol=0.05)  # fmt: skip
    assert profiles.central_pairs(80, np.array([8])).tolist() == [[36, 44]]


def test_asymmetry_tells_noise_from_bias():
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 1e-3, (2, 401))
    tilt = 5e-3 * np.linspace(-1.0, 1.0, 401)
    error = np.full((2, 200), np.sqrt(2.0) * 1e-3)

    def strength(profile):
        difference = profiles.sides(profile[..., None])[..., 0]
        return profiles.asymmetry_strength(Estimate(difference, error))

    quiet, biased = strength(noise), strength(noise + tilt)
    np.testing.assert_allclose(quiet.in_errors, 1.0, atol=0.12)
    assert np.all(quiet.absolute < 1e-3)
    # The difference of mirrored bonds is twice the tilt: its rms is 2 · 5e-3 / √3.
    np.testing.assert_allclose(biased.absolute, 1e-2 / np.sqrt(3.0), rtol=0.05)
    assert np.all(biased.in_errors > 3.0)


def test_lattices_without_two_ends_are_refused():
    for model in (ising_chain(8, 1.0, "periodic"), build_model("heisenberg", "square", 2)):
        with pytest.raises(SettingsError, match="has no two ends"):
            profiles.bond_weights(model)
