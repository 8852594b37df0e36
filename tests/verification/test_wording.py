"""What is told of decisions in a sentence."""

from dataclasses import replace

import pytest

from emergence.verification.verdicts import decide
from emergence.verification.wording import scatter_line, summary

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
    ("spread", "told"),
    [
        (None, ""),
        (0.0, "Single trainings scatter by 0 (3 of them)."),
        (1.0, "another training may be 6.1 off (95%), which is less than that."),
        (5.0, "another training may be 30 off (95%), which is more than that: its seed decides."),
    ],
)
def test_the_spread_is_held_against_the_room(claim_ledger, measure, spread, told):
    (decision,) = decide(claim_ledger(), measure(**GOOD), "laptop")
    (one,) = decision.outcomes
    assert scatter_line(replace(one, spread=spread, trainings=3)).endswith(told)
