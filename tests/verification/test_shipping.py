"""Trained, shipped and evaluated in another place: the same numbers, and nothing trained there."""

import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from emergence import artifacts, host, training
from emergence.errors import ArtifactError, SettingsError
from emergence.holography.commands import holography_flow
from emergence.introspection.commands import (
    introspection_data,
    introspection_distiller,
    introspection_translator,
)
from emergence.retraining.commands import retraining_grow
from emergence.settings import load
from emergence.shipped import read_manifest
from emergence.statistics import Measurement, write_measurements
from emergence.verification import packing, shipping
from emergence.verification.costs import recorded_costs
from emergence.verification.jobs import Pace, load_needs, training_jobs

ROOT = Path(__file__).parents[2]
SYSTEMS = packing.SYSTEMS


@pytest.fixture(scope="module")
def place(tmp_path_factory, build_settings):
    """Settings of a tiny run that trains by every update rule, and its dataset."""
    folder = tmp_path_factory.mktemp("shipping")
    content = build_settings()
    content["introspection"]["stages"]["short"] = [
        {"update": "adam", "steps": 20, "batch": 4, "window": 8, "candidates": 2},
        {"update": "levenberg_marquardt", "steps": 3, "batch": 8, "window": 10, "ridge": 1e-6},
    ]
    content["introspection"]["translators"]["free"]["hidden"] = [3]
    content["introspection"]["distillers"]["born"]["latent"] = [2]
    content["retraining"]["stages"]["brief"].append(
        {"update": "natural_gradient", "steps": 3, "batch": 8, "rate": 0.1}
    )
    del content["holography"]["flows"]["line"]
    content["holography"]["flows"]["disc"] |= {"depth": 1, "bins": 4}
    content["retraining"]["chains"]["ising"]["averaged"] = False
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


def run_all(place: Path, results: Path, trained: Path | None = None) -> None:
    """Every stage that trains, as the workflow calls it."""
    settings = place / "tiny.yaml"
    here = results / "introspection"
    introspection_data(settings, "waves", here / "data/waves.npz")
    data = here / "data/waves.npz"
    introspection_translator(settings, "free", data, here / "translators/free", trained)
    read = here / "translators/free/arrays.npz"
    introspection_distiller(settings, "born", data, read, here / "distillers/born", trained)
    holography_flow(settings, "disc", 2, results / "holography/flows/disc/2", None, trained)
    chains = results / "retraining/chains/ising"
    retraining_grow(settings, "ising", 4, chains / "4", None, trained)
    retraining_grow(settings, "ising", 6, chains / "6", chains / "4/weights", trained)


@pytest.fixture(scope="module")
def once():
    """TensorFlow's threads are fixed once in a process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "use_host", lambda threads, optimisation: "CPU")
        yield patch


@pytest.fixture(scope="module")
def run(place, once):
    """The results of a run that trained."""
    results = place / "results/tiny"
    run_all(place, results)
    settings = load(place / "tiny.yaml")
    for system in SYSTEMS:
        path = results / system / "measurements.json"
        write_measurements(path, [Measurement(f"{system}.number", 1.0)])
        artifacts.record_provenance(
            [path], stage="analysis", settings=settings, seed=7, started=time.time(), device="CPU"
        )
    return results


@pytest.fixture(scope="module")
def weights(place, run):
    """What was shipped of it."""
    packing.ship(run, place / "weights", 20.0)
    return place / "weights"


@pytest.fixture(scope="module")
def evaluated(place, weights, once):
    """The results of a run that took what was shipped, in which a step of training is an error."""

    def taken(*_):
        raise AssertionError("It trains.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_run_stage", taken)
        run_all(place, place / "results/verify", weights)
    return place / "results/verify"


FILES = ("arrays.npz", "history.csv", "timing.json", "trained.npz")


@pytest.mark.slow
def test_every_number_is_the_same_bit_for_bit(run, evaluated):
    ours = sorted(p.relative_to(run) for p in run.rglob("*") if p.name in FILES)
    assert len(ours) == 3 * 5 + 1, "Five trainings; one of them tells its pace."
    for path in ours:
        assert artifacts.sha256(run / path) == artifacts.sha256(evaluated / path), path


def test_nothing_of_a_checkpoint_is_left(evaluated):
    assert not list(evaluated.rglob("checkpoint*"))


def test_the_record_says_where_the_weights_come_from(evaluated, weights):
    record = evaluated / "retraining/chains/ising/6/arrays.provenance.json"
    extra = json.loads(record.read_text())["extra"]
    assert extra["trained"]["folder"] == str(weights)


def test_what_is_shipped_has_no_moments(weights):
    shipped = read_manifest(weights).trainings("retraining/chains/ising/6")["checkpoint"]
    kept = artifacts.read_arrays(weights / "retraining/chains/ising/6.npz")
    assert {name.split("/")[1] for name in kept} == {"p", "history", "identity"}
    assert {str(value.dtype) for value in shipped.parameters.values()} == {"float32"}


def test_the_manifest_names_every_training_and_the_run_s_numbers_stand_beside_it(weights, place):
    manifest = read_manifest(weights)
    assert manifest.jobs.keys() == training_jobs(load(place / "tiny.yaml"))
    raw = json.loads((weights / "manifest.json").read_text())
    assert {"scale", "seed", "settings", "commit", "lock_sha256", "versions", "bytes"} <= raw.keys()
    assert raw["bytes"] == sum(manifest.file(job).stat().st_size for job in manifest.jobs)
    for system in SYSTEMS:
        assert (weights / system / "measurements.json").is_file()


def test_shipped_again_the_files_are_the_same(run, weights, tmp_path):
    packing.ship(run, tmp_path / "again", 20.0)
    assert artifacts.sha256(tmp_path / "again") == artifacts.sha256(weights)


class TestRefusals:
    def settings(self, place, folder, **changes):
        content = yaml.safe_load((place / "tiny.yaml").read_text()) | changes
        (folder / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        return folder / "tiny.yaml"

    def test_weights_of_another_seed(self, place, weights, once, tmp_path):
        settings = self.settings(place, tmp_path, seed=8)
        with pytest.raises(ArtifactError, match="trained with other settings"):
            retraining_grow(settings, "ising", 4, tmp_path / "4", None, weights)
        assert not (tmp_path / "4").exists(), "Nothing was written."

    def test_weights_of_another_arm(self, place, weights, once, tmp_path):
        shutil.copytree(weights, tmp_path / "weights")
        raw = json.loads((weights / "manifest.json").read_text())
        raw["jobs"]["retraining/chains/ising/4"] = raw["jobs"]["retraining/chains/ising/6"]
        shutil.copy(
            weights / "retraining/chains/ising/6.npz",
            tmp_path / "weights/retraining/chains/ising/4.npz",
        )
        (tmp_path / "weights/manifest.json").write_text(json.dumps(raw))
        with pytest.raises(ArtifactError, match="trained with other settings"):
            retraining_grow(
                place / "tiny.yaml", "ising", 4, tmp_path / "4", None, tmp_path / "weights"
            )

    def test_a_run_that_is_not_finished(self, run, tmp_path):
        with pytest.raises(ArtifactError, match="is missing"):
            packing.ship(tmp_path / "none", tmp_path / "weights", 20.0)
        shutil.copytree(run, tmp_path / "run")
        (tmp_path / "run/retraining/chains/ising/6/trained.npz").unlink()
        with pytest.raises(ArtifactError, match=r"trained\.npz is missing"):
            packing.ship(tmp_path / "run", tmp_path / "weights", 20.0)
        assert not (tmp_path / "weights").exists()

    def test_a_training_that_was_changed_since(self, run, tmp_path):
        shutil.copytree(run, tmp_path / "run")
        chains = tmp_path / "run/retraining/chains/ising"
        shutil.copy(chains / "4/trained.npz", chains / "6/trained.npz")
        with pytest.raises(ArtifactError, match="is not what its record names"):
            packing.ship(tmp_path / "run", tmp_path / "weights", 20.0)

    def test_systems_of_different_settings(self, run, tmp_path):
        shutil.copytree(run, tmp_path / "run")
        record = tmp_path / "run/holography/measurements.provenance.json"
        raw = json.loads(record.read_text())
        raw["settings"]["seed"] = 8
        record.write_text(json.dumps(raw))
        with pytest.raises(ArtifactError, match="with different settings"):
            packing.ship(tmp_path / "run", tmp_path / "weights", 20.0)


class TestLimit:
    def test_the_largest_arm_is_left_out_and_says_so(self, run, tmp_path):
        sizes = {}
        for job, entry in json.loads((run.parents[1] / "weights/manifest.json").read_text())[
            "jobs"
        ].items():
            arm = "/".join(job.split("/")[:3])
            sizes[arm] = sizes.get(arm, 0) + entry["bytes"]
        largest = max(sizes, key=sizes.__getitem__)
        manifest = packing.ship(run, tmp_path / "w", (sum(sizes.values()) - 1) / 1e6)
        assert {"/".join(job.split("/")[:3]) for job in manifest.left_out} == {largest}
        lines = packing.told(manifest)
        assert lines[1].startswith(f"Left out: {largest}")
        assert " MB, too much beside the others for " in lines[1]
        for job in manifest.left_out:
            assert not manifest.file(job).exists()
        everything = read_manifest(run.parents[1] / "weights")
        assert manifest.withheld == {job: everything.jobs[job].sha256 for job in manifest.left_out}

    def test_what_needs_it_is_left_out_too(self, place, weights):
        settings = load(place / "tiny.yaml")
        manifest = read_manifest(weights)
        kept = {k: v for k, v in manifest.jobs.items() if k != "introspection/translators/free"}
        left_out = {"introspection/translators/free": "it takes 99 MB"}
        jobs, without = shipping.evaluable(settings, SimpleNamespace(jobs=kept, left_out=left_out))
        assert without.keys() == {"introspection/translators/free", "introspection/distillers/born"}
        assert all("takes 99 MB" in why for why in without.values())
        assert "introspection/data/waves" in jobs

    def test_a_claim_says_what_it_lacks(self):
        settings = load(ROOT / "config/laptop.yaml")
        kept = dict.fromkeys(job for job in training_jobs(settings) if "paper_square" not in job)
        whole = SimpleNamespace(
            jobs=kept, left_out={"retraining/chains/paper_square/4": "too large"}
        )
        _, without = shipping.evaluable(settings, whole)
        needs = load_needs(ROOT / "workflow/needs.yaml")
        lost = shipping.claims_without(settings, needs, ROOT / "claims", "laptop", without)
        assert lost.keys() == {"S-original-square", "S-original-smallest"}
        assert lost["S-original-square"].startswith("It needs retraining/chains/paper_square")


class TestAgreement:
    def test_counts_what_is_the_same_and_names_the_rest(self, tmp_path):
        for folder, value in (("ours", 1.5), ("theirs", 1.25)):
            for system in SYSTEMS:
                found = [Measurement("same", 0.1, 0.2, (0.1, 0.3)), Measurement("time", value)]
                path = tmp_path / folder / system / "measurements.json"
                write_measurements(path, found[: 2 if system == "holography" else 1])
        lines = shipping.agreement(tmp_path / "ours", tmp_path / "theirs")
        assert lines[0].startswith("3 of 4 numbers are bit for bit those of the run")
        assert lines[2:] == ["  holography: time is 1.5, was 1.25"]

    def test_a_system_that_a_budget_left_out_is_passed_over_but_not_all(self, tmp_path):
        for folder, systems in (("ours", SYSTEMS[:1]), ("theirs", SYSTEMS)):
            for system in systems:
                path = tmp_path / folder / system / "measurements.json"
                write_measurements(path, [Measurement("same", 0.1)])
        lines = shipping.agreement(tmp_path / "ours", tmp_path / "theirs")
        assert lines[0].startswith("1 of 1 numbers are bit for bit")
        with pytest.raises(ArtifactError, match="missing"):
            shipping.agreement(tmp_path / "nothing", tmp_path / "theirs")

    def test_of_the_same_run_is_whole(self, run):
        assert shipping.agreement(run, run) == [
            "3 of 3 numbers are bit for bit those of the run that shipped the weights; those read from "
            "shipped records are so by construction, unless drawn anew."
        ]


class TestPlan:
    NEEDS = ROOT / "workflow/needs.yaml"

    def test_takes_the_whole_run_as_it_is(self, weights, place, tmp_path):
        """Under a scale of its own; nothing else of the settings may change a number."""
        shipping.write_evaluation(
            read_manifest(weights), place / "tiny.yaml", load_needs(self.NEEDS),
            ROOT / "claims", tmp_path,
        )  # fmt: skip
        planned, whole = load(tmp_path / "settings.yaml"), load(place / "tiny.yaml")
        changes = {"scale": "verify", "judged_as": None}
        assert planned.model_copy(update={"judged_as": None}) == whole.model_copy(update=changes)
        plan = json.loads((tmp_path / "plan.json").read_text())
        assert set(plan["jobs"]) >= training_jobs(whole)
        assert "the settings have no 'main'" in plan["left_out"]["I1"]

    def test_of_another_scale_is_refused(self, weights, tmp_path):
        with pytest.raises(
            SettingsError, match=r"are of scale tiny, not smoke\. Choose SCALE=tiny"
        ):
            shipping.write_evaluation(
                read_manifest(weights), ROOT / "config/smoke.yaml", load_needs(self.NEEDS),
                ROOT / "claims", tmp_path,
            )  # fmt: skip

    def test_within_a_budget_the_claims_that_fit(self, tmp_path):
        """Of the committed weights: what evaluating takes is recorded, nothing is trained."""
        record = ROOT / "config/costs.csv"
        pace = Pace(recorded_costs(record, "laptop"), cores=2, ratio=1.0, scale="laptop")
        shipped = read_manifest(ROOT / "weights/laptop")
        needs = load_needs(ROOT / "workflow/needs.yaml")
        settings = ROOT / "config/laptop.yaml"
        told = {}
        for minutes in (5, 20):
            folder = tmp_path / str(minutes)
            lines = shipping.write_evaluation(
                shipped, settings, needs, ROOT / "claims", folder, pace, 60.0 * minutes
            )
            assert any(line.startswith("It takes about") for line in lines)
            plan = json.loads((folder / "plan.json").read_text())
            assert pace.wall(plan["jobs"]) <= 60.0 * minutes
            assert load(folder / "settings.yaml").scale == "verify"
            told[minutes] = set(plan["left_out"])
        assert told[20] < told[5]
        assert "S-original-square" in told[20]
