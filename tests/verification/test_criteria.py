"""The schema of the tests: what each demands, and which demands make no sense."""

import pytest
from pydantic import TypeAdapter, ValidationError

from emergence.verification.criteria import Criterion

WHY = {"basis": "choice", "justification": "the measured spread"}
CRITERION = TypeAdapter(Criterion)


@pytest.mark.parametrize(
    ("entry", "demand"),
    [
        ({"test": "at_most", "measure": "m", "bound": 1e-3}, "at most 0.001"),
        (
            {"test": "at_least", "measure": "m", "bound": 1000, "fraction": 0.9},
            "at least 1000 in at least 90 % of the seeds",
        ),
        ({"test": "within", "measure": "m", "target": 2, "tolerance": 0.1}, "2 ± 0.1"),
        (
            {"test": "within", "measure": "m", "target": 2, "tolerance": 0.05, "relative": True},
            "2 ± 5 %",
        ),
        (
            {"test": "equal_within_errors", "measure": "m", "other": "n", "max_error": 0.2},
            "equal to n within 3 standard errors, its error at most 0.2",
        ),
        (
            {"test": "equal_within_errors", "measure": "m", "target": 0, "max_error": 0.2},
            "equal to 0 within 3 standard errors, its error at most 0.2",
        ),
        ({"test": "ordering", "smaller": "m", "larger": "n"}, "m < n"),
        ({"test": "model_comparison", "measure": "m"}, "exceeds 0 by 3 standard errors"),
        (
            {
                "test": "scaling_exponent",
                "measure": "m",
                "target": 0.25,
                "sigmas": 2,
                "max_error": 0.2,
                "relative": True,
            },
            "exponent 0.25 within 2 standard errors, its error at most 20 %",
        ),
    ],
)
def test_every_test_says_what_it_demands(entry, demand):
    assert CRITERION.validate_python(entry | WHY).allowed() == demand


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"test": "at_most", "measure": "m"}, "bound"),
        ({"test": "at_most", "measure": "m", "bound": float("nan")}, "finite"),
        ({"test": "at_most", "measure": "m", "bound": True}, "valid number"),
        ({"test": "at_most", "measure": "m", "bound": 1, "tolerance": 1}, "not permitted"),
        ({"test": "at_most", "measure": "m", "bound": 1, "relative": True}, "max_error to apply"),
        ({"test": "at_most", "measure": "m", "bound": 1, "fraction": 1}, "less than 1"),
        ({"test": "at_most", "measure": "m", "bound": 1, "fraction": 0}, "greater than 0"),
        ({"test": "at_most", "measure": "m", "bound": 1, "min_samples": 0}, "greater than or"),
        ({"test": "at_most", "measure": "a b", "bound": 1}, "match pattern"),
        ({"test": "within", "measure": "m", "target": 2, "tolerance": 0}, "greater than 0"),
        (
            {"test": "within", "measure": "m", "target": 0, "tolerance": 1, "relative": True},
            "where the target is 0",
        ),
        # Without a bound on the error, anything is equal within it.
        ({"test": "equal_within_errors", "measure": "m", "target": 2}, "max_error"),
        ({"test": "equal_within_errors", "measure": "m", "max_error": 1}, "not both"),
        (
            {
                "test": "equal_within_errors",
                "measure": "m",
                "max_error": 1,
                "target": 1,
                "other": "n",
            },
            "not both",
        ),
        ({"test": "scaling_exponent", "measure": "m", "target": 2}, "max_error"),
        ({"test": "model_comparison", "measure": "m", "sigmas": 1}, "greater than or equal to 2"),
        ({"test": "ordering", "smaller": "m"}, "larger"),
        ({"test": "roughly", "measure": "m"}, "Input should be"),
    ],
)
def test_senseless_demands_are_refused(entry, fault):
    with pytest.raises(ValidationError, match=fault):
        CRITERION.validate_python(entry | WHY)


def test_every_criterion_needs_a_justification():
    with pytest.raises(ValidationError, match="justification"):
        CRITERION.validate_python({"test": "at_most", "measure": "m", "bound": 1})


@pytest.mark.parametrize("basis", [{}, {"basis": "habit"}])
def test_every_criterion_says_what_its_bound_rests_on(basis):
    entry = {"test": "at_most", "measure": "m", "bound": 1, "justification": "j"}
    with pytest.raises(ValidationError, match="basis"):
        CRITERION.validate_python(entry | basis)
