"""What the drift certificate tells a reader."""

import numpy as np
import pytest
from drift_numbers import single

from emergence.errors import ArtifactError
from emergence.verification import drift_report, drift_table


class TestCertificate:
    @pytest.fixture
    def frame(self, measured):
        numbers = {"drift-threads": 31.0, "drift-seed-1": 34.0, "drift-seed-2": 26.0}
        return measured({k: single(v) for k, v in ({"verify": 30.0} | numbers).items()})

    def test_tells_the_room_over_the_largest_spread(self, frame, tmp_path):
        drift_report.write(frame, "laptop", tmp_path)
        lines = (tmp_path / "drift.md").read_text().splitlines()
        (row,) = [line for line in lines if "`loss_ratio`" in line]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        expected = "I3|`loss_ratio`|30|4 (3; 3 to 9.6; off 24)|–|1|–|–|at least 10|20|5"
        assert cells == expected.split("|")

    def test_tells_what_is_no_more_than_other_samples(self, measured, tmp_path):
        found = {"verify": single(30.0), "drift-threads": single(31.0)}
        frame = measured(found | {"drift-compiled": single(32.0)})
        drift_report.write(frame, "laptop", tmp_path)
        text = (tmp_path / "drift.md").read_text("utf-8")
        assert "| – | 1 | – | 2 (2.8 σ, below 3.4) | at least 10 | 20 | 20 |" in text

    def test_gives_audits_the_spread_over_trainings(self, frame, tmp_path):
        drift_report.write(frame, "laptop", tmp_path)
        spreads = drift_table.read_spreads(tmp_path / "drift.csv")
        assert spreads == {
            ("introspection", "loss_ratio"): (4.0, 3, {1: (34.0, 0.5), 2: (26.0, 0.5)}, {0, 1, 2})
        }

    def test_that_was_never_written_knows_of_none(self, tmp_path):
        assert drift_table.read_spreads(tmp_path / "drift.csv") == {}

    def test_that_is_damaged_is_told(self, tmp_path):
        (tmp_path / "drift.csv").write_text("system,claim\n")
        with pytest.raises(ArtifactError, match="lacks the column"):
            drift_table.read_spreads(tmp_path / "drift.csv")

    def test_says_where_the_drift_exceeds_the_room(self, frame, measured):
        assert "smaller than the room" in drift_report.told(frame)
        frame.loc[frame["axis"] == "threads", "spread"] = 21.0
        told = drift_report.told(frame)
        assert "exceeds the room of the criterion in I3." in told
        # Other samples that differ by no more than their errors have not drifted.
        frame.loc[frame["axis"] == "threads", "noise"] = 7.0
        assert "smaller than the room" in drift_report.told(frame)

    def test_seeds_exceed_it_unless_the_criterion_counts_them(self, frame):
        frame.loc[frame["axis"] == "seeds", "spread"] = 21.0
        assert "exceeds the room of the criterion in I3." in drift_report.told(frame)
        frame["demanded"] = "at least 10 in at least 90 % of the seeds"
        assert "smaller than the room" in drift_report.told(frame)

    def test_says_of_how_many_numbers_each_axis_was_varied(self, frame):
        told = drift_report.coverage(frame)
        assert told == (
            "Of 1 numbers were varied along seeds 1, machine 0, threads 1, precision 0, compiled 0."
        )
        assert told in drift_report.render_markdown(frame, "laptop")
        frame.loc[frame["axis"] == "threads", ["spread", "weights"]] = np.nan, drift_table.UNREACHED
        assert "threads 0 (it does not apply to 1 more)" in drift_report.coverage(frame)
        assert "| – | does not apply | – |" in drift_report.render_markdown(frame, "laptop")

    @pytest.mark.parametrize(
        ("noise", "room", "told"),
        [(4.0, 8.9, "`loss_ratio` of I3 (compiled)"), (4.0, 9.1, "No diff"), (0.3, 0.5, "No diff")],
    )
    def test_lists_what_is_unresolved_at_the_size_of_its_room(self, frame, noise, room, told):
        """A difference of 1 within a noise of 4 may be 9; of 0.3 it is told from noise."""
        frame.loc[frame["axis"] == "compiled", ["spread", "noise"]] = 1.0, noise
        frame["room"] = room
        assert told in drift_report.unresolved(frame)


@pytest.mark.parametrize(("trainings", "low", "high"), [(2, 0.71, 4.97), (3, 0.74, 2.40)])
def test_the_interval_of_a_spread_holds_the_true_one_in_68_of_100(trainings, low, high):
    assert drift_report.spread_interval(2.0, trainings) == pytest.approx(
        (2.0 * low, 2.0 * high), rel=0.01
    )
    drawn = np.random.default_rng(1).normal(size=(20000, trainings)).std(axis=1, ddof=1)
    held = (drawn * low < 1.0) & (drawn * high > 1.0)
    assert np.mean(held) == pytest.approx(0.68, abs=0.01)
