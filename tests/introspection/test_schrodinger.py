"""Exact solutions against scipy's integrators, and what every solver must conserve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from waves import current, rewind

from emergence.introspection.potentials import GENERATORS
from emergence.introspection.schrodinger import (
    SOLVERS,
    STARTS,
    density_matrix,
    draw_starts,
    euler_matrix,
    lattice_matrix,
    lead_densities,
    propagate,
    step_matrix,
    transfer_matrix,
)

SPACING = 0.1
potential_values = st.floats(-200.0, 200.0) | st.sampled_from([0.0, -0.0, 1e-12, -1e-12, 1e-300])
spacings = st.floats(0.01, 0.5)
each_solver = pytest.mark.parametrize("solver", SOLVERS)


def potential_of(family, batch=6, sites=50, seed=0):
    return GENERATORS[family](np.random.default_rng(seed), batch, sites, SPACING)


def starts_of(kind, batch=6, seed=1):
    return draw_starts(np.random.default_rng(seed), batch, kind, 2.0, 60.0)


class TestTransferMatrix:
    @settings(max_examples=200, deadline=None)
    @given(value=potential_values, spacing=spacings)
    def test_is_the_exponential_of_its_generator(self, value, spacing):
        exact = expm(spacing * np.array([[0.0, 1.0], [value, 0.0]]))
        ours = transfer_matrix(np.array(value), spacing)
        np.testing.assert_allclose(ours, exact, rtol=1e-11, atol=1e-12 * np.abs(exact).max())

    @pytest.mark.parametrize("family", GENERATORS)
    def test_propagates_as_an_integrator_of_the_differential_equation(self, family):
        potential = potential_of(family, batch=1, sites=12)[0]
        state = start = np.array([0.8, -1.1])
        for value in potential:
            # From cell to cell, because V jumps between them.
            solution = solve_ivp(
                lambda x, y, value=value: [y[1], value * y[0]],
                (0.0, SPACING), state, method="DOP853", rtol=1e-12, atol=1e-13,
            )  # fmt: skip
            state = solution.y[:, -1]
        ours = propagate(potential[None], start[None], SPACING)[0, -1]
        np.testing.assert_allclose(ours, state, rtol=1e-9)

    def test_converges_to_a_smooth_potential_with_the_square_of_the_spacing(self):
        # Airy: ψ'' = x ψ. The midpoint of a cell stands for V in it.
        def error(sites):
            spacing = 2.0 / sites
            centres = spacing * (np.arange(sites) + 0.5) - 1.0
            end = propagate(centres[None], np.array([[1.0, 0.0]]), spacing)[0, -1]
            exact = solve_ivp(
                lambda x, y: [y[1], x * y[0]],
                (-1, 1),
                [1, 0],
                method="DOP853",
                rtol=1e-12,
                atol=1e-13,
            )
            return np.abs(end - exact.y[:, -1]).max()

        assert error(20) / error(40) == pytest.approx(4.0, rel=0.02)

    def test_its_series_at_zero_potential(self):
        small = np.array([0.0, 1e-9, -1e-9, 1e-5, -1e-5])
        ours = transfer_matrix(small, 0.5)
        x = 0.25 * small
        cosine = 1.0 + x / 2 + x**2 / 24
        sine = 0.5 * (1.0 + x / 6 + x**2 / 120)
        np.testing.assert_allclose(ours[:, 0, 0], cosine, rtol=1e-15)
        np.testing.assert_allclose(ours[:, 0, 1], sine, rtol=1e-15)
        np.testing.assert_allclose(ours[:, 1, 0], small * sine, rtol=1e-15)
        assert np.array_equal(ours[0], [[1.0, 0.5], [0.0, 1.0]])

    def test_is_smooth_across_the_switch_to_its_series(self):
        # κa = 1e-4 is where it switches.
        edge = 1e-8 / SPACING**2
        values = edge * np.array([1.0 - 1e-9, 1.0 + 1e-9])
        below, above = transfer_matrix(values, SPACING)
        np.testing.assert_allclose(below, above, rtol=1e-15, atol=1e-15)

    def test_keeps_the_shape_of_what_it_is_given(self):
        assert transfer_matrix(np.zeros((3, 4)), SPACING).shape == (3, 4, 2, 2)
        assert transfer_matrix(np.array(1.0), SPACING).shape == (2, 2)


class TestEverySolver:
    @each_solver
    @settings(max_examples=100, deadline=None)
    @given(value=potential_values, spacing=spacings)
    def test_has_determinant_one(self, solver, value, spacing):
        matrix = step_matrix(np.array(value), spacing, solver)
        size = np.abs(matrix).max() ** 2
        assert np.linalg.det(matrix) == pytest.approx(1.0, abs=1e-13 * size)

    @each_solver
    def test_composes(self, solver):
        potential, start = potential_of("rough"), starts_of("circle")
        whole = propagate(potential, start, SPACING, solver)
        head = propagate(potential[:, :20], start, SPACING, solver)
        tail = propagate(potential[:, 20:], head[:, -1], SPACING, solver)
        assert np.array_equal(np.concatenate([head, tail], axis=1), whole)

    @each_solver
    def test_is_the_product_of_its_steps(self, solver):
        potential, start = potential_of("rough", batch=1, sites=5), starts_of("circle", batch=1)
        product = np.eye(2)
        for value in potential[0]:
            product = step_matrix(value, SPACING, solver) @ product
        end = propagate(potential, start, SPACING, solver)[0, -1]
        np.testing.assert_allclose(end, product @ start[0], rtol=1e-13)

    @each_solver
    @pytest.mark.parametrize("family", GENERATORS)
    def test_conserves_the_current(self, solver, family):
        start = starts_of("current")
        states = propagate(potential_of(family), start, SPACING, solver)
        before = current(start)
        size = np.abs(states[..., 0] * states[..., 1]).max(axis=1)
        assert np.all(before > 0.05)
        error = np.abs(current(states) - before[:, None]).max(axis=1)
        assert np.all(error < 1e-12 * (size + 1.0))

    @each_solver
    @pytest.mark.parametrize("kind", STARTS)
    def test_rewinding_undoes_propagating(self, solver, kind):
        potential, start = potential_of("shallow"), starts_of(kind)
        end = propagate(potential, start, SPACING, solver)[:, -1]
        np.testing.assert_allclose(rewind(potential, end, SPACING, solver), start, rtol=1e-11)

    @each_solver
    def test_converges_to_the_other_with_the_spacing(self, solver):
        value = np.array(-3.0)
        exact = expm(np.array([[0.0, 1.0], [-3.0, 0.0]]))
        errors = []
        for sites in (50, 100):
            matrix = np.linalg.matrix_power(step_matrix(value, 1.0 / sites, solver), sites)
            errors.append(np.abs(matrix - exact).max())
        if solver == "transfer_matrix":
            assert max(errors) < 1e-13
        else:
            # First order in a, for the slope is a backward difference.
            assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.05)

    def test_an_unknown_one_is_refused(self):
        with pytest.raises(ValueError, match="numerov"):
            step_matrix(np.array(1.0), SPACING, "numerov")


class TestToldApart:
    @settings(deadline=None)
    @given(x=st.floats(-0.8, 0.5))
    def test_by_the_trace(self, x):
        value = np.array(x / SPACING**2)
        exact, lattice, euler = (
            np.trace(make(value, SPACING))
            for make in (transfer_matrix, lattice_matrix, euler_matrix)
        )
        assert exact == pytest.approx(2.0 + x + x**2 / 12 + x**3 / 360 + x**4 / 20160, abs=1e-6)
        assert lattice == pytest.approx(2.0 + x, abs=1e-15)
        assert euler == 2.0
        assert exact - lattice >= 0.9 * x**2 / 12 - 1e-15

    def test_the_slides_update_does_not_conserve_the_determinant(self):
        values = np.array([-4.0, 0.0, 3.0])
        np.testing.assert_allclose(np.linalg.det(euler_matrix(values, 0.1)), 1.0 - 0.01 * values)

    def test_the_lattice_solves_the_second_difference(self):
        potential = potential_of("rough", batch=1)
        wave = propagate(potential, starts_of("circle", batch=1), SPACING, "central_difference")[
            0, :, 0
        ]
        second = (wave[2:] - 2.0 * wave[1:-1] + wave[:-2]) / SPACING**2
        np.testing.assert_allclose(second, (potential[0, 2:] * wave[1:-1]), rtol=1e-9, atol=1e-9)


matrices = st.lists(st.floats(-3, 3), min_size=4, max_size=4).map(
    lambda entries: np.array(entries).reshape(2, 2)
)


class TestDensityMatrix:
    @given(update=matrices, state=st.tuples(*[st.complex_numbers(max_magnitude=3)] * 2))
    def test_updates_the_bilinears_of_any_wave_function(self, update, state):
        def bilinears(psi, slope):
            return [abs(psi) ** 2, (np.conj(psi) * slope).real, abs(slope) ** 2]

        after = bilinears(*(update @ np.array(state)))
        np.testing.assert_allclose(density_matrix(update) @ bilinears(*state), after, atol=1e-12)

    @given(one=matrices, other=matrices)
    def test_of_a_product_is_the_product(self, one, other):
        product = density_matrix(one) @ density_matrix(other)
        np.testing.assert_allclose(density_matrix(one @ other), product, atol=1e-10)

    def test_of_the_identity_is_the_identity(self):
        assert np.array_equal(density_matrix(np.eye(2)), np.eye(3))

    @each_solver
    def test_preserves_the_current_form(self, solver):
        # ρt − s² is the squared current.
        update = density_matrix(step_matrix(np.linspace(-9, 6, 20), SPACING, solver))
        form = np.array([[0.0, 0.0, 0.5], [0.0, -1.0, 0.0], [0.5, 0.0, 0.0]])
        kept = np.swapaxes(update, -1, -2) @ form @ update
        np.testing.assert_allclose(kept, np.broadcast_to(form, kept.shape), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(update), 1.0, atol=1e-12)

    @each_solver
    def test_rolls_the_density_along(self, solver):
        potential, start = potential_of("rough"), starts_of("current")
        states = propagate(potential, start, SPACING, solver)
        update = density_matrix(step_matrix(potential, SPACING, solver))
        bilinears = np.stack(
            [np.abs(start[:, 0]) ** 2, (np.conj(start[:, 0]) * start[:, 1]).real,
             np.abs(start[:, 1]) ** 2], -1,
        )  # fmt: skip
        for site in range(potential.shape[1]):
            bilinears = np.einsum("bij,bj->bi", update[:, site], bilinears)
        scale = np.abs(states[:, -1]).max() ** 2
        np.testing.assert_allclose(
            bilinears[:, 0], np.abs(states[:, -1, 0]) ** 2, rtol=1e-10, atol=1e-12 * scale
        )


class TestStarts:
    def test_a_is_the_same_for_every_system(self):
        start = starts_of("single", batch=100)
        assert np.all(start == start[0])
        assert np.all(start[0] != 0.0)

    def test_b_keeps_to_its_arc_and_fills_it(self):
        start = starts_of("arc", batch=2000)
        angle = np.rad2deg(np.arctan2(start[:, 1] / 2.0, start[:, 0]))
        assert np.abs(angle).max() <= 60.0
        assert angle.min() < -58.0
        assert angle.max() > 58.0

    def test_c_takes_every_direction(self):
        start = starts_of("circle", batch=4000)
        angle = np.arctan2(start[:, 1] / 2.0, start[:, 0])
        counts, _ = np.histogram(angle, bins=8, range=(-np.pi, np.pi))
        assert np.abs(counts - 500).max() < 5 * np.sqrt(500)

    @pytest.mark.parametrize("kind", ["single", "arc", "circle"])
    def test_a_b_and_c_are_real_and_normalised(self, kind):
        start = starts_of(kind)
        assert start.dtype == np.float64
        np.testing.assert_allclose(start[:, 0] ** 2 + (start[:, 1] / 2.0) ** 2, 1.0)

    def test_d_carries_a_current_to_the_right(self):
        start = starts_of("current", batch=2000)
        assert start.dtype == np.complex128
        # J = k₀ · size · sin(turn) with a size of at least 0.3 and a turn of 30° to 150°.
        flow = current(start)
        assert flow.min() >= 2.0 * 0.3 * 0.5
        assert flow.max() <= 2.0
        assert np.ptp(flow) > 1.0

    @pytest.mark.parametrize("kind", ["single", "arc", "circle"])
    def test_the_others_carry_none(self, kind):
        states = propagate(potential_of("rough"), starts_of(kind), SPACING)
        assert np.all(current(states) == 0.0)

    def test_an_unknown_one_is_refused(self):
        with pytest.raises(ValueError, match="spiral"):
            starts_of("spiral")


class TestLeadDensities:
    @pytest.mark.parametrize("kind", STARTS)
    def test_fix_the_density_its_slope_and_its_curvature(self, kind):
        start = starts_of(kind, batch=50)
        near = np.arange(3) * -0.8
        rows = np.stack([np.ones(3), 2.0 * near, near**2], -1)
        # ρ(x) = ρ + 2 s x + t x² at x = 0, −k a, −2 k a; the detectors are listed from afar.
        lead = lead_densities(start, SPACING, 8)[:, ::-1]
        rho, s, t = np.linalg.solve(rows, lead.T)
        psi, slope = start.T
        np.testing.assert_allclose(rho, np.abs(psi) ** 2, atol=1e-12)
        np.testing.assert_allclose(s, (np.conj(psi) * slope).real, atol=1e-12)
        np.testing.assert_allclose(t, np.abs(slope) ** 2, atol=1e-12)

    @each_solver
    def test_are_what_a_field_free_lead_before_the_window_would_show(self, solver):
        start = starts_of("current")
        free = np.zeros((len(start), 16))
        begin = rewind(free, start, SPACING, solver)
        states = propagate(free, begin, SPACING, solver)
        shown = np.abs(np.stack([begin[:, 0], states[:, 7, 0], states[:, 15, 0]], -1)) ** 2
        np.testing.assert_allclose(lead_densities(start, SPACING, 8), shown, rtol=1e-11)

    def test_do_not_tell_a_wave_function_from_its_mirror_image(self):
        start = starts_of("current")
        lead = lead_densities(start, SPACING, 8)
        for same in (-start, np.conj(start), start * np.exp(0.7j)):
            np.testing.assert_allclose(lead_densities(same, SPACING, 8), lead, rtol=1e-13)
