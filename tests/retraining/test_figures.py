"""Every figure is drawn from the tables of the analysis alone, whatever arms a scale leaves out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emergence import artifacts, plotting
from emergence.retraining import figures, growth_figures
from emergence.verification.claims import load_ledger

CLAIMS = Path(__file__).parents[2] / "claims" / "retraining.yaml"
every_figure = pytest.mark.parametrize("name", sorted(figures.FIGURES))


@pytest.fixture(scope="module")
def drawn(analysed_growth, tmp_path_factory):
    """The stem of a figure drawn once from some arms (all, if none is named)."""
    folders = {}

    def drawn(name, *arms):
        if arms not in folders:
            folders[arms] = tmp_path_factory.mktemp("figures")
            for table, frame in analysed_growth(*arms).tables.items():
                artifacts.write_table(folders[arms] / "tables" / f"{table}.csv", frame)
        stem = folders[arms] / name
        if not stem.with_suffix(".png").is_file():
            plotting.draw(figures.FIGURES, name, folders[arms] / "tables", stem)
        return stem

    return drawn


@every_figure
def test_each_is_an_image_a_drawing_with_text_and_its_table(drawn, name):
    image = pytest.importorskip("PIL.Image")
    stem = drawn(name)
    with image.open(stem.with_suffix(".png")) as picture:
        width, height = picture.size
        assert width == pytest.approx(7.0 * 200, abs=2)
        assert 400 < height < 1200
        colours = {pixel for _, pixel in picture.convert("RGB").getcolors(2**24)}
        assert len(colours) > 20
    text = stem.with_suffix(".svg").read_text("utf-8")
    assert ">(a)<" in text
    assert "not run at this scale" not in text
    assert len(artifacts.read_table(stem.with_suffix(".csv"))) > 2


@every_figure
@pytest.mark.parametrize("arm", ["ising", "heisenberg_square"])
def test_arms_that_a_scale_leaves_out_leave_a_figure(drawn, name, arm):
    stem = drawn(name, arm)
    assert all(stem.with_suffix(kind).is_file() for kind in (".png", ".svg", ".csv"))


def test_shipped_weights_are_named_where_they_are_drawn(drawn):
    for name in ("energy_error", "bulk_energy"):
        text = drawn(name).with_suffix(".svg").read_text("utf-8")
        assert growth_figures.SHIPPED in text, name
    text = drawn("energy_error", "ising").with_suffix(".svg").read_text("utf-8")
    assert growth_figures.SHIPPED not in text


def test_every_figure_that_a_claim_names_is_drawn():
    named = {claim.figure for claim in load_ledger(CLAIMS).claims}
    assert named <= {f"retraining/{name}" for name in figures.FIGURES}


def test_the_final_energy_stands_at_its_own_variance():
    """Only what is extrapolated stands at zero."""
    _, axis = plotting.figure(width="single")
    part = {"size": 4, "seed": 0, "sites": 4, "variance": [0.4, 0.2], "excess": [2e-3, 1e-3]}
    line = {"size": 4, "sites": 4, "extrapolated": -8.0, "error": 0.01, "exact": -8.0}
    growth_figures._to_zero(
        axis,
        pd.DataFrame(part | {"shipped": False}),
        pd.DataFrame([line | {"energy": -7.9, "variance": 0.12}]),
    )
    drawn = {line.get_label(): line.get_xydata() for line in axis.get_lines()}
    np.testing.assert_allclose(drawn["final, variational"], [[0.03, 250.0]])
    np.testing.assert_allclose(drawn["checkpoints"], [[0.1, 20.0], [0.05, 10.0]])
    extrapolated = axis.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(extrapolated, [[0.0, 0.0]], atol=1e-12)
