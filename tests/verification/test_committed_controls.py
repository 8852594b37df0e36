"""Controls that are committed: none is its claim the other way round, and all are of shipped numbers."""

from committed import ROOT, claims

from emergence.artifacts import read_numbers
from emergence.statistics import read_measurements
from emergence.verification.claims import load_ledgers
from emergence.verification.criteria import (
    keys_of,
)
from emergence.verification.verdicts import decide


def test_no_control_is_its_claim_the_other_way_round():
    """Such a control is red whenever its claim is green, and says nothing of what was measured.

    Neither may it be what another claim is decided by: it would be red because that one is green.
    """
    for ledger in load_ledgers(ROOT / "claims"):
        path = ROOT / "weights/laptop" / ledger.system / "measurements.json"
        found = read_measurements(path)
        decided = {
            frozenset(_number(found, key) for key in keys_of(criterion)): claim.id
            for claim in ledger.claims
            for criterion in claim.criteria
        }
        # Of an order both sides decide, and a control may keep one of them.
        alone = {
            _number(found, criterion.measure): claim.id
            for claim in ledger.claims
            for criterion in claim.criteria
            if criterion.test != "ordering"
        }
        for claim in ledger.claims:
            asked = claim.asked_of(claim.control)
            control = {_number(found, key) for key in keys_of(asked)}
            # What is compared with stays as it is: the other side of an equality, or of an order.
            changed = control - {_number(found, getattr(asked, "other", None))}
            for numbers in (frozenset(control), frozenset(changed)):
                assert numbers not in decided, (claim.id, decided[numbers])
            for name in changed:
                assert name not in alone, (claim.id, alone[name])


def _number(found, name):
    """What tells a measurement from others but its name and sign: a number of one result.

    Of one that is not shipped, could not be told, or vanishes as too small p-values do, the name.
    """
    known = found.get(name)
    if known is None or not known.value:
        return name
    values = None if known.values is None else tuple(abs(value) for value in known.values)
    return abs(known.value), known.error, values, known.source


def test_a_control_by_a_known_answer_says_so():
    """One whose number follows from its definition proves that the estimate works, no more."""
    for claim in claims():
        known = claim.control.statement.startswith("A known answer")
        assert known == (claim.id in {"H4-footprint", "H4-tails"}), claim.id


def test_a_claim_that_must_fail_is_shown_what_passes():
    """All but those whose criterion nothing that was measured passes, and why."""
    without = {
        "S5-correlation": "no memory of any network decays as the correlation does",
    }
    for ledger in load_ledgers(ROOT / "claims"):
        for claim in ledger.claims:
            must_fail = "laptop" in claim.scales and claim.expected_at("laptop") == "deviates"
            assert not must_fail or claim.positive or claim.id in without, claim.id


def test_the_committed_controls_are_those_of_the_ledger():
    rows = read_numbers(ROOT / "figures/laptop/sabotage.json")["controls"]
    judged = {claim.id: claim for claim in claims() if "laptop" in claim.scales}
    listed = {(row["claim"], row["control"]) for row in rows if "demanded" not in row}
    expected = {(c.id, control.name) for c in judged.values()
                for control in (c.control, c.positive) if control}  # fmt: skip
    assert listed == expected
    for row in rows:
        if "demanded" in row:
            assert row["demanded"] == judged[row["claim"]].criteria[0].allowed(), row["claim"]
    assert all(row["holds"] for row in rows)


def test_the_committed_controls_are_of_the_shipped_numbers():
    """Where it fails, an analysis changed after `make sabotage`: run it again."""
    rows = read_numbers(ROOT / "figures/laptop/sabotage.json")["controls"]
    told = {
        (r["claim"], r["control"]): (r["measured"], r["error"]) for r in rows if "demanded" not in r
    }
    for ledger in load_ledgers(ROOT / "claims"):
        path = ROOT / "weights/laptop" / ledger.system / "measurements.json"
        for decision in decide(ledger, read_measurements(path), "laptop"):
            claim = decision.claim
            for kind, one in (
                (claim.control, decision.control),
                (claim.positive, decision.positive),
            ):
                if one is not None:
                    assert told[claim.id, kind.name] == (one.measured, one.error), claim.id
