"""The cluster algorithms against exact values, and what each move must leave alone."""

import numpy as np
import pytest
from free_fields import free_correlation
from ising_sums import CRITICAL_TEMPERATURE, draw_dual_field

from emergence.errors import SettingsError
from emergence.holography.actions import ComplexPhi4, FreeField, IsingDualField
from emergence.holography.autocorrelation import estimate, estimate_all, estimate_mean
from emergence.holography.cluster import draw_phi4, run_ising, run_phi4
from emergence.holography.cluster_kernels import _clusters, _neighbours, _overrelax
from emergence.holography.exact import small_torus
from emergence.holography.ising_exact import energy, transfer_rows
from emergence.holography.observables import formulas, ising_primary


@pytest.mark.parametrize(
    "couplings",
    [(1.0, 1.0, 1.0), (1.0, -2.0, 1.0), (0.28, -199.44, 25.0), (-0.7, 0.5, 0.3), (0.4, 1.2, 0.01)],
)
def test_small_torus_has_its_exact_moments(couplings: tuple[float, float, float]) -> None:
    action = ComplexPhi4(*couplings)
    run = run_phi4(action, 2, chains=4, sweeps=8000, thermalisation=100, seed=3, correlate=True)
    exact = small_torus(action)
    measured = estimate_all(run.series, formulas(2, action))
    for name, value in (
        ("susceptibility", exact.susceptibility),
        ("bond", exact.neighbour),
        ("density", exact.density),
    ):
        assert measured[name].value == pytest.approx(value, abs=4.0 * measured[name].error), name
        assert measured[name].error < 0.03 * abs(value)
        assert measured[name].agreement > 1e-3
    # On two sites the axis correlation at r = 1 is the neighbours'.
    for distance, value in enumerate((exact.density, exact.neighbour)):
        along = estimate_mean(run.correlation[..., distance])
        assert along.value == pytest.approx(value, abs=4.0 * along.error)
    assert 0.3 < run.acceptance < 0.8


def test_free_field_has_its_exact_correlations_by_clusters_and_directly() -> None:
    free, side = FreeField(t=0.4, mu=1.0), 4
    action = ComplexPhi4(free.t, free.mu, 0.0)
    run = run_phi4(action, side, chains=4, sweeps=4000, thermalisation=100, seed=4, correlate=True)
    eigenvalues = free.eigenvalues(side)
    for names, value in (
        (("square", "improved_square"), 1.0 / eigenvalues[0, 0]),
        (("structure", "improved_structure"), 1.0 / eigenvalues[0, 1]),
    ):
        plain, improved = (estimate_mean(side**2 * run.series[name]) for name in names)
        for result in (plain, improved):
            assert result.value == pytest.approx(value, abs=4.0 * result.error)
        assert improved.error < plain.error
    exact = free_correlation(free, side)
    for distance in range(3):
        along = estimate_mean(run.correlation[..., distance])
        assert along.value == pytest.approx(exact[0, distance], abs=4.0 * along.error)


def test_thin_ring_on_a_larger_torus_fulfils_its_virial_identity() -> None:
    # ⟨φ·∂S/∂φ⟩ = 2 per site: the terms of S are of order 400 and cancel only if all are right.
    action = ComplexPhi4.recalled(0.28)
    run = run_phi4(action, 8, chains=2, sweeps=1500, thermalisation=100, seed=5)

    def virial(means: dict[str, float]) -> float:
        quadratic = action.mu * means["density"] - 2.0 * action.t * means["bond"]
        return 2.0 * quadratic + 4.0 * action.lam * means["quartic"]

    result = estimate(run.series, virial)
    assert result.value == pytest.approx(2.0, abs=4.0 * result.error)
    assert result.error < 0.4
    improved = [
        estimate(run.series, lambda means, n=name: means["improved_" + n] - means[n])
        for name in ("square", "structure")
    ]
    assert all(abs(difference.value) < 4.0 * difference.error for difference in improved)


def test_overrelaxation_leaves_the_action_alone_and_undoes_itself_backwards() -> None:
    rng = np.random.default_rng(6)
    action, side = ComplexPhi4(0.7, -1.0, 0.5), 4
    x, y = rng.standard_normal((2, side * side))
    before = action.value((x + 1j * y).reshape(1, side, side))
    moved_x, moved_y = x.copy(), y.copy()
    _overrelax(moved_x, moved_y, _neighbours(side))
    after = action.value((moved_x + 1j * moved_y).reshape(1, side, side))
    assert after[0] == pytest.approx(before[0], rel=1e-12)
    assert np.abs(moved_x - x).max() > 0.1


def test_clusters_join_only_aligned_neighbours_and_all_of_them_at_zero_temperature() -> None:
    rng, side = np.random.default_rng(7), 6
    table, parent = _neighbours(side), np.empty(side * side, np.int64)
    spin = rng.standard_normal(side * side)
    _clusters(spin, 1e9, table, parent, rng)
    for site in range(side * side):
        assert np.sign(spin[parent[site]]) == np.sign(spin[site])
        for other in table[site]:
            assert (parent[site] == parent[other]) == (spin[site] * spin[other] > 0.0)
    _clusters(spin, 0.0, table, parent, rng)
    np.testing.assert_array_equal(parent, np.arange(side * side))


def test_chains_are_fixed_by_the_seed_and_know_nothing_of_each_other() -> None:
    action = ComplexPhi4.recalled(0.25)
    settings = {"sweeps": 20, "thermalisation": 5, "seed": 8}
    two = run_phi4(action, 4, chains=2, **settings)
    again = run_phi4(action, 4, chains=2, **settings)
    one = run_phi4(action, 4, chains=1, **settings)
    for name, values in two.series.items():
        np.testing.assert_array_equal(values, again.series[name])
        np.testing.assert_array_equal(values[:1], one.series[name])
    assert not np.array_equal(two.field[0], two.field[1])
    drawn = draw_phi4(action, 4, chains=2, samples=4, thinning=5, thermalisation=5, seed=8)
    np.testing.assert_array_equal(drawn[:, -1], two.field)
    assert drawn.shape == (2, 4, 4, 4)


@pytest.mark.parametrize("temperature", [CRITICAL_TEMPERATURE, 4.0])
def test_ising_has_its_exact_magnetisation_energy_and_dual_field(temperature: float) -> None:
    side = 4
    spins, improved = run_ising(temperature, side, chains=4, sweeps=5000, thermalisation=50, seed=9)
    assert set(np.unique(spins)) == {-1.0, 1.0}
    reference = transfer_rows(side, temperature)
    plain = estimate_mean(spins.mean(axis=(2, 3)) ** 2)
    clusters = estimate_mean(improved)
    for result in (plain, clusters):
        assert result.value == pytest.approx(
            reference.magnetisation_squared, abs=4.0 * result.error
        )
    assert clusters.error < plain.error
    field = draw_dual_field(
        spins.reshape(-1, side, side), IsingDualField(temperature), np.random.default_rng(10)
    )
    through = ising_primary(field)
    for name, exact in (
        ("magnetisation_squared", reference.magnetisation_squared),
        ("energy", energy(side, temperature)),
    ):
        result = estimate_mean(through[name].reshape(4, -1))
        assert result.value == pytest.approx(exact, abs=4.0 * result.error)


def test_impossible_runs_are_refused() -> None:
    action = ComplexPhi4.recalled(0.25)
    with pytest.raises(SettingsError, match="sweeps"):
        run_phi4(action, 4, chains=1, sweeps=0, thermalisation=1, seed=0)
    with pytest.raises(SettingsError, match="no neighbours"):
        run_phi4(action, 1, chains=1, sweeps=1, thermalisation=1, seed=0)
    with pytest.raises(SettingsError, match="temperature"):
        run_ising(0.0, 4, chains=1, sweeps=1, thermalisation=1, seed=0)
