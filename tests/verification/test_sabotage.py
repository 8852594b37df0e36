"""Controls judged as a command: a green one fails, an excuse needs the ledger's word, all are listed."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from emergence.artifacts import write_numbers
from emergence.errors import ArtifactError, SettingsError, VerdictMismatch
from emergence.holography.densities import Phi4Theory
from emergence.holography.hierarchy import spline_flow
from emergence.settings import load, parse
from emergence.statistics import write_measurements
from emergence.verification import breakages, sabotage
from emergence.verification.experiments import EXPERIMENTS
from emergence.verification.sabotage import CASES

ROOT = Path(__file__).parents[2]
CASE = {
    "case": "dropped_jacobian",
    "claim": "I3",
    "breaks": "The spline's derivative is left out.",
    "must": "deviate",
    "measure": "loss_ratio",
    "demanded": "at least 10",
    "measured": 1.0,
    "error": 0.1,
    "verdict": "deviates",
    "note": "misses its bound by 90 standard errors",
}


@pytest.fixture
def place(tmp_path, raw, write, measure):
    """Judges one case and a small ledger's own control."""

    class Place:
        console = Console(file=io.StringIO(), width=200, color_system=None)
        output = tmp_path / "laptop/sabotage.json"
        claim = raw["claims"][0]

        def judge(self, case=CASE, control=(1, 1), claim=None, loss_ratio=(30, 1)):
            raw["claims"][0] |= claim or {}
            found = measure(loss_ratio=loss_ratio, control__loss_ratio=control).values()
            write_measurements(tmp_path / "laptop/introspection/measurements.json", found)
            write_numbers(tmp_path / "case.json", case)
            ledgers = write(raw).parent
            sabotage.judge(
                [tmp_path / "case.json"], ledgers, tmp_path / "laptop", "laptop", self.output,
                self.console,
            )  # fmt: skip

        def printed(self):
            return self.console.file.getvalue()

    return Place()


def test_all_red_is_well_and_every_control_is_listed(place):
    place.judge()
    assert "dropped jacobian" in place.printed()
    assert "shuffled pairing" in place.printed()
    assert "All 2 controls came out as they must." in place.printed()
    rows = json.loads(place.output.read_text())["controls"]
    assert [(row["claim"], row["verdict"], row["holds"]) for row in rows] == [
        ("I3", "deviates", True),
        ("I3", "deviates", True),
    ]


@pytest.mark.parametrize("verdict", ["reproduced", "compatible", "underpowered"])
def test_a_sabotage_that_is_not_red_fails(place, verdict):
    with pytest.raises(VerdictMismatch) as told:
        place.judge(CASE | {"verdict": verdict})
    assert "'dropped jacobian' of claim I3 must deviate, but came out" in str(told.value)
    assert told.value.exit_status == 7
    assert "shuffled pairing" in place.printed(), "Everything is listed before it fails."
    assert not json.loads(place.output.read_text())["controls"][0]["holds"]


def test_a_green_control_of_the_ledger_fails(place):
    with pytest.raises(VerdictMismatch, match="'shuffled pairing' of claim I3 must deviate"):
        place.judge(control=(30, 1))


@pytest.mark.parametrize("verdict", ["deviates", "underpowered"])
def test_an_experiment_that_fails_unbroken_fails(place, verdict):
    """Else a control would be red whatever was broken."""
    with pytest.raises(VerdictMismatch, match="must pass, but came out"):
        place.judge(CASE | {"case": "whole_flow", "must": "pass", "verdict": verdict})


def test_an_underpowered_control_fails_unless_the_ledger_says_why(place):
    with pytest.raises(VerdictMismatch, match="came out underpowered"):
        place.judge(control=(1, None))
    excuse = {"expected": "underpowered", "reason": "Its chains are too short."}
    place.judge(control=(1, None), loss_ratio=(30, None), claim=excuse)
    assert "underpowered" in place.printed()
    (_, row) = json.loads(place.output.read_text())["controls"]
    assert row["note"] == "the ledger says why: Its chains are too short."


def test_a_damaged_case_is_told(place):
    with pytest.raises(ArtifactError, match="lacks the key 'verdict'"):
        place.judge({key: value for key, value in CASE.items() if key != "verdict"})
    assert not place.output.exists()


def test_an_unknown_case_is_told(tmp_path, write, raw):
    with pytest.raises(SettingsError, match="Choose one of: whole_translator, wrong_pairing"):
        sabotage.run_case("gravity", tmp_path / "none.yaml", write(raw), tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


class TestCases:
    def test_every_experiment_is_also_run_unbroken(self):
        whole = [case.experiment for case in CASES.values() if case.must == "pass"]
        assert sorted(whole) == sorted(EXPERIMENTS)
        for name in EXPERIMENTS:
            assert any(c.experiment == name and c.must == "deviate" for c in CASES.values())

    def test_every_breakage_says_what_it_breaks(self):
        for case in CASES.values():
            assert re.fullmatch(r"[A-Z].{20,}", " ".join(case.breaks.__doc__.split()))

    def test_a_breakage_lasts_no_longer_than_asked(self):
        """And changes something: what it replaced is back afterwards."""
        from emergence.retraining.models import Ising

        before = Ising.__dict__["flip"]
        with breakages.flipped_field():
            assert Ising.__dict__["flip"] is not before
        assert Ising.__dict__["flip"] is before

    def test_a_flow_without_its_derivative_counts_the_prior_alone(self):
        """Of the flow as it is run: a breakage of what nobody calls would change nothing."""
        theory = Phi4Theory(1.0, 1.0, 1.0)
        flow = spline_flow(theory, 4, width=4, bins=3)
        rng = np.random.default_rng(1)
        start = flow.initial_parameters(rng, 1)
        weights = {k: tf.constant(v + 0.2 * rng.normal(size=v.shape)) for k, v in start.items()}
        latents = flow.chart.sample(tf.constant([1, 2]), [1, 8, 4, 4], tf.float64)
        couplings = theory.couplings(1, 8, tf.float64)
        whole = flow.generate(weights, latents, couplings)
        with breakages.dropped_jacobian():
            broken = flow.generate(weights, latents, couplings)
        np.testing.assert_array_equal(broken[0], whole[0])
        coordinates, volume = flow.chart.from_field(whole[0], couplings[..., 1])
        assert coordinates.shape == latents.shape
        np.testing.assert_allclose(broken[1], flow.chart.log_prior(latents) + volume, rtol=1e-9)
        assert np.abs(whole[1] - broken[1]).max() > 0.1

    @pytest.mark.parametrize("name", EXPERIMENTS)
    def test_what_is_left_of_the_settings_is_valid_and_small(self, name):
        content = load(ROOT / "config/smoke.yaml").model_dump(mode="json")
        whole = len(json.dumps(content))
        EXPERIMENTS[name].reduce(content)
        assert parse(content, name)
        assert len(json.dumps(content)) < whole


@pytest.mark.slow
@pytest.mark.timeout(300)
class TestBroken:
    """The two quickest for real, each in a process of its own as the workflow runs it."""

    @pytest.fixture(scope="class")
    def came_to(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("sabotage")

        def run(name):
            output = folder / f"{name}.json"
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "emergence.cli", "sabotage", "case"),
                    *("--settings", ROOT / "config/smoke.yaml", "--ledgers", ROOT / "claims"),
                    *("--name", name, "--output", output),
                ],
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            return json.loads(output.read_text())

        return run

    def test_the_flow_passes_whole_and_fails_cut(self, came_to):
        assert came_to("whole_flow")["verdict"] in sabotage.GREEN
        assert came_to("cut_torus")["verdict"] == "deviates"
