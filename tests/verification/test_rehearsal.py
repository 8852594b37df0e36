"""What a scale costs is told from a few steps of each flow, at its own batch."""

from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import yaml

from emergence.artifacts import read_table
from emergence.errors import HostError, SettingsError
from emergence.verification import rehearsal
from emergence.verification.rehearsal import Timed, Training


@pytest.fixture
def settings(tmp_path, build_settings):
    """Settings of two flows, one of two stages."""
    content = build_settings()
    chosen = content["holography"]
    first = {"update": "adam", "steps": 100, "batch": 8, "candidates": 4}
    chosen["stages"]["long"] = [first, {"update": "adam", "steps": 500, "batch": 16}]
    chosen["flows"]["disc"]["sizes"] = {2: "long", 4: "brief"}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return tmp_path / "tiny.yaml"


@pytest.fixture
def timed(monkeypatch):
    """Takes the place of running: what each training takes, on a device that a test may change."""
    found = {("disc", 2): 0.5, ("disc", 4): 2.0, ("line", 2): 1.0}

    class Pool(Executor):
        device = "CPU (1 thread)"
        killed = ()

        def __init__(self, *_, **__): ...

        def Lock(self): ...

        def submit(self, _, training, alone):
            answer, name = Future(), (training.flow, training.side)
            if name in self.killed:
                answer.set_exception(BrokenProcessPool())
            else:
                answer.set_result(Timed(self.device, found[name], 2.0))
            return answer

    context = type("Context", (), {"Manager": Pool})()
    monkeypatch.setattr(rehearsal.multiprocessing, "get_context", lambda _: context)
    monkeypatch.setattr(rehearsal, "ProcessPoolExecutor", Pool)
    return Pool


def test_every_side_of_every_flow_is_timed_or_of_those_named(settings):
    names = [(each.flow, each.side) for each in rehearsal.trainings(settings)]
    assert names == [("disc", 2), ("disc", 4), ("line", 2)]
    assert [each.flow for each in rehearsal.trainings(settings, ["line"])] == ["line"]
    with pytest.raises(SettingsError, match=r"no flow named 'lime' at scale tiny\. Choose among: "):
        rehearsal.trainings(settings, ["line", "lime"])


def test_all_stages_are_counted_by_their_batches_and_candidates(settings, tmp_path, timed):
    frame = rehearsal.rehearse(rehearsal.trainings(settings), tmp_path / "steps.csv")
    row = frame[(frame["flow"] == "disc") & (frame["side"] == 2)].iloc[0]
    # 100 steps of four candidates of half the batch are 200 of the last stage's.
    assert row["hours"] == pytest.approx(0.5 * 700 / 3600)
    assert (row["steps"], row["batch"], row["memory_gib"]) == (600, 16, 2.0)
    lines = rehearsal.steps_table(frame).splitlines()
    assert lines[0] == "CPU (1 thread):"
    assert "processor seconds" in lines[2]
    assert lines[4] == "| disc | 2 | 16 | 0.5 | 600 | 0.097 | 2.0 GiB |"
    assert lines[-1].startswith("| all | | | | 606 | ")


def test_the_record_keeps_other_devices_and_replaces_its_own(settings, tmp_path, timed):
    record = tmp_path / "steps.csv"
    chosen = rehearsal.trainings(settings)
    rehearsal.rehearse(chosen, record)
    timed.device = "NVIDIA H100 80GB HBM3"
    for _ in range(2):
        rehearsal.rehearse(chosen[:1], record)
    known = read_table(record)
    assert known["device"].tolist() == ["CPU (1 thread)"] * 3 + ["NVIDIA H100 80GB HBM3"]
    assert known.columns.tolist() == rehearsal.COLUMNS
    tables = rehearsal.steps_table(known).split("\n\n")
    assert len(tables) == 4
    assert "| seconds of a step |" in tables[3]


def test_a_killed_process_is_one_sentence_and_loses_nothing(settings, tmp_path, timed):
    timed.killed = (("disc", 4),)
    with pytest.raises(
        HostError, match=r"time disc 4, .* was killed\. Free memory or lower --jobs; "
    ):
        rehearsal.rehearse(rehearsal.trainings(settings), tmp_path / "steps.csv")
    assert read_table(tmp_path / "steps.csv")["side"].tolist() == [2]


def test_nothing_measured_is_said_so(settings, tmp_path, timed):
    frame = rehearsal.rehearse(rehearsal.trainings(settings), tmp_path / "steps.csv")
    assert rehearsal.steps_table(frame.iloc[:0]) == "Not measured yet."


@pytest.mark.slow
def test_a_training_is_compiled_and_timed_in_a_process_of_its_own(settings, tmp_path):
    (row,) = rehearsal.rehearse(
        [Training(settings, "disc", 2)], tmp_path / "steps.csv"
    ).itertuples()
    assert row.device.startswith("CPU")
    assert 0.0 < row.seconds_per_step < 5.0
    assert 0.1 < row.memory_gib < 8.0


def test_every_flow_of_the_paper_scale_was_timed():
    """Where it fails: `make rehearse ARGS="--flow NAME"`."""
    house = Path(__file__).parents[2]
    steps = rehearsal.read_steps(house / "config/steps.csv")
    steps = steps[steps["scale"] == "paper"]
    timed = set(zip(steps["flow"], steps["side"], strict=True))
    wanted = {(one.flow, one.side) for one in rehearsal.trainings(house / "config/paper.yaml")}
    assert timed == wanted
