"""The drift certificate: what it makes of its runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drift_numbers import WEIGHTS, single

from emergence.errors import ArtifactError
from emergence.statistics import Measurement, write_measurements
from emergence.verification import drift, drift_report, drift_table, underlying
from emergence.verification.seeds import Spread

ROOT = Path(__file__).parents[2]


class TestMeasure:
    def test_ties_what_was_evaluated_to_its_weights(self, measured):
        frame = measured(
            {"verify": single(30.0), "shipped": single(30.0), "drift-threads": single(30.25)}
        ).set_index("axis")
        assert frame["weights"][["machine", "threads"]].tolist() == ["ab12", "ab12"]
        assert pd.isna(frame["weights"]["seeds"]), "Each of them has its own."

    def test_runs_of_other_weights_are_refused(self, measured):
        found = {"verify": single(30.0)}
        with pytest.raises(ArtifactError, match="planned for other weights than those in"):
            measured(found, weights={("introspection", "loss_ratio"): "cd34"})

    def test_what_was_not_asked_for_is_left_alone(self, measured):
        runs = {"drift-base": "base", "drift-threads": "threads"}
        numbers = {"drift-base": 30.0, "shipped": 31.0, "drift-threads": 30.25}
        found = {key: single(value) for key, value in numbers.items()}
        assert set(measured(found, runs)["axis"]) == {"seeds", "threads"}
        frame = measured(found, runs, asked=())
        assert frame[["axis", "value"]].to_numpy().tolist() == [["seeds", 31.0]]

    def test_an_axis_that_reaches_no_network_does_not_apply(self, measured, monkeypatch):
        monkeypatch.setattr(underlying, "evaluated", lambda system, name: False)
        frame = measured({"verify": single(30.0), "drift-threads": single(30.0)}).set_index("axis")
        for axis in underlying.SWITCHES:
            assert frame["weights"][axis] == "does not apply"
            assert np.isnan(frame["spread"][axis])

    def test_nor_does_one_that_the_records_behind_it_are_the_same_along(self, measured):
        fixed = {("introspection", "loss_ratio", "threads"): "does not apply"}
        numbers = {"verify": single(30.0), "drift-threads": single(31.0)}
        frame = measured(numbers | {"drift-compiled": single(32.0)}, weights=WEIGHTS | fixed)
        frame = frame.set_index("axis")
        assert frame["weights"][["threads", "compiled"]].tolist() == ["does not apply", "ab12"]
        assert np.isnan(frame["spread"]["threads"])
        assert frame["spread"]["compiled"] == 2.0

    def test_to_chains_a_change_of_rounding_is_another_draw(self, measured):
        numbers = {"verify": 30.0, "shipped": 30.0, "drift-threads": 31.0, "drift-compiled": 32.0}
        of = {"chains/line_8": [np.hypot(0.5, 0.5)] * 2, "bulks/free": [np.nan] * 2}
        for source, noise in (of | {"": [np.nan, np.hypot(0.5, 0.5)]}).items():
            frame = measured({key: single(value, source) for key, value in numbers.items()})
            frame = frame.set_index("axis")
            np.testing.assert_equal(frame["noise"][["threads", "compiled"]].tolist(), noise)
            assert np.isnan(frame["noise"]["machine"]), "Not a bit differs."

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

    @pytest.mark.parametrize(
        ("source", "counted"), [("chains/line_32/8", 3), ("chains/line_8/8", 2)]
    )
    def test_a_number_read_off_another_arm_is_not_counted(self, measured, source, counted):
        frame = measured(
            {
                "verify": single(30.0, "chains/line_32/32"),
                "shipped": single(30.0, "chains/line_32/32"),
                "drift-seed-1": single(34.0, "chains/line_32/16"),
                "drift-seed-2": single(26.0, source),
            }
        ).set_index("axis")
        assert frame["runs"]["seeds"] == counted

    def test_what_was_not_evaluated_is_named(self, measured, tmp_path):
        frame = measured({"verify": Measurement("other", 1.0)})
        assert frame["spread"].isna().all()
        drift_report.write(frame, "laptop", tmp_path)
        assert "| I3 | `loss_ratio` | not evaluated |" in (tmp_path / "drift.md").read_text()
        assert "(not evaluated: I3)" in drift_report.told(frame)

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
        drift_report.write(frame, "laptop", tmp_path)

    def test_a_fast_one_does_not_compare_with_the_machine_that_shipped(self, measured):
        runs = {"drift-base": "base", "drift-threads": "threads"}
        found = {"drift-base": single(30.0), "shipped": single(31.0), "drift-threads": single(30.0)}
        assert set(measured(found, runs)["axis"]) == {"seeds", "threads"}

    def test_one_of_samplings_tells_of_chains_and_bulks_alone(self, measured, write, raw):
        runs = {"drift-sampled": "base", "drift-sampled-threads": "threads"}
        for source, axes in (("chains/line_8", {"seeds", "threads"}), ("flows/free/8", {"seeds"})):
            numbers = {"drift-sampled": 30.0, "drift-sampled-threads": 31.0, "shipped": 32.0}
            found = {key: single(value, source) for key, value in numbers.items()}
            raw["system"] = "holography"
            write(raw)
            frame = measured(found, runs, {("holography", "loss_ratio"): "ab12"})
            assert set(frame["axis"]) == axes, "The machine is left out."
            assert set(frame["value"]) == {30.0 if "threads" in axes else 32.0}

    def test_of_a_system_that_samples_nothing_it_leaves_all_to_the_earlier_one(self, measured):
        runs = {"drift-sampled": "base", "drift-sampled-threads": "threads"}
        frame = measured({"shipped": single(32.0)}, runs)
        assert frame[["axis", "value"]].to_numpy().tolist() == [["seeds", 32.0]]

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

    def test_of_two_trainings_the_spread_is_told_with_their_number(self, measured):
        frame = measured({"verify": single(30.0), "drift-seed-1": single(34.0)}).set_index("axis")
        assert frame["spread"]["seeds"] == pytest.approx(np.sqrt(8.0))
        assert frame["runs"]["seeds"] == 2

    def test_a_single_training_tells_no_spread(self, measured):
        alone = measured({"verify": single(30.0)}).set_index("axis")
        assert np.isnan(alone["spread"]["seeds"])

    def test_seeds_alone_are_beside_the_run_that_shipped(self, measured):
        runs = {"drift-seed-1": "seeds", "drift-seed-2": "seeds"}
        found = {"drift-seed-1": single(34.0), "drift-seed-2": single(26.0)}
        (row,) = measured(found | {"shipped": single(30.0)}, runs).itertuples()
        assert (row.axis, row.value, row.spread, row.runs) == ("seeds", 30.0, 4.0, 3)

    def test_seeds_after_those_of_before_leave_the_first_run_to_these(self, measured):
        runs = {"drift-seed-4": "seeds", "drift-seed-5": "seeds"}
        found = {"drift-seed-4": single(34.0), "drift-seed-5": single(26.0)}
        before = {("introspection", "loss_ratio"): Spread(4.0, 3, {}, frozenset({0, 1, 2}))}
        frame = measured(found | {"shipped": single(30.0)}, runs, kept=before)
        (row,) = frame.itertuples()
        assert (row.value, row.spread, row.runs) == (30.0, pytest.approx(np.sqrt(32.0)), 2)
        assert (row.trained, row.values) == ("4 5", "4:34.0:0.5 5:26.0:0.5")

    @pytest.mark.parametrize(
        ("seeds", "spread", "trained"),
        [
            # All values are kept: one spread of all.
            ({0, 4}, np.std([30.0, 32.0, 34.0, 26.0], ddof=1), "0 4 5 6"),
            # That of seed 1 is not: of the new ones alone, to be pooled with the one of before.
            ({0, 1, 4}, np.std([34.0, 26.0], ddof=1), "5 6"),
        ],
    )
    def test_seeds_are_taken_with_those_of_before_where_all_values_are_kept(
        self, measured, seeds, spread, trained
    ):
        runs = {"drift-seed-5": "seeds", "drift-seed-6": "seeds"}
        found = {"drift-seed-5": single(34.0), "drift-seed-6": single(26.0)}
        before = Spread(1.0, len(seeds), {4: (32.0, 0.5)}, frozenset(seeds))
        kept = {("introspection", "loss_ratio"): before}
        (row,) = measured(found | {"shipped": single(30.0)}, runs, kept=kept).itertuples()
        assert (row.spread, row.trained) == (pytest.approx(spread), trained)
        assert row.values == "4:32.0:0.5 5:34.0:0.5 6:26.0:0.5"

    def test_without_runs_it_says_what_to_do(self, tmp_path):
        with pytest.raises(
            ArtifactError, match=r"runs.json is missing. Run `make drift SCALE=laptop`"
        ):
            drift.measure("laptop", "laptop", ROOT / "claims", tmp_path, tmp_path, {}, {})

    def test_without_the_base_it_says_what_to_do(self, measured):
        with pytest.raises(ArtifactError, match="holds no evaluation of introspection"):
            measured({"drift-threads": single(30.0)})


class TestRefreshed:
    """A certificate beside numbers that were shipped later."""

    def test_has_their_values_and_room_and_the_spreads_of_before(self, measured, tmp_path):
        numbers = {"verify": 30.0, "drift-seed-1": 34.0, "drift-seed-2": 26.0, "shipped": 30.0}
        frame = measured({key: single(value) for key, value in numbers.items()})
        write_measurements(tmp_path / "shipped/introspection/measurements.json", [single(41.0)])
        places = tmp_path / "claims", tmp_path / "shipped", WEIGHTS
        found = drift.refreshed(frame.assign(commit="old"), "laptop", *places)
        before, after = (one.set_index("axis").loc["seeds"] for one in (frame, found))
        assert after["value"] == 41.0
        assert after["room"] == before["room"] + 11.0
        assert before["spread"] == 4.0
        assert after["spread"] == pytest.approx(np.std([41.0, 34.0, 26.0], ddof=1))
        assert after["commit"] == "old"
        again = drift.refreshed(found, "laptop", *places)
        pd.testing.assert_frame_equal(again, found)

    def test_an_ensemble_keeps_its_commit_until_its_spread_is_another(
        self, measured, tmp_path, monkeypatch
    ):
        def ensemble(*values):
            return Measurement("loss_ratio", float(np.median(values)), 0.5, values=values)

        frame = measured({"verify": ensemble(1.0, 2.0, 4.0), "shipped": ensemble(1.0, 2.0, 4.0)})
        places = tmp_path / "claims", tmp_path / "shipped", WEIGHTS
        monkeypatch.setattr(drift_table, "code_in_use", lambda: {"commit": "new"})
        for values, commit in (((1.0, 2.0, 4.0), "old"), ((1.0, 2.0, 9.0), "new")):
            path = tmp_path / "shipped/introspection/measurements.json"
            write_measurements(path, [ensemble(*values)])
            found = drift.refreshed(frame.assign(commit="old"), "laptop", *places)
            assert found.set_index("axis")["commit"]["seeds"] == commit
