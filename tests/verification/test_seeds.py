"""What trainings from other seeds say of a verdict."""

import math

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
from emergence.verification.drift_table import COLUMNS
from emergence.verification.seeds import (
    Spread,
    of_difference,
    over_trainings,
    parsed,
    told,
    with_spreads,
)
from emergence.verification.verdicts import Decision

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.integers(1, 99), st.tuples(finite, st.none() | finite)))
def test_values_of_trainings_are_read_as_they_were_told(values):
    assert parsed(told(values)) == values


@pytest.mark.parametrize("cell", ["4", "x:1", "4:", "4:1:2:3", "4:nan", "4:1:inf", "4:1 5"])
def test_malformed_values_are_told(cell):
    with pytest.raises(ArtifactError, match="is no value of a training"):
        parsed(cell)


class TestOverTrainings:
    def test_the_mean_holds_the_scatter_and_what_is_common(self):
        """Of equal errors it is the plain mean, and its error no less than one of them."""
        found = over_trainings(Measurement("m", 1.0, 0.1), {4: (2.0, 0.1), 5: (3.0, 0.1)})
        assert found.value == pytest.approx(2.0)
        assert found.error == pytest.approx(1.0 / math.sqrt(3.0))
        assert found.values == (1.0, 2.0, 3.0)
        found = over_trainings(Measurement("m", 2.0, 0.1), {4: (2.0, 0.2), 5: (2.0, 0.2)})
        assert found.error == 0.1

    def test_one_that_knows_little_weighs_little(self):
        found = over_trainings(Measurement("m", 9.0, 100.0), {4: (2.0, 0.1), 5: (2.2, 0.1)})
        assert found.value == pytest.approx(2.1, abs=0.01)

    def test_without_errors_it_is_the_plain_mean(self):
        found = over_trainings(Measurement("m", 1.0, 0.1), {4: (2.0, None), 5: (6.0, 0.1)})
        assert found.value == pytest.approx(3.0)
        assert found.error == pytest.approx(math.sqrt(7.0 / 3.0))

    def test_two_are_too_few_and_one_that_was_not_told_is_none(self):
        others = {4: (2.0, 0.1), 5: (3.0, 0.1)}
        assert over_trainings(Measurement("m", 1.0, 0.1), {4: (2.0, 0.1)}) is None
        untold = Measurement("m", None, note="too few pairs")
        assert over_trainings(untold, others) is None
        assert over_trainings(untold, others | {6: (2.5, 0.1)}).value == pytest.approx(2.5)


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


def test_a_difference_is_taken_seed_by_seed_where_the_values_are_known():
    """Two numbers of one training go together: here their difference does not scatter at all."""
    parts = Measurement("a", 9.0, 1.0), Measurement("b", 5.0, 1.0)
    first = Spread(3.0, 4, {4: (3.0, 1.0), 5: (8.0, 1.0), 7: (0.0, 1.0)})
    second = Spread(4.0, 3, {4: (-1.0, 1.0), 5: (4.0, 1.0)})
    found = of_difference(parts, [first, second])
    assert found == {"spread": 0.0, "trainings": 3, "freedom": None}
    alone = of_difference(parts, [first, Spread(4.0, 3, {4: (-1.0, 1.0)})])
    assert alone["spread"] == 5.0, "Two of them tell too little."


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
        assert one.samples == 1 + len(values.split())
        assert not found.rests_on_seed, "Its error holds the scatter of trainings."

    def test_what_one_training_cannot_tell_the_mean_may(self, decided):
        """As of an exponent that this training leaves open."""
        entry = at_least(5.0, over_trainings=True, max_error=0.5)
        assert outcome(entry, m=(9.0, 3.0)).verdict == "underpowered"
        values = "4:8.0:0.4 5:8.1:0.4 6:7.9:0.4"
        assert decided(entry, values, (9.0, 3.0)).verdict == "reproduced"
        # No number of trainings makes up for an error that is common to all.
        assert decided(entry, values.replace("0.4", "0.6"), (9.0, 3.0)).verdict == "underpowered"

    @pytest.mark.parametrize("values", ["", "4:2.0:1.0"])
    def test_of_fewer_than_three_the_training_at_hand_is_held_against_the_spread(
        self, decided, values
    ):
        found = decided(MEAN, values)
        assert found.outcomes[0].measured == 9.0
        assert (found.verdict, found.rests_on_seed) == ("compatible", True)

    def test_elsewhere_only_the_spread_counts(self, decided):
        found = decided(at_least(5.0), "4:2.0:1.0 5:2.2:1.0 6:1.8:1.0")
        assert found.outcomes[0].measured == 9.0
        assert (found.verdict, found.outcomes[0].spread) == ("compatible", 4.0)
