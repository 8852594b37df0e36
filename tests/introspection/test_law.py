"""The readings of the law on exact updates and exact waves in random bases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emergence.introspection import law, potentials, schrodinger

SPACING, UNIT = 0.1, 30.0
STRONG = np.linspace(-80.0, 50.0, 27)
LAWS = {
    "exact": schrodinger.transfer_matrix,
    "lattice": schrodinger.lattice_matrix,
    "euler": schrodinger.euler_matrix,
}


def polynomial_in_random_bases(update, potential, degree, seed, count=4):
    """W_k through exact updates ``[grid, n, n]``, in random bases ``[count, degree + 1, n, n]``."""
    powers = np.vander(potential / UNIT, degree + 1, increasing=True)
    weights = np.einsum("kg,gab->kab", np.linalg.pinv(powers), update)
    size = update.shape[-1]
    basis = np.random.default_rng(seed).uniform(-1, 1, (count, 1, size, size)) + 2 * np.eye(size)
    return np.linalg.inv(basis) @ weights @ basis


def waves(family, kind="arc", solver="transfer_matrix", batch=40, sites=60):
    """Potentials ``[batch, sites]`` and exact states after each cell ``[batch, sites, 2]``."""
    rng = np.random.default_rng(0)
    potential = potentials.GENERATORS[family](rng, batch, sites, SPACING)
    start = schrodinger.draw_starts(rng, batch, kind, 2.0, 60.0)
    return potential, schrodinger.propagate(potential, start, SPACING, solver)


@given(st.sampled_from(sorted(LAWS)), st.floats(0.02, 0.3), st.booleans(), st.integers(0, 2**31))
def test_spacing_squared_is_measured_from_the_trace_alone(name, spacing, density_form, seed):
    grid = np.linspace(-0.3, 0.3, 9) / spacing**2
    update = LAWS[name](grid, spacing)
    update = schrodinger.density_matrix(update) if density_form else update
    weights = polynomial_in_random_bases(update, grid, 6, seed)
    np.testing.assert_allclose(law.spacing_squared(weights, UNIT), spacing**2, rtol=1e-6)


def test_spacing_squared_does_not_depend_on_the_scale_of_the_update_or_the_unit():
    weights = polynomial_in_random_bases(LAWS["exact"](STRONG, SPACING), STRONG, 3, 0)
    measured = law.spacing_squared(weights, UNIT)
    np.testing.assert_allclose(law.spacing_squared(0.7 * weights, UNIT), measured, rtol=1e-12)
    rescaled = weights * 2.0 ** np.arange(4)[:, None, None]
    np.testing.assert_allclose(law.spacing_squared(rescaled, 2.0 * UNIT), measured, rtol=1e-12)


def test_a_seed_without_a_law_is_nan_and_leaves_the_others_alone():
    weights = polynomial_in_random_bases(LAWS["exact"](STRONG, SPACING), STRONG, 3, 1)
    expected = law.spacing_squared(weights, UNIT), law.curvature(weights, UNIT, STRONG)
    weights[1, 0] = np.diag([1.0, -1.0])
    measured = law.spacing_squared(weights, UNIT), law.curvature(weights, UNIT, STRONG)
    for before, after in zip(expected, measured, strict=True):
        np.testing.assert_array_equal(np.isnan(after), [False, True, False, False])
        np.testing.assert_allclose(np.delete(after, 1), np.delete(before, 1))


@pytest.mark.parametrize("density_form", [False, True])
@pytest.mark.parametrize(
    ("name", "expected", "tolerance"), [("exact", 1 / 12, 2e-4), ("lattice", 0, 1e-10)]
)
def test_curvature_tells_continuum_from_lattice(name, expected, tolerance, density_form):
    update = LAWS[name](STRONG, SPACING)
    update = schrodinger.density_matrix(update) if density_form else update
    weights = polynomial_in_random_bases(update, STRONG, 3, 2)
    np.testing.assert_allclose(law.curvature(weights, UNIT, STRONG), expected, atol=tolerance)
    given_spacing = np.full(len(weights), SPACING**2)
    measured = law.curvature(weights, UNIT, STRONG, given_spacing)
    np.testing.assert_allclose(measured, expected, atol=tolerance)


def test_curvature_of_the_first_order_form_is_three_quarters_and_of_no_update_by_accident():
    weak = np.linspace(-10.0, 10.0, 21)
    weights = polynomial_in_random_bases(LAWS["euler"](weak, SPACING), weak, 3, 3)
    np.testing.assert_allclose(law.curvature(weights, UNIT, weak), 0.75, atol=0.02)


def test_readout_is_read_as_the_square_of_the_wave():
    _, states = waves("shallow")
    basis = np.random.default_rng(1).uniform(-1, 1, (3, 2, 2)) + 2 * np.eye(2)
    latent = np.einsum("sab,nb->sna", np.linalg.inv(basis), states.reshape(-1, 2))
    density = states.reshape(-1, 2)[:, 0] ** 2
    form, r_squared = law.readout_form(latent, density)
    np.testing.assert_allclose(r_squared, 1.0, atol=1e-12)
    q, defect = law.rank_one(form)
    assert defect.max() < 1e-10
    expected = basis[:, 0]
    np.testing.assert_allclose(q * np.sign(np.sum(q * expected, 1))[:, None], expected, rtol=1e-8)
    assert np.all(np.take_along_axis(q, np.abs(q).argmax(1)[:, None], 1) > 0.0)
    shuffled = density[np.random.default_rng(2).permutation(len(density))]
    assert law.readout_form(latent, shuffled)[1].max() < 0.1


def test_a_density_with_a_current_has_no_rank_one_readout():
    _, states = waves("shallow", kind="current")
    states = states.reshape(-1, 2)
    latent = np.concatenate([states.real, states.imag], axis=-1)[None]
    form, r_squared = law.readout_form(latent, np.abs(states[:, 0]) ** 2)
    np.testing.assert_allclose(r_squared, 1.0, atol=1e-12)
    assert law.rank_one(form)[1][0] > 0.1


def test_rank_one_of_a_negative_form_is_nan():
    q, defect = law.rank_one(np.stack([-np.eye(2), np.diag([4.0, 1.0])]))
    assert np.isnan(q[0]).all()
    np.testing.assert_allclose(q[1], [2.0, 0.0])
    np.testing.assert_allclose(defect, [1.0, 0.25])


@pytest.mark.parametrize("name", sorted(LAWS))
def test_gauge_of_the_readout_returns_the_update_itself(name):
    exact = LAWS[name](STRONG, SPACING)
    basis = np.random.default_rng(3).uniform(-1, 1, (5, 2, 2)) + 2 * np.eye(2)
    update = np.linalg.inv(basis)[:, None] @ exact @ basis[:, None]
    at_zero = np.linalg.inv(basis) @ LAWS[name](np.array([0.0]), SPACING) @ basis
    q = basis[:, 0]
    np.testing.assert_allclose(law.gauge_basis(at_zero, q, SPACING), basis, atol=1e-12)
    found = law.gauge(update, at_zero, q, SPACING)
    np.testing.assert_allclose(found, np.broadcast_to(exact, found.shape), atol=1e-11)
    others = [LAWS[other](STRONG, SPACING) for other in LAWS if other != name]
    assert all(np.abs(found - other).max(axis=(1, 2, 3)).min() > 1e-3 for other in others)


def test_a_singular_gauge_is_nan_for_its_seed_only():
    exact = LAWS["exact"](STRONG, SPACING)
    update = np.stack([exact, exact])
    at_zero = np.stack([np.eye(2), LAWS["exact"](np.array(0.0), SPACING)])
    found = law.gauge(update, at_zero, np.array([[1.0, 0.0], [1.0, 0.0]]), SPACING)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], exact, atol=1e-12)


@pytest.mark.parametrize("solver", schrodinger.SOLVERS)
def test_second_differences_obey_the_rule_of_the_solver_that_made_them(solver):
    potential, states = waves("rough", solver=solver)
    psi = np.stack([states[..., 0], -3.0 * states[..., 0]])
    found = law.second_difference_regression(psi, potential, SPACING, solver)
    np.testing.assert_allclose(found.slope, SPACING**2, rtol=2e-3)
    np.testing.assert_allclose(found.slope_ratio, 1.0, rtol=2e-3)
    assert found.r_squared.min() > 0.997
    assert found.r_squared_other.max() < 0.9
    wrong = np.roll(potential, 1, axis=0)
    assert law.second_difference_regression(psi, wrong, SPACING, solver).r_squared.max() < 0.5
    # The density obeys no such equation: it has no second difference of its own.
    density = law.second_difference_regression(psi**2, potential, SPACING, solver)
    assert density.r_squared.max() < 0.9


def test_second_difference_of_the_lattice_is_exact():
    potential, states = waves("rough", solver="central_difference")
    psi = states[None, ..., 0]
    found = law.second_difference_regression(psi, potential, SPACING, "central_difference")
    np.testing.assert_allclose(found.r_squared, 1.0, atol=1e-12)
    with pytest.raises(ValueError, match="unknown solver"):
        law.second_difference_regression(psi, potential, SPACING, "numerov")


def test_second_differences_weigh_every_window_the_same_however_it_grew():
    potential, states = waves("rough")
    # Half of the windows obey another slope, so that weights would show.
    potential[::2] *= 2.0
    scale = np.geomspace(1e-3, 1e3, len(potential))[:, None]
    psi = np.stack([states[..., 0], scale * states[..., 0]])
    found = law.second_difference_regression(psi, potential, SPACING)
    assert found.slope[0] < 0.9 * SPACING**2
    np.testing.assert_allclose(found.slope[1], found.slope[0])


def test_sign_changes_are_found_where_the_wave_has_nodes_and_nowhere_else():
    _, states = waves("deep", batch=60)
    psi, slope = states[..., 0], states[..., 1]
    latent = np.stack([psi, -2.0 * psi, np.abs(psi), psi**2 - (slope / 2.0) ** 2])
    found, spurious = law.sign_changes(latent, psi)
    np.testing.assert_array_equal(found[:3], [1.0, 1.0, 0.0])
    np.testing.assert_array_equal(spurious[:3], 0.0)
    # (ρ − t, 2s) also rotates linearly, at twice the frequency: its sign changes are elsewhere.
    assert found[3] < 0.2
    assert spurious[3] > 0.8


def test_sign_changes_count_intervals():
    psi = np.array([1.0, 1.0, -1.0, -1.0, 1.0])
    latent = np.array([[1.0, 1.0, -1.0, -1.0, -1.0], [-1.0, 1.0, -1.0, 1.0, -1.0]])
    found, spurious = law.sign_changes(latent, psi)
    np.testing.assert_array_equal(found, [0.5, 1.0])
    np.testing.assert_array_equal(spurious, [0.0, 0.5])
    with pytest.raises(ValueError, match="no node"):
        law.sign_changes(latent, np.ones(5))


def test_r2_of_a_linear_map_is_one_for_a_change_of_basis_and_not_for_the_density():
    _, states = waves("shallow")
    target = states.reshape(-1, 2)
    basis = np.random.default_rng(4).uniform(-1, 1, (3, 2, 2)) + 2 * np.eye(2)
    latent = np.einsum("sab,nb->sna", basis, target)
    np.testing.assert_allclose(law.least_squares(latent, target)[1], 1.0, atol=1e-12)
    # The phase squared is blind to the sign of the wave function.
    assert law.least_squares(latent**2, target)[1].max() < 0.9
    # No constant is fitted: a constant latent explains nothing.
    assert law.least_squares(np.ones((1, len(target), 1)), target)[1].max() < 0.01
