"""The law is read exactly off exact weights in any basis, and told apart from its rivals."""

import numpy as np
import pytest

from emergence import settings
from emergence.introspection import dataset, polynomial, reading, schrodinger

SPACING, UNIT, SEEDS = 0.1, 4.0, 3
LATTICE = "central_difference"
WAVE_ERRORS = (
    "spacing_error", "det_error", "similarity", "word_error", "rank_one_defect", "gauge_error",
    "spurious_nodes",
)  # fmt: skip
WAVE_SCORES = ("readout_r2", "psi_r2", "slope_r2", "node_fraction")


@pytest.fixture(scope="module")
def make_data(build_settings):
    """Makes the arrays of a dataset with real waves of one solver."""

    def make(solver="transfer_matrix", start="arc", families=("shallow", "deep", "rough")):
        content = build_settings()
        content["introspection"] |= {"training_windows": 30, "test_windows": 8}
        content["introspection"]["datasets"]["waves"] = {
            "families": list(families),
            "start": start,
            "solver": solver,
        }
        return dataset.make(settings.parse(content, "these settings").introspection, "waves", 1)

    return make


def fitted(data, law, degree):
    """W_k ``[1, degree + 1, n, n]`` through a law, over the range of V in the data."""
    grid = np.linspace(data["train_potential"].min(), data["train_potential"].max(), 60)
    powers = np.vander(grid / UNIT, degree + 1, increasing=True)
    return np.einsum("kg,gab->kab", np.linalg.pinv(powers), law(grid))[None]


def random_bases(size, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (SEEDS, size, size)) + 2 * np.eye(size)


def turned(weights, basis):
    """The update of variables g with B g = physical ones: B⁻¹ W B, seed by seed."""
    return np.linalg.inv(basis)[:, None] @ weights @ basis[:, None]


def wave_law(data, solver, law=None, degree=6, seed=0):
    """The reading of a law in random bases, with the latents that the exact waves have there."""
    law = law or (lambda grid: schrodinger.step_matrix(grid, SPACING, solver))
    basis = random_bases(2, seed)
    weights = turned(fitted(data, law, degree), basis)
    latent = np.einsum("sab,ntb->snta", np.linalg.inv(basis), data["test_state"])
    return reading.read_wave_law(weights, latent, data, UNIT, SPACING, solver)


@pytest.mark.parametrize("solver", schrodinger.SOLVERS)
def test_exact_weights_are_read_as_the_exact_law_in_any_basis(make_data, solver):
    data = make_data(solver)
    found = wave_law(data, solver)
    for key in WAVE_ERRORS:
        assert found[key].shape == (SEEDS,)
        assert found[key].max() < 1e-9, key
    for key in WAVE_SCORES:
        np.testing.assert_allclose(found[key], 1.0, atol=1e-10, err_msg=key)
    grid = found["potential"]
    assert grid.shape == (reading.GRID,)
    assert (grid[0], grid[-1]) == (data["train_potential"].min(), data["train_potential"].max())
    exact = schrodinger.step_matrix(grid, SPACING, solver)
    np.testing.assert_allclose(found["gauge"], np.stack([exact] * SEEDS), atol=1e-9)
    trace = np.trace(exact, axis1=1, axis2=2)
    for key in ("trace", "normalised_trace"):
        np.testing.assert_allclose(found[key], np.stack([trace] * SEEDS), atol=1e-10)


def test_the_latents_in_the_readout_s_gauge_are_the_wave_up_to_one_sign(make_data):
    data = make_data()
    state = data["test_state"]
    found = wave_law(data, "transfer_matrix")["wave"]
    np.testing.assert_allclose(found, np.stack([state] * SEEDS), atol=1e-8 * np.abs(state).max())
    flipped = wave_law(data | {"test_state": -state}, "transfer_matrix")["wave"]
    np.testing.assert_allclose(flipped, -found, atol=1e-8 * np.abs(state).max())


def test_second_differences_are_those_of_the_solver(make_data):
    lattice = wave_law(make_data(LATTICE), LATTICE)
    np.testing.assert_allclose(lattice["regression_ratio"], 1.0, atol=1e-10)
    np.testing.assert_allclose(lattice["regression_r2"], 1.0, atol=1e-10)
    exact = wave_law(make_data(), "transfer_matrix")
    np.testing.assert_allclose(exact["regression_ratio"], 1.0, atol=1e-2)
    assert np.all(exact["regression_r2"] > exact["regression_r2_other"])


def test_the_matrix_of_the_slides_is_told_apart(make_data):
    data = make_data()
    strongest = SPACING**2 * np.abs(data["train_potential"]).max()
    right = wave_law(data, "transfer_matrix")
    assert right["euler_similarity"].min() > 1e-3
    # Its slope of the trace is the right one: the determinant is what gives it away.
    wrong = wave_law(data, "transfer_matrix", lambda v: schrodinger.euler_matrix(v, SPACING))
    assert wrong["euler_similarity"].max() < 1e-9
    assert wrong["spacing_error"].max() < 1e-9
    np.testing.assert_allclose(wrong["det_error"], strongest, rtol=1e-9)
    for key in ("similarity", "word_error", "gauge_error"):
        assert wrong[key].min() > 1e-2, key


def test_the_discretisation_is_told_from_strong_potentials(make_data):
    for solver, expected in zip(schrodinger.SOLVERS, (1 / 12, 0.0), strict=True):
        data = make_data(solver, families=["strong"])
        np.testing.assert_allclose(
            wave_law(data, solver)["curvature"], expected, atol=2e-4, err_msg=solver
        )
        other = next(name for name in schrodinger.SOLVERS if name != solver)
        # Solvers are compared with the law given: the same weights are wrong for the other one.
        wrong = wave_law(data, solver, lambda v, o=other: schrodinger.step_matrix(v, SPACING, o))
        assert wrong["similarity"].min() > 1e-3


def test_a_wrong_spacing_is_measured_as_such(make_data):
    data = make_data()
    found = wave_law(data, "transfer_matrix", lambda v: schrodinger.transfer_matrix(v, 0.11))
    np.testing.assert_allclose(found["spacing_squared"], 0.11**2, rtol=1e-8)
    np.testing.assert_allclose(found["spacing_error"], 0.21, rtol=1e-8)
    assert found["similarity"].min() > 1e-3


def test_latents_of_other_systems_are_no_waves(make_data):
    data = make_data()
    basis = random_bases(2)
    exact = fitted(data, lambda v: schrodinger.transfer_matrix(v, SPACING), 6)
    strangers = np.roll(data["test_state"], 1, axis=0)
    latent = np.einsum("sab,ntb->snta", np.linalg.inv(basis), strangers)
    found = reading.read_wave_law(turned(exact, basis), latent, data, UNIT, SPACING)
    assert found["similarity"].max() < 1e-9
    for key in ("readout_r2", "psi_r2", "slope_r2"):
        assert found[key].max() < 0.7, key
    assert found["gauge_error"].min() > 0.1
    wave = np.stack([data["test_state"]] * SEEDS)
    assert reading.wave_r2_of_shuffled(wave, data).max() < 0.5
    alike = data | {"test_state": np.broadcast_to(data["test_state"][:1], wave.shape[1:])}
    wave = np.stack([alike["test_state"]] * SEEDS)
    np.testing.assert_allclose(reading.wave_r2_of_shuffled(wave, alike), 1.0, atol=1e-12)


def test_controls_of_the_similarity_are_large_and_repeatable(make_data):
    data = make_data()
    grid = reading.potential_grid(data)
    exact = fitted(data, lambda v: schrodinger.transfer_matrix(v, SPACING), 3)
    weights = turned(exact, random_bases(2))
    untrained = polynomial.near_identity(np.random.default_rng(5), SEEDS, 3, 2, 1.0, 0.05)
    one, again, other = (
        reading.similarity_controls(weights, untrained, grid, UNIT, SPACING, seed)
        for seed in (1, 1, 2)
    )
    assert set(one) == {"random", "shuffled", "untrained"}
    for key, values in one.items():
        assert values.shape == (SEEDS,)
        assert values.min() > 0.03, key
        np.testing.assert_array_equal(values, again[key])
    assert not np.array_equal(one["random"], other["random"])


@pytest.mark.parametrize("start", ["circle", "current"])
def test_the_density_form_is_read_exactly_in_any_basis(make_data, start):
    data = make_data(start=start)

    def law(grid):
        return schrodinger.density_matrix(schrodinger.transfer_matrix(grid, SPACING))

    weights = turned(fitted(data, law, 7), random_bases(3))
    found = reading.read_density_law(weights, data, UNIT, SPACING)
    for key in ("e1_e2_error", "e3_error", "form_ratio", "similarity", "spacing_error"):
        assert found[key].shape == (SEEDS,)
        assert found[key].max() < 1e-9, key
    assert found["signature_right"].tolist() == [1.0] * SEEDS
    tau = np.trace(schrodinger.transfer_matrix(found["potential"], SPACING), axis1=1, axis2=2)
    np.testing.assert_allclose(found["e1"], np.stack([tau**2 - 1.0] * SEEDS), rtol=1e-9)


def test_no_density_form_is_found_where_there_is_none(make_data):
    data = make_data()
    untrained = polynomial.near_identity(np.random.default_rng(5), SEEDS, 3, 3, 1.0, 0.05)
    found = reading.read_density_law(untrained, data, UNIT, SPACING)
    for key in ("e1_e2_error", "e3_error", "form_ratio", "similarity"):
        assert found[key].min() > 1e-2, key

    def euler(grid):
        return schrodinger.density_matrix(schrodinger.euler_matrix(grid, SPACING))

    found = reading.read_density_law(fitted(data, euler, 7), data, UNIT, SPACING)
    assert found["spacing_error"].max() < 1e-6
    assert found["e3_error"].min() > 0.1
    assert found["form_ratio"].min() > 1e-2
