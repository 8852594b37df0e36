"""The Ising chain by free fermions: the tables, exact diagonalisation, closed formulas, limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spin_models import ising_chain

from emergence.errors import SettingsError
from emergence.retraining import free_fermions
from emergence.retraining.diagonalisation import ground_state
from emergence.retraining.models import build_model

CRITICAL = {
    # sites: (open energy, periodic energy, von Neumann and Rényi-2 entropy of half of it, open)
    10: (-12.381489999655, -12.784906442999, 0.379052, 0.244546),
    20: (-25.107797111624, -25.490989686365, 0.443799, 0.303009),
    80: (-101.497409452393, -101.865708857905, 0.564897, 0.410430),
    100: (-126.961876739681, -127.329190612001, 0.583874, 0.426705),
    1000: (-1272.876295341818, -1273.240068334089, 0.777139, 0.584525),
}
CRITICAL_CORRELATIONS = {
    1: 0.630413959,
    2: 0.529866014,
    4: 0.437964850,
    8: 0.353797546,
    16: 0.272871500,
    32: 0.187199472,
}


@pytest.mark.parametrize("sites", CRITICAL)
def test_the_critical_table(sites):
    open_energy, periodic_energy, first, second = CRITICAL[sites]
    model = ising_chain(sites, 1.0)
    assert free_fermions.energy(model) == pytest.approx(open_energy, abs=2e-12)
    assert free_fermions.energy(ising_chain(sites, 1.0, "periodic")) == pytest.approx(
        periodic_energy, abs=2e-12
    )
    matrix = free_fermions.correlation_matrix(model)
    assert free_fermions.entropy(matrix, sites // 2, 1) == pytest.approx(first, abs=6e-7)
    assert free_fermions.entropy(matrix, sites // 2, 2) == pytest.approx(second, abs=6e-7)


def test_the_table_of_critical_correlations():
    measured = free_fermions.central_correlations(ising_chain(80, 1.0), list(CRITICAL_CORRELATIONS))
    np.testing.assert_allclose(measured, list(CRITICAL_CORRELATIONS.values()), atol=6e-10)


@given(sites=st.integers(2, 200))
def test_the_critical_open_chain_has_a_closed_formula(sites):
    expected = 1.0 - 1.0 / np.sin(np.pi / (2 * (2 * sites + 1)))
    assert free_fermions.energy(ising_chain(sites, 1.0)) == pytest.approx(expected, rel=1e-13)


@settings(max_examples=25, deadline=None)
@given(
    sites=st.integers(2, 9),
    field=st.floats(0.05, 4.0),
    boundary=st.sampled_from(["open", "periodic"]),
)
def test_everything_agrees_with_exact_diagonalisation(sites, field, boundary):
    model = ising_chain(sites, field, boundary)
    state = ground_state(model)
    matrix = free_fermions.correlation_matrix(model)
    assert free_fermions.energy(model) == pytest.approx(state.energy, abs=1e-11)
    fields = free_fermions.field_energies(model, matrix)
    np.testing.assert_allclose(fields, state.field_energies(), atol=1e-7)
    np.testing.assert_allclose(
        free_fermions.bond_energies(model, matrix), state.bond_energies(), atol=1e-7
    )
    for i in range(sites):
        for j in range(i + 1, sites):
            value = free_fermions.correlation(matrix, i, j, model.lattice.periodic)
            assert value == pytest.approx(state.parallel[i, j], abs=1e-7)
    for length in range(1, sites):
        for order in (1, 2, 3):
            value = free_fermions.entropy(matrix, length, order)
            assert value == pytest.approx(state.entropy(range(length), order), abs=1e-6)


@pytest.mark.parametrize("field", [0.05, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_twelve_sites_agree_with_exact_diagonalisation(field, boundary):
    # At h = 0.05 the two lowest levels are 1e-15 apart: only the parity tells them from each other.
    model = ising_chain(12, field, boundary)
    state = ground_state(model)
    matrix = free_fermions.correlation_matrix(model)
    assert free_fermions.energy(model) == pytest.approx(state.energy, abs=1e-11)
    assert np.linalg.det(matrix) == pytest.approx(1.0, abs=1e-10)
    for order in (1, 2):
        expected = state.entropy(range(6), order)
        assert free_fermions.entropy(matrix, 6, order) == pytest.approx(expected, abs=1e-9)
    measured = [free_fermions.correlation(matrix, 2, j) for j in range(3, 12)]
    np.testing.assert_allclose(measured, state.parallel[2, 3:], atol=1e-9)


def test_the_parity_is_restored_where_a_library_loses_it(monkeypatch):
    model = ising_chain(40, 0.05)
    expected = free_fermions.correlation_matrix(model)
    decompose = np.linalg.svd

    def careless(matrix):
        left, values, right = decompose(matrix)
        # Within rounding this decomposes the matrix as well: the last value is 1e-52.
        left[:, -1] *= -1.0
        return left, values, right

    monkeypatch.setattr(np.linalg, "svd", careless)
    np.testing.assert_array_equal(free_fermions.correlation_matrix(model), expected)


@settings(deadline=None)
@given(
    sites=st.integers(2, 60),
    field=st.floats(0.0, 5.0),
    boundary=st.sampled_from(["open", "periodic"]),
)
def test_the_singular_values_give_the_energy_and_its_parts_sum_to_it(sites, field, boundary):
    model = ising_chain(sites, field, boundary)
    energy = free_fermions.energy(model)
    values = np.linalg.svd(free_fermions.coupling_matrix(model), compute_uv=False)
    assert energy == pytest.approx(-values.sum(), rel=1e-12)
    matrix = free_fermions.correlation_matrix(model)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(sites), atol=1e-12)
    parts = free_fermions.bond_energies(model, matrix).sum()
    parts += free_fermions.field_energies(model, matrix).sum()
    assert parts == pytest.approx(energy, rel=1e-10)


@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_without_a_field_the_chain_is_a_superposition_of_ferromagnets(boundary):
    model = ising_chain(14, 0.0, boundary)
    matrix = free_fermions.correlation_matrix(model)
    bonds = 14 if model.lattice.periodic else 13
    assert free_fermions.energy(model) == pytest.approx(-bonds, abs=1e-12)
    assert free_fermions.correlation(matrix, 2, 12) == pytest.approx(1.0, abs=1e-12)
    assert free_fermions.entropy(matrix, 7, 2) == pytest.approx(np.log(2.0), abs=1e-12)


@given(field=st.floats(50.0, 1e4), sites=st.integers(3, 40))
def test_a_strong_field_leaves_perturbation_theory(field, sites):
    model = ising_chain(sites, field)
    expected = -field * sites - (sites - 1) / (4 * field)
    assert free_fermions.energy(model) == pytest.approx(expected, abs=sites / field**2)
    matrix = free_fermions.correlation_matrix(model)
    # First order: the bond turns by 1/(2h).
    assert free_fermions.correlation(matrix, 0, 1) == pytest.approx(0.5 / field, rel=0.01)
    assert free_fermions.entropy(matrix, sites // 2) < 1.0 / field


@given(field=st.floats(0.0, 5.0))
def test_the_bulk_energy_is_the_integral_of_the_dispersion(field):
    momentum = (np.arange(200_000) + 0.5) * np.pi / 200_000
    expected = -np.mean(np.sqrt(1 + field**2 + 2 * field * np.cos(momentum)))
    assert free_fermions.bulk_energy(field) == pytest.approx(expected, abs=1e-9)


def test_the_bulk_energy_at_criticality_and_its_approach():
    assert free_fermions.bulk_energy(1.0) == pytest.approx(-4 / np.pi, abs=1e-15)
    ring = free_fermions.energy(ising_chain(1000, 1.0, "periodic")) / 1000
    # −πcv/6N² with c = ½ and v = 2.
    expected = -4 / np.pi - np.pi / 6 / 1000**2
    assert ring == pytest.approx(expected, abs=1e-11)


def test_a_ring_is_the_same_seen_from_every_site():
    matrix = free_fermions.correlation_matrix(ising_chain(12, 0.8, "periodic"))
    for distance in range(1, 12):
        values = [
            free_fermions.correlation(matrix, i, (i + distance) % 12, periodic=True)
            for i in range(12)
        ]
        np.testing.assert_allclose(values, values[0], atol=1e-12)


@pytest.mark.parametrize("distances", [[80], [-1]])
def test_a_distance_that_does_not_fit_is_refused(distances):
    with pytest.raises(SettingsError, match="do not fit into the open chain of 80 sites"):
        free_fermions.central_correlations(ising_chain(80, 1.0), distances)


@pytest.mark.parametrize("sites", [9, 10])
def test_the_largest_distance_named_by_the_refusal_fits(sites):
    with pytest.raises(SettingsError) as caught:
        free_fermions.central_correlations(ising_chain(sites, 1.0), [sites])
    largest = int(caught.value.remedy.rstrip(".").split()[-1])
    assert np.isfinite(free_fermions.central_correlations(ising_chain(sites, 1.0), [largest])).all()
    with pytest.raises(SettingsError):
        free_fermions.central_correlations(ising_chain(sites, 1.0), [largest + 1])


def test_other_models_are_refused():
    for model in (
        build_model("heisenberg", "chain", 8),
        build_model("ising", "square", 4, field=1.0),
    ):
        with pytest.raises(SettingsError, match="is not solved by free fermions"):
            free_fermions.energy(model)
