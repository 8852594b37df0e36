"""Every path to the outcome of a criterion, from both sides of its bound."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes_of import at_least, outcome

from emergence.errors import LedgerError


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [
        (7.9, 1.0, "reproduced"),
        (8.0, 1.0, "compatible"),  # two standard errors, not more
        (9.9, 1.0, "compatible"),
        (10.1, 1.0, "compatible"),
        (12.0, 1.0, "compatible"),
        (12.1, 1.0, "deviates"),
        (10.0, 0.0, "reproduced"),
        (10.001, 0.0, "deviates"),
        (1.0, None, "underpowered"),
        (100.0, None, "underpowered"),
    ],
)
def test_at_most_and_at_least_mirror_each_other(value, error, verdict):
    at_most = {"test": "at_most", "measure": "m", "bound": 10}
    assert outcome(at_most, m=(value, error)).verdict == verdict
    assert outcome(at_least(-10), m=(-value, error)).verdict == verdict


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("distance", "error", "verdict"),
    [
        (0.0, 0.1, "reproduced"),
        (0.25, 0.1, "reproduced"),
        (0.4, 0.1, "compatible"),
        (0.6, 0.1, "compatible"),
        (0.75, 0.1, "deviates"),
        (0.0, 0.3, "compatible"),  # the error bar is wider than the tolerance
        (0.25, 0.0, "reproduced"),
        (0.75, 0.0, "deviates"),
        (0.0, None, "underpowered"),
    ],
)
def test_within(sign, distance, error, verdict):
    absolute = {"test": "within", "measure": "m", "target": -4, "tolerance": 0.5}
    relative = absolute | {"tolerance": 0.125, "relative": True}
    for entry in (absolute, relative):
        assert outcome(entry, m=(-4 + sign * distance, error)).verdict == verdict


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("distance", "error", "verdict"),
    [
        (0.0, 0.1, "reproduced"),
        (0.19, 0.1, "reproduced"),
        (0.21, 0.1, "compatible"),
        (0.29, 0.1, "compatible"),
        (0.31, 0.1, "deviates"),
        (0.25, 0.125, "reproduced"),
        (0.375, 0.125, "compatible"),
        (0.0, 0.5, "reproduced"),
        (0.0, 0.0, "reproduced"),
        (1e-9, 0.0, "deviates"),
        (0.0, 0.6, "underpowered"),
        (9.0, 0.6, "underpowered"),
        (0.0, None, "underpowered"),
    ],
)
def test_equality_and_exponents_are_tested_in_their_own_errors(sign, distance, error, verdict):
    for test in ("equal_within_errors", "scaling_exponent"):
        entry = {"test": test, "measure": "m", "target": 2, "max_error": 0.5}
        assert outcome(entry, m=(2 + sign * distance, error)).verdict == verdict


def test_sigmas_widen_an_equality():
    entry = {"test": "scaling_exponent", "measure": "m", "target": 2, "max_error": 0.5}
    assert outcome(entry, m=(2.4, 0.1)).verdict == "deviates"
    assert outcome(entry | {"sigmas": 5}, m=(2.4, 0.1)).verdict == "compatible"


def test_two_measurements_are_equal_within_their_combined_error():
    entry = {"test": "equal_within_errors", "measure": "m", "other": "n", "max_error": 5}
    assert outcome(entry, m=(10, 3), n=(0.1, 4)).verdict == "reproduced"  # 9.9 of 2 * 5
    assert outcome(entry, m=(10, 3), n=(-0.1, 4)).verdict == "compatible"
    assert outcome(entry, m=(10, 3), n=(-5.1, 4)).verdict == "deviates"
    assert outcome(entry, m=(10, 3), n=(25.1, 4)).verdict == "deviates"
    assert outcome(entry, m=(10, 3), n=(10, None)).verdict == "underpowered"
    assert outcome(entry, m=(10, 3), n=(10, 6)).verdict == "underpowered"
    assert outcome(entry, m=(10, 6), n=(10, 0)).verdict == "underpowered"
    shown = outcome(entry, m=(10, 3), n=(0.1, 4))
    assert (shown.measured, shown.error) == (10, 3)


def test_the_room_is_what_is_left_to_where_the_criterion_turns():
    equal = {"test": "equal_within_errors", "measure": "m", "target": 2, "max_error": 5}
    assert outcome(equal, m=(2, 1)).room == 3
    assert outcome(equal, m=(4.5, 1)).room == pytest.approx(0.5)
    assert outcome(equal, m=(5.5, 1)).room == pytest.approx(0.5)
    assert outcome(equal, m=(2, None)).room is None
    other = {"test": "equal_within_errors", "measure": "m", "other": "n", "max_error": 5}
    assert outcome(other, m=(10, 3), n=(0, 4)).room == pytest.approx(5)
    assert outcome(at_least(10), m=(12, 1)).room == 2
    order = {"test": "ordering", "smaller": "m", "larger": "n"}
    assert outcome(order, m=(1, 0.1), n=(4, 0.1)).room == 3


def test_a_relative_max_error_is_a_fraction_of_the_target_or_of_the_own_value():
    relative = {"max_error": 0.2, "relative": True}
    entry = {"test": "scaling_exponent", "measure": "m", "target": -2} | relative
    assert outcome(entry, m=(-1.9, 0.39)).verdict == "reproduced"
    assert outcome(entry, m=(-1.9, 0.41)).verdict == "underpowered"
    entry = {"test": "equal_within_errors", "measure": "m", "other": "n"} | relative
    assert outcome(entry, m=(-10, 1.9), n=(-9, 1.7)).verdict == "reproduced"
    assert outcome(entry, m=(-10, 1.9), n=(-9, 1.9)).verdict == "underpowered"


def test_max_error_takes_the_power_of_any_test():
    entry = at_least(10, max_error=1)
    assert outcome(entry, m=(20, 0.9)).verdict == "reproduced"
    assert outcome(entry, m=(20, 1.1)).verdict == "underpowered"
    assert outcome(entry, m=(0, 1.1)).verdict == "underpowered"


@pytest.mark.parametrize(
    ("smaller", "larger", "verdict"),
    [
        ((1, 0.3), (2.1, 0.4), "reproduced"),
        ((1, 0.3), (1.9, 0.4), "compatible"),
        ((1.9, 0.3), (1, 0.4), "compatible"),
        ((2.1, 0.3), (1, 0.4), "deviates"),
        ((1, 0), (1.01, 0), "reproduced"),
        ((1, 0), (1, 0), "deviates"),  # equal is not smaller
        ((1, None), (5, 0.4), "underpowered"),
        ((1, 0.3), (5, None), "underpowered"),
    ],
)
def test_ordering(smaller, larger, verdict):
    entry = {"test": "ordering", "smaller": "a", "larger": "b"}
    decided = outcome(entry, a=smaller, b=larger)
    assert decided.verdict == verdict
    assert decided.measured == larger[0] - smaller[0]


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [
        (3.1, 1, "reproduced"),
        (2.9, 1, "compatible"),
        (-2.9, 1, "compatible"),
        (-3.1, 1, "deviates"),
        (0, 0, "deviates"),
        (0.1, 0, "reproduced"),
        (9, None, "underpowered"),
    ],
)
def test_model_comparison(value, error, verdict):
    entry = {"test": "model_comparison", "measure": "m"}
    assert outcome(entry, m=(value, error)).verdict == verdict
    assert outcome(entry | {"bound": 10}, m=(value + 10, error)).verdict == verdict


@pytest.mark.parametrize(
    ("passing", "verdict"),
    [(10, "reproduced"), (9, "compatible"), (8, "deviates"), (5, "deviates"), (0, "deviates")],
)
def test_a_fraction_of_the_seeds_must_pass_on_their_own_values(passing, verdict):
    seeds = tuple([1.0] * passing + [-1.0] * (10 - passing))
    # Neither the median nor its error counts.
    assert outcome(at_least(0, fraction=0.9), m=(50, None, seeds)).verdict == verdict
    at_most = {"test": "at_most", "measure": "m", "bound": 0, "fraction": 0.9}
    assert outcome(at_most, m=(50, None, [-x for x in seeds])).verdict == verdict
    within = {"test": "within", "measure": "m", "target": 1, "tolerance": 0.5, "fraction": 0.9}
    assert outcome(within, m=(50, None, seeds)).verdict == verdict
    ordering = {"test": "ordering", "smaller": "a", "larger": "b", "fraction": 0.9}
    pair = {"a": (0, None, range(10)), "b": (0, None, [i + x for i, x in enumerate(seeds)])}
    assert outcome(ordering, **pair).verdict == verdict


@pytest.mark.parametrize(("share", "count"), [(0.9, 10), (0.8, 5), (0.5, 12), (0.7, 3)])
def test_a_share_is_told_from_the_demanded_one_both_ways_alike(share, count):
    """What passes in a share of at least p fails in one of at most 1 − p."""
    opposite = {"reproduced": "deviates", "compatible": "compatible", "deviates": "reproduced"}
    for passing in range(count + 1):
        seeds = [1.0] * passing + [-1.0] * (count - passing)
        holds = outcome(at_least(0, fraction=share), m=(0, 0, seeds)).verdict
        others = outcome(at_least(0, fraction=1.0 - share), m=(0, 0, [-x for x in seeds])).verdict
        assert others == opposite[holds], (passing, count)


def test_few_seeds_tell_no_large_share():
    """Of three that all pass, the share of all seeds may be three quarters."""
    assert outcome(at_least(0, fraction=0.9), m=(1, 0, [1, 1, 1])).verdict == "compatible"
    assert outcome(at_least(0, fraction=0.9), m=(1, 0, [1] * 10)).verdict == "reproduced"


def test_a_seed_on_the_bound_passes_but_an_equal_pair_is_not_ordered():
    assert outcome(at_least(0, fraction=0.7), m=(0, 0, [0, 0, 0])).verdict == "reproduced"
    ordering = {"test": "ordering", "smaller": "a", "larger": "b", "fraction": 0.7}
    pair = {"a": (0, 0, [1, 2, 3]), "b": (0, 0, [1, 2, 3])}
    assert outcome(ordering, **pair).verdict == "deviates"


def test_seeds_that_cannot_be_paired_are_a_fault_of_the_ledger():
    ordering = {"test": "ordering", "smaller": "a", "larger": "b"}
    pair = {"a": (0, 0.1, [1, 2, 3]), "b": (5, 0.1, [1, 2, 3, 4])}
    assert outcome(ordering, **pair).verdict == "reproduced"
    with pytest.raises(LedgerError, match="'b' has 4 seeds and 'a' 3, so that"):
        outcome(ordering | {"fraction": 0.9}, **pair)


@pytest.mark.parametrize("side", [1, -1])
def test_too_few_seeds_are_underpowered_on_either_side(side):
    def verdict(seeds, error=0.1, **more):
        return outcome(at_least(0, **more), m=(9 * side, error, seeds)).verdict

    decided = "reproduced" if side > 0 else "deviates"
    three = [9 * side] * 3
    assert verdict(three) == decided
    assert verdict(three[:2]) == "underpowered"
    assert verdict(three, fraction=0.7) == decided
    assert verdict(three[:2], fraction=0.9) == "underpowered"
    assert verdict(three, min_samples=4) == "underpowered"
    assert verdict(three[:2], min_samples=2) == decided
    assert verdict(None) == decided  # no ensemble, but an error of its own
    assert verdict(None, min_samples=2) == "underpowered"
    assert verdict(None, fraction=0.9) == "underpowered"
    assert verdict(three, error=None, fraction=0.7) == decided
    assert verdict(three, error=None, fraction=0.9, max_error=1) == "underpowered"


def test_the_smaller_ensemble_of_two_counts():
    entry = {"test": "ordering", "smaller": "a", "larger": "b"}
    decided = outcome(entry, a=(0, 0.1, [0] * 2), b=(9, 0.1, [9] * 5))
    assert (decided.verdict, decided.samples) == ("underpowered", 2)


@pytest.mark.parametrize(
    ("entry", "measured", "note"),
    [
        (at_least(10), (15, 2), "clears its bound by 2.5 standard errors"),
        (at_least(10), (5, 2), "misses its bound by 2.5 standard errors"),
        (at_least(10), (12, 0), "clears its bound by 2"),
        (at_least(0, fraction=0.5), (0, 1, [1, -1, -2]), "1 of 3 seeds pass"),
        (at_least(0, max_error=0.1), (5, 0.25), "the standard error of m is 0.25, which is too"),
        (at_least(0), (5, None), "the standard error of m is not known"),
        (
            {"test": "scaling_exponent", "measure": "m", "target": 2, "max_error": 1},
            (1, 0.4),
            "2.5 standard errors from its target",
        ),
    ],
)
def test_an_outcome_says_how_it_was_decided(entry, measured, note):
    assert outcome(entry, m=measured).note.startswith(note)


@given(
    value=st.floats(-100, 100),
    bound=st.floats(-100, 100),
    error=st.floats(0.01, 10),
    shift=st.floats(0.01, 50),
)
def test_a_better_value_never_gets_a_worse_verdict(value, bound, error, shift):
    order = ["deviates", "compatible", "reproduced"]
    worse = outcome(at_least(bound), m=(value, error)).verdict
    better = outcome(at_least(bound), m=(value + shift, error)).verdict
    assert order.index(better) >= order.index(worse)
    mirrored = outcome(at_least(-bound), m=(-value, error)).verdict
    assert order.index(worse) + order.index(mirrored) == 2 or math.isclose(
        abs(value - bound), 2 * error
    )
