"""Every figure says whose weights and records it rests on, and which of its points mean little."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from emergence import plotting
from emergence.artifacts import read_table, write_table
from emergence.holography import flow_figures
from emergence.holography.figures import FIGURES
from emergence.settings import load
from emergence.statistics import read_measurements
from emergence.verification.drawn import jobs_of_figures, load_drawn
from emergence.verification.jobs import begun_elsewhere, records_continued

ROOT = Path(__file__).parents[2]
SETTINGS = load(ROOT / "config/laptop.yaml")
JOBS = {
    name.split("/")[1]: jobs
    for name, jobs in jobs_of_figures(load_drawn(ROOT / "workflow/figures.yaml"), SETTINGS).items()
    if name.startswith("holography/")
}
SHIPPED = sorted(name for name, jobs in JOBS.items() if jobs & begun_elsewhere(SETTINGS))
CONTINUED = sorted(name for name, jobs in JOBS.items() if jobs & records_continued(SETTINGS))

PANELS = {
    "likelihood": {"": "flows"},
    "symmetry": {"training": "symmetry", "flows": "flows"},
    "ising_benchmark": {"ours": "flows", "published": "published_ising", "samplers": "sampling"},
    "phase_diagram": {"diagram": "diagram", "trajectories": "trajectories"},
    "correlation": {
        "points": "correlations",
        "fits": "correlation_fits",
        "small": "correlations_small",
    },
    "sampling": {"samplers": "sampling", "cold": "cold"},
    "bulk_mass": {
        "information": "bulk_correlations",
        "lengths": "bulk_lengths",
        "pairs": "bulk_links",
        "priors": "bulk_prior",
        "couplings": "bulk_couplings",
    },
    "footprints": {"maps": "footprints", "areas": "footprint_areas"},
    "layers": {"": "layers"},
    "geometry": {"pairs": "geometry_pairs", "fits": "geometry_fits"},
    "information_budget": {"budgets": "budgets", "bulk information": "bulk_information"},
}
"""Which of the analysis's tables stands under which panel in a figure's own."""


def drawn(figure: str, folder: Path, **values: object) -> str:
    """The text in a figure, drawn from the rows of the committed one with other values."""
    whole = read_table(ROOT / "figures/laptop/holography" / f"{figure}.csv")
    for panel, name in PANELS[figure].items():
        part = whole[whole["panel"] == panel] if panel else whole
        part = part.dropna(axis=1, how="all").drop(columns="panel", errors="ignore")
        # Whole numbers, which beside other panels' empty cells were read as fractions.
        numbers = part.select_dtypes("float")
        whole_numbers = [name for name in numbers if (numbers[name] % 1.0 == 0.0).all()]
        part = part.astype(dict.fromkeys(whole_numbers, int)).assign(**values)
        write_table(folder / f"{name}.csv", part)
    plotting.draw(FIGURES, figure, folder, folder / "drawn" / figure)
    return (folder / "drawn" / f"{figure}.svg").read_text(encoding="utf-8")


def test_all_that_rest_on_what_is_shipped_are_asked() -> None:
    assert set(SHIPPED) | set(CONTINUED) == set(PANELS)
    assert set(JOBS) == set(FIGURES)
    assert CONTINUED == ["correlation", "ising_benchmark", "phase_diagram", "sampling"]


@pytest.mark.parametrize("figure", SHIPPED)
def test_of_shipped_weights_says_so(figure: str, tmp_path: Path) -> None:
    said = drawn(figure, tmp_path, shipped=True, records=0, shipped_records=0)
    assert "shipped weights" in said and "trained from scratch" not in said
    said = drawn(figure, tmp_path, shipped=False, records=0, shipped_records=0)
    assert "trained from scratch" in said and "shipped" not in said


@pytest.mark.parametrize("figure", CONTINUED)
def test_of_shipped_records_says_how_many(figure: str, tmp_path: Path) -> None:
    said = drawn(figure, tmp_path, shipped=True, records=604, shipped_records=600)
    assert "600 of 604 records shipped" in said


@pytest.mark.parametrize("figure", ["likelihood", "symmetry"])
def test_of_too_few_effective_samples_says_so(figure: str, tmp_path: Path) -> None:
    shared = {"shipped": False, "records": 0, "shipped_records": 0}
    few = "fewer than ten effective samples"
    assert few in drawn(figure, tmp_path, underpowered=True, **shared)
    assert few not in drawn(figure, tmp_path, underpowered=False, **shared)


def test_reweighted_points_that_are_left_out_are_counted(tmp_path: Path) -> None:
    shared = {"shipped": False, "records": 0, "shipped_records": 0}
    table = read_table(ROOT / "figures/laptop/holography/phase_diagram.csv")
    left = table[(table["kind"] == "reweighted") & (table["observable"] == "order")]
    said = drawn("phase_diagram", tmp_path, **shared)
    for _, part in left.groupby("size"):
        assert f"reweighted: {part['value'].notna().sum()} of {len(part)} hoppings" in said


def test_the_rows_are_those_of_one_table_each() -> None:
    for figure, panels in PANELS.items():
        whole = read_table(ROOT / "figures/laptop/holography" / f"{figure}.csv")
        told = set(whole["panel"]) if "panel" in whole else {""}
        assert told == set(panels), figure


def test_both_networks_are_drawn_at_equal_time(tmp_path: Path) -> None:
    """By the numbers of the claim, of each side that both have."""
    curves = read_table(ROOT / "figures/laptop/holography/symmetry.csv")
    curves = curves[curves["panel"] == "training"]
    shipped = read_measurements(ROOT / "weights/laptop/holography/measurements.json")
    axis = Figure().subplots()
    flow_figures._at_equal_time(axis, curves)
    assert len(axis.containers) == len(flow_figures.NETWORKS)
    for drawn_points, arm in zip(axis.containers, flow_figures.NETWORKS, strict=True):
        told = {side: shipped[f"symmetry.{arm}_equal_time_{side}"].value for side in (4, 8, 16)}
        assert dict(zip(*drawn_points[0].get_data(), strict=True)) == pytest.approx(told)
