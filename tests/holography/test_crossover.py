"""Estimates of two runs of chains in one, and which error of the helicity modulus is asked for where."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emergence.holography import crossover


def rows(
    values: list[float], errors: list[float], trusted: list[bool] | None = None
) -> pd.DataFrame:
    """Estimates of one observable at t = 0.1, 0.2, ..."""
    return pd.DataFrame({
        "kind": "corrected", "observable": "helicity", "tau": 0.5,
        "t": np.round(0.1 * np.arange(1, len(values) + 1), 3),
        "value": values, "error": errors, "equilibrated": trusted or [True] * len(values),
    })  # fmt: skip


def test_two_runs_are_averaged_by_their_errors_where_both_were_drawn() -> None:
    line = rows([1.0, 2.0, 3.0], [0.3, 0.3, 0.3])
    more = rows([0.0, 2.4], [0.0, 0.4]).query("t == 0.2")
    found = crossover.pooled(line, more)
    np.testing.assert_allclose(found["value"], [1.0, (2.0 * 16 + 2.4 * 9) / 25, 3.0])
    np.testing.assert_allclose(found["error"], [0.3, 0.24, 0.3])
    np.testing.assert_allclose(found["alone"], 0.3)
    assert list(found["t"]) == list(line["t"]) and set(found["tau"]) == {0.5}


def test_without_further_chains_nothing_changes() -> None:
    line = rows([1.0, np.nan], [0.3, np.nan], [True, False])
    pd.testing.assert_frame_equal(crossover.pooled(line, None).drop(columns="alone"), line)
    elsewhere = rows([9.0], [0.1]).assign(t=0.15)
    pd.testing.assert_frame_equal(crossover.pooled(line, elsewhere).drop(columns="alone"), line)


def test_what_one_run_could_not_tell_the_other_may() -> None:
    line, more = rows([np.nan, 1.0], [np.nan, 0.2]), rows([2.0, np.nan], [0.1, np.nan])
    found = crossover.pooled(line, more)
    np.testing.assert_allclose(found["value"], [2.0, 1.0])
    np.testing.assert_allclose(found["error"], [0.1, 0.2])


def test_chains_that_have_not_equilibrated_make_the_average_untrusted() -> None:
    line, stuck = rows([1.0, 2.0], [0.3, 0.3]), rows([1.0], [0.3], [False])
    assert list(crossover.pooled(line, stuck)["equilibrated"]) == [False, True]
    assert list(crossover.pooled(stuck, line)["equilibrated"]) == [False]


@given(st.integers(0, 1000))
def test_the_mean_lies_between_and_its_error_below_both(seed: int) -> None:
    rng = np.random.default_rng(seed)
    line, more = (rows(list(rng.normal(size=4)), list(rng.uniform(0.1, 1.0, 4))) for _ in range(2))
    found = crossover.pooled(line, more)
    low, high = np.minimum(line["value"], more["value"]), np.maximum(line["value"], more["value"])
    assert (found["value"] >= low - 1e-12).all() and (found["value"] <= high + 1e-12).all()
    assert (found["error"] < np.minimum(line["error"], more["error"])).all()
    swapped = crossover.pooled(more, line)
    np.testing.assert_allclose(found[["value", "error"]], swapped[["value", "error"]])


def test_next_below_half_of_its_jump_the_helicity_is_asked_for_both_ways() -> None:
    table = pd.DataFrame({
        "kind": "corrected", "observable": "helicity", "t": [0.30, 0.10, 0.20],
        "value": [0.8, -0.001, 0.2], "error": [0.004, 0.002, 0.01],
    })  # fmt: skip
    told = crossover.helicity_errors(table)
    assert list(told["t"]) == [0.10, 0.20, 0.30]
    assert list(told["asked"]) == ["absolute", "both", "relative"]
    np.testing.assert_allclose(told["relative"], [2.0, 0.05, 0.005])
    nearest = dict(crossover.crossover(told, 8, "chains/line_8", True))
    found = nearest["diagram.crossover_error_helicity_8"]
    assert found.value == pytest.approx(0.05)
    assert found.note == "relative; Υ/T is 0.200 at t = 0.2"


def test_where_every_hopping_is_ordered_only_its_relative_error_is_asked_for() -> None:
    told = crossover.helicity_errors(rows([0.7, 0.8], [0.01, 0.01]))
    assert set(told["asked"]) == {"relative"}
    (found,) = dict(crossover.crossover(told, 8, "chains/line_8", True)).values()
    assert found.value is None and "no hopping has" in found.note


def test_what_is_known_exactly_nothing_improves() -> None:
    found = crossover.pooled(rows([1.0], [0.0]), rows([2.0], [0.1]))
    assert found["value"][0] == 1.0 and found["error"][0] == 0.0


@pytest.mark.parametrize("error", [np.nan, 0.01])
def test_an_error_that_is_not_known_is_not_told(error: float) -> None:
    told = crossover.helicity_errors(rows([0.2, 0.8], [error, 0.01]))
    (found,) = dict(crossover.crossover(told, 8, "chains/line_8", False)).values()
    assert found.error is None
    assert (found.value is None) == np.isnan(error)
