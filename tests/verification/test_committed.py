"""What is committed belongs together: settings, weights, ledgers and verdicts."""

import re

import pytest
from committed import ROOT, claims, measurements

from emergence.artifacts import read_numbers, read_table, sha256
from emergence.holography.actions import IsingDualField
from emergence.holography.ising_exact import dual_log_partition
from emergence.settings import load
from emergence.statistics import read_measurements
from emergence.verification.claims import load_ledgers
from emergence.verification.numbers import number
from emergence.verification.seeds import with_spreads
from emergence.verification.verdicts import check, decide


@pytest.mark.parametrize("scale", ["smoke", "laptop", "paper"])
def test_weights_that_a_scale_starts_from_are_there(scale):
    chosen = load(ROOT / f"config/{scale}.yaml")
    for system, arms in (
        ("holography", chosen.holography.flows),
        ("retraining", chosen.retraining.chains),
    ):
        for arm in arms.values():
            if name := getattr(arm, "shipped", None):
                folder = ROOT / "weights" / system / name
                assert list(folder.glob("weights.*")), folder
                assert folder.with_suffix(".provenance.json").is_file()


def test_all_that_is_shipped_together_is_small():
    """Weights, records and measurements of every kind: 25 MB (10⁶ bytes) in all."""
    files = [path for path in (ROOT / "weights").rglob("*") if path.is_file()]
    assert len(files) > 100
    assert sum(path.stat().st_size for path in files) <= 25e6


def test_the_verdicts_are_of_the_ledgers():
    verdict = read_numbers(ROOT / "figures/laptop/verdict.json")
    ledgers = load_ledgers(ROOT / "claims")
    assert [c["id"] for c in verdict["claims"]] == [c.id for one in ledgers for c in one.claims]


def test_the_shipped_measurements_decide_them():
    """As `make sabotage`, `make audit` and `make verify` do in a clone without results."""
    verdict = read_numbers(ROOT / "figures/laptop/verdict.json")
    committed = {claim["id"]: claim["verdict"] for claim in verdict["claims"]}
    for ledger in load_ledgers(ROOT / "claims"):
        path = ROOT / "weights/laptop" / ledger.system / "measurements.json"
        decisions = decide(ledger, read_measurements(path), "laptop")
        decisions = with_spreads(decisions, ROOT / "figures/laptop/drift.csv")
        assert {d.claim.id: d.verdict for d in decisions}.items() <= committed.items()
        check(decisions)


def test_the_committed_verdicts_are_of_the_committed_numbers_and_spreads():
    told = read_numbers(ROOT / "figures/laptop/verdict.json")["provenance"]
    assert told["drift_sha256"] == sha256(ROOT / "figures/laptop/drift.csv")
    for system, hashed in told["measurements_sha256"].items():
        assert hashed == sha256(ROOT / f"weights/laptop/{system}/measurements.json"), system


def test_the_committed_audits_are_of_the_shipped_numbers_and_the_readme_tells_of_them():
    """Where it fails, a number changed after the audit: `emergence audit judge`, or another `make audit`."""
    found = {
        f"{system}: {name}": number(one.value, one.error)
        for system, numbers in measurements().items()
        for name, one in numbers.items()
    }
    files = sorted((ROOT / "figures/laptop").glob("audit-*.json"))
    audits = [read_numbers(path, ["seed", "claims", "numbers", "agrees"]) for path in files]
    rows = [row for audit in audits for row in audit["numbers"]]
    tested = [row for row in rows if row["p"] is not None]
    assert {row["name"]: row["theirs"] for row in tested}.items() <= found.items()
    claims_of = {name for audit in audits for name in audit["claims"]}
    idle, worse = (sum(row["agrees"] is each for row in rows) for each in (None, False))
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    told = f"Of {len(rows)} numbers of {len(claims_of)} claims {worse} disagree, and {idle} have no power."
    assert told in text
    for audit in audits:
        assert f"[{audit['seed']}](figures/laptop/audit-{audit['seed']}.md)" in text


def test_the_recorded_kills_changed_nothing_and_the_readme_tells_of_them():
    """Where it fails, copy results/chaos.json of another `make chaos` to figures/."""
    record = read_numbers(ROOT / "figures/chaos.json", ["compared", "runs", "provenance"])
    assert [(run["cores"], run["kills"], run["same"]) for run in record["runs"]] == [
        ([1], 50, True),
        ([2], 50, True),
    ]
    assert not record["provenance"]["dirty"]
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    minutes = record["provenance"]["seconds"] / 60.0
    assert f"of {record['compared']} files none changed, in " in text
    told = int(re.search(r"files none changed, in (\d+) minutes", text)[1])
    assert told == pytest.approx(minutes, abs=3.0)


def test_the_ising_flow_of_the_published_size_came_close_as_fast_as_the_readme_says():
    """The loss is ⟨ln q + S⟩, so that ln Z is what KL lacks; running means of five checkpoints."""
    history = read_table(ROOT / "weights/holography/ising_16.history.csv")
    told = read_numbers(ROOT / "weights/holography/ising_16.provenance.json")
    trainings = told["extra"]["trained"]
    assert [each["size"] for each in trainings] == [4, 8, 16]
    assert not told["dirty"] and not any(each["dirty"] for each in trainings)
    last = history[history["size"] == 16]
    exact = dual_log_partition(IsingDualField(2.269185314213022), 16)
    divergence = (last["loss"] + exact).rolling(5).mean()
    assert not (divergence > 5.0).any()
    reached = last["seconds"][divergence.notna()].min()
    ended = sum(each["processor_time_s"] for each in trainings)
    assert reached <= 450.0 and divergence.iloc[-1] < 3.0
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert (
        f"stays less than 5 nats off the exact free energy from {reached:.0f} s of processor time on, "
        f"and ends {divergence.iloc[-1]:.1f} off after {ended:.0f} s"
    ) in text


def test_the_reason_of_a_deviation_tells_a_measured_number():
    for claim in claims():
        told = re.findall(r"\{[\w.-]+(?::[^{}]+)?\}", claim.reason or "")
        expected = {claim.expected_at(scale) for scale in claim.scales}
        assert told or "deviates" not in expected, claim.id
