"""Packing long samplings: which, in what order, and that a stage gives them back byte for byte."""

import json
import time

import numpy as np
import pytest
import yaml

from emergence.artifacts import (
    read_arrays,
    record_provenance,
    sha256,
    write_arrays,
    write_numbers,
)
from emergence.errors import ArtifactError
from emergence.holography import chains, commands
from emergence.holography.commands import (
    holography_bulk,
    holography_chains,
    holography_ship_chains,
)
from emergence.holography.identity import study_of
from emergence.settings import load
from emergence.shipped import Manifest, Samples
from emergence.verification import packing
from emergence.verification.costs import Cost

CHAINS, BULK = "holography/chains/short", "holography/bulks/middle"


@pytest.fixture
def place(tmp_path, build_settings):
    """A run of chains and a bulk that were drawn, with the costs that Snakemake noted."""
    content = build_settings()
    flow, size = "disc", 2
    chains = {"flow": flow, "size": size, "space": "bulk", "chains": 4, "tuning": 1}
    chains |= {"trajectories": 4, "leapfrogs": 2}
    content["holography"]["chains"] = {"short": chains}
    content["holography"]["bulks"] = {"middle": {"flow": flow, "size": size, "samples": 400}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    run = tmp_path / "results/tiny"
    rng = np.random.default_rng(1)
    arrays = {"order": rng.normal(size=(2, 50)).astype(np.float32), "file": np.array([0.1])}
    write_arrays(run / CHAINS / "arrays.npz", arrays)
    write_numbers(run / CHAINS / "timing.json", {"seconds_per_sweep": 0.1, "evaluations": 3})
    write_arrays(run / f"{BULK}.npz", {"boundary": rng.normal(size=(3, 200))})
    files = [run / CHAINS / name for name in ("arrays.npz", "timing.json")]
    settings = load(tmp_path / "tiny.yaml")
    record_provenance(
        [*files, run / f"{BULK}.npz"],
        stage="s", settings=settings, seed=1, started=time.time(), device="CPU",
    )  # fmt: skip
    spend(run, CHAINS, 90.0)
    spend(run, BULK, 90.0)
    return tmp_path


def spend(run, job, seconds):
    system, _, inside = job.partition("/")
    path = run / system / "benchmarks" / f"{inside}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\tcpu_time\tmax_rss\n{seconds}\t{seconds}\t10\n")


def pack(place, room=1e6):
    settings = load(place / "tiny.yaml")
    folder = place / "weights"
    return packing._pack_samplings(settings, place / "results/tiny", folder, room)


def ship(place):
    """A manifest of the samplings alone, written as ``emergence ship`` writes it."""
    entries, again = pack(place)
    content = {"scale": "tiny", "commit": "c0ffee", "jobs": {}, "left_out": {}, "samples": entries}
    content |= {"drawn_again": again}
    (place / "weights/manifest.json").write_text(json.dumps(content))
    return place / "weights"


def test_only_what_takes_long_is_shipped(place):
    spend(place / "results/tiny", BULK, packing.LONG_S - 1.0)
    assert list(pack(place)[0]) == [CHAINS]
    costs = [Cost("a", packing.LONG_S, 1.0, 1.0), Cost("b", packing.LONG_S + 1.0, 1.0, 1.0)]
    assert packing.long_samplings(costs) == {"b": packing.LONG_S + 1.0}


def test_what_saves_the_most_time_per_byte_comes_first(place):
    whole, _ = pack(place)
    assert list(whole) == [BULK, CHAINS]
    # The chains are the smaller file; dear enough, the larger one comes before it.
    larger, smaller = (whole[job]["bytes"] for job in (BULK, CHAINS))
    assert smaller < larger
    kept, again = pack(place, room=larger)
    assert list(kept) == [CHAINS]
    assert list(again) == [BULK]
    assert "too much beside the others" in again[BULK]
    assert not (place / f"weights/{BULK}.npz").exists()
    spend(place / "results/tiny", BULK, 90.0 * 100)
    assert list(pack(place, room=larger)[0]) == [BULK]


def test_a_stage_that_takes_them_writes_the_same_bytes(place):
    shipped, run, here = ship(place), place / "results/tiny", place / "results/verify"
    settings = place / "tiny.yaml"
    holography_chains(settings, "short", place / "none", here / CHAINS, sampled=shipped)
    holography_bulk(settings, "middle", place / "none", here / f"{BULK}.npz", sampled=shipped)
    for name in (f"{CHAINS}/arrays.npz", f"{CHAINS}/timing.json", f"{BULK}.npz"):
        assert sha256(run / name) == sha256(here / name), name
    record = json.loads((here / CHAINS / "arrays.provenance.json").read_text())
    assert record["extra"]["sampled"] == {"folder": str(shipped), "commit": "c0ffee"}


def test_chains_that_are_compared_are_timed_where_they_are_taken(place, monkeypatch):
    content = yaml.safe_load((place / "tiny.yaml").read_text())
    content["holography"]["chains"]["short"]["cold"] = 4
    (place / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    settings, here = place / "tiny.yaml", place / "results/verify"
    shipped = ship(place)
    with pytest.raises(ArtifactError, match="do not tell how their chains moved"):
        holography_chains(settings, "short", place / "none", here / CHAINS, sampled=shipped)
    assert not (here / CHAINS).exists()

    drawn = place / "results/tiny" / CHAINS / "arrays.npz"
    write_arrays(drawn, dict(read_arrays(drawn)) | {"tuned": np.array([0.5])})
    record_provenance(
        [drawn, drawn.with_name("timing.json")],
        stage="s", settings=load(settings), seed=1, started=time.time(), device="CPU",
    )  # fmt: skip
    asked = []

    def time_of(settings, name, parameters, tuned):
        asked.append((name, parameters, tuned.tolist()))
        return {"seconds_per_sweep": 7.0}

    monkeypatch.setattr(chains, "time_of", time_of)
    monkeypatch.setattr(commands, "_parameters", lambda run, weights: {"of": weights.name})
    shipped = ship(place)
    holography_chains(settings, "short", place / "none", here / CHAINS, sampled=shipped)
    assert asked == [("short", {"of": "none"}, [0.5])]
    assert json.loads((here / CHAINS / "timing.json").read_text()) == {"seconds_per_sweep": 7.0}
    assert sha256(drawn) == sha256(here / CHAINS / "arrays.npz")
    record = json.loads((here / CHAINS / "arrays.provenance.json").read_text())
    assert record["extra"]["sampled"]["folder"] == str(shipped)


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"threads": 2}, {"evaluation": {"compiled": False}}]
)
def test_of_other_settings_they_are_refused(place, change):
    shipped = ship(place)
    content = yaml.safe_load((place / "tiny.yaml").read_text()) | change
    (place / "other.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    out = place / "out"
    with pytest.raises(ArtifactError, match="were drawn with other settings"):
        holography_chains(place / "other.yaml", "short", place / "none", out, sampled=shipped)
    assert not out.exists()


def test_a_study_is_known_by_what_its_numbers_depend_on(place):
    settings = load(place / "tiny.yaml")
    study = settings.holography.chains["short"]
    longer = study.model_copy(update={"trajectories": 5})
    assert study_of(settings, study) != study_of(settings, longer)
    renamed = settings.model_copy(update={"scale": "verify"})
    assert study_of(settings, study) == study_of(renamed, study)


def test_samples_that_were_changed_since_are_not_shipped(place):
    write_numbers(place / "results/tiny" / CHAINS / "timing.json", {"seconds_per_sweep": 9.0})
    with pytest.raises(ArtifactError, match=r"timing\.json is not what its record names"):
        pack(place)


def test_samples_drawn_with_other_weights_are_not_shipped(place):
    run, weights = place / "results/tiny", place / "results/tiny/holography/flows/disc/2/weights"
    weights.mkdir(parents=True)
    (weights / "numbers.json").write_text("1")
    record = run / CHAINS / "arrays.provenance.json"
    told = json.loads(record.read_text())
    record.write_text(json.dumps(told | {"extra": {"weights": sha256(weights)}}))
    assert CHAINS in pack(place)[0]
    (weights / "numbers.json").write_text("2")
    with pytest.raises(ArtifactError, match="was drawn with other weights than"):
        pack(place)


def test_told_in_sentences(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"0" * 1_500_000)
    manifest = Manifest(
        tmp_path, "tiny", "c0ffee", {}, {"b": "too large"}, {"a": Samples("", "")},
        {"c": "too long"},
    )  # fmt: skip
    assert packing.told(manifest) == [
        f"0 trainings and 1 samplings in {tmp_path}, 1.5 MB.",
        "Left out: b: too large.",
        "To be drawn again: c: too long.",
    ]


def test_records_of_chains_are_kept_for_others_to_continue(place):
    run, file = place / "results/tiny" / CHAINS, place / "kept/short.npz"
    arrays = {"field": np.zeros((1, 2, 4)), "tuned": np.ones(1), "cold_order": np.zeros((1, 2, 3))}
    write_arrays(run / "arrays.npz", arrays)
    holography_ship_chains(place / "tiny.yaml", run / "arrays.npz", file)
    assert sorted(read_arrays(file)) == ["field", "tuned"]
    write_arrays(run / "arrays.npz", {"order": np.zeros(3)})
    with pytest.raises(ArtifactError, match="lacks the array 'field'"):
        holography_ship_chains(place / "tiny.yaml", run / "arrays.npz", place / "other.npz")
    assert not (place / "other.npz").exists()
