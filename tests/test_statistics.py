"""Errors of ensembles against closed forms, and measurements that come back as they were."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from emergence.errors import ArtifactError
from emergence.statistics import (
    Measurement,
    median_error,
    random_effects,
    read_measurements,
    relative_rms,
    scatter,
    shrunk_correlation,
    wilson_interval,
    write_measurements,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
moderate = st.floats(-1e6, 1e6)


class TestMedianError:
    @pytest.mark.parametrize("pair", [(1.0, 2.0), (-3.0, 5.0)])
    def test_of_two_seeds_is_the_error_of_their_mean(self, pair):
        expected = np.std(pair, ddof=1) / math.sqrt(2)
        assert median_error(pair) == pytest.approx(expected, rel=0.03)

    def test_of_three_seeds_is_the_exact_bootstrap(self):
        # Of the 27 resamples of three values 7 have the lowest as median, 13 the middle one, 7
        # the highest; the variance grows by 3 / 2 for the small ensemble.
        values = np.array([0.0, 1.0, 4.0])
        chances = np.array([7, 13, 7]) / 27
        variance = chances @ values**2 - (chances @ values) ** 2
        assert median_error(values) == pytest.approx(math.sqrt(1.5 * variance), rel=0.03)

    def test_of_many_normal_numbers_is_the_asymptotic_one(self):
        # Averaged over ensembles, because the bootstrap of a median is itself noisy.
        ensembles = np.random.default_rng(3).normal(size=(40, 101))
        mean = np.mean([median_error(ensemble) for ensemble in ensembles])
        assert mean == pytest.approx(math.sqrt(math.pi / 2 / 101), rel=0.1)

    def test_covers_the_truth_as_often_as_it_should(self):
        ensembles = np.random.default_rng(4).normal(size=(150, 8))
        inside = [abs(np.median(e)) < 2 * median_error(e) for e in ensembles]
        assert 0.85 < np.mean(inside) <= 1.0

    def test_is_unknown_for_one_seed_and_zero_for_equal_ones(self):
        assert median_error([1.0]) is None
        assert median_error([2.0, 2.0, 2.0]) == 0.0

    @settings(max_examples=20, deadline=None)
    @given(values=st.lists(moderate, min_size=2, max_size=8), shift=moderate)
    def test_is_the_same_each_time_and_does_not_depend_on_the_origin(self, values, shift):
        error = median_error(values)
        assert error == median_error(values)
        shifted = median_error(np.array(values) + shift)
        assert shifted == pytest.approx(error, rel=1e-6, abs=1e-6)


class TestMeasurement:
    def test_from_seeds_is_the_median_with_its_error(self):
        measured = Measurement.from_seeds(
            "loss", np.array([3, 1, 2, 50], np.float32), unit="J", source="a.csv", note="n"
        )
        assert measured.value == 2.5
        assert measured.values == (3.0, 1.0, 2.0, 50.0)
        assert measured.error == median_error([3, 1, 2, 50])
        assert (measured.unit, measured.source, measured.note) == ("J", "a.csv", "n")

    def test_of_one_seed_has_no_error(self):
        assert Measurement.from_seeds("loss", [1.0]).error is None

    def test_that_could_not_be_told_says_why(self, tmp_path):
        untold = Measurement("slope", None, note="too few pairs")
        write_measurements(tmp_path / "m.json", [untold])
        assert read_measurements(tmp_path / "m.json") == {"slope": untold}
        for bad in ({}, {"note": "why", "error": 0.1}, {"note": "why", "values": (1.0,)}):
            with pytest.raises(ArtifactError, match="'slope' has no value but an error, or no rea"):
                Measurement("slope", None, **bad)

    def test_of_no_seed_is_refused(self):
        with pytest.raises(ArtifactError, match="'loss' has no seed"):
            Measurement.from_seeds("loss", [])

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_that_is_not_finite_is_refused(self, bad):
        with pytest.raises(ArtifactError, match="'loss' holds a number that is not finite"):
            Measurement("loss", bad)
        with pytest.raises(ArtifactError, match="not finite"):
            Measurement("loss", 1.0, error=bad)
        with pytest.raises(ArtifactError, match="not finite"):
            Measurement.from_seeds("loss", [1.0, 2.0, bad])

    def test_with_a_negative_error_is_refused(self):
        with pytest.raises(ArtifactError, match="negative error"):
            Measurement("loss", 1.0, error=-0.1)


class TestFileOfMeasurements:
    @settings(max_examples=40, deadline=None)
    @given(
        entries=st.dictionaries(
            st.text(min_size=1, max_size=8),
            st.builds(
                lambda value, error, values, unit: (value, error, values, unit),
                finite,
                st.none() | st.floats(0, 1e300),
                st.none() | st.lists(finite, min_size=1, max_size=4),
                st.text(max_size=5),
            ),
            max_size=4,
        )
    )
    def test_gives_back_every_bit_in_order(self, tmp_path_factory, entries):
        path = tmp_path_factory.mktemp("measured") / "measurements.json"
        measured = [
            Measurement(name, value, error, values, unit=unit)
            for name, (value, error, values, unit) in entries.items()
        ]
        write_measurements(path, measured)
        again = read_measurements(path)
        assert list(again) == list(entries)
        assert repr(list(again.values())) == repr(measured)

    def test_has_the_layout_that_the_ledger_reads(self, tmp_path):
        path = tmp_path / "measurements.json"
        write_measurements(path, [Measurement("a.b", 1, 0.5, [1, 2], "J", "a.csv", "n")])
        assert json.loads(path.read_text()) == {
            "measurements": {
                "a.b": {
                    "value": 1.0,
                    "error": 0.5,
                    "values": [1.0, 2.0],
                    "unit": "J",
                    "source": "a.csv",
                    "note": "n",
                }
            }
        }

    def test_refuses_two_of_the_same_name(self, tmp_path):
        path = tmp_path / "measurements.json"
        with pytest.raises(ArtifactError, match="two measurements are called 'x'"):
            write_measurements(path, [Measurement("x", 1.0), Measurement("x", 2.0)])
        assert not path.exists()

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            ({}, "lacks the key 'measurements'"),
            ({"measurements": [1]}, "holds no mapping of measurements"),
            ({"measurements": {"x": 1.0}}, "malformed measurement 'x'"),
            ({"measurements": {"x": {"error": 1.0}}}, "malformed measurement 'x'"),
            ({"measurements": {"x": {"value": "much"}}}, "malformed measurement 'x'"),
            ({"measurements": {"x": {"value": 1.0, "sigma": 1.0}}}, "malformed measurement 'x'"),
            ({"measurements": {"x": {"value": 1.0, "values": 3}}}, "malformed measurement 'x'"),
        ],
    )
    def test_malformed_is_told_by_name(self, tmp_path, content, sentence):
        path = tmp_path / "measurements.json"
        path.write_text(json.dumps(content))
        with pytest.raises(ArtifactError, match=f"measurements.json .*{sentence}"):
            read_measurements(path)

    def test_missing_is_told(self, tmp_path):
        with pytest.raises(ArtifactError, match="is missing"):
            read_measurements(tmp_path / "measurements.json")


class TestWilsonInterval:
    @given(n=st.integers(1, 10_000), share=st.floats(0, 1), z=st.sampled_from([1.0, 1.96, 3.0]))
    @settings(max_examples=50, deadline=None)
    def test_is_wilsons_formula(self, n, share, z):
        k = round(share * n)
        p, confidence = k / n, math.erf(z / math.sqrt(2))
        centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        low, high = wilson_interval(k, n, confidence)
        assert (low, high) == pytest.approx((centre - half, centre + half), abs=1e-12)
        assert 0 <= low <= p <= high <= 1

    @pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
    def test_refuses_impossible_counts(self, successes, n):
        with pytest.raises(ValueError):
            wilson_interval(successes, n)


class TestRelativeRms:
    @given(
        truth=st.lists(st.floats(0.1, 10), min_size=1, max_size=6),
        ratio=st.floats(-2, 2),
        scale=st.floats(0.1, 100),
    )
    def test_of_a_relative_error_is_that_error_in_any_unit(self, truth, ratio, scale):
        truth = scale * np.array(truth)
        assert relative_rms((1 + ratio) * truth, truth) == pytest.approx(abs(ratio), abs=1e-12)

    def test_along_an_axis(self):
        truth = np.array([[3.0, 4.0], [1.0, 0.0]])
        prediction = truth + [[0.5, 0.0], [0.0, 1.0]]
        assert relative_rms(prediction, truth, axis=1) == pytest.approx([0.1, 1.0])
        assert relative_rms(prediction, truth, axis=(0, 1)) == relative_rms(prediction, truth)

    def test_adds_up_in_double_precision(self):
        truth = np.full(1_000_000, 0.1, np.float32)
        ratio = relative_rms(truth * np.float32(2), truth)
        assert ratio == pytest.approx(1.0, abs=1e-12)

    def test_refuses_shapes_that_would_broadcast_and_a_truth_of_zero(self):
        with pytest.raises(ValueError, match="shapes"):
            relative_rms(np.ones((3, 1)), np.ones(3))
        with pytest.raises(ValueError, match="zero"):
            relative_rms(np.ones(3), np.zeros(3))


class TestScatter:
    def test_of_normal_values_is_their_standard_deviation(self):
        values = np.random.default_rng(1).normal(3.0, 0.5, 100_000)
        assert scatter(values) == pytest.approx(0.5, rel=0.02)

    def test_one_lost_seed_counts_as_one(self):
        values = [1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 1.1, 0.9, 1.0]
        assert scatter([*values, 1e6]) == pytest.approx(scatter(values), rel=0.5)

    def test_two_values_tell_none(self):
        assert scatter([1.0, 2.0]) is None
        assert scatter([1.0, 1.0, 1.0]) == 0.0


class TestShrunkCorrelation:
    def test_of_independent_variables_is_nearly_none(self):
        found = shrunk_correlation(np.random.default_rng(1).standard_normal((20, 80)))
        assert np.abs(found[~np.eye(20, dtype=bool)]).max() < 0.1
        np.testing.assert_array_equal(np.diag(found), 1.0)

    def test_of_many_samples_is_the_correlation(self):
        rng = np.random.default_rng(2)
        shared = rng.standard_normal(4000)
        samples = 0.6 * shared + 0.8 * rng.standard_normal((6, 4000))
        found = shrunk_correlation(3.0 * samples + 7.0)
        np.testing.assert_allclose(found[~np.eye(6, dtype=bool)], 0.36, atol=0.06)

    def test_is_positive_definite_with_fewer_samples_than_variables(self):
        rng = np.random.default_rng(3)
        samples = rng.standard_normal(10) + 0.5 * rng.standard_normal((20, 10))
        found = shrunk_correlation(samples)
        assert np.linalg.eigvalsh(found).min() > 0.0
        assert found[0, 1] > 0.3

    def test_what_does_not_vary_or_has_no_number_is_alone(self):
        samples = np.random.default_rng(4).standard_normal((4, 50))
        samples[1], samples[2, 3] = 5.0, np.nan
        samples[3] = samples[0]
        found = shrunk_correlation(samples)
        np.testing.assert_array_equal(found[1:3], np.eye(4)[1:3])
        assert found[0, 3] > 0.9


class TestRandomEffects:
    """Means of numbers that differ by more than their errors."""

    def test_of_numbers_that_agree_it_is_the_weighted_mean(self):
        found = random_effects([1.0, 1.2, 0.9], [0.5, 0.5, 1.0])
        weights = np.array([4.0, 4.0, 1.0])
        assert found.mean == pytest.approx(np.average([1.0, 1.2, 0.9], weights=weights))
        assert (found.error, found.between) == (pytest.approx(1.0 / 3.0), 0.0)
        assert found.common == pytest.approx(np.average([0.5, 0.5, 1.0], weights=weights))

    def test_of_exact_numbers_that_scatter_it_is_the_plain_mean(self):
        values = [1.0, 2.0, 6.0, 3.0]
        found = random_effects(values, [1e-6] * 4)
        assert found.mean == pytest.approx(3.0)
        assert found.between == pytest.approx(np.std(values, ddof=1))
        assert found.error == pytest.approx(np.std(values, ddof=1) / 2.0)

    @pytest.mark.parametrize("number", [3, 6])
    @pytest.mark.parametrize("between", [0.0, 0.5, 1.0, 3.0])
    def test_its_error_is_that_of_repeated_draws(self, number, between):
        """By Student's t, of n - 1 degrees of freedom, 95 % of them are held, or nearly."""
        rng = np.random.default_rng(3)
        errors = np.geomspace(0.3, 3.0, number)
        drawn = rng.normal(size=(3000, number)) * np.hypot(errors, between)
        found = [random_effects(values, errors) for values in drawn]
        within = stats.t.isf(0.025, number - 1)
        held = np.mean([abs(one.mean) < within * one.error for one in found])
        assert held > 0.89
