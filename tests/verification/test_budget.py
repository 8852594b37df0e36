"""What fits in a budget: the choice, what it leaves out, and settings that hold just that."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.errors import ArtifactError, LedgerError, SettingsError
from emergence.settings import load, parse
from emergence.verification import budget
from emergence.verification.budget import parse_budget
from emergence.verification.claims import load_ledgers
from emergence.verification.costs import CALIBRATION, Cost, recorded_costs
from emergence.verification.jobs import (
    Pace,
    checked_in_part,
    deciding_jobs,
    jobs_of,
    load_needs,
    reduced,
)

ROOT = Path(__file__).parents[2]
NEEDS = load_needs(ROOT / "workflow/needs.yaml")
LAPTOP = load(ROOT / "config/laptop.yaml")


@pytest.fixture(scope="module")
def costs():
    found = recorded_costs(ROOT / "config/costs.csv", "laptop")
    del found[CALIBRATION]
    return found


@pytest.fixture(scope="module")
def choose(costs):
    def choose(minutes, cores=2, ratio=1.0):
        return budget.choose(
            LAPTOP, NEEDS, costs, 60.0 * minutes, "laptop", ROOT / "claims", cores, ratio
        )

    return choose


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("30", 1800), ("90s", 90), ("1.5h", 5400), (" 2 min ", 120)],
)
def test_a_budget_is_read(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5m", "0", "1e3m", "30 days", "nan", "9" * 400])
def test_what_is_no_time_is_refused_in_a_sentence(text):
    with pytest.raises(SettingsError, match=r"is no time\. Give minutes or hours"):
        parse_budget(text)


class TestNeeds:
    def test_every_claim_is_there_and_no_other(self):
        for ledger in load_ledgers(ROOT / "claims"):
            claims = {claim.id for claim in ledger.claims}
            assert set(NEEDS[ledger.system]) == claims | {"always"}

    def test_every_arm_of_a_claim_of_the_laptop_scale_exists_there(self):
        for ledger in load_ledgers(ROOT / "claims"):
            for claim in ledger.claims:
                if "laptop" in claim.scales:
                    jobs_of(LAPTOP, ledger.system, NEEDS[ledger.system][claim.id])

    def test_every_job_was_recorded_or_is_an_analysis(self, costs, choose):
        unknown = choose(1e6).jobs - set(costs)
        assert all(job.endswith("/analysis") or job.count("line_32") for job in unknown), unknown

    def test_what_an_arm_needs_in_turn_is_found(self):
        assert jobs_of(LAPTOP, "introspection", ["distillers/strong"]) == {
            "introspection/distillers/strong",
            "introspection/translators/strong",
            "introspection/data/strong",
        }
        grown = jobs_of(LAPTOP, "holography", ["bulks/free"])
        assert grown == {
            "holography/bulks/free",
            "holography/flows/free/4",
            "holography/flows/free/8",
        }

    def test_an_arm_that_is_not_there_is_told(self):
        with pytest.raises(
            LedgerError, match=r"needs the arm flows/gone, but the settings have no"
        ):
            jobs_of(LAPTOP, "holography", ["flows/gone"])

    @pytest.mark.parametrize(
        "text",
        ["[]", "a: 1", "a: {always: []\n", "a: {I1: []}", "a: {always: [1]}", "a: {always: [x]}"],
    )
    def test_a_malformed_file_is_told(self, tmp_path, text):
        (tmp_path / "needs.yaml").write_text(text)
        with pytest.raises(LedgerError):
            load_needs(tmp_path / "needs.yaml")


class TestChoice:
    def test_keeps_to_the_budget_and_accounts_for_every_claim(self, choose):
        everything = {c.id for ledger in load_ledgers(ROOT / "claims") for c in ledger.claims}
        before = 0
        for minutes in (1, 5, 15, 30, 120):
            plan = choose(minutes)
            assert plan.seconds <= 60 * minutes
            assert len(plan.claims) >= before, "More time never decides less."
            before = len(plan.claims)
            left_out = dict(plan.left_out)
            assert set(plan.claims) | set(left_out) == everything
            assert not set(plan.claims) & set(left_out)

    def test_of_no_claim_at_all_it_is_refused(self, choose):
        assert budget.of_some_claim(choose(5), 300.0) == choose(5)
        with pytest.raises(SettingsError, match=r"No claim can be decided in 1 s\. Give more time"):
            budget.of_some_claim(choose(1 / 60), 1.0)

    def test_half_an_hour_decides_most(self, choose):
        assert len(choose(30).claims) >= 30

    def test_more_cores_decide_more_and_a_slower_machine_less(self, choose):
        assert len(choose(10, cores=8).claims) > len(choose(10).claims)
        assert len(choose(10, ratio=4.0).claims) < len(choose(10).claims)

    def test_what_is_chosen_can_be_decided(self, choose):
        plan = choose(15)
        for ledger in load_ledgers(ROOT / "claims"):
            for name in set(plan.claims) & set(NEEDS[ledger.system]):
                arms = [*NEEDS[ledger.system]["always"], *NEEDS[ledger.system][name]]
                assert jobs_of(LAPTOP, ledger.system, arms) <= plan.jobs

    def test_says_beforehand_what_it_will_not_check_and_why(self, choose):
        lines = budget.told(choose(5), 300)
        number = sum(len(ledger.claims) for ledger in load_ledgers(ROOT / "claims"))
        assert f" of {number} claims will be checked by " in lines[0]
        assert any(line.startswith("  H9: it would take") for line in lines)

    def test_says_which_claims_rest_on_what_is_only_continued(self, choose):
        plan = choose(120)
        lines = budget.told(plan, 7200)
        (told,) = [line for line in lines if line.startswith("In part only")]
        named = set(told.removesuffix(".").split(": ")[1].split(", "))
        assert {"H1", "H7", "H8-16"} <= named < set(plan.claims)
        assert not {"H3", "H9", "I1", "S1"} & named
        # Where nothing goes on from shipped weights there is nothing to tell.
        assert checked_in_part(set(), {"H1": {"a"}}, ["H1"]) == []
        assert "H1." in checked_in_part({"a"}, {"H1": {"a", "b"}, "H3": {"b"}}, ["H1", "H3"])[0]

    def test_says_what_a_scale_has_no_power_for(self):
        found = recorded_costs(ROOT / "config/costs.csv", "smoke")
        smoke = load(ROOT / "config/smoke.yaml")
        plan = budget.choose(smoke, NEEDS, found, 600.0, "smoke", ROOT / "claims", 2)
        lines = budget.told(plan, 600)
        assert "  H1: scale smoke lacks the power to decide it." in lines
        assert "H3" in plan.claims

    def test_a_scale_without_record_is_refused(self):
        with pytest.raises(SettingsError, match="Nothing is recorded of what scale paper costs"):
            budget.choose(LAPTOP, NEEDS, {}, 60, "paper", ROOT / "claims", 2)


class TestSettings:
    def test_hold_the_jobs_and_nothing_else(self, choose):
        plan = choose(10)
        small = parse(reduced(LAPTOP, plan.jobs, "laptop", "budget"), "reduced")
        assert (small.scale, small.judged_as) == ("budget", "laptop")
        for kind in ("translators", "distillers"):
            for name in getattr(small.introspection, kind):
                assert f"introspection/{kind}/{name}" in plan.jobs
        flows = [
            f"holography/flows/{n}/{s}" for n, a in small.holography.flows.items() for s in a.sizes
        ]
        assert set(flows) == {job for job in plan.jobs if job.startswith("holography/flows")}
        chains = {
            f"retraining/chains/{n}/{s}"
            for n, a in small.retraining.chains.items()
            for s in a.sizes
        }
        assert chains == {job for job in plan.jobs if job.startswith("retraining/chains")}

    def test_change_no_number_of_an_arm(self, choose):
        small = parse(reduced(LAPTOP, choose(10).jobs, "laptop", "budget"), "reduced")
        assert small.seed == LAPTOP.seed
        for name, arm in small.introspection.distillers.items():
            assert arm == LAPTOP.introspection.distillers[name]
        assert small.introspection.stages == LAPTOP.introspection.stages


def test_a_plan_is_written_and_read(tmp_path, choose):
    plan = choose(5)
    budget.write_plan(plan, ROOT / "config/laptop.yaml", "laptop", tmp_path)
    assert load(tmp_path / "settings.yaml").scale == "budget"
    targets = (tmp_path / "targets.txt").read_text().split()
    assert targets == [f"results/budget/{name}/measurements.json" for name in plan.systems]
    left_out = budget.read_left_out(tmp_path / "plan.json")
    assert set(left_out) == {name for name, _ in plan.left_out}
    assert left_out["H9"].startswith("Left out to keep to the budget: it would take")


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"left_out": [1]}', '{"left_out": {"a": 1}}']
)
def test_a_damaged_plan_is_told(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(ArtifactError):
        budget.read_left_out(tmp_path / "plan.json")


def test_a_claim_left_out_is_not_run_and_the_others_are_decided(tmp_path, raw, write, measure):
    """And its measurements need not be there."""
    import io

    from rich.console import Console

    from emergence.statistics import write_measurements
    from emergence.verification.report import verify

    other = json.loads(json.dumps(raw["claims"][0])) | {"id": "I9"}
    other["criteria"][0]["measure"] = "never_measured"
    raw["claims"].append(other)
    found = measure(loss_ratio=(30, 1), control__loss_ratio=(1, 1)).values()
    write_measurements(tmp_path / "results/budget/introspection/measurements.json", found)
    decided = verify(
        "budget", write(raw).parent, tmp_path / "results", tmp_path / "figures",
        console=Console(file=io.StringIO()), judged_as="laptop", left_out={"I9": "No time."},
    )  # fmt: skip
    assert [(d.claim.id, d.verdict, d.matches) for d in decided] == [
        ("I3", "reproduced", True),
        ("I9", "not run", True),
    ]
    assert "No time." in (tmp_path / "results/budget/verdict.md").read_text()


def test_chains_come_with_what_they_are_compared_with():
    """Clusters on the same torus; and a pair's other chains are read only where the pair is."""
    jobs, _, _ = deciding_jobs(LAPTOP, NEEDS, "laptop", ROOT / "claims")
    for claim, own in jobs.items():
        content = reduced(LAPTOP, own, "laptop", "part")["holography"]
        for name, entry in content["chains"].items():
            theory = content["theories"][content["flows"][entry["flow"]]["theory"]]
            if theory["model"] == "phi4":
                assert entry["size"] in content["diagram"]["sides"], f"{claim}: {name}"
            pair, _, space = name.rpartition("_")
            if space in ("bulk", "boundary", "hamiltonian", "untrained"):
                assert {f"{pair}_bulk", f"{pair}_boundary"} <= content["chains"].keys(), claim


@st.composite
def instances(draw):
    """Costs of up to eight jobs, which up to seven claims share, and a time."""
    jobs = [f"a/{index}" for index in range(draw(st.integers(1, 8)))]
    costs = {job: Cost(job, float(draw(st.integers(0, 30))), 1.0, 1.0) for job in jobs}
    some = st.sets(st.sampled_from(jobs), min_size=1, max_size=4)
    needed = {f"C{index}": draw(some) for index in range(draw(st.integers(1, 7)))}
    return needed, costs, draw(st.integers(1, 3)), draw(st.integers(1, 120))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(instances())
def test_no_other_choice_decides_more_nor_as_many_sooner(instance):
    """Against all choices, one after another."""
    needed, costs, cores, budget_s = instance
    pace = Pace(costs, cores, 1.0, "laptop")
    chosen = budget.most(needed, pace, budget_s)
    found = {}
    for number in range(len(needed) + 1):
        for names in itertools.combinations(needed, number):
            jobs = set().union(*(needed[name] for name in names))
            found[names] = pace.wall(jobs) <= budget_s, number, pace.wall_shared(jobs)
    best = max((number, -time) for fits, number, time in found.values() if fits)
    fits, number, time = found[tuple(chosen)]
    assert fits
    assert number == best[0]
    assert time == pytest.approx(-best[1], rel=1e-6, abs=1e-6)
