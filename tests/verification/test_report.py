"""The verdicts as a reviewer reads them, and verify(), which does everything from the files."""

import io
import json
import subprocess
import sys

import pandas as pd
import pytest
from rich.console import Console

from emergence.artifacts import sha256, write_table
from emergence.errors import ArtifactError, LedgerError, SettingsError, VerdictMismatch
from emergence.verification.drift_table import COLUMNS
from emergence.verification.numbers import number
from emergence.verification.report import render_table
from emergence.verification.verdicts import decide

GOOD = {"loss_ratio": (30, 1), "control__loss_ratio": (1, 1)}


def test_verdicts_are_written_and_printed(project):
    project.measured()
    (decision,) = project.verify()
    assert decision.verdict == "reproduced"
    assert "reproduced" in project.printed()
    folder = project.results / "laptop"
    content = json.loads((folder / "verdict.json").read_text())
    assert content["scale"] == "laptop"
    (claim,) = content["claims"]
    expected = {
        "id": "I3",
        "system": "introspection",
        "statement": "The loss |jumps| below n = 2 [slides].",
        "verdict": "reproduced",
        "expected": "reproduced",
        "published": "2",
        "measured": 30,
        "error": 1,
        "tolerance": "at least 10",
        "reason": "",
        "figure": "introspection/loss_against_latent_dimension",
    }
    assert {key: claim[key] for key in expected} == expected
    assert claim["control"]["name"] == "shuffled pairing"
    assert claim["control"]["measured"] == 1
    assert claim["control"]["verdict"] == "deviates"
    assert claim["control"]["holds"] is True
    (criterion,) = claim["criteria"]
    assert criterion["justification"] == "Ten times the spread over seeds."
    assert criterion["demanded"] == "at least 10"
    assert criterion["note"] == "clears its bound by 20.0 standard errors"
    provenance = content["provenance"]
    assert {"commit", "versions", "lock_sha256"} <= set(provenance)
    assert len(provenance["measurements_sha256"]["introspection"]) == 64
    assert str(project.root) not in (folder / "verdict.json").read_text()


def test_the_same_measurements_give_the_same_bytes(project):
    project.measured()
    names = [project.results / "laptop" / f"verdict.{suffix}" for suffix in ("json", "md")]
    project.verify()
    first = [name.read_bytes() for name in names]
    project.verify()
    assert [name.read_bytes() for name in names] == first


def test_only_the_committed_scale_is_copied_to_the_figures(project):
    project.measured(scale="paper")
    project.verify("paper")
    assert (project.results / "paper" / "verdict.md").is_file()
    assert not project.figures.exists()
    project.measured()
    project.verify()
    copy = project.figures / "laptop" / "verdict.json"
    assert copy.read_bytes() == (project.results / "laptop" / "verdict.json").read_bytes()


def test_an_expected_deviation_stands_in_plain_sight_with_its_reason(project):
    project.claim |= {"expected": "deviates", "reason": "The slides' matrix is right to O(a)."}
    project.measured(loss_ratio=(1, 1), control__loss_ratio=(1, 1))
    project.verify()
    text = (project.results / "laptop" / "verdict.md").read_text(encoding="utf-8")
    assert "**deviates**, as expected" in text
    section = text.split("## Deviations")[1].split("##")[0]
    assert "**I3**, as expected" in section
    assert "The slides' matrix is right to O(a)." in section
    (claim,) = json.loads((project.results / "laptop" / "verdict.json").read_text())["claims"]
    assert claim["reason"] == "The slides' matrix is right to O(a)."


def test_an_unexpected_verdict_is_written_before_it_fails(project):
    project.measured(loss_ratio=(1, 1), control__loss_ratio=(1, 1))
    with pytest.raises(VerdictMismatch, match="Claim I3 came out deviates"):
        project.verify()
    assert "not reproduced" in project.printed()
    text = (project.results / "laptop" / "verdict.md").read_text(encoding="utf-8")
    assert "Not as the ledger expects: I3." in text
    assert "**deviates**, but expected reproduced" in text
    assert "where reproduced was expected" in text
    (claim,) = json.loads((project.results / "laptop" / "verdict.json").read_text())["claims"]
    assert claim["matches"] is False
    (decision,) = project.verify(report_only=True)
    assert decision.verdict == "deviates"


def test_a_control_that_stays_green_is_written_before_it_fails(project):
    project.measured(loss_ratio=(30, 1), control__loss_ratio=(30, 1))
    with pytest.raises(VerdictMismatch, match="The control 'shuffled pairing' of claim I3 did not"):
        project.verify()
    assert "Controls that did not turn red: I3." in " ".join(project.printed().split())
    (claim,) = json.loads((project.results / "laptop" / "verdict.json").read_text())["claims"]
    assert (claim["matches"], claim["control"]["holds"]) == (True, False)
    text = (project.results / "laptop" / "verdict.md").read_text(encoding="utf-8")
    assert "shuffled pairing: reproduced, but it must deviate" in text
    project.verify(report_only=True)


def test_a_control_without_power_beside_a_claim_without_power_is_only_told(project):
    project.claim |= {"expected": "underpowered", "reason": "Too few levels."}
    project.measured(loss_ratio=(30, None), control__loss_ratio=(30, None))
    project.verify()
    text = (project.results / "laptop" / "verdict.md").read_text(encoding="utf-8")
    assert "shuffled pairing: underpowered, nothing to break" in text
    assert "30 ± ?" in text
    assert "Too few levels." in text.split("## Underpowered")[1]


def test_a_scale_without_power_needs_no_measurements(project):
    (decision,) = project.verify("smoke")
    assert decision.verdict == "not run"
    text = (project.results / "smoke" / "verdict.md").read_text(encoding="utf-8")
    assert "Scale smoke lacks the power" in text.split("## Not run")[1]
    (claim,) = json.loads((project.results / "smoke" / "verdict.json").read_text())["claims"]
    assert (claim["measured"], claim["control"]["verdict"]) == (None, "not run")


def test_measurements_that_must_decide_and_are_missing_are_a_fault(project):
    for report_only in (False, True):
        with pytest.raises(LedgerError) as caught:
            project.verify(report_only=report_only)
        path = project.results / "laptop" / "introspection" / "measurements.json"
        assert str(caught.value) == (
            f"Claims of introspection must be decided at scale laptop, but {path} is missing. "
            "Run snakemake for that scale first."
        )
    assert not (project.results / "laptop" / "verdict.json").exists()


@pytest.mark.parametrize("content", ["{", '{"measurements": {"loss_ratio": {"value": NaN}}}'])
def test_corrupt_measurements_are_a_fault(project, content):
    project.measured().write_text(content)
    with pytest.raises(ArtifactError, match=r"measurements\.json"):
        project.verify(report_only=True)


def test_a_second_ledger_needs_no_new_code(project, write, raw):
    other = json.loads(json.dumps(raw)) | {"system": "holography"}
    other["claims"][0] |= {"id": "H1", "scales": ["paper"]}
    write(other, "holography.yaml")
    project.measured()
    decisions = project.verify()  # holography has no measurements here, and needs none
    assert [(d.system, d.verdict) for d in decisions] == [
        ("holography", "not run"),
        ("introspection", "reproduced"),
    ]
    project.measured(scale="paper")
    with pytest.raises(LedgerError, match=r"holography.measurements\.json is missing"):
        project.verify("paper")
    project.measured("holography", "paper")
    assert [d.verdict for d in project.verify("paper")] == ["reproduced"] * 2
    text = (project.results / "paper" / "verdict.md").read_text(encoding="utf-8")
    assert text.index("## Holography") < text.index("## Introspection")


def test_an_unknown_scale_is_refused(project):
    with pytest.raises(SettingsError, match="'labtop' is no scale"):
        project.verify("labtop")


def test_the_table_shows_statements_as_they_stand(claim_ledger, measure, console):
    decisions = decide(claim_ledger(), measure(**GOOD), "laptop")
    console.print(render_table(decisions))
    printed = console.file.getvalue()
    assert "[slides]" in printed
    assert "30.0 ± 1.0" in printed
    assert "reproduced" in printed and "deviates" in printed


def test_the_table_fits_a_terminal_of_80_columns(claim_ledger, measure):
    claim = {"statement": "The three-variable form emerges. " * 4, "expected": "underpowered"}
    ledger = claim_ledger(**claim, reason="why")
    narrow = Console(file=io.StringIO(), width=80, color_system=None)
    decisions = decide(ledger, measure(**GOOD), "laptop")
    narrow.print(render_table(decisions))
    printed = narrow.file.getvalue()
    assert max(map(len, printed.splitlines())) <= 80
    for word in ("reproduced", "not underpowered", "30.0 ± 1.0", "deviates"):
        assert word in printed


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.96012, 0.00021, "1.96012 ± 0.00021"),
        (30, 1, "30.0 ± 1.0"),
        (0, 0.5, "0.00 ± 0.50"),
        (12345.6, 234, "12346 ± 234"),
        (3.2e-5, 1.5e-6, "(3.20 ± 0.15)e-05"),
        (-3.2e8, 1.5e7, "(-3.20 ± 0.15)e+08"),
        (1e-9, 0.2, "0.00 ± 0.20"),
        (2, 0, "2"),
        (1e-5, 0, "1e-05"),
        (0.123456789, None, "0.123457 ± ?"),
    ],
)
def test_numbers_carry_two_digits_of_their_error(value, error, text):
    assert number(value, error) == text


def test_it_imports_neither_tensorflow_nor_matplotlib():
    heavy = "{'tensorflow', 'matplotlib', 'pandas', 'scipy', 'seaborn'}"
    code = f"import sys, emergence.verification.report; sys.exit(bool({heavy} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_number_shown_is_that_of_the_criterion_that_decides(project):
    """The second criterion fails, so that the claim deviates for its sake."""
    second = {
        "measure": "other",
        "test": "at_most",
        "bound": 1,
        "basis": "choice",
        "justification": "So.",
    }
    project.claim["criteria"].append(second)
    project.claim |= {"expected": "deviates", "reason": "It does."}
    project.measured(**GOOD, other=(5, 0.1))
    project.verify()
    (claim,) = json.loads((project.results / "laptop" / "verdict.json").read_text())["claims"]
    assert (claim["measured"], claim["tolerance"]) == (5, "at most 1")
    assert claim["difference"] is False
    assert "5.00 ± 0.10" in project.printed()


def test_an_ordering_shows_a_difference(project):
    ordering = {
        "smaller": "a",
        "larger": "b",
        "test": "ordering",
        "basis": "choice",
        "justification": "So.",
    }
    project.claim["criteria"] = [ordering]
    project.claim["control"]["measure"] = {"smaller": "b", "larger": "a"}
    project.measured(a=(1, 0.1), b=(3, 0.1))
    project.verify()
    assert "difference 2.00 ± 0.14" in project.printed()


def certificate(folder, spread):
    """A drift.csv by which single trainings scatter so much."""
    row = ("introspection", "I3", "loss_ratio", 30.0, "seeds", spread, 3, None, "at least 10", 20.0)
    path = folder / "laptop/drift.csv"
    write_table(path, pd.DataFrame([row], columns=COLUMNS))
    return path


def provenance(project):
    return json.loads((project.results / "laptop/verdict.json").read_text())["provenance"]


def test_verdicts_tell_by_which_certificate_they_were_decided(project):
    project.measured()
    project.verify()
    assert provenance(project)["drift_sha256"] is None
    path = certificate(project.figures, 1.0)
    project.verify()
    assert provenance(project)["drift_sha256"] == sha256(path)


def test_elsewhere_the_certificate_of_the_house_counts(project):
    """As in a container, whose results lie in a folder without figures."""
    project.measured()
    path = certificate(project.root / "house/figures", 9.0)
    (decision,) = project.verify(report_only=True)
    assert decision.verdict == "compatible" and decision.rests_on_seed
    assert provenance(project)["drift_sha256"] == sha256(path)
    certificate(project.figures, 1.0)
    (decision,) = project.verify()
    assert decision.verdict == "reproduced", "Its own comes first."
