"""What each figure is drawn from: every drawn figure is listed, its jobs are those of the settings."""

from pathlib import Path

import pytest

from emergence.errors import LedgerError
from emergence.settings import load
from emergence.verification.costs import recorded_costs
from emergence.verification.drawn import cost_table, jobs_of_figures, load_drawn
from emergence.verification.jobs import all_jobs
from emergence.verification.readme import COSTS_MARKS

ROOT = Path(__file__).parents[2]
DRAWN = load_drawn(ROOT / "workflow/figures.yaml")
LAPTOP = load(ROOT / "config/laptop.yaml")


def test_every_committed_figure_is_listed_and_no_other():
    drawn = {
        f"{path.parent.name}/{path.stem}" for path in (ROOT / "figures/laptop").glob("*/*.png")
    }
    assert set(jobs_of_figures(DRAWN, LAPTOP)) == drawn


def test_every_pattern_names_an_arm_of_the_laptop_scale():
    arms = {"/".join(job.split("/")[:3]) for job in all_jobs(LAPTOP)} | {
        "holography/reference/plane"
    }
    for system, figures in DRAWN.items():
        for figure, patterns in figures.items():
            for pattern in patterns:
                one = jobs_of_figures({system: {figure: [pattern]}}, LAPTOP)
                assert len(one[f"{system}/{figure}"]) > 2, (figure, pattern)
    assert arms


def test_a_figure_takes_what_its_arms_need_in_turn():
    jobs = jobs_of_figures(DRAWN, LAPTOP)["introspection/law"]
    assert {
        "introspection/data/strong",
        "introspection/translators/strong",
        "introspection/distillers/strong",
        "introspection/analysis",
        "introspection/figures/law",
    } <= jobs
    chains = jobs_of_figures(DRAWN, LAPTOP)["holography/phase_diagram"]
    assert {"holography/flows/line_32/32", "holography/reference/32"} <= chains


def test_a_scale_without_an_arm_passes_it_over():
    smoke = load(ROOT / "config/smoke.yaml")
    jobs = jobs_of_figures(DRAWN, smoke)
    assert "introspection/distillers/lattice" not in jobs["introspection/law"]
    assert jobs["retraining/two_dimensions"] == {
        "retraining/analysis",
        "retraining/figures/two_dimensions",
    }


@pytest.mark.parametrize(
    "text",
    ["", "introspection: [law]", "introspection: {law: distillers/main}",
     "introspection: {law: [distillers]}", "introspection: {law: [3]}"],
)  # fmt: skip
def test_a_malformed_file_is_one_sentence(tmp_path, text):
    file = tmp_path / "figures.yaml"
    file.write_text(text)
    with pytest.raises(LedgerError, match="must map each system to its figures"):
        load_drawn(file)


def test_the_readme_has_the_recorded_costs():
    table = cost_table(DRAWN, LAPTOP, recorded_costs(ROOT / "config/costs.csv", "laptop"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.partition(COSTS_MARKS[0])[2].partition(COSTS_MARKS[1])[0].strip() == table
    assert "| 0.0 min |" not in table
