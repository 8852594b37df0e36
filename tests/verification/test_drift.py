"""The drift certificate: what runs it needs, and what it makes of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emergence.errors import ArtifactError, SettingsError
from emergence.settings import load
from emergence.shipped import Entry, Manifest
from emergence.statistics import Measurement, write_measurements
from emergence.verification import drift, drift_runs
from emergence.verification.costs import CALIBRATION, recorded_costs
from emergence.verification.jobs import Pace, load_needs, training_jobs

ROOT = Path(__file__).parents[2]
LAPTOP = load(ROOT / "config/laptop.yaml")
RUNS = {
    "verify": "base",
    "drift-threads": "threads",
    "drift-compiled": "compiled",
    "drift-seed-1": "seeds",
    "drift-seed-2": "seeds",
}


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
            "precision": {"scale", "evaluation"},
            "compiled": {"scale", "evaluation"},
        }
        assert loaded["precision"].evaluation.precision == "float32"
        assert loaded["compiled"].evaluation.compiled is False

    def test_say_how_snakemake_is_called(self, plan, manifest, tmp_path):
        plan(fast=True)
        lines = (tmp_path / "results/drift/runs.txt").read_text().splitlines()
        # Anew: samples that were shipped would show no drift.
        assert lines[0] == f"drift-base trained={manifest.folder} anew=1 into=drift-base"
        assert len(lines) == 4
        chosen = load(tmp_path / "results/drift-base/settings.yaml").holography
        assert not chosen.chains
        assert not chosen.bulks

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
        assert "holography/flows/line_32/32" in drift_runs.begun_elsewhere(LAPTOP)
        assert not any("critical/" in job for job in drift_runs.begun_elsewhere(LAPTOP))

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

    def test_without_one_nothing_is_trained_and_it_says_so(self, plan):
        assert plan()[-1].startswith("No time was given to train from other seeds")


@pytest.fixture
def measured(tmp_path, raw, write):
    """Measures the small ledger's claim from runs that came to these numbers."""
    ledgers = write(raw).parent

    def measured(numbers, runs=RUNS):
        results = tmp_path / "results"
        (results / "drift").mkdir(parents=True)
        (results / "drift/runs.json").write_text(json.dumps(runs))
        for name, found in numbers.items():
            path = tmp_path / ("shipped" if name == "shipped" else f"results/{name}")
            write_measurements(path / "introspection/measurements.json", [found])
        return drift.measure("laptop", "laptop", ledgers, results, tmp_path / "shipped")

    return measured


def single(value):
    return Measurement("loss_ratio", value, 0.5)


class TestMeasure:
    def test_single_trainings(self, measured):
        frame = measured(
            {
                "verify": single(30.0),
                "shipped": single(30.0),
                "drift-threads": single(30.25),
                "drift-seed-1": single(34.0),
                "drift-seed-2": single(26.0),
            }
        ).set_index("axis")
        assert frame["spread"]["seeds"] == 4.0
        assert frame["runs"]["seeds"] == 3
        assert frame["spread"]["machine"] == 0.0
        assert frame["spread"]["threads"] == 0.25
        assert np.isnan(frame["spread"]["compiled"]), "It was not evaluated."
        assert set(frame["room"]) == {20.0}, "30 is 20 above the bound of 10."

    def test_what_was_not_evaluated_is_named(self, measured, tmp_path):
        frame = measured({"verify": Measurement("other", 1.0)})
        assert frame["spread"].isna().all()
        drift.write(frame, "laptop", tmp_path)
        assert "| I3 | `loss_ratio` | not evaluated |" in (tmp_path / "drift.md").read_text()
        assert "(not evaluated: I3)" in drift.told(frame)

    def test_ensembles_have_their_spread_already(self, measured):
        values = np.random.default_rng(1).normal(30, 2, 400)
        values[0] = 1e30
        frame = measured({"verify": Measurement.from_seeds("loss_ratio", values)}).set_index("axis")
        assert frame["spread"]["seeds"] == pytest.approx(2.0, rel=0.15)
        assert frame["runs"]["seeds"] == 400

    def test_a_number_that_could_not_be_told_has_no_drift(self, measured, tmp_path):
        untold = Measurement("loss_ratio", None, note="all diverged")
        frame = measured({"verify": untold, "drift-threads": single(3.0), "drift-seed-1": untold})
        assert frame[["value", "spread", "room"]].isna().all(axis=None)
        drift.write(frame, "laptop", tmp_path)

    def test_a_fast_one_does_not_compare_with_the_machine_that_shipped(self, measured):
        runs = {"drift-base": "base", "drift-threads": "threads"}
        found = {"drift-base": single(30.0), "shipped": single(31.0), "drift-threads": single(30.0)}
        assert set(measured(found, runs)["axis"]) == {"seeds", "threads"}

    def test_over_seeds_a_fast_one_takes_the_run_that_shipped(self, measured):
        runs = {"drift-base": "base", "drift-seed-1": "seeds", "drift-seed-2": "seeds"}
        found = {"drift-base": single(50.0), "shipped": single(30.0)}
        found |= {"drift-seed-1": single(34.0), "drift-seed-2": single(26.0)}
        frame = measured(found, runs).set_index("axis")
        assert frame["spread"]["seeds"] == 4.0
        assert frame["value"]["seeds"] == 50.0

    def test_what_a_fast_one_leaves_out_still_has_seeds(self, measured):
        runs = {"drift-base": "base", "drift-threads": "threads"}
        runs |= {"drift-seed-1": "seeds", "drift-seed-2": "seeds"}
        found = {"drift-base": Measurement("other", 1.0), "shipped": single(30.0)}
        found |= {"drift-threads": single(31.0)}
        found |= {"drift-seed-1": single(34.0), "drift-seed-2": single(26.0)}
        (row,) = measured(found, runs).itertuples()
        assert (row.axis, row.value, row.spread, row.room) == ("seeds", 30.0, 4.0, 20.0)

    def test_two_trainings_tell_no_spread(self, measured):
        frame = measured({"verify": single(30.0), "drift-seed-1": single(34.0)}).set_index("axis")
        assert np.isnan(frame["spread"]["seeds"])

    def test_seeds_alone_are_beside_the_run_that_shipped(self, measured):
        runs = {"drift-seed-1": "seeds", "drift-seed-2": "seeds"}
        found = {"drift-seed-1": single(34.0), "drift-seed-2": single(26.0)}
        (row,) = measured(found | {"shipped": single(30.0)}, runs).itertuples()
        assert (row.axis, row.value, row.spread, row.runs) == ("seeds", 30.0, 4.0, 3)

    def test_without_runs_it_says_what_to_do(self, tmp_path):
        with pytest.raises(
            ArtifactError, match=r"runs.json is missing. Run `make drift SCALE=laptop`"
        ):
            drift.measure("laptop", "laptop", ROOT / "claims", tmp_path, tmp_path)

    def test_without_the_base_it_says_what_to_do(self, measured):
        with pytest.raises(ArtifactError, match="holds no evaluation of introspection"):
            measured({"drift-threads": single(30.0)})


class TestJoined:
    """A later certificate that varied the threads alone, beside an earlier one."""

    @pytest.fixture
    def later(self, measured):
        frame = measured({"verify": single(30.5), "drift-threads": single(31.0)})
        return frame.assign(commit="new")

    @staticmethod
    def earlier(later, **changes):
        rows = [{"axis": "seeds", "spread": 4.0, "runs": 3}, {"axis": "threads", "spread": 7.0}]
        about = later.iloc[0].to_dict() | {"value": 30.0, "room": 20.0, "commit": "old"} | changes
        return pd.DataFrame([about | row for row in rows])

    def test_what_was_not_varied_is_kept_with_its_commit(self, later):
        found = drift.joined(later, self.earlier(later)).set_index("axis")
        assert list(found.index) == list(later["axis"])
        assert found["spread"]["seeds"] == 4.0
        assert found["runs"]["seeds"] == 3
        assert found["spread"]["threads"] == 0.5, "The later one varied it."
        assert np.isnan(found["spread"]["machine"]), "Neither did."
        assert found["commit"].to_dict() == dict.fromkeys(found.index, "new") | {"seeds": "old"}
        assert set(found["value"]) == {30.5}
        assert set(found["room"]) == {20.5}

    def test_one_that_tells_no_commit_is_kept_as_well(self, later):
        found = drift.joined(later, self.earlier(later).drop(columns="commit")).set_index("axis")
        assert found["spread"]["seeds"] == 4.0
        assert pd.isna(found["commit"]["seeds"])

    @pytest.mark.parametrize("changes", [{"measurement": "x"}, {"demanded": "x"}])
    def test_not_of_another_number(self, later, changes):
        found = drift.joined(later, self.earlier(later, **changes))
        pd.testing.assert_frame_equal(found, later)


class TestRefreshed:
    """A certificate beside numbers that were shipped later."""

    def test_has_their_values_and_room_and_the_spreads_of_before(self, measured, tmp_path):
        numbers = {"verify": 30.0, "drift-seed-1": 34.0, "drift-seed-2": 26.0, "shipped": 30.0}
        frame = measured({key: single(value) for key, value in numbers.items()})
        write_measurements(tmp_path / "shipped/introspection/measurements.json", [single(41.0)])
        places = tmp_path / "claims", tmp_path / "shipped"
        found = drift.refreshed(frame.assign(commit="old"), "laptop", *places)
        before, after = (one.set_index("axis").loc["seeds"] for one in (frame, found))
        assert after["value"] == 41.0
        assert after["room"] == before["room"] + 11.0
        assert after["spread"] == before["spread"] > 0
        assert after["commit"] == "old"
        again = drift.refreshed(found, "laptop", *places)
        pd.testing.assert_frame_equal(again, found)


class TestCertificate:
    @pytest.fixture
    def frame(self, measured):
        numbers = {"drift-threads": 31.0, "drift-seed-1": 34.0, "drift-seed-2": 26.0}
        return measured({k: single(v) for k, v in ({"verify": 30.0} | numbers).items()})

    def test_tells_the_room_over_the_largest_spread(self, frame, tmp_path):
        drift.write(frame, "laptop", tmp_path)
        lines = (tmp_path / "drift.md").read_text().splitlines()
        (row,) = [line for line in lines if "`loss_ratio`" in line]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        expected = "I3|`loss_ratio`|30|4 (3)|–|1|–|–|at least 10|20|5"
        assert cells == expected.split("|")

    def test_tells_what_is_no_more_than_other_samples(self, measured, tmp_path):
        found = {"verify": single(30.0), "drift-threads": single(31.0)}
        frame = measured(found | {"drift-compiled": single(32.0)})
        drift.write(frame, "laptop", tmp_path)
        assert "| – | 1 | – | 2 (2.8 σ) | at least 10 | 20 | 20 |" in (
            tmp_path / "drift.md"
        ).read_text("utf-8")

    def test_gives_audits_the_spread_over_trainings(self, frame, tmp_path):
        drift.write(frame, "laptop", tmp_path)
        spreads = drift.read_spreads(tmp_path / "drift.csv")
        assert spreads == {("introspection", "loss_ratio"): (4.0, 3)}

    def test_that_was_never_written_knows_of_none(self, tmp_path):
        assert drift.read_spreads(tmp_path / "drift.csv") == {}

    def test_that_is_damaged_is_told(self, tmp_path):
        (tmp_path / "drift.csv").write_text("system,claim\n")
        with pytest.raises(ArtifactError, match="lacks the column"):
            drift.read_spreads(tmp_path / "drift.csv")

    def test_says_where_the_drift_exceeds_the_room(self, frame, measured):
        assert "smaller than the room" in drift.told(frame)
        frame.loc[frame["axis"] == "threads", "spread"] = 21.0
        told = drift.told(frame)
        assert "exceeds the room of the criterion in I3." in told
        # Other samples that differ by no more than their errors have not drifted.
        frame.loc[frame["axis"] == "threads", "noise"] = 7.0
        assert "smaller than the room" in drift.told(frame)

    def test_seeds_exceed_it_unless_the_criterion_counts_them(self, frame):
        frame.loc[frame["axis"] == "seeds", "spread"] = 21.0
        assert "exceeds the room of the criterion in I3." in drift.told(frame)
        frame["demanded"] = "at least 10 in at least 90 % of the seeds"
        assert "smaller than the room" in drift.told(frame)
