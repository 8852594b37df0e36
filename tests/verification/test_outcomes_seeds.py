"""What another training may come out as: how far its reach is, and what that leaves of a verdict."""

import math
from dataclasses import replace

import numpy as np
import pytest
from outcomes_of import at_least, outcome, ratio

from emergence.verification.outcomes import settled


@pytest.mark.parametrize("trainings", [2, 3, 10])
def test_another_training_falls_within_reach_of_one_of_those_before_it_19_times_in_20(trainings):
    drawn = np.random.default_rng(1).normal(size=(40000, trainings + 1))
    before, another = drawn[:, :-1], drawn[:, -1]
    one = replace(outcome(at_least(0), m=(9, 1)), spread=1.0, trainings=trainings)
    reach = one.reach * before.std(axis=1, ddof=1)
    within = np.abs(another - before[:, 0]) < reach
    # A little more often: the one before is among those that the spread is of.
    assert 0.95 < np.mean(within) < 0.975


@pytest.mark.parametrize("trainings", [3, 10])
def test_a_quotient_is_positive_of_another_training_too(trainings):
    """Its logarithm is normal: another one is about as rarely below its reach as one in forty."""
    drawn = np.exp(np.random.default_rng(2).normal(np.log(9.0), 0.2, size=(8000, trainings + 1)))
    before, another = drawn[:, :-1], drawn[:, -1]
    one = outcome(ratio(1), m=(9, 1))
    reach = [
        replace(one, measured=first, spread=spread, trainings=trainings).reach
        for first, spread in zip(before[:, 0], before.std(axis=1, ddof=1), strict=True)
    ]
    below = before[:, 0] - another > reach
    assert 0.01 < np.mean(below) < 0.05


def test_only_of_a_quotient_above_its_bound_the_logarithm_counts():
    spread = {"spread": 8.0, "trainings": 3}
    linear = replace(outcome(at_least(1), m=(9, 1)), **spread).reach
    assert linear == pytest.approx(6.085 * 8.0, rel=1e-3)
    assert replace(outcome(ratio(1), m=(9, 1)), **spread).reach < 9.0
    assert replace(outcome(ratio(10), m=(9, 1)), **spread).reach == linear


def test_degrees_of_freedom_count_where_they_are_told():
    one = replace(outcome(at_least(0), m=(9, 1)), spread=1.0, trainings=2)
    assert one.reach == pytest.approx(12.706 * math.sqrt(2.0), rel=1e-3)
    assert replace(one, freedom=2.0).reach == pytest.approx(6.085, rel=1e-3)


@pytest.mark.parametrize(("trainings", "spread"), [(0, None), (1, 1.0), (0, 1.0)])
def test_a_single_training_predicts_nothing(trainings, spread):
    one = replace(outcome(at_least(0), m=(9, 1)), spread=spread, trainings=trainings)
    assert one.reach is None
    assert not one.rests_on_seed


EQUAL = {"test": "equal_within_errors", "measure": "m", "target": 0, "sigmas": 3, "max_error": 5}


@pytest.mark.parametrize(
    ("asked", "value", "spread", "verdict"),
    [
        (at_least(0), 9, None, "reproduced"),
        (at_least(0), 9, 1.4, "reproduced"),
        # Another one may be 6.1 of these off.
        (at_least(0), 9, 1.5, "compatible"),
        (at_least(0), 1, 9.0, "compatible"),
        (at_least(0), -9, 9.0, "deviates"),
        # In its own errors, which describe the seeds unless they scatter more.
        (EQUAL, 1, 1.0, "reproduced"),
        (EQUAL, 1, 1.1, "compatible"),
        (EQUAL, 9, 1.0, "deviates"),
    ],
)
def test_what_another_training_may_miss_is_at_best_compatible(asked, value, spread, verdict):
    one = replace(outcome(asked, m=(value, 1)), spread=spread, trainings=3)
    found = settled(one)
    assert found.verdict == verdict
    assert ("another training" in found.note) == (found.verdict != one.verdict)


def test_seeds_that_are_counted_are_not_held_against_their_spread():
    asked = at_least(0) | {"fraction": 0.9}
    one = replace(outcome(asked, m=(9, 1)), verdict="reproduced", spread=99.0, trainings=10)
    assert settled(one) is one


def test_errors_left_are_of_the_larger_doubt():
    one = outcome(at_least(0), m=(9, 1))
    assert one.errors_left == 9.0
    seeds = replace(one, spread=2.0, trainings=3)
    assert seeds.errors_left == pytest.approx(9.0 / (seeds.reach / 2.0))
    assert replace(one, error=0.0, spread=0.0, trainings=3).errors_left == math.inf
