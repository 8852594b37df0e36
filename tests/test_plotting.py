"""Figures: the same bytes twice, whole or absent, and honest points and bars."""

import errno
import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from emergence import plotting
from emergence.artifacts import read_table, sha256
from emergence.errors import ArtifactError
from emergence.statistics import Measurement


@pytest.fixture
def ensemble():
    """A tidy table: three sizes, two arms, five seeds."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            (size, arm, seed, size**-0.5 * (1 + 0.1 * rng.normal()) + shift)
            for size in (4, 8, 16)
            for arm, shift in (("learnt", 0.0), ("control", 0.5))
            for seed in range(5)
        ],
        columns=["size", "arm", "seed", "value"],
    )


def drawn(ensemble):
    with plotting.style():
        fig, axes = plotting.figure(1, 2, sharey=True)
        plotting.seed_cloud(axes[0], ensemble, "size", "value", "arm")
        axes[1].set_xscale("log")
        plotting.seed_cloud(axes[1], ensemble[ensemble["arm"] == "learnt"], "size", "value")
        plotting.reference_line(axes[1], [4, 16], [0.5, 0.25], label="exact")
        axes[1].legend()
        plotting.panel_letters(axes)
    return fig


SAVED = """
import sys
import pandas as pd
from emergence import plotting
with plotting.style():
    fig, axis = plotting.figure(width="single")
    axis.scatter([1, 2], [3, 4], label="seeds")
    axis.set_xlabel("$x$")
    axis.legend()
argv = globals().get("argv", sys.argv)
plotting.save(fig, argv[1], pd.DataFrame({"x": [1, 2]}))
"""


class TestSave:
    def test_twice_gives_the_same_bytes(self, tmp_path, ensemble):
        first = plotting.save(drawn(ensemble), tmp_path / "a", ensemble)
        second = plotting.save(drawn(ensemble), tmp_path / "b", ensemble)
        assert [path.name for path in first] == ["a.png", "a.svg", "a.csv"]
        assert [sha256(path) for path in first] == [sha256(path) for path in second]

    def test_gives_the_same_bytes_in_another_process_at_another_time(self, tmp_path):
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "86400", "PYTHONHASHSEED": "7"}
        command = [sys.executable, "-c", SAVED, str(tmp_path / "there")]
        subprocess.run(command, env=environment, check=True)
        exec(SAVED, {"argv": ["", str(tmp_path / "here")]})
        for kind in ("png", "svg", "csv"):
            assert sha256(tmp_path / f"here.{kind}") == sha256(tmp_path / f"there.{kind}")

    def test_has_the_size_of_the_column_and_text_that_stays_text(self, tmp_path, ensemble):
        png, svg, _ = plotting.save(drawn(ensemble), tmp_path / "a", ensemble)
        assert mpl.image.imread(png).shape[1] == 7.0 * 200
        assert "exact</text>" in svg.read_text()
        assert "<dc:date>" not in svg.read_text()

    def test_several_tables_become_one_with_the_panel(self, tmp_path, ensemble):
        other = pd.DataFrame({"beta": [0.44]})
        fig, _ = plotting.figure()
        plotting.save(fig, tmp_path / "a", {"a": ensemble, "b": other})
        table = read_table(tmp_path / "a.csv")
        assert list(table.columns) == ["panel", *ensemble.columns, "beta"]
        assert table["panel"].tolist() == ["a"] * len(ensemble) + ["b"]
        again = table[table["panel"] == "a"]["value"].to_numpy()
        assert np.array_equal(again, ensemble["value"])

    def test_keeps_a_number_at_the_end_of_the_stem(self, tmp_path, ensemble):
        fig, _ = plotting.figure()
        plotting.save(fig, tmp_path / "deeper" / "beta_0.44", ensemble)
        names = sorted(os.listdir(tmp_path / "deeper"))
        assert names == ["beta_0.44.csv", "beta_0.44.png", "beta_0.44.svg"]

    def test_a_full_disk_leaves_nothing(self, tmp_path, monkeypatch, ensemble):
        def fail(_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", fail)
        fig, _ = plotting.figure()
        with pytest.raises(ArtifactError, match="the disk is full"):
            plotting.save(fig, tmp_path / "a", ensemble)
        assert os.listdir(tmp_path) == []

    def test_a_figure_that_cannot_be_drawn_leaves_nothing(self, tmp_path, ensemble):
        fig, axis = plotting.figure()
        axis.set_title("$\\nosuchsymbol$")
        with pytest.raises(ValueError, match="nosuchsymbol"):
            plotting.save(fig, tmp_path / "a", ensemble)
        assert os.listdir(tmp_path) == []


class TestSeedCloud:
    def lines(self, axis):
        """The median markers of each group and its bars, as arrays [points, 2]."""
        lines = [np.column_stack(line.get_data()).astype(float) for line in axis.lines]
        return [line for line in lines if np.isfinite(line).all() and len(line)]

    def test_draws_every_seed_and_the_median_with_its_error(self, ensemble):
        learnt = ensemble[ensemble["arm"] == "learnt"]
        with plotting.style():
            _, axis = plotting.figure()
            plotting.seed_cloud(axis, learnt, "size", "value")
        points = np.concatenate([cloud.get_offsets() for cloud in axis.collections])
        expected = learnt[["size", "value"]].to_numpy()
        assert np.allclose(sorted(map(tuple, points)), sorted(map(tuple, expected)))
        medians, *bars = self.lines(axis)
        for (size, group), middle, bar in zip(
            learnt.groupby("size")["value"], medians, bars, strict=True
        ):
            measured = Measurement.from_seeds("value", group)
            assert middle == pytest.approx([size, measured.value])
            ends = [measured.value - measured.error, measured.value + measured.error]
            assert sorted(bar[:, 1]) == pytest.approx(ends)

    def test_on_a_logarithmic_value_axis_takes_the_error_of_the_logarithm(self, ensemble):
        learnt = ensemble[(ensemble["arm"] == "learnt") & (ensemble["size"] == 4)]
        with plotting.style():
            _, axis = plotting.figure()
            axis.set_yscale("log")
            plotting.seed_cloud(axis, learnt, "size", "value")
        measured = Measurement.from_seeds("value", np.log10(learnt["value"]))
        middle, bar = self.lines(axis)
        assert np.log10(middle[0, 1]) == pytest.approx(measured.value)
        assert np.ptp(np.log10(bar[:, 1])) == pytest.approx(2 * measured.error)

    def test_of_one_seed_has_no_bar(self):
        frame = pd.DataFrame({"size": [4, 8], "value": [1.0, 2.0]})
        _, axis = plotting.figure()
        plotting.seed_cloud(axis, frame, "size", "value")
        medians, *bars = self.lines(axis)
        assert medians.tolist() == [[4.0, 1.0], [8.0, 2.0]]
        assert bars == []

    def test_numbers_keep_their_place_and_names_stand_side_by_side(self, ensemble):
        _, axes = plotting.figure(1, 2)
        plotting.seed_cloud(axes[0], ensemble, "size", "value", "arm")
        named = ensemble.assign(model="XY")
        plotting.seed_cloud(axes[1], named, "model", "value", "arm")
        places = [np.concatenate([c.get_offsets()[:, 0] for c in a.collections]) for a in axes]
        assert set(places[0]) == {4.0, 8.0, 16.0}
        assert sorted(set(np.round(places[1], 3))) == [-0.2, 0.2]
        medians = {round(line[0, 0], 3) for line in self.lines(axes[1])}
        assert medians == {-0.2, 0.2}

    def test_names_the_sizes_on_a_logarithmic_axis(self, ensemble):
        _, axis = plotting.figure()
        axis.set_xscale("log")
        plotting.seed_cloud(axis, ensemble, "size", "value", "arm")
        assert [label.get_text() for label in axis.get_xticklabels()] == ["4", "8", "16"]

    def test_roles_have_their_colour_in_any_order(self, ensemble):
        for frame in (ensemble, ensemble[::-1], ensemble[ensemble["arm"] == "control"]):
            _, axis = plotting.figure()
            plotting.seed_cloud(axis, frame, "size", "value", "arm")
            handles, labels = axis.get_legend_handles_labels()
            for handle, label in zip(handles, labels, strict=True):
                assert to_hex(handle.get_color()).upper() == plotting.ROLES[label]


class TestColours:
    def test_levels_without_a_role_never_take_a_roles_colour_in_use(self):
        chosen = plotting.colours(["learnt", 8, "other", "control"])
        assert chosen["learnt"] == plotting.ROLES["learnt"]
        assert chosen["control"] == plotting.ROLES["control"]
        assert len(set(chosen.values())) == 4

    def test_more_levels_than_colours_begin_again(self):
        chosen = plotting.colours(list(range(10)))
        assert chosen[7] == chosen[0]


class TestFigure:
    @pytest.mark.parametrize(
        ("rows", "cols", "shape"), [(1, 1, ()), (1, 3, (3,)), (2, 1, (2,)), (2, 3, (2, 3))]
    )
    def test_axes_come_as_from_subplots(self, rows, cols, shape):
        _, axes = plotting.figure(rows, cols)
        assert np.shape(axes) == shape
        assert isinstance(np.ravel(axes)[0], Axes)

    def test_has_the_width_of_a_column(self):
        fig, _ = plotting.figure(2, 1, width="single")
        assert fig.get_size_inches() == pytest.approx([3.4, 5.1])
        fig, _ = plotting.figure(height=2.0)
        assert fig.get_size_inches() == pytest.approx([7.0, 2.0])

    def test_letters_go_row_by_row(self):
        _, axes = plotting.figure(2, 2)
        plotting.panel_letters(axes)
        letters = [axis.get_title(loc="left") for axis in axes.flat]
        assert letters == ["(a)", "(b)", "(c)", "(d)"]
        _, axis = plotting.figure()
        plotting.panel_letters(axis)
        assert axis.get_title(loc="left") == "(a)"

    def test_style_ends_with_its_context(self):
        before = dict(mpl.rcParams)
        with plotting.style():
            assert mpl.rcParams["font.size"] == 8
        assert dict(mpl.rcParams) == before


class TestReferenceLine:
    @pytest.mark.parametrize(
        "place", [{"x": 2.0}, {"y": 0.0}, {"x": np.arange(3), "y": np.arange(3) ** 2}]
    )
    def test_is_black_and_below_the_data(self, place):
        _, axis = plotting.figure()
        plotting.reference_line(axis, **place, label="exact", linestyle="--")
        (line,) = axis.lines
        for name, value in place.items():
            assert np.all(np.asarray(line.get_data()["xy".index(name)]) == value)
        assert (line.get_color(), line.get_label()) == (plotting.ROLES["reference"], "exact")
        assert line.get_zorder() < 2
        assert line.get_linestyle() == "--"

    def test_needs_a_place(self):
        _, axis = plotting.figure()
        with pytest.raises(ValueError, match="needs x, y or both"):
            plotting.reference_line(axis)
