"""What trainings from other seeds say of a verdict."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes_of import at_least, outcome

from emergence.artifacts import write_table
from emergence.errors import ArtifactError
from emergence.statistics import Measurement
from emergence.verification.claims import Claim
from emergence.verification.drift_table import COLUMNS, read_spreads
from emergence.verification.seeds import (
    Spread,
    as_cell,
    certificate_of,
    deviation,
    from_cell,
    mean_over,
    of_difference,
    with_spreads,
)
from emergence.verification.verdicts import Decision

finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(0.0, allow_infinity=False)


@given(st.dictionaries(st.integers(1, 99), st.tuples(finite, st.none() | positive)))
def test_values_of_trainings_are_read_as_they_were_told(values):
    assert from_cell(as_cell(values)) == values


@pytest.mark.parametrize(
    "cell",
    [
        "4",
        "x:1",
        "4:",
        "4:1:2:3",
        "4:nan",
        "4:1:inf",
        "4:1 5",
        "0:1",
        "-4:1",
        "4:1:-2",
        "4:1 4:2",
        "1_0:1",
    ],
)
def test_malformed_values_are_refused(cell):
    with pytest.raises(ValueError):
        from_cell(cell)


def single(value, error=0.1):
    return Measurement("m", value, error)


class TestMeanOver:
    def test_its_error_is_students_and_holds_the_scatter(self):
        """Of equal errors it is the plain mean; two of its errors hold what two of a normal number do."""
        found = mean_over(single(1.0), {4: (2.0, 0.1), 5: (3.0, 0.1)}, 2.0)
        assert found.value == pytest.approx(2.0)
        # Student's t of two degrees of freedom at 97.7 % is 4.53.
        assert found.error == pytest.approx(4.527 / 2.0 / math.sqrt(3.0), rel=1e-3)
        assert found.values == (1.0, 2.0, 3.0)
        assert mean_over(single(1.0), {4: (2.0, 0.1), 5: (3.0, 0.1)}, 3.0).error > found.error

    def test_what_is_common_to_all_is_not_averaged_away(self):
        many = dict.fromkeys(range(1, 30), (2.0, 0.3))
        assert mean_over(single(2.0, 0.3), many, 2.0).error == pytest.approx(0.3)

    @pytest.mark.parametrize("trainings", [3, 4, 6])
    def test_two_of_its_errors_hold_what_two_of_a_normal_number_do(self, trainings):
        rng = np.random.default_rng(5)
        errors = np.linspace(0.2, 0.5, trainings)
        drawn = rng.normal(size=(3000, trainings)) * np.hypot(errors, 1.0)
        pulls = []
        for values in drawn:
            others = dict(enumerate(zip(values[1:], errors[1:], strict=True), 1))
            if found := mean_over(single(values[0], errors[0]), others, 2.0):
                pulls.append(abs(found.value) / found.error)
        assert len(pulls) > 0.93 * len(drawn), "Few of them lie apart."
        assert np.mean(np.array(pulls) < 2.0) == pytest.approx(0.954, abs=0.025)

    def test_one_that_knows_little_weighs_little(self):
        found = mean_over(single(9.0, 100.0), {4: (2.0, 0.1), 5: (2.2, 0.1)}, 2.0)
        assert found.value == pytest.approx(2.1, abs=0.01)
        assert found.error < 1.0

    @pytest.mark.parametrize("error", [None, 0.0])
    def test_without_an_error_nothing_is_told(self, error):
        others = {4: (2.0, 0.1), 5: (2.1, 0.1)}
        assert mean_over(single(2.0, error), others, 2.0) is None
        assert mean_over(single(2.0), others | {6: (2.0, error)}, 2.0) is None
        assert mean_over(single(2.0), others | {6: (2.0, 1e-200)}, 2.0) is None

    def test_two_are_too_few_and_one_that_was_not_told_is_none(self):
        others = {4: (2.0, 0.1), 5: (3.0, 0.1)}
        assert mean_over(single(1.0), {4: (2.0, 0.1)}, 2.0) is None
        untold = Measurement("m", None, note="too few pairs")
        assert mean_over(untold, others, 2.0) is None
        assert mean_over(untold, others | {6: (2.5, 0.1)}, 2.0).value == pytest.approx(2.5)

    def test_one_that_lies_apart_decides_by_itself(self):
        """Its recipe, or what the number means, may be another: the others say nothing of it."""
        others = {seed: (2.0 + 0.1 * seed, 0.1) for seed in range(1, 6)}
        assert mean_over(single(2.7), others, 2.0) is not None
        assert mean_over(single(9.0), others, 2.0) is None


def test_a_difference_scatters_by_both_with_welchs_degrees_of_freedom():
    parts = Measurement("a", 9.0, 1.0), Measurement("b", 5.0, 1.0)

    def found(*spreads):
        return of_difference(parts[: len(spreads)], [Spread(*one) for one in spreads])

    two = found((3.0, 4), (4.0, 2))
    assert two["spread"] == 5.0
    assert two["trainings"] == 2
    assert two["freedom"] == pytest.approx(25.0**2 / (81.0 / 3.0 + 256.0 / 1.0))
    # One that does not scatter leaves those of the other.
    assert found((3.0, 4), (0.0, 2))["freedom"] == pytest.approx(3.0)
    assert found((3.0, 4))["freedom"] is None
    assert found((0.0, 4), (0.0, 2))["freedom"] is None


def test_a_difference_is_taken_seed_by_seed_where_all_values_are_known():
    """Two numbers of one training go together: here their difference does not scatter at all."""
    parts = Measurement("a", 9.0, 1.0), Measurement("b", 5.0, 1.0)
    seeds = frozenset({0, 4, 5})
    first = Spread(3.0, 3, {4: (3.0, 1.0), 5: (8.0, 1.0)}, seeds)
    second = Spread(4.0, 3, {4: (-1.0, 1.0), 5: (4.0, 1.0)}, seeds)
    found = of_difference(parts, [first, second])
    assert found == {"spread": 0.0, "trainings": 3, "freedom": None}
    # One seed more of one of them, or one whose values are not kept: all trainings count then.
    more = second._replace(values={**second.values, 6: (9.0, 1.0)})
    assert of_difference(parts, [first, more])["spread"] == 5.0
    older = first._replace(seeds=seeds | {1})
    assert of_difference(parts, [older, second])["spread"] == 5.0


def test_equal_trainings_do_not_scatter():
    assert deviation([0.1 + 0.2] * 6) == 0.0
    assert deviation([1.0, 3.0]) == pytest.approx(math.sqrt(2.0))


@pytest.fixture
def decided(tmp_path, raw):
    """Decides the small ledger's claim by a certificate with these values of trainings."""

    def decided(entry, values, number=(9.0, 1.0)):
        one = outcome({**entry, "measure": "loss_ratio"}, loss_ratio=number)
        path = tmp_path / "drift.csv"
        row = ("introspection", "I3", "loss_ratio", 9.0, "seeds", 4.0, 4, np.nan, "", 1.0)
        write_table(path, pd.DataFrame([row], columns=COLUMNS).assign(values=values))
        claim = Claim.model_validate(raw["claims"][0])
        alone = Decision(
            "introspection", claim, "laptop", one.verdict, one.verdict, (one,), None, ""
        )
        (found,) = with_spreads([alone], path)
        return found

    return decided


MEAN = at_least(5.0, over_trainings=True)


class TestWithSpreads:
    @pytest.mark.parametrize(
        ("values", "verdict"),
        [("4:2.0:1.0 5:2.2:1.0 6:1.8:1.0", "deviates"), ("4:9.0:1.0 5:9.1:1.0", "reproduced")],
    )
    def test_the_mean_decides_where_it_is_asked_for(self, decided, values, verdict):
        number = (2.0, 1.0) if verdict == "deviates" else (9.0, 1.0)
        found = decided(MEAN, values, number)
        (one,) = found.outcomes
        assert found.verdict == one.verdict == verdict
        assert (one.samples, one.counted) == (1 + len(values.split()), "trainings")
        assert f"this training alone: {number[0]:.1f} ± 1.0" in one.note
        assert not found.rests_on_seed, "Its error holds the scatter of trainings."

    def test_what_one_training_cannot_tell_the_mean_may(self, decided):
        """As of an exponent that this training leaves open."""
        entry = at_least(5.0, over_trainings=True, max_error=0.5)
        assert outcome(entry, m=(9.0, 3.0)).verdict == "underpowered"
        values = "4:8.0:0.3 5:8.1:0.3 6:7.9:0.3"
        assert decided(entry, values, (9.0, 3.0)).verdict == "reproduced"
        # No number of trainings makes up for an error that is common to all.
        assert decided(entry, values.replace("0.3", "0.6"), (9.0, 3.0)).verdict == "underpowered"

    @pytest.mark.parametrize("values", ["", "4:2.0:1.0", "4:2.0:0.1 5:2.1:0.1 6:2.2:0.1"])
    def test_of_too_few_or_of_others_the_training_at_hand_is_held_against_the_spread(
        self, decided, values
    ):
        found = decided(MEAN, values)
        assert found.outcomes[0].measured == 9.0
        assert (found.verdict, found.rests_on_seed) == ("compatible", True)
        apart = "; loss_ratio lies apart from that of 3 other trainings"
        assert (apart in found.outcomes[0].note) == (len(values.split()) == 3)

    def test_elsewhere_only_the_spread_counts(self, decided):
        found = decided(at_least(5.0), "4:2.0:1.0 5:2.2:1.0 6:1.8:1.0")
        assert found.outcomes[0].measured == 9.0
        assert (found.verdict, found.outcomes[0].spread) == ("compatible", 4.0)

    def test_two_numbers_have_a_mean_each(self, tmp_path, raw):
        entry = {"test": "ordering", "smaller": "a", "larger": "b", "over_trainings": True}
        one = outcome(entry, a=(3.0, 1.0), b=(2.0, 1.0))
        rows = [
            ("introspection", "I3", name, 3.0, "seeds", 1.0, 3, np.nan, "", 1.0, values)
            for name, values in (("a", "4:1.0:1.0 5:1.2:1.0"), ("b", "4:9.0:3.0 5:9.2:3.0"))
        ]
        write_table(tmp_path / "drift.csv", pd.DataFrame(rows, columns=[*COLUMNS, "values"]))
        claim = Claim.model_validate(raw["claims"][0])
        alone = Decision(
            "introspection", claim, "laptop", one.verdict, one.verdict, (one,), None, ""
        )
        (found,) = with_spreads([alone], tmp_path / "drift.csv")
        (together,) = found.outcomes
        assert (one.measured, together.samples) == (-1.0, 3)
        assert together.spread == pytest.approx(deviation([-1.0, 8.0, 8.0]))
        assert together.measured > 2.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"values": "4:x"}, "could not convert"),
        ({"values": "0:1.0"}, "'0:1.0' is no value of a training"),
        ({"runs": 1}, "a spread of 4 over 1 trainings is none"),
        ({"spread": -1.0}, "a spread of -1 over 4 trainings is none"),
        ({"trained": "0 four"}, "invalid literal"),
    ],
)
def test_a_malformed_certificate_is_told_with_its_place(tmp_path, change, told):
    row = ("introspection", "I3", "loss_ratio", 9.0, "seeds", 4.0, 4, np.nan, "", 1.0)
    frame = pd.DataFrame([row], columns=COLUMNS).assign(values="", trained="0 4 5").assign(**change)
    write_table(tmp_path / "drift.csv", frame)
    with pytest.raises(ArtifactError, match=re.escape(told)) as raised:
        read_spreads(tmp_path / "drift.csv")
    assert "drift.csv is corrupt at 'loss_ratio' of introspection" in str(raised.value)


def test_that_of_the_figures_at_hand_comes_before_that_of_the_house(tmp_path):
    figures, house = tmp_path / "figures", tmp_path / "house"
    assert certificate_of("laptop", figures, house) is None
    for place in (house / "figures", figures):
        (place / "laptop").mkdir(parents=True)
        (place / "laptop/drift.csv").touch()
        assert certificate_of("laptop", figures, house) == place / "laptop/drift.csv"
