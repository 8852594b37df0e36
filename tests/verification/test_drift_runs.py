"""Which runs the drift certificate needs."""

import json
from pathlib import Path

import pytest

from emergence.errors import SettingsError
from emergence.settings import load, parse
from emergence.shipped import Entry, Manifest
from emergence.statistics import Measurement, write_measurements
from emergence.verification import drift_runs
from emergence.verification.claims import load_ledger
from emergence.verification.costs import CALIBRATION, recorded_costs
from emergence.verification.criteria import keys_of
from emergence.verification.jobs import Pace, begun_elsewhere, load_needs, training_jobs

ROOT = Path(__file__).parents[2]
LAPTOP = load(ROOT / "config/laptop.yaml")


@pytest.fixture
def manifest(tmp_path):
    """All of the laptop run's trainings, and two numbers that it came to."""
    entry = Entry("0" * 64, None)
    for system in ("introspection", "holography", "retraining"):
        found = [Measurement("scratch.grown_error", 0.1), Measurement("scratch.scratch_error", 0.2)]
        write_measurements(tmp_path / f"weights/{system}/measurements.json", found)
    jobs = dict.fromkeys(training_jobs(LAPTOP), entry)
    return Manifest(tmp_path / "weights", "laptop", "c0ffee", jobs, {}, {}, {})


@pytest.fixture
def plan(manifest, tmp_path):
    def plan(**options):
        return drift_runs.plan(
            manifest, ROOT / "config/laptop.yaml", load_needs(ROOT / "workflow/needs.yaml"),
            ROOT / "claims", tmp_path / "results", **options,
        )  # fmt: skip

    return plan


class TestRuns:
    def test_each_changes_one_setting_and_nothing_else(self, plan, tmp_path):
        plan()
        axes = json.loads((tmp_path / "results/drift/runs.json").read_text())
        assert axes == {
            "verify": "base",
            "drift-threads": "threads",
            "drift-precision": "precision",
            "drift-compiled": "compiled",
        }
        loaded = {
            axis: load(tmp_path / f"results/{name}/settings.yaml") for name, axis in axes.items()
        }
        base = loaded.pop("base").model_dump()
        changed = {
            axis: {key for key, value in chosen.model_dump().items() if value != base[key]}
            for axis, chosen in loaded.items()
        }
        assert changed == {
            "threads": {"scale", "threads"},
            "precision": {"scale", "evaluation", "holography"},
            "compiled": {"scale", "evaluation"},
        }
        assert loaded["precision"].evaluation.precision == "float32"
        assert loaded["compiled"].evaluation.compiled is False

    @pytest.mark.parametrize("options", [{}, {"sampled": True}])
    def test_along_precision_each_chain_draws_in_its_other_one(self, plan, tmp_path, options):
        plan(**options)
        axes = json.loads((tmp_path / "results/drift/runs.json").read_text())
        base, other = (
            load(tmp_path / "results" / name / "settings.yaml").holography
            for name, axis in axes.items()
            if axis in ("base", "precision")
        )
        assert {name for name, run in base.chains.items() if run.precision} == {"plane"}
        assert {run.precision for run in other.chains.values()} == {"float64"}
        told = other.model_dump()
        told["chains"] = {
            name: run | {"precision": "float64" if name == "plane" else None}
            for name, run in told["chains"].items()
        }
        assert told == base.model_dump()

    def test_but_where_shifts_need_double(self):
        known = LAPTOP.holography.chains
        of = {
            "line_8": known["line_8"].model_copy(update={"precision": "float64"}),
            "line_16": known["line_16"],
            "line_32": known["line_32"],
        }
        chosen = LAPTOP.holography.model_copy(update={"chains": of})
        settings = LAPTOP.model_copy(update={"holography": chosen})
        content = drift_runs._other_precision(settings.model_dump(mode="json"), settings)
        parse(content, "settings of a test")
        found = {name: run["precision"] for name, run in content["holography"]["chains"].items()}
        assert found == {"line_8": "float32", "line_16": "float64", "line_32": "float64"}
        assert known["line_32"].shifts

    def test_of_chains_and_bulks_alone_are_as_long_as_they_are(self, plan, manifest, tmp_path):
        plan(sampled=True)
        lines = (tmp_path / "results/drift/runs.txt").read_text().splitlines()
        assert lines[0] == f"drift-sampled trained={manifest.folder} anew=1 into=drift-sampled"
        assert [line.split()[0] for line in lines[1:]] == [
            f"drift-sampled-{axis}" for axis in ("threads", "precision", "compiled")
        ]
        folder = tmp_path / "results/drift-sampled"
        assert (folder / "targets.txt").read_text().split() == [
            "results/drift-sampled/holography/measurements.json"
        ]
        base = load(folder / "settings.yaml")
        known = LAPTOP.holography
        drawn = {name: run for name, run in known.chains.items() if not run.shipped}
        assert base.holography.chains == drawn
        assert base.holography.bulks == known.bulks
        needed = {run.flow for run in [*drawn.values(), *known.bulks.values()]}
        assert set(base.holography.flows) == needed
        assert base.holography.samples == known.samples
        assert not base.retraining.chains
        assert not base.introspection.translators

    def test_of_a_claim_evaluate_only_what_decides_it(self, plan, tmp_path):
        plan(sampled=True, only=["H5-local"])
        chosen = load(tmp_path / "results/drift-sampled/settings.yaml").holography
        assert set(chosen.chains) == {"critical_bulk", "critical_boundary"}
        assert (set(chosen.flows), chosen.bulks) == ({"critical"}, {})
        plan(fast=True, only=["H8"])
        told = (tmp_path / "results/drift-base/targets.txt").read_text()
        assert told == "results/drift-base/holography/measurements.json\n"
        with pytest.raises(SettingsError, match="no claim H99"):
            plan(only=["H99"])

    def test_leave_nothing_if_also_fast(self, plan):
        with pytest.raises(SettingsError, match="of both nothing is left"):
            plan(fast=True, sampled=True)

    def test_say_which_weights_each_number_is_read_from(self, plan, manifest, tmp_path):
        plan()
        of = json.loads((tmp_path / "results/drift/weights.json").read_text())
        assert of["retraining"]["ising.error_worst"] == of["retraining"]["ising.error_last"]
        assert of["retraining"]["ising.error_worst"] != of["retraining"]["heisenberg.error_10"]

    def test_of_a_claim_only_its_numbers_are_asked_for(self, plan, tmp_path):
        plan(fast=True, only=["H4-action"])
        of = json.loads((tmp_path / "results/drift/weights.json").read_text())
        assert list(of) == ["holography"]
        (claim,) = (
            claim
            for claim in load_ledger(ROOT / "claims/holography.yaml").claims
            if claim.id == "H4-action"
        )
        asked = {key for criterion in claim.criteria for key in keys_of(criterion)}
        assert set(of["holography"]) == asked

    def test_say_how_snakemake_is_called(self, plan, manifest, tmp_path):
        plan(fast=True)
        lines = (tmp_path / "results/drift/runs.txt").read_text().splitlines()
        # Anew: samples that were shipped would show no drift.
        assert lines[0] == f"drift-base trained={manifest.folder} anew=1 into=drift-base"
        assert len(lines) == 4
        chosen = load(tmp_path / "results/drift-base/settings.yaml").holography
        assert not chosen.chains
        assert not chosen.bulks

    def test_chains_of_records_drawn_beforehand_are_left_out(self, plan, tmp_path):
        plan()
        chains = load(tmp_path / "results/drift-threads/settings.yaml").holography.chains
        assert "critical_bulk" in chains
        assert not [name for name, run in chains.items() if run.shipped]

    def test_fast_evaluations_draw_an_eighth_in_whole_batches(self, plan, tmp_path):
        plan(fast=True)
        fast = load(tmp_path / "results/drift-base/settings.yaml")
        for ours, theirs, batch in (
            (fast.holography, LAPTOP.holography, LAPTOP.holography.chunk),
            (fast.retraining, LAPTOP.retraining, LAPTOP.retraining.batch),
        ):
            assert ours.samples == theirs.samples // 8
            assert ours.samples % batch == 0
        assert fast.retraining.configurations == LAPTOP.retraining.configurations // 8
        flows = fast.holography.flows
        assert flows["hat"].samples == LAPTOP.holography.flows["hat"].samples // 8
        assert flows["line_32"].samples == LAPTOP.holography.chunk, "At least one call."
        assert flows["critical"].samples is None

    def test_with_a_budget_single_trainings_are_run_from_other_seeds(self, plan, tmp_path):
        costs = recorded_costs(ROOT / "config/costs.csv", "laptop")
        del costs[CALIBRATION]
        lines = plan(budget_s=3600, pace=Pace(costs, 2, 1.0, "laptop"), seeds=3)
        assert lines[-1].startswith("3 runs from other seeds")
        assert "S1-cost" in lines[-1]
        runs = [load(tmp_path / f"results/drift-seed-{k}/settings.yaml") for k in (1, 2, 3)]
        assert len({run.seed for run in runs} | {LAPTOP.seed}) == 4
        assert set(runs[0].retraining.chains) == {"ising", "ising_scratch"}

    def test_what_goes_on_from_shipped_weights_is_not_trained_anew(self, plan, manifest):
        found = [
            Measurement("paper_chain.error_worst", 0.1),
            Measurement("scratch.grown_error", 0.1),
        ]
        write_measurements(manifest.folder / "retraining/measurements.json", found)
        costs = recorded_costs(ROOT / "config/costs.csv", "laptop")
        del costs[CALIBRATION]
        runs, bound = plan(budget_s=7200, pace=Pace(costs, 2, 1.0, "laptop"), seeds=2)[-2:]
        assert "S1-cost" in runs
        assert "S-original" not in runs
        assert "nothing is told of S-original (--anew CLAIM trains them)." in bound
        assert "holography/flows/line_32/32" in begun_elsewhere(LAPTOP)
        assert not any("critical/" in job for job in begun_elsewhere(LAPTOP))

    def test_unless_its_claim_is_named(self, plan, tmp_path):
        costs = recorded_costs(ROOT / "config/costs.csv", "laptop")
        del costs[CALIBRATION]
        options = {
            "budget_s": 60.0, "pace": Pace(costs, 2, 1.0, "laptop"), "seeds": 2,
            "origin": load(ROOT / "config/shipped.yaml"),
        }  # fmt: skip
        lines = plan(**options, anew=["H4", "H8-16"])
        assert "2 runs from other seeds." in lines
        assert "For H4, H8-16 what is shipped is made anew" in " ".join(lines)
        run = load(tmp_path / "results/drift-seed-1/settings.yaml").holography
        assert set(run.flows) == {"critical_32", "ising_16"}
        assert list(run.flows["critical_32"].sizes) == [4, 8, 16, 32]
        assert set(run.bulks) == {"critical_32"}
        assert run.chains["ising_16_bulk"].shipped is None
        with pytest.raises(SettingsError, match="no claim H99 at this scale"):
            plan(**options, anew=["H99"])

    def test_seeds_alone_evaluate_nothing(self, plan, tmp_path):
        costs = recorded_costs(ROOT / "config/costs.csv", "laptop")
        costs.pop(CALIBRATION)
        lines = plan(evaluate=False, pace=Pace(costs, 2, 1.0, "laptop"), budget_s=3600.0, seeds=2)
        assert lines[0].startswith("2 runs from other seeds")
        listed = json.loads((tmp_path / "results/drift/runs.json").read_text())
        assert listed == {"drift-seed-1": "seeds", "drift-seed-2": "seeds"}

    def test_claims_by_name_from_the_seeds_after_those_of_before(self, plan, tmp_path):
        costs = recorded_costs(ROOT / "config/costs.csv", "laptop")
        costs.pop(CALIBRATION)
        options = {
            "pace": Pace(costs, 2, 1.0, "laptop"), "budget_s": 7200.0, "seeds": 2, "first": 4,
            "evaluate": False,
        }  # fmt: skip
        lines = plan(**options, only=["S1-cost"])
        assert "for the single trainings of S1-cost." in lines[0]
        listed = json.loads((tmp_path / "results/drift/runs.json").read_text())
        assert listed == {"drift-seed-4": "seeds", "drift-seed-5": "seeds"}
        run = load(tmp_path / "results/drift-seed-4/settings.yaml")
        assert set(run.retraining.chains) == {"ising", "ising_scratch"}
        with pytest.raises(SettingsError, match="decides claim H99 at this scale"):
            plan(**options, only=["H99"])

    def test_without_one_nothing_is_trained_and_it_says_so(self, plan):
        assert plan()[-1].startswith("No time was given to train from other seeds")
