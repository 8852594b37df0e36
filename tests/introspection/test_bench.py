"""The bench runs through and its numbers mean what its table says; no speed is asserted."""

import io
import math
import sys

import numpy as np
import pytest
import quick_bench
from rich.console import Console

from emergence.errors import HostError
from emergence.introspection import comparison, peers, potentials, schrodinger
from emergence.introspection.comparison import Row

SPACING = 0.1


@pytest.fixture(scope="module")
def densities():
    rng = np.random.default_rng(0)
    potential = potentials.shallow(rng, 60, 50, SPACING)
    start = schrodinger.draw_starts(rng, 60, "arc", 2.0, 60.0)
    return potential, schrodinger.propagate(potential, start, SPACING)[..., 0] ** 2


@pytest.fixture(scope="module")
def quick_run():
    printed, (rows,) = quick_bench.run("introspection")
    return printed, [Row(**row) for row in rows]


@pytest.mark.slow
class TestQuickRun:
    def test_every_comparison_has_times_and_a_ratio(self, quick_run):
        _, rows = quick_run
        assert len(rows) == 6
        for row in rows:
            assert math.isfinite(row.ours) and row.ours > 0.0, row
            if row.other is None:
                assert "PySINDy" in row.what and "make peers" in row.note
            else:
                assert math.isfinite(row.ratio) and row.ratio > 0.0, row

    def test_the_two_jacobians_are_the_same(self, quick_run):
        (note,) = [row.note for row in quick_run[1] if row.what.startswith("Jacobian")]
        difference = float(note.split("Largest difference of the two: ")[1].split()[0])
        assert difference < 1e-12

    def test_the_baseline_reached_the_law(self, quick_run):
        (note,) = [row.note for row in quick_run[1] if "spectral" in row.what]
        assert "The baseline: law reached" in note

    def test_machine_threads_and_versions_are_printed(self, quick_run):
        for part in (
            "Machine:",
            "1 thread",
            "Python 3.",
            "tensorflow 2.",
            "the ratios mean nothing",
        ):
            assert part in quick_run[0], part


class TestRow:
    def test_ratio_is_above_one_where_ours_is_faster(self):
        assert Row("a", ours=0.5, other=2.0, note="").ratio == 4.0
        assert Row("a", ours=0.5, other=None, note="").ratio is None

    def test_table_tells_what_was_not_run_and_what_is_a_bound(self):
        rows = [
            Row("first", ours=2e-3, other=None, note="no peer"),
            Row("second", ours=0.1, other=45.0, note="", bound=True),
        ]
        console = Console(width=140, record=True, file=io.StringIO())
        console.print(comparison.render(rows))
        lines = console.export_text().splitlines()
        (first,) = [line for line in lines if "first" in line]
        (second,) = [line for line in lines if "second" in line]
        assert "2 ms" in first and "not run" in first and "no peer" in first
        assert "> 45 s" in second and "> 450" in second

    @pytest.mark.parametrize(
        ("seconds", "text"), [(61.25, "61.2 s"), (0.0205, "20.5 ms"), (3e-6, "3 µs")]
    )
    def test_durations_are_read_in_their_own_unit(self, seconds, text):
        assert comparison.duration(seconds) == text

    def test_sides_take_turns_and_the_median_counts(self):
        order, slow = [], iter([9.0, 1.0, 2.0, 3.0, 100.0, 7.0, 8.0, 9.0])

        def first():
            order.append("first")
            return next(slow)

        def second():
            order.append("second")
            return 5.0

        assert comparison.in_turns(first, second) == [3.0, 5.0]
        assert order == ["first", "second"] * comparison.ROUNDS
        assert comparison.in_turns(first, second, rounds=3) == [8.0, 5.0]
        assert len(order) == 2 * (comparison.ROUNDS + 3)


class TestPeers:
    def test_the_density_obeys_the_law_it_is_judged_by(self, densities):
        potential, density = densities
        value, slope = peers.at_cell_ends(potential, SPACING)
        assert value.shape == slope.shape == (60, 49)
        first = np.gradient(density[:, :-1], SPACING, axis=1)
        third = np.gradient(np.gradient(first, SPACING, axis=1), SPACING, axis=1)
        inside = np.s_[:, 4:-4]
        design = np.stack([(value * first)[inside], (slope * density[:, :-1])[inside]], -1)
        found = np.linalg.lstsq(design.reshape(-1, 2), third[inside].ravel(), rcond=None)[0]
        # Plain second-order differences: a few percent for 4, more for 2.
        np.testing.assert_allclose(found, list(peers.LAW.values()), rtol=0.15)

    def test_only_the_terms_of_the_law_count_as_its_form(self):
        law = peers.SparseLaw({"r1 V": 3.9, "r V1": 2.0}, 1.0)
        assert law.form_right and law.spacing_error == pytest.approx(0.025)
        assert not peers.SparseLaw({"r1 V": 4.0, "r V1": 2.0, "V": 0.1}, 1.0).form_right
        assert peers.SparseLaw({"r V1": 2.0}, 1.0).spacing_error == 1.0

    @pytest.mark.parametrize(
        ("terms", "text"),
        [
            ({"r V1": 2.0, "r1 V": -4.0}, "ρ''' = − 4 Vρ' + 2 V'ρ"),
            ({"r2": 0.5, "r^2": 1.5}, "ρ''' = 1.5 ρ^2 + 0.5 ρ''"),
            ({}, "ρ''' = 0"),
        ],
    )
    def test_laws_are_written_as_people_write_them(self, terms, text):
        assert str(peers.SparseLaw(terms, 1.0)) == text

    def test_without_pysindy_one_sentence_says_how_to_get_it(self, densities, monkeypatch):
        monkeypatch.setitem(sys.modules, "pysindy", None)
        with pytest.raises(HostError, match=r"PySINDy cannot be imported.*make peers"):
            peers.sparse_regression(*densities, SPACING)

    def test_pysindy_finds_the_density_form_on_smooth_potentials(self, densities):
        pytest.importorskip("pysindy", reason="PySINDy is optional: `make peers` installs it")
        law = peers.sparse_regression(*densities, SPACING)
        assert law.form_right
        assert law.spacing_error < 5e-3
        assert law.terms["r V1"] == pytest.approx(2.0, rel=2e-2)
