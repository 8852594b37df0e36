"""The README's claims table is that of the verdicts, written as often as one likes."""

from pathlib import Path

import pytest

from emergence.artifacts import read_numbers, write_numbers
from emergence.errors import ArtifactError
from emergence.settings import load
from emergence.verification.audit import never_drawn
from emergence.verification.jobs import load_needs
from emergence.verification.readme import (
    CLAIMS_MARKS,
    FINDINGS_MARKS,
    SABOTAGE_MARKS,
    UNDRAWN_MARKS,
    claims_section,
    findings,
    number,
    put,
    sabotage_table,
    table,
    undrawn,
)
from emergence.verification.report import to_json
from emergence.verification.verdicts import decide

HOUSE = Path(__file__).parents[2]
COMMITTED = HOUSE / "figures" / "laptop" / "verdict.json"
BEGIN, END = CLAIMS_MARKS
HEADING = "| claim | statement | published | measured | bound | verdict | negative control |"


@pytest.fixture
def verdict(claim_ledger, measure):
    """What verdict.json holds of one claim; keywords replace the claim's keys."""

    def verdict(scale="laptop", found=None, **changes):
        measured = found or measure(loss_ratio=(30, 1), control__loss_ratio=(1, 0.5))
        return to_json(decide(claim_ledger(**changes), measured, scale), scale, {})

    return verdict


@pytest.fixture
def project(tmp_path, verdict):
    """A README with marks, and its verdicts."""
    readme, numbers = tmp_path / "README.md", tmp_path / "verdict.json"
    readme.write_text(f"# Ψ\n\nBefore.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n", encoding="utf-8")
    write_numbers(numbers, verdict())
    return readme, numbers


def update(readme, numbers):
    """As the command does with the claims."""
    return put(readme, claims_section(read_numbers(numbers, required=["claims"])), CLAIMS_MARKS)


class TestTable:
    def test_has_a_row_for_each_claim(self, verdict):
        heading, rule, row = table(verdict()).splitlines()
        assert heading == HEADING
        assert rule == "|---|---|---|---|---|---|---|"
        assert row == (
            r"| I3 | The loss \|jumps\| below n = 2 [slides]. | 2 | 30.0 ± 1.0 (`loss_ratio`) | "
            "at least 10 | **reproduced** | shuffled pairing: 1 (deviates) |"
        )

    def test_says_where_a_verdict_rests_on_its_seed(self, verdict):
        content = verdict()
        content["claims"][0]["rests_on_seed"] = True
        assert "| **reproduced**, by its seed |" in table(content)

    def test_tells_what_deviates_and_a_control_that_stayed_green(self, verdict, measure):
        found = measure(loss_ratio=(3, 0.1), control__loss_ratio=(20, 0.1))
        row = table(verdict(found=found)).splitlines()[2]
        assert "| 3.00 ± 0.10 (`loss_ratio`) | at least 10 | **deviates** |" in row
        assert row.endswith("| shuffled pairing: 20 (reproduced) |")

    def test_shows_what_was_not_run_as_a_dash(self, verdict):
        row = table(verdict("smoke")).splitlines()[2]
        assert "| – | at least 10 | **not run** | shuffled pairing: – (not run) |" in row

    def test_an_error_that_is_not_known_is_marked(self):
        assert number(0.5, None) == "0.5 ± ?"
        assert number(0.5, 0.02) == "0.500 ± 0.020"
        assert number(0.5) == "0.5"
        assert number(None) == number(None, None) == "–"

    def test_of_no_claims_is_its_heading(self):
        assert table({"claims": []}).splitlines()[0] == HEADING
        assert len(table({"claims": []}).splitlines()) == 2


def test_what_was_broken_stands_beside_the_whole_experiment():
    def row(control, must, measured, **more):
        told = {"claim": "I1", "control": control, "must": must, "measured": measured}
        return told | {"error": 0.5, "verdict": "deviates"} | more

    controls = [
        row("whole translator", "pass", 1.0, demanded="at most 2"),
        row("wrong pairing", "deviate", 9.0, demanded="at most 2"),
        row("untrained network", "deviate", 7.0),
    ]
    lines = sabotage_table({"controls": controls}).splitlines()
    assert lines[2:] == ["| wrong pairing | I1 (at most 2) | 1.00 ± 0.50 | 9.00 ± 0.50 |"]


def test_the_committed_table_of_breakages_is_that_of_the_committed_numbers():
    begin, end = SABOTAGE_MARKS
    text = (HOUSE / "README.md").read_text("utf-8")
    judged = read_numbers(HOUSE / "figures/laptop/sabotage.json")
    assert text.split(begin)[1].split(end)[0] == f"\n{sabotage_table(judged)}\n"


def test_claims_that_cannot_be_audited_are_told_with_the_arms_that_they_share():
    told = undrawn({"H1": ["flows/a"], "H4": ["flows/a", "chains/b"], "H5": ["flows/a"], "H2": []})
    assert told.endswith(
        "are not audited: H1, H5 (`flows/a`); H4 (`flows/a`, `chains/b`). Nothing is trained for "
        "H2, which no audit draws either."
    )
    assert undrawn({}) == "Every claim may be drawn."


def test_the_committed_readme_tells_which_claims_no_audit_draws():
    begin, end = UNDRAWN_MARKS
    text = (HOUSE / "README.md").read_text("utf-8")
    needs = load_needs(HOUSE / "workflow/needs.yaml")
    never = never_drawn(load(HOUSE / "config/laptop.yaml"), needs, HOUSE / "claims")
    assert text.split(begin)[1].split(end)[0] == f"\n{undrawn(never)}\n"


def test_the_committed_findings_are_those_of_the_shipped_numbers():
    begin, end = FINDINGS_MARKS
    text = (HOUSE / "README.md").read_text("utf-8")
    told = findings(HOUSE / "claims/findings.md", HOUSE / "weights/laptop")
    assert text.split(begin)[1].split(end)[0] == f"\n{told}\n"


def test_findings_of_what_was_not_measured_are_refused(tmp_path):
    (tmp_path / "findings.md").write_text("It is {unheard.of}.", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"tells of 'unheard.of', which was not measured"):
        findings(tmp_path / "findings.md", tmp_path)
    with pytest.raises(ArtifactError, match="cannot be read"):
        findings(tmp_path / "none.md", tmp_path)


class TestUpdate:
    def test_writes_between_the_marks_and_nowhere_else(self, project, verdict):
        readme, numbers = project
        assert update(readme, numbers)
        expected = f"# Ψ\n\nBefore.\n\n{BEGIN}\n{claims_section(verdict())}\n{END}\n\nAfter.\n"
        assert readme.read_text("utf-8") == expected

    def test_says_first_how_many_claims_came_to_which_verdict(self, verdict):
        assert claims_section(verdict()).splitlines()[:2] == ["1 claim: 1 reproduced.", ""]

    def test_a_second_time_touches_nothing(self, project):
        readme, numbers = project
        update(readme, numbers)
        before = readme.read_bytes(), readme.stat().st_mtime_ns
        assert not update(readme, numbers)
        assert (readme.read_bytes(), readme.stat().st_mtime_ns) == before

    def test_follows_the_verdicts(self, project, verdict):
        readme, numbers = project
        update(readme, numbers)
        write_numbers(numbers, verdict(published="3"))
        assert update(readme, numbers)
        text = readme.read_text("utf-8")
        assert table(verdict(published="3")) in text
        assert table(verdict(published="2")) not in text

    @pytest.mark.parametrize(
        "text",
        ["No marks.\n", f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n"],
        ids=["none", "no end", "no begin", "swapped"],
    )
    def test_missing_marks_are_named_and_the_file_is_left_alone(self, project, text):
        readme, numbers = project
        readme.write_text(text, encoding="utf-8")
        with pytest.raises(ArtifactError, match="lacks the marks") as told:
            update(readme, numbers)
        assert str(readme) in str(told.value)
        assert readme.read_text("utf-8") == text

    def test_missing_files_are_named(self, project):
        readme, numbers = project
        numbers.unlink()
        with pytest.raises(ArtifactError, match=r"verdict\.json is missing"):
            update(readme, numbers)
        readme.unlink()
        with pytest.raises(ArtifactError, match=r"README\.md cannot be read"):
            put(readme, "", CLAIMS_MARKS)

    def test_a_file_that_holds_no_verdicts_is_named(self, project):
        readme, numbers = project
        before = readme.read_bytes()
        write_numbers(numbers, {"scale": "laptop"})
        with pytest.raises(ArtifactError, match=r"verdict\.json"):
            update(readme, numbers)
        assert readme.read_bytes() == before


@pytest.mark.skipif(not COMMITTED.is_file(), reason="the verdicts of laptop are not committed yet")
def test_the_committed_readme_shows_the_committed_verdicts(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_bytes((HOUSE / "README.md").read_bytes())
    assert not update(copy, COMMITTED), "The table is old: run `emergence readme`."
