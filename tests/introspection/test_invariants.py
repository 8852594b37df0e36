"""The invariants of exact updates in random bases, and what must not pass for them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emergence.introspection import invariants, schrodinger

SPACING = 0.1
GRID = np.linspace(-8.0, 4.0, 13)

seeds = st.integers(0, 2**31)
potentials = st.floats(-60.0, 60.0)
cells = st.floats(0.02, 0.3)


def random_basis(seed, count, size):
    """Well-conditioned random changes of basis, ``[count, 1, size, size]``."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((count, 1, size, size)))[0]
    return rotation @ (np.eye(size) + 0.3 * rng.uniform(-1, 1, (count, 1, size, size)))


def disguised(update, seed, count=5):
    """The same update ``[grid, n, n]`` in random bases, ``[count, grid, n, n]``."""
    basis = random_basis(seed, count, update.shape[-1])
    return np.linalg.inv(basis) @ update @ basis


def near_identity(seed, count, size):
    """Random updates linear in V as an untrained network has them, ``[count, grid, n, n]``."""
    rng = np.random.default_rng(seed)
    constant, slope = 0.05 * rng.standard_normal((2, count, 1, size, size))
    return np.eye(size) + constant + GRID[:, None, None] / 4.0 * slope


@given(potentials, cells, seeds)
def test_trace_and_determinant_of_the_exact_update_survive_a_change_of_basis(
    potential, spacing, seed
):
    update = disguised(schrodinger.transfer_matrix(np.array([potential]), spacing), seed)
    trace, determinant = invariants.invariants(update)
    wave = np.sqrt(complex(potential)) * spacing
    np.testing.assert_allclose(trace, 2.0 * np.cosh(wave).real, rtol=1e-9)
    np.testing.assert_allclose(determinant, 1.0, rtol=1e-9)


@given(potentials, cells, seeds)
def test_density_form_has_e1_equal_e2_equal_trace_squared_less_one(potential, spacing, seed):
    update = schrodinger.transfer_matrix(np.array([potential]), spacing)
    square = np.trace(update, axis1=-2, axis2=-1) ** 2 - 1.0
    e1, e2, e3 = invariants.characteristic(disguised(schrodinger.density_matrix(update), seed))
    scale = np.abs(square) + 1.0
    np.testing.assert_allclose(e1 / scale, np.broadcast_to(square / scale, e1.shape), atol=1e-9)
    np.testing.assert_allclose(e2 / scale, np.broadcast_to(square / scale, e2.shape), atol=1e-9)
    np.testing.assert_allclose(e3, 1.0, rtol=1e-8)


def test_characteristic_polynomial_vanishes_on_the_eigenvalues_of_any_matrix():
    update = np.random.default_rng(0).standard_normal((20, 3, 3))
    e1, e2, e3 = (value[:, None] for value in invariants.characteristic(update))
    root = np.linalg.eigvals(update)
    np.testing.assert_allclose(root**3 - e1 * root**2 + e2 * root - e3, 0.0, atol=1e-12)
    assert np.abs(e1 - e2).min() > 1e-3


@given(seeds, st.integers(-8, 4), st.integers(-8, 4))
def test_density_form_preserves_rho_t_less_s_squared(seed, first, second):
    update = schrodinger.transfer_matrix(np.array([first, second], float), SPACING)
    before = np.random.default_rng(seed).standard_normal(3)
    product = schrodinger.density_matrix(update)
    after = product[1] @ product[0] @ before
    kept = before[0] * before[2] - before[1] ** 2
    np.testing.assert_allclose(after[0] * after[2] - after[1] ** 2, kept, atol=1e-9)


@pytest.mark.parametrize(
    ("law", "second", "third"),
    [
        (schrodinger.transfer_matrix, 1.0 / 12.0, 1.0 / 360.0),
        (schrodinger.lattice_matrix, 0.0, 0.0),
        (schrodinger.euler_matrix, 3.0 / 4.0, 5.0 / 8.0),
    ],
)
def test_normalised_trace_follows_the_series_of_each_law_in_either_form(law, second, third):
    x = np.array([-0.02, -0.01, 0.01, 0.02])
    series = 2.0 + x + second * x**2 + third * x**3
    update = law(x / SPACING**2, SPACING)
    wave = invariants.normalised_trace(disguised(update, 1))
    density = invariants.normalised_trace(disguised(schrodinger.density_matrix(update), 2))
    np.testing.assert_allclose(wave, np.broadcast_to(series, wave.shape), atol=2e-7)
    np.testing.assert_allclose(density, np.broadcast_to(series, density.shape), atol=2e-7)


def test_normalised_trace_is_nan_only_where_it_is_undefined():
    updates = np.stack([np.diag([1.0, -1.0]), np.eye(2), np.diag([4.0, 1.0])])
    trace = invariants.normalised_trace(updates)
    np.testing.assert_array_equal(np.isnan(trace), [True, False, False])
    np.testing.assert_allclose(trace[1:], [2.0, 2.5])
    # An update of three variables whose trace no 2 × 2 law can have.
    assert np.isnan(invariants.normalised_trace(np.diag([-2.0, -2.0, 0.25])))


@pytest.mark.parametrize("size", [1, 4])
def test_normalised_trace_and_characteristic_refuse_other_sizes(size):
    with pytest.raises(ValueError, match="matrices"):
        invariants.normalised_trace(np.eye(size))
    with pytest.raises(ValueError, match="3 x 3"):
        invariants.characteristic(np.eye(size))


@given(seeds, st.integers(2, 3), st.integers(1, 8))
def test_word_traces_do_not_depend_on_the_basis(seed, size, length):
    rng = np.random.default_rng(seed)
    letters = rng.uniform(-1.0, 1.0, (4, size, size))
    words = rng.integers(0, 4, (6, length))
    traces = invariants.word_traces(disguised(letters, seed), words)
    np.testing.assert_allclose(traces, traces[:1].repeat(5, axis=0), atol=1e-8)


def test_word_trace_is_the_trace_of_the_product():
    letters = np.random.default_rng(3).standard_normal((2, 3, 2, 2))
    (trace,) = invariants.word_traces(letters, np.array([[2, 0, 1]]))[1]
    np.testing.assert_allclose(trace, np.trace(letters[1, 2] @ letters[1, 0] @ letters[1, 1]))


def test_words_tell_laws_apart_that_a_single_trace_does_not():
    words = np.random.default_rng(0).integers(0, len(GRID), (50, 20))
    exact = schrodinger.transfer_matrix(GRID, SPACING)
    # Transposing every other update keeps all single traces, but leaves no common basis.
    mixed = exact.copy()
    mixed[::2] = np.swapaxes(exact[::2], -1, -2)
    single = np.arange(len(GRID))[:, None]
    assert invariants.word_trace_error(mixed[None], exact, single)[0] < 1e-14
    assert invariants.word_trace_error(mixed[None], exact, words)[0] > 0.1
    assert invariants.word_trace_error(disguised(exact, 0), exact, words).max() < 1e-10
    lattice = disguised(schrodinger.lattice_matrix(GRID, SPACING), 0)
    assert invariants.word_trace_error(lattice, exact, words).min() > 0.01
    euler = disguised(schrodinger.euler_matrix(GRID, SPACING), 0)
    assert invariants.word_trace_error(euler, exact, words).min() > 0.1


@pytest.mark.parametrize("size", [2, 3])
def test_similarity_finds_the_basis(size):
    exact = schrodinger.transfer_matrix(GRID, SPACING)
    exact = exact if size == 2 else schrodinger.density_matrix(exact)
    hidden = random_basis(4, 6, size)
    found = invariants.similarity(np.linalg.inv(hidden) @ exact @ hidden, exact)
    assert found.ratio.max() < 1e-12
    hidden = hidden[:, 0] / np.linalg.norm(hidden, axis=(-2, -1))[..., None]
    sign = np.sign(np.einsum("sab,sab->s", hidden, found.basis))
    np.testing.assert_allclose(sign[:, None, None] * found.basis, hidden, atol=1e-10)
    np.testing.assert_allclose(found.condition, np.linalg.cond(hidden))


def test_similarity_tells_the_laws_apart_and_no_control_passes():
    exact = schrodinger.transfer_matrix(GRID, SPACING)

    def smallest(update):
        return invariants.similarity(update, exact).ratio.min()

    assert smallest(disguised(schrodinger.lattice_matrix(GRID, SPACING), 5)) > 1e-3
    assert smallest(disguised(schrodinger.euler_matrix(GRID, SPACING), 5)) > 1e-2
    assert smallest(np.random.default_rng(6).standard_normal((100, len(GRID), 2, 2))) >= 0.1
    assert smallest(near_identity(7, 100, 2)) >= 0.1
    shuffled = exact[np.random.default_rng(8).permutation(len(GRID))]
    assert smallest(disguised(shuffled, 8)) >= 0.1


def test_invariant_form_of_the_density_update_is_rho_t_less_s_squared():
    update = schrodinger.density_matrix(schrodinger.transfer_matrix(GRID, SPACING))
    found = invariants.invariant_form(update[None])
    expected = np.array([[0.0, 0.0, 0.5], [0.0, -1.0, 0.0], [0.5, 0.0, 0.0]])
    np.testing.assert_allclose(found.form[0], expected / np.linalg.norm(expected), atol=1e-12)
    np.testing.assert_array_equal(found.signature, [[1, 2]])


def test_invariant_form_has_the_signature_of_spacetime_in_any_basis():
    update = schrodinger.density_matrix(schrodinger.transfer_matrix(GRID, SPACING))
    hidden = disguised(update, 9, count=20)
    found = invariants.invariant_form(hidden)
    assert found.ratio.max() < 1e-10
    assert found.residual.max() < 1e-12
    np.testing.assert_array_equal(found.signature, np.tile([1, 2], (20, 1)))
    form = found.form[:, None]
    np.testing.assert_allclose(np.swapaxes(hidden, -1, -2) @ form @ hidden - form, 0.0, atol=1e-10)


def test_invariant_form_of_rotations_is_definite_and_of_random_updates_absent():
    rotations = np.linalg.qr(np.random.default_rng(10).standard_normal((1, 5, 3, 3)))[0]
    np.testing.assert_array_equal(invariants.invariant_form(rotations).signature, [[3, 0]])
    random = invariants.invariant_form(near_identity(11, 100, 3))
    assert random.residual.min() > 1e-2
    euler = schrodinger.density_matrix(schrodinger.euler_matrix(GRID, SPACING))
    assert invariants.invariant_form(disguised(euler, 12)).residual.min() > 1e-4
