"""The table of the drift certificate: one that varied the threads alone, beside an earlier one."""

import numpy as np
import pandas as pd
import pytest
from drift_numbers import WEIGHTS, single

from emergence.verification import drift_table, underlying


def test_a_number_that_two_criteria_are_held_against_has_one_row():
    told = (np.nan, 1, np.nan, "equal", 0.1, "", "")
    row = ("holography", "H8-moments", "truth", 0.7, "seeds", *told)
    assert len(drift_table.framed([row, row, (*row[:4], "threads", *row[5:])], {})) == 2


@pytest.fixture
def later(measured):
    frame = measured({"verify": single(30.5), "drift-threads": single(31.0)})
    return frame.assign(commit="new")


def earlier_of(later, **changes):
    rows = [{"axis": "seeds", "spread": 4.0, "runs": 3}, {"axis": "threads", "spread": 7.0}]
    about = later.iloc[0].to_dict() | {"value": 30.0, "room": 20.0, "commit": "old"} | changes
    return pd.DataFrame([about | row for row in rows])


def test_what_was_not_varied_is_kept_with_its_commit(later):
    found = drift_table.joined(later, earlier_of(later), WEIGHTS).set_index("axis")
    assert list(found.index) == list(later["axis"])
    assert found["spread"]["seeds"] == 4.0
    assert found["runs"]["seeds"] == 3
    assert found["spread"]["threads"] == 0.5, "The later one varied it."
    assert np.isnan(found["spread"]["machine"]), "Neither did."
    assert found["commit"].to_dict() == dict.fromkeys(found.index, "new") | {"seeds": "old"}
    assert set(found["value"]) == {30.5}
    assert set(found["room"]) == {20.5}


@pytest.mark.parametrize(("spread", "commit"), [(0.5, "old"), (0.7, "new")])
def test_an_ensemble_that_scatters_as_before_keeps_the_commit(later, spread, commit):
    seeds = later["axis"] == "seeds"
    frame = later.assign(spread=later["spread"].mask(seeds, 0.5))
    frame = frame.assign(runs=later["runs"].mask(seeds, 3))
    earlier = earlier_of(later).assign(spread=spread)
    found = drift_table.joined(frame, earlier, WEIGHTS).set_index("axis")["commit"]
    assert found["seeds"] == commit
    assert found["threads"] == "new", "It was measured again."


@pytest.mark.parametrize(("runs", "spread"), [(2, 4.0), (3, 0.5), (4, 0.5)])
def test_of_two_over_seeds_that_of_more_trainings(later, runs, spread):
    seeds = later["axis"] == "seeds"
    frame = later.assign(spread=later["spread"].mask(seeds, 0.5))
    frame = frame.assign(runs=later["runs"].mask(seeds, runs))
    found = drift_table.joined(frame, earlier_of(later), WEIGHTS).set_index("axis")
    assert found["spread"]["seeds"] == spread
    assert found["runs"]["seeds"] == max(runs, 3)


@pytest.mark.parametrize(
    ("trained", "spread", "runs", "numbers"),
    [
        # Two degrees of freedom of 4², one of 1².
        ("0 1 2", np.sqrt(11.0), 4, "0 1 2 4 5"),
        ("0 1 4", 4.0, 3, "0 1 4"),
        ("", 4.0, 3, ""),
    ],
)
def test_trainings_from_other_seeds_are_pooled(later, trained, spread, runs, numbers):
    seeds = later["axis"] == "seeds"
    frame = later.assign(
        spread=later["spread"].mask(seeds, 1.0),
        runs=later["runs"].mask(seeds, 2),
        trained=later["trained"].mask(seeds, "4 5"),
    )
    earlier = earlier_of(later).assign(trained=trained)
    found = drift_table.joined(frame, earlier, WEIGHTS).set_index("axis").loc["seeds"]
    assert found["spread"] == pytest.approx(spread)
    assert (found["runs"], found["trained"]) == (runs, numbers)
    assert found["commit"] == ("old new" if runs == 4 else "old")


def test_one_that_tells_no_commit_is_kept_as_well(later):
    found = drift_table.joined(later, earlier_of(later).drop(columns="commit"), WEIGHTS).set_index(
        "axis"
    )
    assert found["spread"]["seeds"] == 4.0
    assert found["commit"]["seeds"] == "unknown"


@pytest.mark.parametrize("kept", [{"weights": "ab12"}, {"weights": "cd34"}, {}])
def test_one_of_evaluations_only_for_the_weights_that_are_shipped(later, kept):
    earlier = earlier_of(later, axis="precision").iloc[[0]]
    earlier = earlier.assign(axis="precision").drop(columns="weights").assign(**kept)
    found = drift_table.joined(later, earlier, WEIGHTS).set_index("axis")
    assert ("precision" in found.index) == (kept == {"weights": "ab12"})


def test_nor_one_where_no_network_is_evaluated(later, monkeypatch):
    earlier = earlier_of(later).iloc[[0]].assign(axis="precision", weights="ab12")
    monkeypatch.setattr(underlying, "evaluated", lambda system, name: False)
    assert "precision" not in set(drift_table.joined(later, earlier, WEIGHTS)["axis"])


def test_not_of_another_number(later):
    found = drift_table.joined(later, earlier_of(later, measurement="x"), WEIGHTS)
    pd.testing.assert_frame_equal(found, later)


@pytest.mark.parametrize("changes", [{"demanded": "x"}, {"claim": "x"}])
def test_whatever_is_claimed_of_it(later, changes):
    asked = drift_table.joined(later, earlier_of(later, **changes), WEIGHTS)
    pd.testing.assert_frame_equal(asked, drift_table.joined(later, earlier_of(later), WEIGHTS))
