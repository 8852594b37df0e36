"""The workflow with shipped weights, planned but not run: it takes them, and refuses what is not whole."""

import json
import re
from pathlib import Path

import pytest
import yaml

from emergence.holography.identity import study_of
from emergence.settings import load
from emergence.verification.jobs import training_jobs

pytestmark = pytest.mark.workflow

CHAINS = {"flow": "disc", "size": 2, "space": "bulk", "chains": 4, "tuning": 1}
CHAINS |= {"trajectories": 4, "leapfrogs": 2}


@pytest.fixture(scope="module")
def tree(tmp_path_factory, new_tree, build_settings) -> Path:
    """A fresh clone with tiny settings, and a manifest of all that they train."""
    folder = new_tree(tmp_path_factory.mktemp("evaluation"))
    content = build_settings()
    content["holography"]["chains"] = {"short": CHAINS}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / "shipped").mkdir()
    write_manifest(folder, training_jobs(load(folder / "tiny.yaml")))
    return folder


def write_manifest(folder: Path, jobs, samples=()) -> None:
    entries = {job: {"sha256": "0" * 64, "seconds_per_step": None} for job in jobs}
    manifest = {
        "scale": "tiny",
        "commit": "c0ffee",
        "jobs": entries,
        "left_out": {},
        "drawn_again": {},
    }
    manifest["samples"] = {job: {"sha256": "1" * 64, "settings": known} for job, known in samples}
    (folder / "shipped/manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def dry(tree, snakemake):
    """Plans the measurements of one system; what Snakemake said."""

    def dry(*config, target="retraining", status=0):
        done = snakemake(
            tree, "-n", "-p", "--config", "settings=tiny.yaml", *config, "--",
            f"results/{'verify' if config else 'tiny'}/{target}/measurements.json",
        )  # fmt: skip
        assert done.returncode == status, done.stdout
        return done.stdout

    return dry


def test_every_training_takes_the_weights_and_writes_to_its_own_results(dry):
    told = dry("trained=shipped")
    calls = re.findall(r"(?m)^Shell command: (emergence retraining grow .*)$", told)
    assert len(calls) == 2
    assert all("--trained shipped" in call for call in calls)
    assert "results/verify/retraining/chains/ising/6" in told
    assert "results/tiny" not in told


def test_without_weights_nothing_is_taken(dry):
    assert "--trained" not in dry()


def test_a_folder_that_is_not_there_is_one_sentence(dry):
    told = dry("trained=nowhere", status=3)
    assert re.search(r"(?m)^emergence: There are no shipped weights in nowhere: .*\.$", told)
    assert "Traceback" not in told


def test_a_job_that_is_not_shipped_is_one_sentence(dry, tree):
    jobs = training_jobs(load(tree / "tiny.yaml"))
    write_manifest(tree, jobs - {"retraining/chains/ising/6"})
    try:
        told = dry("trained=shipped", status=3)
    finally:
        write_manifest(tree, jobs)
    assert "emergence: shipped holds no weights of retraining/chains/ising/6: " in told
    assert "Traceback" not in told


def test_samples_are_taken_where_they_are_of_these_settings_and_not_anew(dry, tree):
    settings = load(tree / "tiny.yaml")
    jobs = training_jobs(settings)
    known = study_of(settings, settings.holography.chains["short"])
    told = {}
    try:
        for settings_of, *config in ((known,), ("another",), (known, "anew=1")):
            write_manifest(tree, jobs, [("holography/chains/short", settings_of)])
            whole = dry("trained=shipped", *config, target="holography")
            (call,) = re.findall(r"(?m)^Shell command: (emergence holography chains .*)$", whole)
            told[(settings_of, *config)] = "--sampled shipped" in call
    finally:
        write_manifest(tree, jobs)
    assert told == {(known,): True, ("another",): False, (known, "anew=1"): False}


def test_chains_go_on_from_records_that_come_with_the_project(dry, tree):
    (tree / "weights/holography/chains").mkdir(parents=True, exist_ok=True)
    (tree / "weights/holography/chains/old.npz").write_bytes(b"")
    content = yaml.safe_load((tree / "tiny.yaml").read_text())
    content["holography"]["chains"]["short"]["shipped"] = "old"
    (tree / "longer.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    whole = dry("settings=longer.yaml", "trained=shipped", target="holography")
    (call,) = re.findall(r"(?m)^Shell command: (emergence holography chains .*)$", whole)
    assert "--before weights/holography/chains/old.npz" in call
