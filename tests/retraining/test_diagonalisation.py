"""Exact diagonalisation against matrices of Kronecker products, tables and symmetries."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spin_models import marshall_sign

from emergence.errors import SettingsError
from emergence.retraining import diagonalisation
from emergence.retraining.diagonalisation import bits_of, ground_state, hamiltonian, patterns
from emergence.retraining.lattice import Lattice
from emergence.retraining.models import Heisenberg, Ising, build_model

# Down before up, as a cleared bit before a set one.
PAULI = {
    "x": np.array([[0, 1], [1, 0]], dtype=complex),
    "y": np.array([[0, 1j], [-1j, 0]]),
    "z": np.diag([-1, 1]).astype(complex),
}
BOUNDARIES = st.sampled_from(["open", "periodic"])


def on_site(axis, site, sites):
    """A Pauli matrix of one site in the space of all; site 0 is the last factor."""
    return reduce(
        np.kron, [PAULI[axis] if i == site else np.eye(2) for i in reversed(range(sites))]
    )


def dense(model):
    """H written down as in the textbooks, from the lattice's bonds alone."""
    lattice, sites = model.lattice, model.sites
    total = np.zeros((2**sites, 2**sites), dtype=complex)

    def add(bonds, coefficient, axes):
        for (i, j), count in zip(*bonds, strict=True):
            for axis in axes:
                product = on_site(axis, i, sites) @ on_site(axis, j, sites)
                total[...] += coefficient * count * product

    if isinstance(model, Ising):
        add(lattice.nearest, -1.0, "z")
        for site in range(sites):
            total[...] -= model.field * on_site("x", site, sites)
    else:
        add(lattice.nearest, 0.25, "xyz")
        if model.j2:
            add(lattice.next_nearest, 0.25 * model.j2, "xyz")
    return total


small_models = st.one_of(
    st.builds(
        lambda size, boundary, field: Ising(Lattice("chain", size, boundary), field),
        st.integers(2, 6),
        BOUNDARIES,
        st.floats(0.01, 5.0),
    ),
    st.builds(
        lambda size, boundary, j2: Heisenberg(Lattice("chain", size, boundary), j2),
        st.sampled_from([4, 6]),
        BOUNDARIES,
        st.sampled_from([-0.4, 0.0, 0.2, 0.5, 0.8]),
    ),
    st.builds(
        lambda boundary, j2: Heisenberg(Lattice("square", 2, boundary), j2),
        BOUNDARIES,
        st.sampled_from([0.0, 0.3]),
    ),
)


class TestHamiltonian:
    @settings(max_examples=30, deadline=None)
    @given(model=small_models)
    def test_equals_the_kronecker_products_on_its_states(self, model):
        matrix, states = hamiltonian(model)
        np.testing.assert_allclose(
            matrix.toarray(), dense(model)[np.ix_(states, states)], atol=1e-13
        )

    @settings(max_examples=30, deadline=None)
    @given(model=small_models, sign=st.sampled_from([1, -1]))
    def test_equals_them_in_either_inversion_sector(self, model, sign):
        matrix, states = hamiltonian(model, sign)
        # Rows |s⟩ + σ|−s⟩ over √2 of the full space.
        inverted = states ^ (2**model.sites - 1)
        basis = np.zeros((len(states), 2**model.sites))
        basis[np.arange(len(states)), states] = np.sqrt(0.5)
        basis[np.arange(len(states)), inverted] = sign * np.sqrt(0.5)
        np.testing.assert_allclose(matrix.toarray(), basis @ dense(model) @ basis.T, atol=1e-13)

    @settings(max_examples=20, deadline=None)
    @given(model=small_models, sign=st.sampled_from([1, -1, None]))
    def test_is_symmetric(self, model, sign):
        matrix, _ = hamiltonian(model, sign)
        assert abs(matrix - matrix.T).max() < 1e-15 * abs(matrix).max()

    @settings(max_examples=20, deadline=None)
    @given(model=small_models)
    def test_conserves_magnetisation_where_the_model_says_so(self, model):
        full = dense(model)
        up = np.array([bin(state).count("1") for state in range(2**model.sites)])
        leaks = np.abs(full[up[:, None] != up[None, :]]).max() > 1e-12
        assert leaks != model.conserves_magnetisation

    def test_never_leaves_the_sector(self):
        model = build_model("j1j2", "square", 4, j2=0.5)
        matrix, states = hamiltonian(model)
        assert len(states) == 12870
        # Each row's off-diagonal elements: one per antiparallel bond.
        first, second = model.bonds.pairs.T
        antiparallel = ((states[:, None] >> first) ^ (states[:, None] >> second)) & 1
        expected = antiparallel @ model.exchange
        np.testing.assert_allclose(matrix.sum(axis=1) - matrix.diagonal(), expected, atol=1e-12)

    def test_too_large_a_lattice_is_refused_before_memory_is(self):
        with pytest.raises(SettingsError, match="too many to diagonalise"):
            hamiltonian(build_model("heisenberg", "square", 6))
        with pytest.raises(SettingsError, match="too many to diagonalise"):
            ground_state(build_model("ising", "square", 6, field=3.0))
        assert diagonalisation.feasible(build_model("j1j2", "chain", 20, j2=0.2))
        assert diagonalisation.feasible(build_model("ising", "square", 4, field=3.0))


class TestPatterns:
    @given(bits=st.integers(1, 12), ones=st.integers(0, 12))
    def test_lists_every_pattern_once_in_rising_order(self, bits, ones):
        expected = [s for s in range(2**bits) if bin(s).count("1") == ones]
        assert patterns(bits, ones).tolist() == expected

    @given(states=st.lists(st.integers(0, 2**20 - 1), min_size=1, max_size=8))
    def test_spins_and_bits_undo_each_other(self, states):
        states = np.array(states)
        spins = diagonalisation.spins_of(states, 20)
        assert set(np.unique(spins)) <= {-1, 1}
        assert np.array_equal(bits_of(spins), states)


class TestGroundState:
    @settings(max_examples=25, deadline=None)
    @given(model=small_models)
    def test_is_the_lowest_eigenstate_of_the_kronecker_products(self, model):
        state = ground_state(model)
        full = dense(model)
        assert state.energy == pytest.approx(np.linalg.eigvalsh(full)[0], abs=1e-11)
        vector = np.zeros(2**model.sites)
        vector[state.states] = state.amplitudes
        np.testing.assert_allclose(full @ vector, state.energy * vector, atol=1e-9)

    @pytest.mark.parametrize(
        ("arguments", "couplings", "energy"),
        [
            (("j1j2", "chain", 10), {"j2": 0.2}, -3.985579833617),
            (("j1j2", "chain", 10), {"j2": 0.5}, -3.75),
            (("j1j2", "chain", 10), {"j2": 0.8}, -4.115680087242),
            (("ising", "square", 4), {"field": 2.0}, -35.907257620409),
            (("ising", "square", 4), {"field": 3.0}, -50.186623882778),
            (("ising", "square", 4), {"field": 3.04438}, -50.858178102201),
            (("heisenberg", "square", 4), {}, -0.574325441575 * 16),
            (("heisenberg", "square", 4, "periodic"), {}, -0.701780200527 * 16),
            (("j1j2", "square", 4), {"j2": 0.5}, -0.469097309380 * 16),
        ],
    )
    def test_energies_of_the_tables(self, arguments, couplings, energy):
        # The per-site values have 12 decimals, so their totals have 16 times their rounding.
        state = ground_state(build_model(*arguments, **couplings))
        assert state.energy == pytest.approx(energy, abs=1e-11)

    @pytest.mark.parametrize(
        "model",
        [
            build_model("ising", "square", 3, field=1.5),
            build_model("ising", "chain", 9, "periodic", field=0.7),
            build_model("heisenberg", "chain", 12),
            build_model("j1j2", "chain", 12, "periodic", j2=0.3),
            build_model("j1j2", "square", 4, j2=0.5),
        ],
        ids=str,
    )
    def test_site_resolved_energies_sum_to_the_total_and_share_its_symmetry(self, model):
        state = ground_state(model)
        bonds, fields = state.bond_energies(), state.field_energies()
        assert bonds.sum() + fields.sum() == pytest.approx(state.energy, abs=1e-11)
        assert state.probabilities.sum() == pytest.approx(1.0, abs=1e-12)
        correlations = state.correlations()
        for image in model.lattice.point_group:
            np.testing.assert_allclose(fields[image], fields, atol=1e-9)
            np.testing.assert_allclose(correlations[np.ix_(image, image)], correlations, atol=1e-9)

    def test_a_singlet_has_equal_correlations_along_every_axis(self):
        state = ground_state(build_model("heisenberg", "square", 4))
        correlations = state.correlations()
        np.testing.assert_allclose(correlations, 0.75 * state.parallel, atol=1e-10)
        # (Σ S)² = 0.
        np.testing.assert_allclose(correlations.sum(axis=1), 0.0, atol=1e-10)

    def test_the_signs_are_marshalls(self):
        model = build_model("heisenberg", "square", 4)
        state = ground_state(model)
        rotated = state.amplitudes * marshall_sign(model.lattice, state.spins)
        assert np.all(rotated * rotated[0] > 0.0)

    def test_a_transverse_field_makes_it_positive(self):
        assert ground_state(build_model("ising", "square", 4, field=3.0)).amplitudes.min() > 0.0

    @pytest.mark.parametrize(("sites", "sign"), [(6, -1), (8, 1)])
    def test_frustrated_models_find_their_inversion_sector(self, sites, sign):
        for j2 in (0.3, 3.0):
            state = ground_state(build_model("j1j2", "chain", sites, "periodic", j2=j2))
            np.testing.assert_allclose(state.amplitudes[::-1], sign * state.amplitudes, atol=1e-12)
            lowest = np.linalg.eigvalsh(dense(state.model))[0]
            assert state.energy == pytest.approx(lowest, abs=1e-11)

    def test_is_the_same_every_time(self):
        model = build_model("j1j2", "chain", 14, j2=0.2)
        one, other = ground_state(model), ground_state(model)
        assert np.array_equal(one.amplitudes, other.amplitudes)
        assert one.energy == other.energy

    @pytest.mark.parametrize("boundary", ["open", "periodic"])
    def test_without_a_field_both_ferromagnets_are_superposed(self, boundary):
        model = build_model("ising", "square", 3, boundary, field=0.0)
        state = ground_state(model)
        assert state.energy == pytest.approx(model.diagonal.sum(), abs=1e-12)
        np.testing.assert_allclose(state.amplitudes[[0, -1]], np.sqrt(0.5), atol=1e-12)
        assert state.entropy([0, 1, 2]) == pytest.approx(np.log(2.0), abs=1e-12)

    def test_a_strong_field_leaves_second_order_perturbation_theory(self):
        field = 300.0
        model = build_model("ising", "square", 3, field=field)
        state = ground_state(model)
        # Each bond flips two spins at the cost of 4h.
        expected = -field * 9 - 12 / (4 * field)
        assert state.energy == pytest.approx(expected, abs=12 / field**2)
        assert state.transverse_field().min() > 1.0 - 1.0 / field**2
        assert state.entropy([0, 1, 2]) < 1e-4

    def test_expectation_values_equal_those_of_dense_operators(self):
        ising = ground_state(build_model("ising", "chain", 6, field=0.9))
        field = [ising.amplitudes @ on_site("x", i, 6) @ ising.amplitudes for i in range(6)]
        np.testing.assert_allclose(ising.transverse_field(), np.real(field), atol=1e-12)
        model = build_model("j1j2", "chain", 6, j2=0.4)
        state = ground_state(model)
        vector = np.zeros(64)
        vector[state.states] = state.amplitudes
        spin = sum(on_site(axis, 1, 6) @ on_site(axis, 4, 6) for axis in "xyz") / 4
        assert state.exchange(1, 4) == pytest.approx(np.real(vector @ spin @ vector), abs=1e-12)
        assert state.exchange(4, 1) == pytest.approx(state.exchange(1, 4), abs=1e-14)


class TestEntropy:
    @pytest.mark.parametrize("region", [[0], [0, 1, 2], [1, 4], [0, 2, 4, 5]])
    @pytest.mark.parametrize("name", ["ising", "j1j2"])
    def test_is_that_of_the_reduced_density_matrix(self, name, region):
        couplings = {"field": 0.8} if name == "ising" else {"j2": 0.3}
        state = ground_state(build_model(name, "chain", 6, **couplings))
        tensor = np.zeros((2,) * 6)
        # Axis i is site i.
        tensor[tuple((state.spins.T > 0).astype(int))] = state.amplitudes
        rest = [site for site in range(6) if site not in region]
        reduced = np.tensordot(tensor, tensor, axes=(rest, rest)).reshape((2 ** len(region),) * 2)
        weights = np.linalg.eigvalsh(reduced)
        weights = weights[weights > 1e-15]
        assert state.entropy(region, 1) == pytest.approx(-weights @ np.log(weights), abs=1e-11)
        for order in (2, 3):
            expected = np.log(np.sum(weights**order)) / (1 - order)
            assert state.entropy(region, order) == pytest.approx(expected, abs=1e-11)

    @given(cut=st.integers(1, 9))
    def test_is_the_same_seen_from_either_side(self, cut):
        state = ground_state(build_model("heisenberg", "chain", 10))
        one, other = state.entropy(range(cut)), state.entropy(range(cut, 10))
        assert one == pytest.approx(other, abs=1e-12)
        assert 0.0 < one <= state.entropy(range(cut), 1)

    def test_majumdar_ghosh_is_a_chain_of_singlets(self):
        state = ground_state(build_model("j1j2", "chain", 10, j2=0.5))
        for cut in range(1, 10):
            expected = np.log(2.0) if cut % 2 else 0.0
            assert state.entropy(range(cut)) == pytest.approx(expected, abs=1e-9)
        singlets = [state.exchange(i, i + 1) for i in range(0, 10, 2)]
        np.testing.assert_allclose(singlets, -0.75, atol=1e-9)
