"""Do two runs agree? Where the chance of a false alarm is known, it is kept."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from emergence.errors import ArtifactError
from emergence.statistics import Measurement, write_measurements
from emergence.verification import comparison
from emergence.verification.comparison import ALPHA, compare, holm, least_shift, powerful
from emergence.verification.seeds import Spread

ORDER = {
    "test": "ordering",
    "smaller": "small",
    "larger": "large",
    "basis": "choice",
    "justification": "Ours.",
}


@pytest.fixture
def agree(tmp_path, raw, write):
    """Compares the small ledger's claim between two runs, each of measurements by name."""

    def agree(ours, theirs, spreads=(), criteria=None):
        if criteria:
            raw["claims"][0]["criteria"] = criteria
            raw["claims"][0]["control"]["measure"] = {"smaller": "small", "larger": "large"}
        for name, found in (("ours", ours), ("theirs", theirs)):
            path = tmp_path / name / "introspection/measurements.json"
            write_measurements(path, found)
        ledgers = write(raw).parent
        folders = (tmp_path / "theirs", tmp_path / "ours")
        return compare(["I3"], ledgers, *folders, dict(spreads))

    return agree


def seeds(values, name="loss_ratio"):
    return Measurement.from_seeds(name, values)


class TestSeeds:
    def test_two_runs_of_one_law_agree(self, agree):
        rng = np.random.default_rng(1)
        (row,) = agree([seeds(rng.normal(30, 2, 10))], [seeds(rng.normal(30, 2, 10))])
        assert row.agrees
        assert row.p > ALPHA
        assert row.test.startswith("Mann-Whitney")
        assert row.claims == ("I3",)

    def test_two_of_different_laws_do_not(self, agree):
        rng = np.random.default_rng(1)
        (row,) = agree([seeds(rng.normal(30, 2, 10))], [seeds(rng.normal(37, 2, 10))])
        assert not row.agrees

    def test_equal_values_agree(self, agree):
        (row,) = agree([seeds([2.0] * 10)], [seeds([2.0] * 10)])
        assert row.agrees
        assert row.p == 1.0

    def test_too_few_are_not_tested_but_judged_by_the_criterion(self, agree):
        """Three seeds against three can never have p < 0.1."""
        (same,) = agree([seeds([20, 30, 40.0])], [seeds([90, 95, 99.0])])
        (other,) = agree([seeds([2, 3, 4.0])], [seeds([90, 95, 99.0])])
        assert (same.agrees, other.agrees) == (True, False)
        assert same.p is None
        assert other.note == "by its errors deviates, where the run came out reproduced"
        assert "at least 10" in other.test

    @pytest.mark.parametrize(("level", "number"), [(0.05, 10), (0.005, 10), (0.005, 6)])
    def test_the_least_shift_is_where_ranks_begin_to_tell(self, level, number):
        values = np.random.default_rng(4).normal(size=10)
        least = least_shift(values, number, level)
        other = np.quantile(values, (np.arange(number) + 0.5) / number, method="hazen")
        p_at = [
            mannwhitneyu(other + shift, values).pvalue for shift in np.linspace(0, 2 * least, 401)
        ]
        told = np.linspace(0, 2 * least, 401)[np.array(p_at) <= level]
        assert told[0] == pytest.approx(least, abs=0.1)

    def test_no_shift_is_told_at_a_level_below_that_of_the_ranks(self):
        assert least_shift(range(6), 6, 3e-3) < np.inf
        assert least_shift(range(6), 6, 1e-4) == np.inf

    @pytest.mark.parametrize(("number", "can"), [(3, False), (5, False), (6, True), (10, True)])
    def test_power_is_that_of_ranks(self, number, can):
        assert powerful(number, number) == can


class TestSingles:
    def single(self, value, error=0.5):
        return Measurement("loss_ratio", value, error)

    def test_are_held_against_the_spread_of_trainings(self, agree):
        spreads = {("introspection", "loss_ratio"): Spread(2.0, 5)}
        (near,) = agree([self.single(31)], [self.single(30)], spreads)
        (far,) = agree([self.single(60)], [self.single(30)], spreads)
        assert (near.agrees, far.agrees) == (True, False)
        assert near.test == "Student's t, spread of 5 trainings"

    @pytest.mark.parametrize(("trainings", "least"), [(3, 6.08), (4, 4.50), (10, 3.20)])
    def test_tell_the_least_change_that_would_be_told(self, agree, trainings, least):
        """Student's t of a difference: 4.30, 3.18 and 2.26 times the root of two."""
        spreads = {("introspection", "loss_ratio"): Spread(2.0, trainings)}
        (row,) = agree([self.single(30)], [self.single(30)], spreads)
        assert row.least_in_spreads == pytest.approx(least, abs=0.01)
        assert row.least == pytest.approx(2.0 * least, abs=0.02)
        (less,) = agree([self.single(30 + 0.99 * row.least)], [self.single(30)], spreads)
        (more,) = agree([self.single(30 + 1.01 * row.least)], [self.single(30)], spreads)
        assert (less.agrees, more.agrees) == (True, False)

    def test_that_scatter_by_less_than_their_errors_are_held_against_these(self, agree):
        """Five trainings that happen to be alike: what differs by two of its errors does not disagree."""
        spreads = {("introspection", "loss_ratio"): Spread(0.01, 5)}
        (near,) = agree([self.single(31, 0.4)], [self.single(30, 0.3)], spreads)
        (far,) = agree([self.single(34, 0.4)], [self.single(30, 0.3)], spreads)
        assert (near.agrees, far.agrees) == (True, False)
        # Student's t at 5 %, of 0.5 as the error of the difference.
        assert near.least == pytest.approx(2.776 * 0.5, abs=0.001)
        assert near.least_in_spreads == pytest.approx(2.776 * 2**0.5, abs=0.002)

    def test_beside_another_number_three_trainings_have_little_power(self, agree):
        """At half the level 8.8 spreads are told."""
        names = ("small", "large")
        runs = [[Measurement(name, 1.0 + (name == "large"), 0.1) for name in names]] * 2
        spreads = {("introspection", name): Spread(0.1, 3) for name in names}
        rows = agree(*runs, spreads, criteria=[ORDER])
        assert [row.least_in_spreads for row in rows] == pytest.approx([8.77] * 2, abs=0.01)
        assert [row.agrees for row in rows] == [True, True]

    def test_a_number_that_only_a_huge_change_would_fail_has_no_power(self, agree, monkeypatch):
        monkeypatch.setattr(comparison, "FARTHEST", 6.0)
        spreads = {("introspection", "loss_ratio"): Spread(2.0, 3)}
        (near,) = agree([self.single(31)], [self.single(30)], spreads)
        assert near.agrees is None
        (far,) = agree([self.single(60)], [self.single(30)], spreads)
        assert far.agrees is False, "What is told all the same disagrees."

    @pytest.mark.parametrize("spread", [Spread(2.0, 2), Spread(0.0, 5)])
    def test_without_a_spread_they_are_judged_by_the_criterion(self, agree, spread):
        (row,) = agree(
            [self.single(60)], [self.single(30)], {("introspection", "loss_ratio"): spread}
        )
        assert row.p is None
        assert row.agrees

    def test_what_has_no_power_in_one_run_is_no_disagreement(self, agree):
        (row,) = agree([self.single(2.0, None)], [self.single(30)])
        assert row.agrees is None
        assert "underpowered" in row.note


def test_an_ordering_tests_both_its_numbers(agree):
    rng = np.random.default_rng(2)
    runs = [
        [seeds(rng.normal(1, 0.1, 10), "small"), seeds(rng.normal(2, 0.1, 10), "large")]
        for _ in range(2)
    ]
    rows = agree(*runs, criteria=[ORDER])
    assert [row.name for row in rows] == ["introspection: large", "introspection: small"]
    assert all(row.agrees for row in rows)


def test_a_number_that_is_not_there_is_told(agree):
    with pytest.raises(ArtifactError, match="lack the number 'loss_ratio'"):
        agree([seeds([1.0] * 10, "other")], [seeds([1.0] * 10)])


def test_measurements_that_are_not_there_are_told(tmp_path, raw, write):
    with pytest.raises(ArtifactError, match="is missing"):
        compare(["I3"], write(raw).parent, tmp_path / "a", Path("b"), {})


class TestHolm:
    def test_stops_at_the_first_that_passes(self):
        # 0.01 < 0.05/4, 0.015 < 0.05/3, 0.03 > 0.05/2: the last is not looked at any more.
        assert holm([0.04, 0.01, 0.03, 0.015], 0.05) == [False, True, False, True]

    def test_of_nothing_is_nothing(self):
        assert holm([], 0.05) == []

    def test_keeps_the_family_wise_error(self):
        rng = np.random.default_rng(3)
        alarms = [any(holm(rng.uniform(size=20), 0.05)) for _ in range(4000)]
        assert 0.04 < np.mean(alarms) < 0.06
