"""Numbers in sentences and tables."""

import pytest

from emergence.errors import LedgerError
from emergence.statistics import Measurement
from emergence.verification.numbers import filled, number


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        (None, 0.1, "could not be told"),
        (0.25, 0.0, "0.25"),
        (0.25, 2e-18, "0.25"),
        (0.25, None, "0.25 ± ?"),
        (0.12471, 0.00065, "0.12471 ± 0.00065"),
        (7.7e-6, 1.1e-6, "(7.7 ± 1.1)e-06"),
        (819.3, 151.2, "819 ± 151"),
    ],
)
def test_an_error_has_two_digits(value, error, told):
    assert number(value, error) == told


def test_sentences_tell_what_was_measured():
    known = {
        "a.b_1": Measurement("a.b_1", 0.1234, 0.0056),
        "c-d": Measurement("c-d", None, None, note="too few"),
    }
    text = "It is {a.b_1}, so {a.b_1:.1%}; {c-d}, {c-d:.2f}; {not one}."
    told = "It is 0.1234 ± 0.0056, so 12.3%; could not be told, could not be told; {not one}."
    assert filled(text, known.__getitem__) == told
    with pytest.raises(KeyError):
        filled("{unknown}", known.__getitem__)


def test_a_format_that_is_none_is_told():
    with pytest.raises(LedgerError, match=r"claims/x\.md has '{gap:q}', of which 'q' is no format"):
        filled("The gap is {gap:q}.", lambda name: Measurement(name, 1.0, 0.1), "claims/x.md")


def test_sentences_tell_how_an_ensemble_scatters():
    seeds = {
        "many": Measurement.from_seeds("many", [1.0, 2.0, 3.0, 4.0, 40.0]),
        "signed": Measurement.from_seeds("signed", [-1.0, 0.0, 1.0]),
        "one": Measurement("one", 5.0, 0.1),
    }

    def told(text):
        return filled(text, seeds.__getitem__)

    assert told("{many:range}, by up to {many:factor}") == "1 to 40, by up to 40"
    assert told("{signed:scatter}, {signed:factor}") == "0.68, ∞"
    assert told("{one:range}, {one:scatter}") == "5.00 ± 0.10, 5.00 ± 0.10"
