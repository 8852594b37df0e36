"""The geometry read off pairs whose one length, or whose two, were put in."""

import numpy as np
import pandas as pd
import pytest
from made_bulks import MadeResults, sharing, stored

from emergence.holography import geometry_readings
from emergence.holography.bulk_stored import MAPS
from emergence.holography.geometry import distances
from emergence.holography.geometry_readings import haar_pairs

SIDE, LENGTH, NOISE = 32, 0.8, 1e-5
PAIRS = haar_pairs(SIDE, 1e-4)
WITHIN = PAIRS.level == PAIRS.other
ALONG = np.where(WITHIN, PAIRS.separation / PAIRS.z, 1.0)
UP = 2.0 ** (PAIRS.other - PAIRS.level)


def power_laws(within: float, across: float) -> np.ndarray:
    """I of pairs of a layer and of layers, of two lengths."""
    return np.where(WITHIN, 0.3 * ALONG ** (-2.0 / within), 0.1 * UP ** (-1.0 / across))


DISTANCE = distances(PAIRS)
SHARED = {
    "trained": sharing(PAIRS, power_laws(LENGTH, LENGTH), noise=NOISE),
    "untrained": sharing(PAIRS, power_laws(LENGTH, 2.0 * LENGTH), noise=NOISE, seed=1),
    "haar": sharing(PAIRS, 0.5 * np.exp(-DISTANCE["hyperbolic"] / 0.6), noise=NOISE, seed=2),
    "random": sharing(PAIRS, 0.5 * np.exp(-DISTANCE["flat"] / 3.0), noise=NOISE, seed=3),
    "optimal": sharing(PAIRS, np.full(len(UP), -5.0 * NOISE), noise=NOISE, seed=4),
}
"""Trained has one length and untrained two; haar is hyperbolic and random flat; optimal is below its noise,
as what is left of the bias may be."""


@pytest.fixture(scope="module")
def results():
    arrays = {}
    for name in MAPS:
        arrays |= stored(SHARED[name], name)
    return MadeResults(arrays, SIDE)


@pytest.fixture(scope="module")
def read(results):
    """Tables and measurements of a part, by name."""
    return {
        part: dict(getattr(geometry_readings, part)(results)) for part in ("fits", "geometries")
    }


@pytest.fixture(scope="module")
def decays(results):
    return dict(geometry_readings.decays(results))["geometry_pairs"]


class TestDecays:
    def test_have_both_kinds_of_every_map(self, decays):
        assert list(dict.fromkeys(decays["map"])) == list(MAPS)
        count = decays.groupby(["map", "kind"]).size().unstack()
        assert (count == count.iloc[0]).all().all()
        # Five levels of details, the last two without the pairs between them.
        assert count.loc["trained", "vertical"] == 9
        assert set(decays["bulk"]) == {"made"}

    def test_are_straight_lines_of_one_slope_where_there_is_one_length(self, decays):
        trained = decays[decays["map"] == "trained"]
        for kind, power in (("same layer", 2.0), ("vertical", 1.0)):
            part = trained[trained["kind"] == kind]
            amplitude = {"same layer": 0.3, "vertical": 0.1}[kind]
            law = amplitude * part["x"] ** (-power / LENGTH)
            np.testing.assert_allclose(part["value"], law, atol=5.0 * NOISE)

    def test_tell_the_errors_that_were_stored(self, decays):
        same = decays[(decays["kind"] == "same layer") & (decays["map"] == "trained")]
        np.testing.assert_array_equal(same["error"], NOISE)


class TestFits:
    @pytest.mark.parametrize("cut", geometry_readings.CUTS)
    @pytest.mark.parametrize(
        ("name", "within", "across"),
        [("trained", LENGTH, LENGTH), ("untrained", LENGTH, 2.0 * LENGTH)],
    )
    def test_rates_are_the_inverse_of_the_lengths_put_in(self, read, cut, name, within, across):
        for kind, length in (("same_rate", within), ("vertical_rate", across)):
            found = read["fits"][f"bulk.made.{name}_{kind}_{cut}"]
            assert found.value == pytest.approx(1.0 / length, abs=4.0 * found.error + 1e-3)
            assert 0.0 < found.error < 0.02
            assert found.note == ""
            assert read["fits"][f"bulk.made.{name}_{kind}_scatter_{cut}"].value < 0.1

    @pytest.mark.parametrize("cut", geometry_readings.CUTS)
    def test_the_gap_of_two_slopes_is_relative_to_their_mean(self, read, cut):
        """1/ξ and 1/2ξ are half of 1/ξ apart, about three quarters of it."""
        none, gap = (
            read["fits"][f"bulk.made.{name}_slope_gap_{cut}"] for name in ("trained", "untrained")
        )
        assert abs(none.value) < 4.0 * none.error + 1e-3
        assert none.note == "one length"
        assert gap.value == pytest.approx(0.5 / 0.75, abs=4.0 * gap.error + 2e-3)
        assert gap.note == "two lengths"

    def test_noise_has_no_power_and_no_gap(self, read):
        for cut in geometry_readings.CUTS:
            for kind in ("same_rate", "vertical_rate"):
                found = read["fits"][f"bulk.made.optimal_{kind}_{cut}"]
                assert (found.value, found.error) == (None, None)
                assert found.note == "too few pairs above the noise"
                assert read["fits"][f"bulk.made.optimal_{kind}_scatter_{cut}"].value is None
            assert read["fits"][f"bulk.made.optimal_slope_gap_{cut}"].value is None
        assert "optimal" not in set(read["fits"]["geometry_fits"]["map"])

    def test_a_figure_can_draw_each_level_s_line(self, read):
        table = read["fits"]["geometry_fits"]
        assert set(geometry_readings.FITS) <= set(table.columns)
        part = table[(table["map"] == "trained") & (table["cut"] == "half")]
        same = part[part["kind"] == "same layer"]
        assert sorted(same["group"]) == sorted(set(same["group"]))
        np.testing.assert_allclose(same["intercept"], np.log(0.3), atol=0.01)
        up = part[part["kind"] == "vertical"]
        np.testing.assert_allclose(up["intercept"], np.log(0.1), atol=0.01)
        np.testing.assert_allclose(part["length"], LENGTH, rtol=0.02)
        np.testing.assert_allclose(
            part["length_error"] / part["length"], part["rate_error"] / part["rate"]
        )

    def test_a_cut_leaves_out_what_is_farther(self):
        """Pairs beyond a quarter, made wrong, change the slope of the half and not of the quarter."""
        far = WITHIN & (PAIRS.separation > 0.25 * SIDE)
        wrong = sharing(PAIRS, np.where(far, 0.2, power_laws(LENGTH, LENGTH)), noise=NOISE)
        right = geometry_readings.slopes(SHARED["trained"], 0.25)[0]
        assert geometry_readings.slopes(wrong, 0.25)[0].rate == pytest.approx(right.rate, rel=1e-3)
        assert geometry_readings.slopes(wrong, 0.5)[0].rate < 0.8 * right.rate


class TestGeometries:
    def test_the_space_put_in_is_preferred(self, read):
        table = read["geometries"]["geometries"].set_index(["map", "geometry"])
        for name, best in (("haar", "hyperbolic"), ("random", "flat")):
            assert table.loc[name]["bic"].idxmin() == best
            assert table.loc[name]["aic"].idxmin() == best
        assert table.loc[("haar", "hyperbolic"), "length"] == pytest.approx(0.6, rel=0.03)
        assert table.loc[("random", "flat"), "length"] == pytest.approx(3.0, rel=0.03)

    def test_the_preference_is_over_the_best_of_the_others(self, read):
        table = read["geometries"]["geometries"].set_index(["map", "geometry"])["bic"]
        for name, sign in (("haar", 1.0), ("random", -1.0)):
            found = read["geometries"][f"bulk.made.{name}_hyperbolic_preference"]
            others = table.loc[name].drop("hyperbolic").min()
            assert found.value == pytest.approx(others - table.loc[(name, "hyperbolic")])
            assert np.sign(found.value) == sign
            assert 0.0 < found.error < abs(found.value) / 5.0

    def test_noise_is_in_no_space(self, read):
        assert "optimal" not in set(read["geometries"]["geometries"]["map"])
        assert "bulk.made.optimal_hyperbolic_preference" not in read["geometries"]


def test_a_scale_without_bulks_has_empty_tables_that_figures_can_read():
    found = {n: item for part in geometry_readings.PARTS for n, item in part(MadeResults({}))}
    assert set(found) == {"geometry_pairs", "geometry_fits", "geometries"}
    assert all(isinstance(table, pd.DataFrame) and table.empty for table in found.values())
    assert list(found["geometry_fits"].columns) == geometry_readings.FITS
    assert list(found["geometry_pairs"].columns) == geometry_readings.PAIRS
    assert list(found["geometries"].columns) == geometry_readings.GEOMETRIES


def test_the_columns_of_empty_tables_are_among_those_of_full_ones(read, decays):
    full = (read["fits"]["geometry_fits"], decays, read["geometries"]["geometries"])
    named = (geometry_readings.FITS, geometry_readings.PAIRS, geometry_readings.GEOMETRIES)
    for table, columns in zip(full, named, strict=True):
        assert set(columns) <= set(table.columns)


def test_haar_wavelets_on_the_exact_free_field_have_one_length_where_it_is_massless(read):
    """Beside every study; without one there is nothing that it could be a control of."""
    assert not [name for name, _ in geometry_readings.fits(MadeResults({})) if "exact" in name]
    found = read["fits"]
    table = found["geometry_fits"]
    assert set(table.loc[table["map"] == "free", "bulk"]) == {"free_massless", "free_gapped"}
    massless, gapped = (
        found[f"exact.haar_slope_gap_{mass}_half"] for mass in geometry_readings.MASSES
    )
    assert abs(massless.value) < 2.0 * massless.error < 0.5
    assert gapped.value > 5.0 * gapped.error
