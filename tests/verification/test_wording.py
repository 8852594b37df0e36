"""What is told of decisions in a sentence."""

from dataclasses import replace

import pytest

from emergence.verification.verdicts import decide
from emergence.verification.wording import separation_line, separations, summary

GOOD = {"loss_ratio": (30, 1), "control__loss_ratio": (1, 1)}


def test_the_summary_counts_the_verdicts(claim_ledger, measure):
    decisions = decide(claim_ledger(), measure(**GOOD), "laptop")
    assert summary(decisions) == (
        "1 claim: 1 reproduced. Every verdict is the one that the ledger expects. "
        "Every negative control that was run turned red."
    )


def test_a_control_without_power_is_named(claim_ledger, measure):
    weak = measure(loss_ratio=(30, None), control__loss_ratio=(30, None))
    ledger = claim_ledger(expected="underpowered", reason="Too few.")
    assert summary(decide(ledger, weak, "laptop")).endswith(
        "Every negative control turned red, but those of criteria without power: I3."
    )


@pytest.mark.parametrize(
    ("value", "spread", "told"),
    [
        (30, None, ""),
        (30, 1.0, "The spread justifies the bound: the number lies 4 times as far from it as another "
                  "training may come out, the control 1.8 times, beyond it."),
        (30, 3.0, "The spread does not justify the bound: the number lies 1.3 times as far from it as "
                  "another training may come out, the control 0.6 times."),
        (5, 1.0, "Of the bound: the number lies 1 times as far from it as another training may come "
                 "out, the control 1.8 times; both miss it."),
    ],
)  # fmt: skip
def test_a_bound_is_justified_where_it_tells_number_and_control_apart(
    claim_ledger, measure, value, spread, told
):
    (decision,) = decide(claim_ledger(), measure(**GOOD | {"loss_ratio": (value, 1)}), "laptop")
    outcomes = tuple(replace(one, spread=spread, trainings=3) for one in decision.outcomes)
    assert separation_line(replace(decision, outcomes=outcomes)) == told


def test_bounds_that_the_spread_justifies_are_counted():
    decided = [
        ("reproduced", (2.0, 3.0)), ("compatible", (0.5, 9.0)), ("reproduced", (9.0, 0.9)),
        ("reproduced", None), ("deviates", (2.0, 2.0)),
    ]  # fmt: skip
    assert separations(decided).startswith("Of 3 claims that hold and whose numbers were measured")
    assert " 1 have a bound" in separations(decided)
    assert separations([("reproduced", None)]) == ""
