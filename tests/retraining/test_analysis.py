"""From a finished growth to the measurements that the ledger asks for, and the tables."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from spin_models import ising_chain

from emergence import artifacts
from emergence.errors import ArtifactError
from emergence.retraining import analysis, free_fermions
from emergence.statistics import read_measurements, write_measurements
from emergence.verification.claims import load_ledger
from emergence.verification.verdicts import decide

LEDGER = load_ledger(Path(__file__).parents[2] / "claims" / "retraining.yaml")
TABLES = {
    "energies", "bulk", "profiles", "asymmetry", "correlations", "memory", "entropy", "training",
    "extrapolation",
}  # fmt: skip


def test_every_measurement_that_the_ledger_asks_for_is_made(analysed_growth, tmp_path):
    found = analysed_growth()
    assert set(found.tables) == TABLES
    # It names the first measurement that a claim lacks.
    decisions = decide(LEDGER, found.named, "laptop")
    asked = [decision for decision in decisions if "laptop" in decision.claim.scales]
    assert asked and all(decision.verdict != "not run" for decision in asked)
    assert all(measurement.source for measurement in found.measurements)
    # It refuses two of one name.
    write_measurements(tmp_path / "measurements.json", found.measurements)
    assert read_measurements(tmp_path / "measurements.json") == found.named


def test_exact_ground_states_are_judged_as_the_ledger_expects_of_a_good_growth(analysed_growth):
    for decision in decide(LEDGER, analysed_growth().named, "laptop"):
        if "laptop" not in decision.claim.scales:
            continue
        notes = [outcome.note for outcome in decision.outcomes]
        wanted = "deviates" if decision.claim.id == "S5-correlation" else "reproduced"
        assert decision.verdict == wanted, (decision.claim.id, notes)
        assert decision.control_holds, (decision.claim.id, decision.control)


def test_of_what_a_scale_leaves_out_nothing_is_measured(analysed_growth):
    found = analysed_growth("ising")
    assert set(found.tables) == TABLES
    assert {name.split(".")[0] for name in found.named} == {"ising"}
    squares = analysed_growth("heisenberg_square")
    assert squares.tables["profiles"].empty
    assert squares.tables["memory"].empty
    assert "distance" in squares.tables["memory"]


def test_energies_are_told_with_reference_cost_and_origin_of_the_weights(analysed_growth):
    table = analysed_growth().tables["energies"]
    one = table[(table["arm"] == "ising") & (table["size"] == 80) & (table["kind"] == "grown")]
    exact = free_fermions.energy(ising_chain(80, 1.0))
    np.testing.assert_allclose(one["reference"], exact, rtol=1e-12)
    np.testing.assert_allclose(
        one["relative_error"], np.abs(one["energy"] / exact - 1.0), rtol=1e-6
    )
    assert one["seed"].tolist() == [0, 1, 2]
    assert set(table[table["shipped"]]["arm"]) == {"heisenberg_200"}
    first = table[(table["arm"] == "ising") & (table["size"] == 10)]
    assert "zero-shot" not in set(first["kind"])


def test_worst_last_and_best_are_what_their_names_say(analysed_growth):
    named = analysed_growth().named
    values = {size: named[f"ising.error_{size}"].value for size in (10, 20, 40, 80, 160)}
    assert named["ising.error_worst"].value == max(values.values()) == values[10]
    assert named["ising.error_last"].value == values[160]
    assert named["ising.error_first"].value == values[10]
    untrained = [named[f"ising.untrained_error_{size}"].value for size in values]
    assert named["ising.untrained_error_best"].value == min(untrained)


def test_bulk_estimates_tell_the_edges_from_the_bulk(analysed_growth):
    named = analysed_growth().named
    assert named["ising.bulk_raw_last"].value > 2e-3
    assert named["ising.bulk_difference_last"].value < 3e-5
    # Fresh networks are off by a share of three tenths at either size.
    assert named["ising.untrained_bulk_difference_last"].value == pytest.approx(
        1.2 / np.pi, rel=0.05
    )
    assert named["ising.bulk_central_last"].value < 1e-4
    table = analysed_growth().tables["bulk"]
    assert set(table["estimator"]) == {"raw", "central", "difference", "fit"}


def test_an_arm_without_an_average_is_not_said_to_have_one(analysed_growth):
    found = analysed_growth()
    assert "ising.plain_asymmetry" in found.named
    assert not [name for name in found.named if name.startswith("paper_chain.averaged_")]
    states = found.tables["profiles"].groupby("arm")["state"].unique()
    assert set(states["paper_chain"]) == {"plain"}
    assert set(states["ising"]) == {"averaged", "plain"}


def test_one_network_has_the_error_of_its_sampling_and_no_values_per_seed():
    one = analysis.measured("x", np.array([2.0]), np.array([0.5]), "here")
    assert (one.value, one.error, one.values) == (2.0, 0.5, None)
    many = analysis.measured("x", np.array([1.0, 2.0, 3.0]), None, "here")
    assert many.values == (1.0, 2.0, 3.0)
    assert many.error > 0.3


def test_what_is_not_finite_counts_as_very_bad():
    bad = analysis.measured("x", np.array([np.nan]), np.array([np.inf]), "here")
    assert bad.value == bad.error == 1e6


class TestFaults:
    @pytest.fixture
    def copy(self, finished_growth, tmp_path):
        run = finished_growth("ising")
        return run.settings, Path(shutil.copytree(run.folder, tmp_path / "run"))

    def test_a_missing_size(self, copy):
        settings, folder = copy
        shutil.rmtree(folder / "chains" / "ising" / "40")
        with pytest.raises(ArtifactError, match=r"ising/40/arrays\.npz"):
            analysis.analyse(settings, folder)

    def test_an_array_that_is_lacking_is_named_with_its_file(self, copy):
        settings, folder = copy
        path = folder / "chains" / "ising" / "20" / "arrays.npz"
        arrays = artifacts.read_arrays(path)
        del arrays["bonds_error"]
        artifacts.write_arrays(path, arrays)
        with pytest.raises(ArtifactError, match=r"20/arrays\.npz lacks the array bonds_error"):
            analysis.analyse(settings, folder)
