"""Shipped weights: what is not whole, not there or not what was shipped is one sentence."""

import json

import numpy as np
import pandas as pd
import pytest

from emergence import finished
from emergence.artifacts import sha256, write_arrays
from emergence.errors import ArtifactError
from emergence.shipped import read_manifest

JOB = "holography/flows/disc/2"
STUDY = "holography/chains/line"


@pytest.fixture
def folder(tmp_path):
    """One training and one sampling shipped, another training left out."""
    history = pd.DataFrame({"step": [20], "seed": [0], "loss": [0.5]})
    training = finished.Finished({"a/b": np.ones(3, np.float32)}, history, "mine")
    finished.write(tmp_path / f"{JOB}.npz", {"checkpoint": training}, compressed=True)
    entry = {"sha256": sha256(tmp_path / f"{JOB}.npz"), "bytes": 1, "seconds_per_step": 0.25}
    drawn = {"order": np.arange(3.0, dtype=np.float32), "timing/seconds_per_sweep": np.array(0.5)}
    write_arrays(tmp_path / f"{STUDY}.npz", drawn, compressed=True)
    known = {"sha256": sha256(tmp_path / f"{STUDY}.npz"), "bytes": 1, "settings": "theirs"}
    manifest = {
        "samples": {STUDY: known},
        "scale": "tiny",
        "commit": "c0ffee",
        "jobs": {JOB: entry},
        "left_out": {"retraining/chains/large/4": "the arm takes 99 MB"},
        "drawn_again": {},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def test_what_was_shipped_comes_back(folder):
    manifest = read_manifest(folder)
    assert (manifest.scale, manifest.commit) == ("tiny", "c0ffee")
    assert manifest.entry(JOB).seconds_per_step == 0.25
    taken = manifest.trainings(JOB)["checkpoint"]
    assert taken.parameters["a/b"].dtype == np.float32
    assert taken.identity == "mine"


def test_a_folder_without_a_manifest(tmp_path):
    with pytest.raises(ArtifactError, match=r"There are no shipped weights in .* is missing\."):
        read_manifest(tmp_path / "none")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"jobs": 3}', '{"scale": "a", "jobs": [1]}']
)
def test_a_damaged_manifest(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"is no manifest of shipped weights\. git checkout"):
        read_manifest(folder)


def test_weights_that_are_missing(folder):
    (folder / f"{JOB}.npz").unlink()
    with pytest.raises(ArtifactError, match=r"disc/2.npz are missing\. git checkout restores"):
        read_manifest(folder).trainings(JOB)


@pytest.mark.parametrize("damage", ["flipped", "short", "foreign"])
def test_weights_that_are_not_those_named(folder, damage):
    path = folder / f"{JOB}.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    foreign = path.read_bytes() + b"0"
    path.write_bytes({"flipped": content, "short": content[:-9], "foreign": foreign}[damage])
    with pytest.raises(ArtifactError, match=r"are not those that .*manifest.json names"):
        read_manifest(folder).trainings(JOB)


@pytest.mark.parametrize(
    ("job", "why"),
    [("retraining/chains/large/4", "takes 99 MB"), ("retraining/chains/new/4", "no such job")],
)
def test_weights_that_are_not_shipped_say_why(folder, job, why):
    with pytest.raises(ArtifactError, match=f"holds no weights of {job}: .*{why}"):
        read_manifest(folder).trainings(job)


def test_samples_come_back_with_the_times_beside_them(folder):
    arrays, timing = read_manifest(folder).sampling(STUDY, "theirs")
    assert list(arrays) == ["order"]
    assert arrays["order"].dtype == np.float32
    assert timing == {"seconds_per_sweep": 0.5}


@pytest.mark.parametrize(
    ("job", "settings", "message"),
    [
        (STUDY, "mine", "were drawn with other settings"),
        ("holography/bulks/free", "theirs", "holds no samples of holography/bulks/free"),
    ],
)
def test_samples_that_cannot_be_taken(folder, job, settings, message):
    with pytest.raises(ArtifactError, match=rf"{message}\. Sample: leave --sampled out\."):
        read_manifest(folder).sampling(job, settings)


def test_samples_that_are_not_those_named(folder):
    (folder / f"{STUDY}.npz").write_bytes(b"PK")
    with pytest.raises(ArtifactError, match=r"samples .* are not those that .*manifest.json names"):
        read_manifest(folder).sampling(STUDY, "theirs")
