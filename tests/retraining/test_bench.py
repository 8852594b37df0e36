"""The bench runs through and its numbers mean what its tables say; no speed is asserted."""

import dataclasses
import io
import math

import numpy as np
import pytest
import quick_bench
import tensorflow as tf
from rich.console import Console

from emergence.errors import SettingsError
from emergence.retraining import bench
from emergence.retraining.bench import Growth, Sizes

SMALL = Sizes(sites=24, units=4, samples=1000)
"""So many samples that a block of branches starts at a single site."""


@pytest.fixture(scope="module")
def parameters():
    start = bench.problem(SMALL, SMALL.sites).initial_parameters(1)
    return {name: tf.constant(value) for name, value in start.items()}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_quick_run_times_every_way_and_prints_both_tables():
    printed, (rows, grown) = quick_bench.run("retraining")
    assert [row["what"].split(" branches")[0] for row in rows] == ["One step, exact"] * 2 + [
        "One step, truncated"
    ] * 2
    for row in rows:
        assert row["ours"] > 0.0
        if row["other"] is None:
            assert "NetKet" in row["what"] and "make peers" in row["note"]
        else:
            assert math.isfinite(row["other"]) and row["other"] > 0.0
    assert {row["what"].split()[0] for row in grown} >= {"exact", "truncated", "every"}
    for part in ("Seconds per step against N", "1 thread", "the ratios mean nothing"):
        assert part in printed, part


class TestGate:
    def test_the_window_that_passes_is_the_smallest(self, parameters, monkeypatch):
        first = bench.gate(SMALL, parameters)
        assert first.window in bench.WINDOWS and 0.0 < first.deviation < bench.TOLERANCE
        monkeypatch.setattr(bench, "TOLERANCE", first.deviation / 2.0)
        second = bench.gate(SMALL, parameters)
        assert second.window > first.window
        assert second.deviation < first.deviation / 2.0

    def test_following_to_the_end_changes_nothing(self, parameters, monkeypatch):
        monkeypatch.setattr(bench, "WINDOWS", ())
        assert bench.gate(SMALL, parameters) == bench.Gate(SMALL.sites, 0.0, 0.0)

    def test_a_tolerance_that_nothing_meets_is_told(self, parameters, monkeypatch):
        monkeypatch.setattr(bench, "WINDOWS", ())
        monkeypatch.setattr(bench, "TOLERANCE", 0.0)
        with pytest.raises(SettingsError, match="No window"):
            bench.gate(SMALL, parameters)

    def test_it_is_told_in_a_sentence(self):
        told = str(bench.Gate(12, 0.046, 7.5e-6))
        assert "12 sites" in told and "0.046" in told and "8e-06" in told


class TestGrowth:
    def test_the_exponent_is_that_of_a_power_law(self):
        sites = (20, 40, 80)
        value, error = Growth("a", sites, tuple(3e-4 * n**1.7 for n in sites)).exponent
        assert value == pytest.approx(1.7)
        assert error == pytest.approx(0.0, abs=1e-9)

    def test_slope_and_its_error_agree_with_numpy(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(2, 9))
        found, covariance = np.polyfit(x, y, 1, cov=True)
        assert bench.slope(x, y) == pytest.approx((found[0], covariance[0, 0] ** 0.5))

    def test_two_sizes_have_no_error(self):
        assert math.isnan(bench.slope(np.array([0.0, 1.0]), np.array([0.0, 2.0]))[1])

    def test_table_shows_what_was_not_measured(self):
        rows = [Growth("ours", (20, 40, 80), (0.1, 0.4, 1.6)), Growth("other", (20, 40), (1, 8))]
        console = Console(width=140, record=True, file=io.StringIO())
        console.print(bench.render_growth(rows))
        lines = console.export_text().splitlines()
        (ours,) = [line for line in lines if "ours" in line]
        (other,) = [line for line in lines if "other" in line]
        assert "400 ms" in ours and "N^(2.00 ± 0.00)" in ours
        assert "–" in other and "N^(3.00" in other


@pytest.mark.slow
def test_all_ways_begin_with_the_same_network_and_the_same_step():
    sizes = dataclasses.replace(SMALL, sites=6, samples=8)
    courses = [
        bench.training(sizes, 6),
        bench.training(sizes, 6, window=6),
        bench.training(sizes, 6, kind=bench.NaiveState),
    ]
    for course in courses:
        course.advance(1)
    expected, *others = [course.parameters for course in courses]
    for other in others:
        for name, value in expected.items():
            np.testing.assert_allclose(other[name], value, rtol=1e-3, atol=1e-6)
