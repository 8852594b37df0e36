"""Every figure is drawn from the tables of the analysis alone, whatever arms a scale leaves out."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest

from emergence import artifacts, plotting
from emergence.errors import ArtifactError
from emergence.introspection import analysis, figures
from emergence.verification.claims import load_ledger

HOUSE = Path(__file__).parents[2]
SUFFIXES = (".png", ".svg", ".csv")
every_figure = pytest.mark.parametrize("name", sorted(figures.FIGURES))


@pytest.fixture(scope="module")
def tables(finished_run, tmp_path_factory):
    """The folder of tables that the analysis of a scale leaves."""
    made = {}

    def tables(scale, **baseline):
        key = (scale, repr(baseline))
        if key not in made:
            run = finished_run(scale, **baseline)
            made[key] = tmp_path_factory.mktemp("tables")
            for name, table in analysis.analyse(run.settings, run.folder)[0].items():
                artifacts.write_table(made[key] / f"{name}.csv", table)
        return made[key]

    return tables


@pytest.fixture(scope="module")
def drawn(tables, tmp_path_factory):
    """The stem of a figure drawn once from every arm of the scale laptop."""
    folder = tmp_path_factory.mktemp("figures")

    def drawn(name):
        if not (folder / f"{name}.png").is_file():
            plotting.draw(figures.FIGURES, name, tables("laptop"), folder / name)
        return folder / name

    return drawn


@every_figure
def test_the_same_tables_give_the_same_bytes_and_leave_no_style_behind(
    tables, drawn, tmp_path, name
):
    first, style = drawn(name), dict(mpl.rcParams)
    plotting.draw(figures.FIGURES, name, tables("laptop"), tmp_path / name)
    assert dict(mpl.rcParams) == style
    assert sorted(path.suffix for path in tmp_path.iterdir()) == sorted(SUFFIXES)
    for suffix in SUFFIXES:
        one, two = (stem.with_suffix(suffix).read_bytes() for stem in (first, tmp_path / name))
        assert len(one) > 1000, suffix
        assert one == two, suffix


@every_figure
def test_each_is_an_image_a_drawing_with_text_and_its_table(drawn, name):
    stem = drawn(name)
    assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    # Text stays text, so that a figure can be searched; every panel has its letter.
    assert ">(a)<" in stem.with_suffix(".svg").read_text("utf-8")
    assert len(artifacts.read_table(stem.with_suffix(".csv"))) > 10


@pytest.mark.parametrize("name", ["extrapolation", "law", "sign_and_current", "noise"])
def test_arms_that_a_scale_leaves_out_leave_a_figure(tables, tmp_path, name):
    plotting.draw(figures.FIGURES, name, tables("smoke"), tmp_path / name)
    assert {path.suffix for path in tmp_path.iterdir()} == set(SUFFIXES)


def test_the_bottleneck_has_a_panel_for_each_decoder_that_was_trained(tables, drawn, tmp_path):
    plotting.draw(figures.FIGURES, "bottleneck", tables("smoke"), tmp_path / "bottleneck")
    few = (tmp_path / "bottleneck.svg").read_text("utf-8")
    all_of_them = drawn("bottleneck").with_suffix(".svg").read_text("utf-8")
    for title, trained in (
        ("quadratic decoder", True),
        ("linear decoder", True),
        ("general decoder", False),
        ("general cell", False),
    ):
        assert f">{title}<" in all_of_them
        assert (f">{title}<" in few) == trained


def test_a_seed_lost_in_training_is_marked_and_leaves_the_others_their_place(tables, tmp_path):
    table = artifacts.read_table(tables("smoke") / "bottleneck.csv")
    table.loc[table.index[0], "loss"] = 1e6
    artifacts.write_table(tmp_path / "tables/bottleneck.csv", table)
    plotting.draw(figures.FIGURES, "bottleneck", tmp_path / "tables", tmp_path / "bottleneck")
    drawing = (tmp_path / "bottleneck.svg").read_text("utf-8")
    assert ">lost in training<" in drawing
    plotting.draw(figures.FIGURES, "bottleneck", tables("smoke"), tmp_path / "whole")
    assert ">lost in training<" not in (tmp_path / "whole.svg").read_text("utf-8")
    # The source table keeps what the axis does not reach.
    assert artifacts.read_table(tmp_path / "bottleneck.csv")["loss"].max() == 1e6


def test_noise_is_drawn_where_nothing_was_noisy(tables, tmp_path):
    plotting.draw(figures.FIGURES, "noise", tables("smoke", noise=[0.0]), tmp_path / "noise")
    assert artifacts.read_table(tmp_path / "noise.csv").empty


@every_figure
def test_a_missing_table_is_named_and_nothing_is_drawn(tmp_path, name):
    with pytest.raises(ArtifactError, match=r"\.csv is missing"):
        plotting.draw(figures.FIGURES, name, tmp_path / "none", tmp_path / "figure")
    assert not list(tmp_path.iterdir())


def test_a_table_cut_short_is_named(tables, tmp_path):
    text = (tables("smoke") / "latents.csv").read_bytes()
    (tmp_path / "latents.csv").write_bytes(text[:-5])
    with pytest.raises(ArtifactError, match=r"latents\.csv"):
        plotting.draw(figures.FIGURES, "latents", tmp_path, tmp_path / "figure")


def test_a_figure_s_table_holds_what_was_drawn(drawn):
    table = artifacts.read_table(drawn("translation").with_suffix(".csv"))
    assert set(table["seed"]) == {0}
    table = artifacts.read_table(drawn("extrapolation").with_suffix(".csv"))
    assert set(table["panel"]) == {"length", "stretch", "hidden dimension"}
    assert set(table[table["panel"] == "length"]["arm"]) == {"main"}
    sizes = table[table["panel"] == "hidden dimension"]
    assert set(sizes["hidden"]) == {1, 2, 3, 4, 6}
    table = artifacts.read_table(drawn("sign_and_current").with_suffix(".csv"))
    assert set(table["arm"]) == {
        "single", "quadratic", "circle", "circle_linear", "current", "current_linear",
    }  # fmt: skip
    table = artifacts.read_table(drawn("noise").with_suffix(".csv"))
    assert set(table["method"]) == {
        "networks, one start", "networks, noisy detectors", "spectral, one start",
    }  # fmt: skip
    assert table["noise"].min() > 0.0


def test_the_workflow_and_the_ledger_name_figures_that_exist():
    rules = (HOUSE / "workflow" / "introspection.smk").read_text("utf-8")
    listed = re.search(r"INTROSPECTION_FIGURES = \[(.*?)\]", rules, re.DOTALL)[1]
    assert sorted(re.findall(r'"(\w+)"', listed)) == sorted(figures.FIGURES)
    ledger = load_ledger(HOUSE / "claims" / "introspection.yaml")
    claimed = {claim.figure for claim in ledger.claims}
    assert claimed <= {f"introspection/{name}" for name in figures.FIGURES}


@pytest.mark.parametrize("families", [["rough"], ["deep", "rough"]], ids=len)
@pytest.mark.parametrize("name", ["translation", "latents"])
def test_data_of_fewer_families_have_fewer_columns(tables, tmp_path, name, families):
    table = artifacts.read_table(tables("smoke") / f"{name}.csv")
    artifacts.write_table(tmp_path / f"{name}.csv", table[table["family"].isin(families)])
    artifacts.write_table(
        tmp_path / "lattice.csv", artifacts.read_table(tables("smoke") / "lattice.csv")
    )
    plotting.draw(figures.FIGURES, name, tmp_path, tmp_path / "drawn")
    text = (tmp_path / "drawn.svg").read_text("utf-8")
    shown = [family for family in ("shallow", "deep", "rough") if f">{family}<" in text]
    assert shown == families
