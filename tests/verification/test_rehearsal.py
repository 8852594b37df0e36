"""What a scale costs is told from a few steps of each flow, at its own batch."""

import pytest
import yaml

from emergence.artifacts import read_table, write_numbers
from emergence.errors import ArtifactError
from emergence.settings import load
from emergence.verification import rehearsal


@pytest.fixture
def place(tmp_path, build_settings):
    """Settings of two flows, one of two stages, and what a rehearsal of them leaves."""
    content = build_settings()
    chosen = content["holography"]
    first = {"update": "adam", "steps": 100, "batch": 8, "candidates": 4}
    chosen["stages"]["long"] = [first, {"update": "adam", "steps": 500, "batch": 16}]
    chosen["flows"]["disc"]["sizes"] = {2: "long", 4: "brief"}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    for flow, side, pace in (("disc", 2, 0.5), ("disc", 4, 2.0), ("line", 2, 1.0)):
        job = f"holography/flows/{flow}/{side}"
        write_numbers(tmp_path / f"results/{job}/timing.json", {"seconds_per_step": pace})
        path = tmp_path / f"results/holography/benchmarks/flows/{flow}/{side}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("s\tcpu_time\tmax_rss\n9\t9\t2048\n")
    return tmp_path


def test_only_the_flows_are_trained_and_briefly(place):
    lines = rehearsal.plan(place / "tiny.yaml", place / "results")
    assert lines == [
        "3 trainings of flows at scale tiny are run for 25 steps each; most of the time is "
        "compilation."
    ]
    planned = load(place / "results/settings.yaml")
    assert planned.scale == "rehearsal"
    assert not planned.introspection.translators
    assert not planned.retraining.chains
    (stage,) = planned.holography.stages["long"]
    assert (stage.steps, stage.batch, stage.candidates) == (25, 16, 1)
    assert planned.holography.samples == planned.holography.chunk
    targets = (place / "results/targets.txt").read_text().split()
    assert [t.removeprefix(f"{place}/results/holography/flows/") for t in targets] == [
        "disc/2/timing.json",
        "disc/4/timing.json",
        "line/2/timing.json",
    ]


def test_all_stages_are_counted_by_their_batches_and_candidates(place):
    frame = rehearsal.measure(place / "tiny.yaml", place / "results", place / "steps.csv")
    row = frame[(frame["flow"] == "disc") & (frame["side"] == 2)].iloc[0]
    # 100 steps of four candidates of half the batch are 200 of the last stage's.
    assert row["hours"] == pytest.approx(0.5 * 700 / 3600)
    assert row["steps"] == 600
    assert row["memory_gib"] == 2.0
    lines = rehearsal.steps_table(frame).splitlines()
    assert lines[2] == "| disc | 2 | 16 | 0.5 | 600 | 0.097 | 2.0 GiB |"
    assert lines[-1].startswith("| all | | | | 606 | ")


def test_the_record_keeps_other_scales_and_replaces_its_own(place):
    record = place / "steps.csv"
    rehearsal.measure(place / "tiny.yaml", place / "results", record)
    text = record.read_text().replace("tiny", "other")
    record.write_text(text)
    for _ in range(2):
        rehearsal.measure(place / "tiny.yaml", place / "results", record)
    assert read_table(record)["scale"].tolist() == ["other"] * 3 + ["tiny"] * 3


def test_a_training_without_a_time_is_one_sentence(place):
    path = place / "results/holography/flows/line/2/timing.json"
    write_numbers(path, {"seconds_per_step": None})
    with pytest.raises(ArtifactError, match=r"flows/line/2 told no time\. Delete its folder"):
        rehearsal.measure(place / "tiny.yaml", place / "results", place / "steps.csv")
    path.unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        rehearsal.measure(place / "tiny.yaml", place / "results", place / "steps.csv")
