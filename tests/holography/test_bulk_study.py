"""A whole study of a tiny bulk, its readings and its figures."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from emergence import artifacts, plotting
from emergence.errors import SettingsError
from emergence.holography import (
    bulk_figures,
    bulk_mass_figures,
    bulk_readings,
    bulk_study,
    figures,
    geometry_figures,
    geometry_readings,
    information_readings,
)
from emergence.holography.arms import flow_of
from emergence.holography.bulk_stored import MAPS, stored_pairs
from emergence.holography.mutual_information import Estimate
from emergence.settings import Holography

# Three compilations, which a busy machine takes minutes for.
pytestmark = pytest.mark.timeout(900)

CHOSEN = Holography.model_validate(
    {
        "samples": 8,
        "chunk": 8,
        "theories": {
            "free": {"model": "phi4", "t": 1.0, "mu": 2.25, "lam": 0.0},
            "ising": {"model": "ising", "temperature": 2.3},
        },
        "stages": {"brief": [{"update": "adam", "steps": 2, "batch": 8}]},
        "flows": {
            "free": {
                "theory": "free", "network": "spline", "bins": 4, "width": 4, "depth": 1,
                "sizes": {8: "brief"},
            },
            "free_prior": {
                "theory": "free", "network": "spline", "bins": 4, "width": 4, "depth": 1,
                "after": "free", "prior": 1, "sizes": {8: "brief"},
            },
            "ising": {"theory": "ising", "network": "real_nvp", "sizes": {4: "brief"}},
        },
        "diagram": {"t": [0.2, 0.9], "sides": [4], "sweeps": 10},
        "bulks": {
            "free": {"flow": "free", "size": 8, "samples": 100, "footprints": 20},
            "ising": {"flow": "ising", "size": 4, "samples": 10},
        },
    }
)  # fmt: skip
SETTINGS = SimpleNamespace(holography=CHOSEN, seed=7)


def parameters() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    start = flow_of(CHOSEN, "free", 8).initial_parameters(rng, 2)
    return {name: value + 0.05 * rng.standard_normal(value.shape) for name, value in start.items()}


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return bulk_study.study(SETTINGS, "free", parameters())


class Results:
    """As much of :class:`analysis.Results` as the readings ask for."""

    settings, chosen = SETTINGS, CHOSEN.model_copy(
        update={"bulks": {"free": CHOSEN.bulks["free"]}}
    )  # fmt: skip

    def __init__(self, found: dict[str, np.ndarray]) -> None:
        self.found = found

    def bulk(self, name: str) -> dict[str, np.ndarray]:
        return self.found

    def flow(self, arm: str, size: int) -> SimpleNamespace:
        rng = np.random.default_rng(3)
        log_weights = self.found["log_weights"].mean() - 1.0 + rng.standard_normal((1, 1, 100))
        arrays = {"t": np.array([1.0]), "mu": np.array([2.25]), "log_weights": log_weights}
        if self.chosen.flows[arm].after:
            arrays |= {
                "map_log_weights": log_weights[0] - 0.5,
                "reversed_log_weights": log_weights[0],
            }
        return SimpleNamespace(arrays=arrays)


@pytest.fixture(scope="module")
def read(arrays) -> tuple[dict[str, pd.DataFrame], dict[str, object]]:
    tables, measured = {}, {}
    for module in (bulk_readings, information_readings, geometry_readings):
        for part in module.PARTS:
            for name, item in part(Results(arrays)):
                (tables if isinstance(item, pd.DataFrame) else measured)[name] = item
    return tables, measured


def test_arrays_can_be_stored_and_are_whole(arrays, tmp_path: Path) -> None:
    artifacts.write_arrays(tmp_path / "bulk.npz", arrays)
    for name in MAPS:
        pairs = stored_pairs(arrays, name, 8)
        assert np.isfinite(pairs.value).all()
        assert pairs.replicas.shape == (200, pairs.value.size)
        assert arrays[f"{name}_budget"].shape == (6, 2)
    assert arrays["log_weights"].shape == (800,)
    assert arrays["layer_0"].shape == (2, 8, 8)
    assert arrays["layer_2"].shape == (2, 2, 2)
    np.testing.assert_allclose(arrays["haar_participation"][:, 0], [4.0, 16.0, 64.0])


def test_a_study_is_fixed_by_its_seed(arrays) -> None:
    again = bulk_study.study(SETTINGS, "free", parameters())
    assert arrays.keys() == again.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)


def test_the_untrained_bulk_is_the_boundary_and_smooth_maps_hide_less(read) -> None:
    _, measured = read
    multi = {name: measured[f"bulk.free.{name}_multi"].value for name in MAPS}
    assert multi["optimal"] < multi["haar"] < multi["random"] < multi["untrained"]
    length = measured["bulk.free.boundary_length"]
    sites = measured["bulk.free.untrained_length"]
    # A cell of the first layer is two sites wide.
    assert sites.value == pytest.approx(length.value / 2.0, rel=0.3)
    untold = measured["bulk.free.haar_core_exponent"]
    assert untold.value is None, "Of 8 × 8 only two levels do not fill it."
    assert "2 footprints do not fill the lattice" in untold.note
    assert abs(measured["bulk.free.untrained_core_exponent"].value) < 0.5


def test_chain_rule_and_the_slides_identity_on_the_reference_field(read) -> None:
    _, measured = read
    assert measured["budget.haar_total"].value == pytest.approx(0.5098, abs=5e-5)
    assert measured["budget.haar_coarse"].value == pytest.approx(0.3006, abs=5e-5)
    assert measured["budget.haar_bulk"].value == pytest.approx(0.1486, abs=5e-5)
    assert measured["budget.haar_slides_sum"].value == pytest.approx(0.4492, abs=5e-5)
    assert measured["budget.worst_chain_defect"].value < 1e-12
    assert measured["budget.mismatched_chain_defect"].value > 0.1
    assert measured["budget.optimal_multi"].value < measured["budget.haar_multi"].value
    # Linear steps of samples obey it too, wide flows do not.
    assert measured["bulk.free.haar_relative_chain_defect"].value < 1e-10


def test_a_slope_that_no_pair_tells_has_no_power(read) -> None:
    _, measured = read
    # Three levels have no vertical decay at all.
    untold = measured["bulk.free.haar_vertical_rate_half"]
    assert untold.value is None
    assert untold.note == "too few pairs above the noise"
    assert measured["bulk.free.haar_slope_gap_half"].value is None


def test_figures_are_drawn_from_the_tables(read, tmp_path: Path) -> None:
    tables, _ = read
    for name, table in tables.items():
        artifacts.write_table(tmp_path / f"{name}.csv", table)
    for name in (*bulk_mass_figures.FIGURES, *bulk_figures.FIGURES, *geometry_figures.FIGURES):
        plotting.draw(figures.FIGURES, name, tmp_path, tmp_path / "drawn" / name)
        for suffix in (".png", ".svg", ".csv"):
            assert (tmp_path / "drawn" / f"{name}{suffix}").stat().st_size > 200


def test_vortices_come_in_pairs() -> None:
    rng = np.random.default_rng(4)
    turns = bulk_readings.vorticity(rng.uniform(-np.pi, np.pi, (8, 8)))
    assert turns.sum() == 0
    assert set(np.unique(turns)) == {-1, 0, 1}
    y, x = np.indices((8, 8)) - 3.5
    single = bulk_readings.vorticity(np.arctan2(y, x))
    assert single[3, 3] == 1
    assert bulk_readings.vorticity(np.full((4, 4), 3.0)).any() == np.False_


def test_a_real_field_is_refused() -> None:
    with pytest.raises(SettingsError, match="real field"):
        bulk_study.study(SETTINGS, "ising", parameters())


LENGTHS = {f"bulk.free.{name}_length{unit}" for name in MAPS for unit in ("", "_in_sites")}


def read_lengths(boundary: np.ndarray) -> tuple[dict[str, object], pd.DataFrame]:
    """Measurements and table of a boundary ``[L, L]``, beside layers of 0.7 cells."""
    found = {"t": np.array(1.0), "boundary": np.repeat(boundary[None], 20, axis=0)}
    found |= {f"{name}_length": np.array([[0.0, 0.7, 0.1]]) for name in MAPS}
    measured = dict(bulk_readings.lengths(Results(found)))
    return measured, measured.pop("bulk_lengths")


@pytest.mark.parametrize("side", [2, 8], ids=["too small", "noise far away"])
def test_a_boundary_without_a_length_leaves_it_untold_and_the_rest_goes_on(side) -> None:
    boundary = np.zeros((side, side))
    boundary[side // 2, :] = 0.9
    boundary[0, 0] = 1.0
    measured, table = read_lengths(boundary)
    untold = measured.pop("bulk.free.boundary_length")
    assert untold.value is None and untold.note
    assert set(measured) == LENGTHS
    assert "boundary" not in set(table["map"])


def test_nothing_is_told_relative_to_a_boundary_of_no_length() -> None:
    boundary = np.zeros((8, 8))
    boundary[0, 0] = 1.0
    measured, table = read_lengths(boundary)
    assert measured.pop("bulk.free.boundary_length").value == 0.0
    assert set(measured) == LENGTHS
    assert "boundary" in set(table["map"])


def test_the_longest_layer_in_sites_need_not_be_that_in_cells() -> None:
    table = np.array([[0.0, 0.7, 0.1], [1.0, 0.6, 0.2]])
    (study,) = bulk_readings.studies(Results({"t": np.array(1.0)}))
    found = dict(bulk_readings.longest(study, "haar", Estimate(7.0, 0.0), table))
    cells, sites = (found[f"bulk.free.haar_length{unit}"] for unit in ("", "_in_sites"))
    assert (cells.value, cells.error) == (0.7, 0.1)
    # The cells of level 1 are four sites wide.
    assert (sites.value, sites.error) == pytest.approx((2.4, 0.8))
    assert found["bulk.free.haar_length_ratio"].value == pytest.approx(10.0)
    ratio = found["bulk.free.haar_length_in_sites_ratio"]
    assert ratio.value == pytest.approx(7.0 / 2.4)
    assert ratio.error == pytest.approx(ratio.value / 3.0)
    assert ratio.note.endswith("levels 0, 1")


def test_what_a_prior_removes_is_told_in_nats_and_of_what_there_is() -> None:
    names = ("level", "other", "separation", "coupling", "error")
    found = {"t": np.array(1.0), "mu": np.array(2.25), "log_weights": np.zeros(100)}
    found |= {f"prior_{name}": np.ones(3) for name in names}
    fits = {"gain": 0.4, "held_out": -0.2, "selected": 0.3}
    found |= {f"prior_{name}": np.array([value, 0.01]) for name, value in fits.items()}
    found["prior_kept"] = np.array(0.25)
    measured = dict(bulk_readings.prior(Results(found)))
    table = measured.pop("bulk_prior")
    assert list(table["fit"]) == [*fits, "forward", "trained"]
    assert table["value"].iloc[-1] == pytest.approx(0.5)
    there = measured["bulk.free.forward_divergence"].value
    for name, value in fits.items():
        assert measured[f"bulk.free.prior_{name}"].value == value
        label = "share" if name == "gain" else f"{name}_share"
        assert measured[f"bulk.free.prior_{label}"].value == pytest.approx(value / there)
    assert len(measured.pop("bulk_couplings")) == 3
    # Arrays that were stored before couplings were selected have none.
    older = {key: value for key, value in found.items() if key != "prior_selected"}
    assert "bulk.free.prior_selected" not in dict(bulk_readings.prior(Results(older)))


def test_too_few_samples_of_a_flow_tell_no_forward_divergence() -> None:
    found = {"t": np.array(1.0), "mu": np.array(2.25), "log_weights": np.zeros(100)}
    results = Results(found)
    (study,) = bulk_readings.studies(results)
    assert bulk_readings.forward_divergence(results, study) is not None
    weights = {"t": np.array([1.0]), "log_weights": np.zeros((1, 1, 19))}
    results.flow = lambda arm, size: SimpleNamespace(arrays=weights)
    assert bulk_readings.forward_divergence(results, study) is None
