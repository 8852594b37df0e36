"""Which trainings a reader's seed draws, what is run for them, and what comes of the comparison."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from emergence.errors import ArtifactError, SettingsError, VerdictMismatch
from emergence.settings import load
from emergence.statistics import Measurement, write_measurements
from emergence.verification import audit
from emergence.verification.audit_report import judge
from emergence.verification.costs import CALIBRATION, recorded_costs
from emergence.verification.jobs import (
    Pace,
    deciding_jobs,
    load_needs,
    only_continued,
    training_jobs,
)
from emergence.verification.origin import with_pace

ROOT = Path(__file__).parents[2]
LAPTOP = load(ROOT / "config/laptop.yaml")
NEEDS = load_needs(ROOT / "workflow/needs.yaml")


@pytest.fixture(scope="module")
def pace():
    costs = recorded_costs(ROOT / "config/costs.csv", "laptop")
    del costs[CALIBRATION]
    return Pace(costs, 2, 1.0, "laptop")


@pytest.fixture(scope="module")
def draw(pace):
    def draw(seed, number=3, budget_s=None):
        return audit.draw(LAPTOP, NEEDS, pace, ROOT / "claims", seed, number, budget_s)

    return draw


class TestDraw:
    def test_is_fixed_by_the_seed_and_differs_between_seeds(self, draw):
        assert draw(7) == draw(7)
        assert len({draw(seed).drawn for seed in range(8)}) > 4

    def test_trains_each_arm_whole_and_with_all_that_a_claim_of_it_needs(self, draw):
        claims, _, _ = deciding_jobs(LAPTOP, NEEDS, "laptop", ROOT / "claims")
        for seed in range(6):
            drawn = draw(seed)
            assert 1 <= len(drawn.drawn) <= 3
            for arm in drawn.drawn:
                own = {job for job in training_jobs(LAPTOP) if f"{job}/".startswith(f"{arm}/")}
                assert own
                assert own <= drawn.jobs
                assert any(own <= claims[name] for name in drawn.claims), "It is compared."
            assert all(claims[name] <= drawn.jobs for name in drawn.claims)

    def test_draws_nothing_that_would_only_be_continued(self, draw):
        continued = only_continued(LAPTOP)
        assert {"holography/flows/line_32/32", "holography/chains/line_16"} <= continued
        for seed in range(40):
            assert not draw(seed).jobs & continued

    def test_claims_that_no_seed_draws_are_named_with_what_only_goes_on(self, draw):
        never = audit.never_drawn(LAPTOP, NEEDS, ROOT / "claims")
        assert never["S-original"] == ["chains/paper_chain"]
        assert never["H8-16"] == ["chains/ising_16_bulk", "flows/ising_16"]
        assert never["H4"] == ["flows/critical_32"]
        assert never["H2"] == [], "Nothing is trained for it."
        assert "S1" not in never
        for seed in range(3):
            assert not never.keys() & set(draw(seed, 9).claims)

    def test_made_anew_all_that_is_trained_may_be_drawn_and_costs_what_it_takes(self, pace):
        anew, longer = with_pace(LAPTOP, load(ROOT / "config/shipped.yaml"), pace)
        assert audit.never_drawn(anew, NEEDS, ROOT / "claims") == {}
        drawn = {
            arm
            for seed in range(12)
            for arm in audit.draw(anew, NEEDS, longer, ROOT / "claims", seed, 5).drawn
        }
        shipped = {"holography/flows/critical_32", "holography/flows/line_32"}
        assert shipped & drawn
        # Trained for half an hour beforehand, and continued for a minute by the run.
        grown = [f"holography/flows/critical_32/{side}" for side in (4, 8, 16, 32)]
        brief = pace.cpu(["holography/flows/critical_32/32"])[0]
        assert 600.0 < sum(longer.cpu(grown)) < 6000.0
        assert brief < 200.0
        same = ["holography/flows/critical/16", "introspection/translators/main"]
        assert longer.cpu(same) == pace.cpu(same)

    def test_dear_arms_are_likelier(self, draw, pace):
        first = [draw(seed, 1).drawn[0] for seed in range(24)]
        cost = [sum(pace.cpu(j for j in training_jobs(LAPTOP) if j.startswith(a))) for a in first]
        everything = [pace.cpu([job])[0] for job in training_jobs(LAPTOP)]
        assert sum(cost) / len(cost) > 2 * sum(everything) / len(everything)

    def test_keeps_to_a_budget(self, draw):
        drawn = draw(7, 9, 600)
        assert drawn.seconds <= 600
        assert len(draw(7, 9).drawn) > len(drawn.drawn)

    def test_nothing_fits_in_a_second(self, draw):
        with pytest.raises(SettingsError, match=r"fits in 1 s\. Give more time"):
            draw(7, 3, 1)

    def test_where_no_arm_decides_a_claim_nothing_is_drawn(self, draw, monkeypatch):
        monkeypatch.setattr(audit, "deciding_jobs", lambda *given: ({}, {}, {}))
        with pytest.raises(SettingsError, match="none can be drawn"):
            draw(7)

    def test_the_seed_of_the_run_is_refused(self, draw):
        with pytest.raises(SettingsError, match="the seed of the run itself"):
            draw(LAPTOP.seed)

    def test_says_beforehand_what_it_will_run_and_how_long(self, draw):
        drawn = draw(7)
        lines = audit.told(drawn, LAPTOP)
        assert lines[0].startswith("Seed 7 draws ")
        assert "in about" in lines[1]
        assert {line.strip() for line in lines[2:-2]} == drawn.jobs & training_jobs(LAPTOP)
        assert lines[-1].endswith(f"{', '.join(drawn.claims)}.")


class TestPlan:
    def test_holds_the_settings_of_these_jobs_with_the_reader_s_seed(self, draw, tmp_path):
        drawn = draw(7)
        audit.write_audit(drawn, load(ROOT / "config/laptop.yaml"), tmp_path)
        settings = load(tmp_path / "settings.yaml")
        assert (settings.seed, settings.scale, settings.judged_as) == (7, "audit-7", "laptop")
        assert training_jobs(settings) == drawn.jobs & training_jobs(LAPTOP)
        assert settings.introspection.data_seed == LAPTOP.seed, (
            "Errors are over trainings on these."
        )
        assert audit.read_plan(tmp_path)["claims"] == list(drawn.claims)
        targets = (tmp_path / "targets.txt").read_text().split()
        assert targets == [f"results/audit-7/{s}/measurements.json" for s in drawn.systems]

    @pytest.mark.parametrize(
        "text", ["", "{}", '{"seed": 1, "judged_as": 2, "drawn": [], "claims": 1}']
    )
    def test_a_damaged_one_is_told(self, tmp_path, text):
        (tmp_path / "plan.json").write_text(text)
        with pytest.raises(ArtifactError):
            audit.read_plan(tmp_path)


class TestReference:
    def test_is_what_was_shipped_else_a_run_of_this_machine(self, tmp_path):
        results, weights = tmp_path / "results", tmp_path / "weights"
        with pytest.raises(ArtifactError, match=r"nothing to compare with.*make reproduce"):
            audit.reference_of("laptop", results, weights)
        write_measurements(results / "laptop/retraining/measurements.json", [])
        assert audit.reference_of("laptop", results, weights) == results / "laptop"
        write_measurements(weights / "laptop/retraining/measurements.json", [])
        assert audit.reference_of("laptop", results, weights) == weights / "laptop"


class TestJudgement:
    @pytest.fixture
    def judged(self, tmp_path, raw, write):
        """Judges an audit of the small ledger whose ten seeds came to these values."""
        ledgers = write(raw).parent

        def judged(values):
            folder, reference = tmp_path / "results/audit-7", tmp_path / "results/laptop"
            plan = {"seed": 7, "judged_as": "laptop", "drawn": ["a/b/c"], "claims": ["I3"]}
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "plan.json").write_text(json.dumps(plan))
            for place, seeds in ((folder, values), (reference, range(20, 30))):
                found = [Measurement.from_seeds("loss_ratio", list(seeds))]
                write_measurements(place / "introspection/measurements.json", found)
            printed = io.StringIO()
            judge(folder, reference, ledgers, {}, Console(file=printed, width=160))
            return printed.getvalue()

        return judged

    def test_of_numbers_that_agree_ends_well_and_is_written(self, judged, tmp_path):
        printed = judged(range(19, 29))
        assert "All agree." in printed
        assert "loss_ratio" in printed
        folder = tmp_path / "results/audit-7"
        document = json.loads((folder / "audit.json").read_text())
        assert document["agrees"] is True
        assert document["family_wise_error"] == 0.05
        assert document["numbers"][0]["p"] > 0.05
        assert "| I3 | `introspection: loss_ratio` |" in (folder / "audit.md").read_text()

    def test_tells_the_least_change_that_would_be_told_and_how_many_have_power(self, judged):
        printed = judged(range(19, 29))
        assert "1 of these tests have power, which is to tell a change by at most 10 spreads" in (
            " ".join(printed.split())
        )
        assert "spreads)" in printed

    def test_of_numbers_that_do_not_fails_once_it_is_written(self, judged, tmp_path):
        with pytest.raises(VerdictMismatch, match=r"1 of 1 audited numbers disagree.*loss_ratio"):
            judged(range(60, 70))
        text = (tmp_path / "results/audit-7/audit.md").read_text()
        assert "1 disagrees." in text
        assert "**disagrees**" in text
