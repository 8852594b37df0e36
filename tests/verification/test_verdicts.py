"""Every path to the verdict of a claim, and every one that fails the check."""

from dataclasses import replace

import pytest

from emergence.errors import LedgerError, VerdictMismatch
from emergence.statistics import Measurement
from emergence.verification.claims import NOT_RUN
from emergence.verification.markdown import render_markdown
from emergence.verification.verdicts import check, decide, must_decide
from emergence.verification.wording import measured

GOOD = {"loss_ratio": (30, 1), "control__loss_ratio": (1, 1)}


def test_a_claim_that_reproduces_passes_the_check(claim_ledger, measure):
    (decision,) = decide(claim_ledger(), measure(**GOOD), "laptop")
    assert (decision.verdict, decision.expected) == ("reproduced", "reproduced")
    assert decision.matches and decision.control_holds
    assert decision.control.verdict == "deviates"
    check([decision])


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [(1, 1, "deviates"), (11, 1, "compatible"), (30, None, "underpowered")],
)
def test_any_other_verdict_than_the_expected_fails_the_check(
    claim_ledger, measure, value, error, verdict
):
    measurements = measure(**GOOD | {"loss_ratio": (value, error)})
    (decision,) = decide(claim_ledger(), measurements, "laptop")
    assert decision.verdict == verdict
    with pytest.raises(VerdictMismatch) as caught:
        check([decision])
    text = str(caught.value)
    assert text.startswith(
        f"Claim I3 came out {verdict} at scale laptop, but the ledger expects reproduced ("
    )
    assert text.count("\n") == 0
    assert caught.value.exit_status == 7
    # The same verdict, honestly expected, passes.
    (decision,) = decide(claim_ledger(expected=verdict, reason="why"), measurements, "laptop")
    check([decision])


def test_a_number_that_could_not_be_told_decides_nothing(claim_ledger, measure):
    measurements = measure(**GOOD)
    untold = Measurement("loss_ratio", None, note="all seeds diverged")
    ledger = claim_ledger(expected="underpowered", reason="They diverge.")
    (decision,) = decide(ledger, {**measurements, untold.name: untold}, "laptop")
    (outcome,) = decision.outcomes
    assert (outcome.measured, outcome.error, outcome.verdict) == (None, None, "underpowered")
    assert outcome.note == "loss_ratio could not be told: all seeds diverged"
    assert measured(decision) == "could not be told"
    assert outcome.room is None
    check([decision])


def test_the_headline_stands_for_the_claim_where_it_came_out_as_the_claim_did(
    claim_ledger, measure, raw
):
    criterion = raw["claims"][0]["criteria"][0]
    ledger = claim_ledger(criteria=[criterion, criterion | {"measure": "second"}], headline=1)
    (decision,) = decide(ledger, measure(**GOOD, second=(40, 1)), "laptop")
    assert decision.deciding.measured == 40
    (decision,) = decide(ledger, measure(**GOOD | {"loss_ratio": (1, 1)}, second=(40, 1)), "laptop")
    assert (decision.verdict, decision.deciding.measured) == ("deviates", 1)


def test_of_a_compatible_claim_the_number_nearest_to_its_turn_is_shown(claim_ledger, measure, raw):
    criterion = raw["claims"][0]["criteria"][0]
    others = [criterion | {"measure": name} for name in ("second", "third")]
    ledger = claim_ledger(criteria=[criterion, *others])
    # The bound is ten: 1.5, 0.5 and 4 standard errors from it.
    found = measure(**GOOD | {"loss_ratio": (13, 2)}, second=(12, 4), third=(14, 1))
    (decision,) = decide(ledger, found, "laptop")
    assert (decision.verdict, decision.deciding.measured) == ("compatible", 12)
    assert decision.deciding.errors_left == 0.5


POSITIVE = {"name": "more latents", "statement": "two of them", "measure": "better"}


@pytest.mark.parametrize(
    ("better", "holds"), [((30, 1), True), ((11, 1), True), ((1, 1), False), ((30, None), False)]
)
def test_a_criterion_that_a_claim_must_fail_is_shown_to_pass_something(
    claim_ledger, measure, better, holds
):
    ledger = claim_ledger(expected="deviates", reason="one latent", positive=POSITIVE)
    found = measure(loss_ratio=(1, 1), control__loss_ratio=(1, 1), better=better)
    (decision,) = decide(ledger, found, "laptop")
    assert (decision.matches, decision.positive_holds) == (True, holds)
    text = render_markdown([ledger], [decision], "laptop", lambda figure: None)
    assert "As it must, more latents: two of them." in text
    if holds:
        check([decision])
    else:
        with pytest.raises(
            VerdictMismatch, match="'more latents' must pass the criterion of claim"
        ):
            check([decision])


def test_a_reason_tells_the_numbers_as_they_came_out(claim_ledger, measure):
    ledger = claim_ledger(expected="deviates", reason="It was {loss_ratio}, less than ten.")
    (decision,) = decide(ledger, measure(loss_ratio=(1, 0.5), control__loss_ratio=(1, 1)), "laptop")
    assert decision.reason == "It was 1.00 ± 0.50, less than ten."
    with pytest.raises(LedgerError, match="no measurement 'lost_ratio'"):
        decide(claim_ledger(expected="deviates", reason="{lost_ratio}"), measure(**GOOD), "laptop")


@pytest.mark.parametrize("control", [(0, None), (30, 1)])
def test_a_control_is_excused_only_where_neither_it_nor_the_claim_has_power(
    claim_ledger, measure, control
):
    ledger = claim_ledger(expected="underpowered", reason="two seeds")
    (decision,) = decide(
        ledger, measure(loss_ratio=(30, None), control__loss_ratio=control), "laptop"
    )
    assert decision.control_holds == (control[1] is None)


def test_a_claim_that_does_better_than_expected_fails_the_check_too(claim_ledger, measure):
    ledger = claim_ledger(expected="deviates", reason="The curvature is wrong.")
    (decision,) = decide(ledger, measure(**GOOD), "laptop")
    with pytest.raises(VerdictMismatch, match=r"came out reproduced .* expects deviates"):
        check([decision])


def test_the_expected_verdict_may_differ_between_scales(claim_ledger, measure):
    ledger = claim_ledger(expected={"laptop": "compatible", "paper": "reproduced"})
    measurements = measure(**GOOD | {"loss_ratio": (11, 1)})
    check(decide(ledger, measurements, "laptop"))
    with pytest.raises(VerdictMismatch, match="at scale paper"):
        check(decide(ledger, measurements, "paper"))


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [(30, 1, "reproduced"), (9, 1, "compatible"), (0, None, "underpowered")],
)
def test_a_control_that_does_not_deviate_fails_the_check(
    claim_ledger, measure, value, error, verdict
):
    measurements = measure(**GOOD | {"control__loss_ratio": (value, error)})
    (decision,) = decide(claim_ledger(), measurements, "laptop")
    assert decision.matches and not decision.control_holds
    with pytest.raises(VerdictMismatch) as caught:
        check([decision])
    assert str(caught.value).startswith(
        "The control 'shuffled pairing' of claim I3 did not turn red: it must come out deviates, "
        f"but came out {verdict} ("
    )
    assert caught.value.exit_status == 7


def test_a_control_is_asked_also_of_a_claim_that_deviates(claim_ledger, measure):
    ledger = claim_ledger(expected="deviates", reason="why")
    broken = measure(loss_ratio=(1, 1), control__loss_ratio=(30, 1))
    with pytest.raises(VerdictMismatch, match="did not turn red"):
        check(decide(ledger, broken, "laptop"))
    check(decide(ledger, measure(loss_ratio=(1, 1), control__loss_ratio=(0, 1)), "laptop"))


def test_nothing_is_asked_of_the_control_of_a_criterion_without_power(claim_ledger, measure):
    ledger = claim_ledger(expected="underpowered", reason="two seeds")
    measurements = measure(loss_ratio=(30, None), control__loss_ratio=(30, None))
    check(decide(ledger, measurements, "laptop"))


def test_a_control_may_have_fewer_seeds_than_its_claim(claim_ledger, measure, raw):
    claim = raw["claims"][0]
    criteria = [claim["criteria"][0] | {"min_samples": 5}]
    measurements = measure(loss_ratio=(30, 1, [30] * 5), control__loss_ratio=(1, 1, [1] * 3))
    with pytest.raises(VerdictMismatch, match=r"underpowered \(it has 3 of at least 5 seeds\)"):
        check(decide(claim_ledger(criteria=criteria), measurements, "laptop"))
    control = claim["control"] | {"min_samples": 3}
    check(decide(claim_ledger(criteria=criteria, control=control), measurements, "laptop"))


def test_a_control_of_an_ordering_brings_its_own_pair(claim_ledger, measure, raw):
    ordering = {
        "test": "ordering",
        "smaller": "a",
        "larger": "b",
        "basis": "choice",
        "justification": "j",
    }
    control = raw["claims"][0]["control"] | {"measure": {"smaller": "ca", "larger": "cb"}}
    ledger = claim_ledger(criteria=[ordering], control=control)
    check(decide(ledger, measure(a=(1, 0), b=(2, 0), ca=(2, 0), cb=(1, 0)), "laptop"))
    with pytest.raises(VerdictMismatch, match="did not turn red"):
        check(decide(ledger, measure(a=(1, 0), b=(2, 0), ca=(1, 0), cb=(2, 0)), "laptop"))


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        ((20, 1), "reproduced"),
        ((10, 1), "compatible"),
        ((20, None), "underpowered"),
        ((0, 1), "deviates"),
    ],
)
def test_the_worst_criterion_counts_and_the_first_is_the_headline(
    claim_ledger, measure, raw, second, verdict
):
    first = raw["claims"][0]["criteria"][0]
    ledger = claim_ledger(criteria=[first, first | {"measure": "n"}])
    (decision,) = decide(ledger, measure(**GOOD, n=second), "laptop")
    assert decision.verdict == verdict
    assert decision.outcomes[0].measured == 30


def test_deviating_is_worse_than_having_no_power(claim_ledger, measure, raw):
    first = raw["claims"][0]["criteria"][0]
    ledger = claim_ledger(criteria=[first, first | {"measure": "n"}])
    entries = {"loss_ratio": (0, 1), "control__loss_ratio": (0, 1), "n": (20, None)}
    (decision,) = decide(ledger, measure(**entries), "laptop")
    assert decision.verdict == "deviates"


def test_a_scale_without_the_power_runs_nothing_and_needs_no_measurement(claim_ledger):
    ledger = claim_ledger()
    assert must_decide(ledger, "laptop") and not must_decide(ledger, "smoke")
    (decision,) = decide(ledger, {}, "smoke")
    assert (decision.verdict, decision.expected) == (NOT_RUN, NOT_RUN)
    assert decision.reason == "Scale smoke lacks the power to decide it; run scale laptop or paper."
    check([decision])
    weak = claim_ledger(scales=["laptop"], expected="underpowered", reason="Few pairs.")
    (decision,) = decide(weak, {}, "smoke")
    assert decision.reason.startswith("Scale smoke does not measure it; scale laptop does, though")
    (decision,) = decide(claim_ledger(expected=NOT_RUN, scales=[], reason="A year."), {}, "paper")
    assert (decision.verdict, decision.reason) == (NOT_RUN, "A year.")
    check([decision])


def test_a_measurement_that_is_missing_where_it_decides_is_named(claim_ledger, measure):
    ledger = claim_ledger()
    with pytest.raises(LedgerError) as caught:
        decide(ledger, measure(loss_ratios=(30, 1)), "laptop")
    assert str(caught.value) == (
        "Claim I3 must be decided at scale laptop, but introspection has no measurement "
        "'loss_ratio' there. Did you mean 'loss_ratios'?"
    )
    with pytest.raises(LedgerError, match=r"'control\.loss_ratio' there\. Correct its name, or"):
        decide(ledger, measure(loss_ratio=(30, 1), n=(1, 1)), "laptop")


def test_every_fault_is_told(claim_ledger, measure):
    broken = measure(loss_ratio=(1, 1), control__loss_ratio=(30, 1))
    with pytest.raises(VerdictMismatch) as caught:
        check(decide(claim_ledger(), broken, "laptop"))
    assert "Claim I3 came out deviates" in str(caught.value)
    assert "did not turn red" in str(caught.value)


class TestRestsOnSeed:
    """The loss ratio must be at least 10; it is 30, or 1, with spreads of single trainings."""

    def decided(self, claim_ledger, measure, value, spread, **changes):
        found = measure(**GOOD | {"loss_ratio": (value, 1)})
        (decision,) = decide(claim_ledger(**changes), found, "laptop")
        outcomes = tuple(replace(one, spread=spread, trainings=3) for one in decision.outcomes)
        return replace(decision, outcomes=outcomes)

    @pytest.mark.parametrize(("spread", "rests"), [(None, False), (3.2, False), (3.3, True)])
    def test_where_the_interval_of_another_training_exceeds_the_room(
        self, claim_ledger, measure, spread, rests
    ):
        assert self.decided(claim_ledger, measure, 30, spread).rests_on_seed is rests

    def test_a_deviation_by_many_spreads_does_not(self, claim_ledger, measure):
        expected = {"expected": "deviates", "reason": "So."}
        assert not self.decided(claim_ledger, measure, 1, 1.4, **expected).rests_on_seed
        assert self.decided(claim_ledger, measure, 1, 1.5, **expected).rests_on_seed

    def test_a_share_of_the_seeds_counts_them_itself(self, claim_ledger, raw):
        raw["claims"][0]["criteria"][0] |= {"fraction": 0.9}
        found = [
            Measurement.from_seeds("loss_ratio", [30.0, 10.5, 50.0, 12.0] * 3),
            Measurement.from_seeds("control.loss_ratio", [1.0] * 12),
        ]
        (decision,) = decide(claim_ledger(), {one.name: one for one in found}, "laptop")
        assert decision.verdict == "reproduced" and not decision.rests_on_seed
