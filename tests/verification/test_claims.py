"""The ledger's schema: what it accepts, and the sentence for each thing that it does not."""

from pathlib import Path

import pytest

from emergence.errors import LedgerError
from emergence.verification.claims import load_ledger, load_ledgers

ROOT = Path(__file__).parents[2]


def change(raw, place, value):
    """Set raw["claims"][0]["criteria"][0] for the place "claims.0.criteria.0"; None deletes it."""
    *path, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    for part in path:
        raw = raw[part]
    if value is None:
        del raw[last]
    else:
        raw[last] = value


def test_a_ledger_is_read(raw, write):
    raw["claims"][0]["statement"] = "  over\n two lines "
    ledger = load_ledger(write(raw))
    claim = ledger.claims[0]
    assert (ledger.system, ledger.paper.arxiv, claim.id) == ("introspection", "1901.11103", "I3")
    assert claim.statement == "over two lines"
    assert claim.criteria[0].bound == 10
    assert claim.control.criterion == 0


def test_the_expectation_depends_on_the_scale(claim_ledger):
    (claim,) = claim_ledger(expected="compatible").claims
    assert [claim.expected_at(scale) for scale in ("smoke", "laptop", "paper")] == [
        "not run",
        "compatible",
        "compatible",
    ]
    (claim,) = claim_ledger(expected={"laptop": "compatible", "paper": "reproduced"}).claims
    assert [claim.expected_at(scale) for scale in ("smoke", "laptop", "paper")] == [
        "not run",
        "compatible",
        "reproduced",
    ]


def test_a_claim_that_no_scale_decides_says_why(claim_ledger):
    (claim,) = claim_ledger(expected="not run", scales=[], reason="It takes a year.").claims
    assert claim.expected_at("paper") == "not run"


def test_the_control_asks_its_criterion_of_its_own_measurement(claim_ledger, raw):
    criteria = [
        raw["claims"][0]["criteria"][0],
        {
            "test": "ordering",
            "smaller": "a",
            "larger": "b",
            "basis": "choice",
            "justification": "j",
        },
    ]
    control = raw["claims"][0]["control"]
    (claim,) = claim_ledger(criteria=criteria, control=control | {"min_samples": 2}).claims
    assert claim.asked_of(claim.control).measure == "control.loss_ratio"
    assert claim.asked_of(claim.control).bound == 10
    assert claim.asked_of(claim.control).min_samples == 2
    pair = {"criterion": 1, "measure": {"smaller": "control.a", "larger": "control.b"}}
    (claim,) = claim_ledger(criteria=criteria, control=control | pair).claims
    asked = claim.asked_of(claim.control)
    assert (asked.test, asked.smaller, asked.larger) == ("ordering", "control.a", "control.b")
    assert claim.criteria[1].smaller == "a"


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        ("claims.0.criteria.0.bound", "ten", "criteria[0].bound is 'ten', but it must be a number"),
        ("claims.0.criteria.0.bound", float("inf"), "is inf, but it must be a finite number"),
        ("claims.0.criteria.0.bound", None, "the key criteria[0].bound is missing"),
        ("claims.0.criteria.0.fraction", 90, "fraction is 90, but it must be less than 1"),
        ("claims.0.criteria.0.test", "about", "test is 'about', but it must be one of 'at_most'"),
        ("claims.0.criteria.0.test", None, "but it must be a mapping with the key 'test'"),
        ("claims.0.criteria.0.bond", 1, "criteria[0].bond is no known key; known are"),
        ("claims.0.criteria", [], "criteria is [], but it must have at least one entry"),
        ("claims.0.criteria.0.relative", True, "in criteria[0], relative is true, but it must"),
        ("claims.0.criteria.0.measure", "a b", "but it must match the pattern"),
        ("claims.0.expected", "fine", "expected is 'fine', but it must be 'reproduced', 'comp"),
        ("claims.0.expected", {"laptop": "fine"}, "expected.laptop is 'fine', but it must be"),
        ("claims.0.expected", {"laptop": "reproduced"}, "it must name those of 'scales', which"),
        ("claims.0.expected", "deviates", "'deviates', but reason is missing"),
        ("claims.0.expected", "underpowered", "'underpowered', but reason is missing"),
        ("claims.0.expected", "not run", "where scales is empty, and only there"),
        ("claims.0.scales", [], "where scales is empty, and only there"),
        ("claims.0.scales", ["labtop"], "scales[0] is 'labtop', but it must be 'smoke', 'laptop'"),
        ("claims.0.scales", ["smoke", "smoke"], "scales names one scale twice"),
        ("claims.0.statement", " ", "statement is ' ', but it must not be empty"),
        ("claims.0.published", 2, "published is 2, but it must be text, in quotes"),
        ("claims.0.id", "x" * 41, "but it must have at most 40 characters"),
        ("claims.0.figure", "law.png", "figure is 'law.png', but it must match the pattern"),
        ("claims.0.control", None, "the key control is missing"),
        ("claims.0.control.criterion", 1, "control.criterion is 1, but it must be the index of"),
        (
            "claims.0.control.measure",
            {"smaller": "a", "larger": "b"},
            "control.measure must be one measurement",
        ),
        ("claims.0.control.measure", {"smaller": "a"}, "the key control.measure.larger is missing"),
        ("claims.0.headline", 1, "headline is 1, but it must be the index of a criterion, from 0"),
        (
            "claims.0.positive",
            {"name": "n", "statement": "s", "measure": "m", "criterion": 3},
            "positive.criterion is 3, but it must be the index of a criterion",
        ),
        (
            "claims.0.criteria.0",
            {
                "test": "ordering",
                "smaller": "a",
                "larger": "b",
                "basis": "choice",
                "justification": "j",
            },
            "control.measure must be a mapping of 'smaller' and 'larger'",
        ),
    ],
)
def test_each_fault_of_a_claim_is_one_sentence(raw, write, place, value, fault):
    change(raw, place, value)
    path = write(raw)
    with pytest.raises(LedgerError) as caught:
        load_ledger(path)
    text = str(caught.value)
    name = "claim number 1" if place.endswith(".id") and len(str(value)) > 40 else "claim I3"
    assert text.startswith(f"{path}, {name}: ")
    assert fault in text
    assert text.endswith(".") and text.count("\n") == 0
    assert caught.value.exit_status == 6


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        ("system", None, "the key system is missing"),
        ("paper", None, "the key paper is missing"),
        ("paper.arxiv", 1901.11103, "paper.arxiv is 1901.11103, but it must be text, in quotes"),
        ("paper.year", 2019, "paper.year is no known key; known are arxiv, title, authors"),
        ("claims", [], "claims is [], but it must have at least one entry"),
        ("claims", "none", "claims is 'none', but it must be a list"),
        ("claim", [], "claim is no known key; known are system, paper, claims"),
    ],
)
def test_each_fault_of_a_ledger_is_one_sentence(raw, write, place, value, fault):
    change(raw, place, value)
    path = write(raw)
    with pytest.raises(LedgerError) as caught:
        load_ledger(path)
    assert str(caught.value).startswith(f"{path}: {fault}")


def test_an_unknown_key_is_named_before_the_one_that_is_missing(raw, write):
    raw["claims"][0]["statment"] = raw["claims"][0].pop("statement")
    with pytest.raises(LedgerError, match="statment is no known key"):
        load_ledger(write(raw))


def test_an_id_may_not_stand_twice(raw, write):
    raw["claims"] *= 2
    with pytest.raises(LedgerError, match="the id I3 stands twice"):
        load_ledger(write(raw))


def test_every_ledger_of_a_folder_is_read_in_order(raw, write):
    first = write(raw)
    raw["system"], raw["claims"][0]["id"] = "holography", "H1"
    write(raw, "holography.yaml")
    assert [ledger.system for ledger in load_ledgers(first.parent)] == [
        "holography",
        "introspection",
    ]
    assert [ledger.system for ledger in load_ledgers(first)] == ["introspection"]


def test_ledgers_may_not_share_a_system_or_an_id(raw, write):
    folder = write(raw).parent
    raw["claims"][0]["id"] = "I4"
    write(raw, "other.yaml")
    with pytest.raises(LedgerError, match=r"other\.yaml uses the system introspection, which"):
        load_ledgers(folder)
    raw["system"], raw["claims"][0]["id"] = "holography", "I3"
    write(raw, "other.yaml")
    with pytest.raises(LedgerError, match=r"other\.yaml uses the claim id I3, which"):
        load_ledgers(folder)


def test_a_folder_without_ledgers_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(LedgerError, match="holds no ledger"):
        load_ledgers(tmp_path)
    with pytest.raises(LedgerError, match="is missing"):
        load_ledgers(tmp_path / "claims")


def test_every_place_of_the_committed_claims_is_told_and_used():
    for ledger in load_ledgers(ROOT / "claims"):
        named = {place for claim in ledger.claims for place in ledger.paper.where(claim.place)}
        assert named == ledger.paper.places.keys()


def test_what_a_place_is_must_be_text(raw, write):
    raw["paper"]["places"] = {"slides": 3}
    with pytest.raises(LedgerError, match=r"paper\.places\.slides is 3, but it must be text"):
        load_ledger(write(raw))
