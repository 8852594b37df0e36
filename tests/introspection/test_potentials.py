"""The families of potentials: their ranges, their barriers, and the statistics they claim."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from waves import tunnelling_integral

from emergence.introspection import potentials
from emergence.introspection.potentials import smooth_field

SPACING = 0.1


def draw(family, batch=400, sites=50, seed=0):
    return potentials.GENERATORS[family](np.random.default_rng(seed), batch, sites, SPACING)


@pytest.mark.parametrize("family", potentials.GENERATORS)
@settings(max_examples=10, deadline=None)
@given(batch=st.integers(1, 4), sites=st.integers(20, 120), seed=st.integers(0, 2**32))
def test_every_family_is_finite_in_float64_and_fixed_by_its_generator(family, batch, sites, seed):
    potential = draw(family, batch, sites, seed)
    assert potential.shape == (batch, sites)
    assert potential.dtype == np.float64
    assert np.isfinite(potential).all()
    assert np.array_equal(potential, draw(family, batch, sites, seed))


@pytest.mark.parametrize("family", potentials.GENERATORS)
def test_systems_differ_from_each_other(family):
    potential = draw(family, batch=5)
    assert len(np.unique(potential, axis=0)) == 5


class TestSmoothField:
    def test_has_zero_mean_and_unit_variance_at_every_site(self):
        field = smooth_field(np.random.default_rng(1), 20_000, 30, SPACING, 0.4)
        assert field.shape == (20_000, 30)
        assert np.abs(field.mean(axis=0)).max() < 5 / np.sqrt(20_000)
        assert np.abs(field.var(axis=0) - 1.0).max() < 5 * np.sqrt(2 / 20_000)

    @pytest.mark.parametrize(("length", "spacing"), [(0.8, 0.1), (0.4, 0.1), (0.8, 0.2)])
    def test_is_correlated_as_a_gaussian_of_the_length(self, length, spacing):
        field = smooth_field(np.random.default_rng(2), 20_000, 40, spacing, length)
        for shift in (1, 4, 8, 16, 30):
            measured = np.mean(field[:, 5] * field[:, 5 + shift])
            claimed = np.exp(-((shift * spacing) ** 2) / (2.0 * length**2))
            assert measured == pytest.approx(claimed, abs=5 / np.sqrt(20_000))

    def test_is_stationary(self):
        field = smooth_field(np.random.default_rng(3), 20_000, 40, SPACING, 0.8)
        first, last = (np.mean(field[:, i] * field[:, i + 4]) for i in (0, 35))
        assert first == pytest.approx(last, abs=7 / np.sqrt(20_000))

    def test_systems_are_independent(self):
        field = smooth_field(np.random.default_rng(4), 2000, 10, SPACING, 0.8)
        correlation = np.mean(field[:-1, 5] * field[1:, 5])
        assert abs(correlation) < 5 / np.sqrt(2000)


class TestShallow:
    def test_is_allowed_everywhere_and_fills_its_range(self):
        potential = draw("shallow", batch=2000)
        low, high = potentials.SHALLOW_RANGE
        assert low < potential.min() < low + 0.1
        assert high - 0.1 < potential.max() < high < 0.0

    def test_has_the_wavelengths_it_claims(self):
        wavelengths = 2.0 * np.pi / np.sqrt(-np.array(potentials.SHALLOW_RANGE)) / SPACING
        np.testing.assert_allclose(wavelengths, [36, 89], atol=0.5)

    def test_is_smooth(self):
        potential = draw("shallow")
        assert np.abs(np.diff(potential, axis=1)).max() < 1.0


class TestDeep:
    def test_every_draw_has_a_well_and_a_barrier(self):
        for sites in (50, 500):
            potential = draw("deep", sites=sites)
            assert np.all(potential.min(axis=1) < potentials.DEEP_WELL_RANGE[1])
            assert np.all(potential.max(axis=1) > 0.9 * potentials.DEEP_BARRIER_RANGE[0])

    def test_stays_within_its_wells_and_barriers(self):
        potential = draw("deep", batch=2000)
        assert potentials.DEEP_WELL_RANGE[0] <= potential.min()
        assert potential.max() <= potentials.DEEP_BARRIER_RANGE[1]

    @pytest.mark.parametrize("sites", [50, 100, 500])
    def test_every_draw_tunnels_with_an_integral_of_two_or_more(self, sites):
        integral = tunnelling_integral(draw("deep", batch=3000, sites=sites), SPACING)
        assert integral.min() >= potentials.DEEP_ACTION_RANGE[0]

    @pytest.mark.parametrize("sites", [50, 500])
    def test_the_integral_is_never_so_large_that_nothing_gets_through(self, sites):
        integral = tunnelling_integral(draw("deep", batch=3000, sites=sites), SPACING)
        assert integral.min() > 1.5
        assert integral.max() < 1.3 * potentials.DEEP_ACTION_RANGE[1]

    @pytest.mark.parametrize(("sites", "barriers"), [(50, 1), (199, 1), (200, 2), (500, 5)])
    def test_barriers_are_as_dense_in_long_systems_as_in_short_ones(self, sites, barriers):
        forbidden = draw("deep", batch=50, sites=sites) > 0.0
        entered = forbidden[:, 0].astype(int) + np.sum(
            ~forbidden[:, :-1] & forbidden[:, 1:], axis=1
        )
        assert np.all(entered == barriers)

    def test_barriers_lie_anywhere(self):
        centre = np.argmax(draw("deep", batch=1000), axis=1)
        assert np.ptp(centre) > 20

    def test_is_smooth(self):
        assert np.abs(np.diff(draw("deep"), axis=1)).max() < 8.0


class TestRough:
    def test_has_mean_minus_two_and_variance_twelve(self):
        values = draw("rough", batch=4000, sites=50).ravel()
        # The fourth moment of a uniform variable: its variance is known to ± 12 sqrt(0.8 / n).
        assert values.mean() == pytest.approx(-2.0, abs=5 * np.sqrt(12 / values.size))
        assert values.var() == pytest.approx(12.0, abs=5 * 12 * np.sqrt(0.8 / values.size))

    def test_is_uniform_on_its_range_and_independent_from_site_to_site(self):
        potential = draw("rough", batch=4000)
        low, high = potentials.ROUGH_RANGE
        counts, _ = np.histogram(potential, bins=12, range=(low, high))
        assert counts.sum() == potential.size
        assert np.abs(counts / potential.size - 1 / 12).max() < 5 * np.sqrt(1 / 12 / potential.size)
        centred = potential + 2.0
        neighbours = np.mean(centred[:, :-1] * centred[:, 1:]) / 12.0
        assert abs(neighbours) < 5 / np.sqrt(potential.size)

    def test_does_not_depend_on_the_spacing(self):
        one, other = (
            potentials.rough(np.random.default_rng(5), 3, 20, spacing) for spacing in (0.1, 0.2)
        )
        assert np.array_equal(one, other)


class TestStrong:
    @pytest.mark.parametrize("spacing", [0.1, 0.5])
    @pytest.mark.parametrize("bounds", [(-0.8, 0.5), (0.1, 0.2)])
    def test_is_uniform_in_units_of_the_lattice(self, spacing, bounds):
        rng = np.random.default_rng(6)
        scaled = potentials.strong(rng, 500, 20, spacing, bounds) * spacing**2
        low, high = bounds
        assert low <= scaled.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < scaled.max() <= high
        assert scaled.mean() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))

    def test_is_far_stronger_than_the_other_families(self):
        strength = {name: np.abs(draw(name)).max() * SPACING**2 for name in potentials.GENERATORS}
        assert strength["strong"] > 4 * max(strength[name] for name in potentials.FAMILIES)


class TestTunnellingIntegral:
    def test_of_a_square_barrier_is_its_width_times_kappa(self):
        potential = np.full((1, 30), -3.0)
        potential[0, 10:22] = 4.0
        assert tunnelling_integral(potential, 0.1)[0] == pytest.approx(12 * 0.1 * 2.0)

    def test_is_that_of_the_largest_barrier_not_of_their_sum(self):
        potential = np.full((2, 30), -3.0)
        potential[0, 2:5] = potential[0, 10:20] = 4.0
        potential[1, 25:30] = 9.0
        np.testing.assert_allclose(tunnelling_integral(potential, 0.1), [2.0, 1.5])

    def test_is_zero_where_everything_is_allowed(self):
        assert np.all(tunnelling_integral(draw("shallow"), SPACING) == 0.0)
