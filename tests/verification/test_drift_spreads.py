"""How far a number moves between two evaluations."""

import numpy as np
import pandas as pd
import pytest

from emergence.statistics import Measurement
from emergence.verification.drift_spreads import Change, between, redrawn, wide_enough


@pytest.mark.parametrize(
    ("source", "axes"),
    [
        ("chains/critical_bulk, chains/critical_boundary", "machine threads precision compiled"),
        ("bulks/critical", ""),
        ("flows/critical/16", "precision compiled"),
        ("", "precision compiled"),
    ],
)
def test_other_samples_are_drawn_where_rounding_or_the_generator_changes(source, axes):
    every = ("seeds", "machine", "threads", "precision", "compiled")
    assert {axis for axis in every if redrawn(source, axis)} == set(axes.split())


def told(value, error=0.3, values=None):
    return {"x": Measurement("x", value, error, values)}


def test_the_noise_is_the_standard_error_of_the_difference():
    assert between("x", told(1.0), told(3.0, 0.4)) == Change(2.0, 2, pytest.approx(0.5))


def test_where_not_a_bit_differs_the_samples_are_the_same():
    assert between("x", told(1.0), told(1.0)) == Change(0.0, 2, pytest.approx(np.nan, nan_ok=True))
    # By chance the same value, of other samples.
    assert between("x", told(1.0), told(1.0, 0.4)) == Change(0.0, 2, pytest.approx(0.5))


@pytest.mark.parametrize("other", [{}, {"x": Measurement("x", None, note="too few")}])
def test_what_was_not_told_has_no_spread(other):
    spread, runs, noise, *_ = between("x", told(1.0), other)
    assert np.isnan([spread, noise]).all()
    assert runs == 1


def test_an_ensemble_has_no_noise():
    spread, _, noise, *_ = between("x", told(1.0, 0.3, (1.0, 2.0)), told(2.0, 0.3, (2.0, 3.0)))
    assert spread == 1.0
    assert np.isnan(noise)


class TestWideEnough:
    def row(self, spread, values, value=1.0):
        about = {"system": "s", "measurement": "m", "axis": "seeds", "value": value}
        return pd.DataFrame(
            [about | {"spread": spread, "runs": 5, "trained": "0 1 2", "values": values}]
        )

    def test_a_pooled_spread_is_no_less_than_that_of_the_values_that_are_kept(self):
        (row,) = wide_enough(self.row(0.01, "4:2.0:0.1 7:3.0:0.1")).itertuples()
        assert (row.spread, row.runs, row.trained) == (1.0, 3, "0 4 7")

    @pytest.mark.parametrize("values", ["4:2.0:0.1 7:3.0:0.1", "4:9.0", ""])
    def test_a_larger_one_or_too_few_values_leave_it_as_it_is(self, values):
        frame = self.row(2.0, values)
        pd.testing.assert_frame_equal(wide_enough(frame), frame)
