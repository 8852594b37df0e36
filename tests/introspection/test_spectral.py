"""The network-free baseline against the exact solver."""

import numpy as np
import pytest

from emergence.introspection import law, potentials, schrodinger, spectral
from emergence.settings import SpectralSettings

SPACING = 0.1
START = np.array([0.8, 1.0])
ROUGH = spectral.chebyshev_nodes(potentials.ROUGH_RANGE, 7)


def experiment(letters=ROUGH, noise=0.0, solver="transfer_matrix", words=30, length=12, seed=0):
    rng = np.random.default_rng(seed)
    return spectral.measure(rng, letters, words, length, START, SPACING, noise, solver)


def fresh(sites=50):
    return potentials.rough(np.random.default_rng(1), 50, sites, SPACING)


def test_chebyshev_nodes_lie_within_their_bounds_in_ascending_order():
    nodes = spectral.chebyshev_nodes((-8.0, 4.0), 5)
    assert np.all(np.diff(nodes) > 0.0)
    assert nodes[0] > -8.0
    np.testing.assert_allclose(nodes + nodes[::-1], -4.0)
    polynomial = np.polynomial.chebyshev.Chebyshev.basis(5, domain=[-8.0, 4.0])
    np.testing.assert_allclose(polynomial(nodes), 0.0, atol=1e-12)


@pytest.mark.parametrize("solver", schrodinger.SOLVERS)
def test_measured_densities_are_those_of_the_solver_after_each_word(solver):
    words, length = 3, 4
    hankel = experiment(solver=solver, words=words, length=length)
    # The same generator draws the same words.
    prefixes, suffixes = np.random.default_rng(0).integers(7, size=(2, words, length))
    assert hankel.plain.shape == (words + 1, words * length + 1)
    for row, column, site in [(0, 2, 3), (1, 0, 0), (3, 1, 2)]:
        for letter in (None, 5):
            prefix = [] if row == 0 else ROUGH[prefixes[row - 1]].tolist()
            middle = [] if letter is None else [ROUGH[letter]]
            word = prefix + middle + ROUGH[suffixes[column, : site + 1]].tolist()
            states = schrodinger.propagate(np.array([word]), START[None], SPACING, solver)
            table = hankel.plain if letter is None else hankel.inserted[letter]
            found = table[row, 1 + column * length + site]
            np.testing.assert_allclose(found, states[0, -1, 0] ** 2, rtol=1e-10)
    np.testing.assert_allclose(hankel.plain[0, 0], START[0] ** 2)


def test_noise_is_relative_and_of_the_stated_size():
    clean, noisy = experiment(), experiment(noise=0.02)
    deviation = noisy.inserted / clean.inserted - 1.0
    assert deviation.std() == pytest.approx(0.02, rel=0.05)


def test_rank_is_three_and_the_law_is_exact_without_noise():
    model = spectral.fit(experiment())
    spectrum = model.singular_values / model.singular_values[0]
    assert spectrum[2] > 0.05
    assert spectrum[3] < 1e-13
    found = spectral.read_law(model, SPACING)
    assert found["spacing_ratio"] == pytest.approx(1.0, abs=1e-10)
    assert max(found["e1_e2_error"], found["e3_error"]) < 1e-10
    assert found["form_residual"] < 1e-10
    assert found["signature_right"] == 1.0


def test_predictions_hold_at_any_potential_and_far_beyond_the_words_measured():
    model = spectral.fit(experiment())
    assert spectral.prediction_error(model, fresh(), START, SPACING) < 1e-11
    assert spectral.prediction_error(model, fresh(500), START, SPACING) < 1e-9


def test_rank_two_is_too_small_and_the_wrong_start_is_noticed():
    hankel = experiment()
    smaller = spectral.fit(hankel, rank=2)
    assert spectral.prediction_error(smaller, fresh(), START, SPACING) > 0.1
    model = spectral.fit(hankel)
    assert spectral.prediction_error(model, fresh(), START[::-1], SPACING) > 0.1


def test_shuffled_densities_have_no_rank_three():
    hankel = experiment()
    shuffled = np.random.default_rng(2).permutation(hankel.plain.ravel())
    broken = spectral.Hankel(ROUGH, shuffled.reshape(hankel.plain.shape), hankel.inserted)
    spectrum = spectral.fit(broken).singular_values
    assert spectrum[3] / spectrum[0] > 0.05


def test_growth_along_a_prefix_spoils_neither_the_spectrum_nor_the_fit():
    hankel = experiment(noise=1e-3)
    # The empty prefix stays as it is: it is the start of every system.
    growth = np.geomspace(1.0, 1e12, len(hankel.plain))[:, None]
    grown = spectral.fit(spectral.Hankel(ROUGH, growth * hankel.plain, growth * hankel.inserted))
    model = spectral.fit(hankel)
    np.testing.assert_allclose(grown.singular_values, model.singular_values)
    np.testing.assert_allclose(grown.predict(fresh()), model.predict(fresh()), rtol=1e-6)


def test_errors_grow_with_the_noise_and_stay_of_its_order():
    errors = [
        spectral.prediction_error(spectral.fit(experiment(noise=noise)), fresh(), START, SPACING)
        for noise in (1e-4, 1e-3, 1e-2)
    ]
    ratios = np.array(errors) / [1e-4, 1e-3, 1e-2]
    assert np.all(ratios < 3.0)
    np.testing.assert_allclose(ratios / ratios[0], 1.0, rtol=0.2)


@pytest.mark.parametrize(
    ("solver", "expected"), [("transfer_matrix", 1 / 12), ("central_difference", 0.0)]
)
def test_strong_potentials_tell_continuum_from_lattice_through_noise(solver, expected):
    letters = spectral.chebyshev_nodes((-80.0, 50.0), 7)
    model = spectral.fit(experiment(letters, noise=1e-3, solver=solver))
    grid = np.linspace(letters[0], letters[-1], 30)
    measured = law.curvature(model.weights, model.unit, grid)
    np.testing.assert_allclose(measured, expected, atol=5e-3)


def test_a_fit_refuses_more_than_the_data_hold():
    with pytest.raises(ValueError, match="degree 7"):
        spectral.fit(experiment(), degree=7)
    with pytest.raises(ValueError, match="rank 5"):
        spectral.fit(experiment(words=3), rank=5)


def test_experiments_report_every_level_and_seed_reproducibly():
    settings = SpectralSettings(words=20, length=10, letters=5, noise=[0.0, 1e-2])
    found = spectral.experiments(settings, SPACING, 3, 11)
    again = spectral.experiments(settings, SPACING, 3, 11)
    for key, values in found.items():
        np.testing.assert_array_equal(values, again[key])
        assert np.isfinite(values).all()
        expected = {"noise": (2,), "singular_values": (2, 3, 21)}.get(key, (2, 3))
        assert values.shape == expected
    clean, noisy = found["prediction_error"]
    # Five letters fix a quartic W(V).
    assert clean.max() < 1e-6
    assert clean.max() < noisy.min() < 0.1
    assert found["prediction_error_rank_two"].min() > 0.1
    assert len(set(noisy)) == 3
    assert np.abs(found["curvature"][0] - 1 / 12).max() < 1e-4
    assert np.abs(found["curvature_lattice"][0]).max() < 1e-8
