"""A training that was killed anywhere goes on and ends with the same numbers."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import toys
from toys import WALK, Cliff, Lines, adam, assert_same, marquardt, run

import emergence
from emergence import artifacts, checkpoints, training
from emergence.errors import ArtifactError
from emergence.weights import read_weights, write_weights


class Killed(BaseException):
    """Not an Exception: nothing may catch it."""


@pytest.fixture
def kill_at(monkeypatch):
    """Ends the process, as far as the training can tell, after so many chunks."""

    def arm(chunks):
        left = [chunks]
        advance = training.Progress.advance

        def advance_or_die(self, done, note):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            advance(self, done, note)

        monkeypatch.setattr(training.Progress, "advance", advance_or_die)
        return lambda: monkeypatch.setattr(training.Progress, "advance", advance)

    return arm


WALK_AND_STAY = [WALK, adam(120, rate=1e-3)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Two stages, and what they end with when nothing happens."""
    stages = [adam(230), marquardt(2, window=2)]
    return stages, run(Lines(), stages, tmp_path_factory.mktemp("undisturbed"))


class TestResuming:
    # The 13 chunks are 12 of the first stage and 1; saved after the 5th and the 10th.
    @pytest.mark.parametrize("chunks", [2, 8, 13])
    def test_a_killed_run_ends_with_the_same_numbers(
        self, tmp_path, capsys, kill_at, undisturbed, chunks
    ):
        stages, expected = undisturbed
        revive = kill_at(chunks)
        with pytest.raises(Killed):
            run(Lines(), stages, tmp_path, checkpoint_seconds=0.0)
        revive()
        saved = (tmp_path / "checkpoint").is_dir()
        assert saved == (chunks > 5)
        assert_same(run(Lines(), stages, tmp_path), expected)
        assert ("Toy: continuing from stage" in capsys.readouterr().err) == saved

    @pytest.mark.parametrize("chunks", [9, 12])
    def test_so_does_one_killed_among_restarts(self, tmp_path, kill_at, chunks):
        expected = run(Cliff(1.45), WALK_AND_STAY, tmp_path / "undisturbed")
        revive = kill_at(chunks)
        with pytest.raises(Killed):
            run(Cliff(1.45), WALK_AND_STAY, tmp_path, checkpoint_seconds=0.0)
        revive()
        assert_same(run(Cliff(1.45), WALK_AND_STAY, tmp_path), expected)

    def test_so_does_one_killed_while_it_writes_a_checkpoint(
        self, tmp_path, monkeypatch, undisturbed
    ):
        stages, expected = undisturbed
        write, calls = artifacts.write_numbers, []

        def write_or_die(path, numbers):
            calls.append(path)
            if len(calls) == 2:
                Path(path).write_text('{"identity": "half')
                raise Killed
            write(path, numbers)

        monkeypatch.setattr(artifacts, "write_numbers", write_or_die)
        with pytest.raises(Killed):
            run(Lines(), stages, tmp_path, checkpoint_seconds=0.0)
        monkeypatch.setattr(artifacts, "write_numbers", write)
        assert_same(run(Lines(), stages, tmp_path), expected)
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]

    def test_checkpoints_change_no_number(self, tmp_path, undisturbed):
        stages, expected = undisturbed
        assert_same(run(Lines(), stages, tmp_path, checkpoint_seconds=0.0), expected)

    def test_a_finished_run_is_not_run_again(self, tmp_path, capsys):
        stages = [adam(30), adam(20, window=2)]
        first = run(Lines(), stages, tmp_path)
        problem = Lines()
        assert_same(run(problem, stages, tmp_path), first)
        assert problem.drawn == []
        assert "continuing from stage 3, step 0" in capsys.readouterr().err

    def test_the_checkpoint_holds_what_the_run_returns(self, tmp_path):
        trained = run(Lines(), [adam(20)], tmp_path)
        weights, numbers = read_weights(tmp_path / "checkpoint")
        assert np.array_equal(weights["p/slope"], trained.parameters["slope"])
        assert numbers["position"]["stage"] == 1
        assert len(numbers["position"]["history"]) == 3

    @pytest.mark.parametrize("change", ["identity", "stages"])
    def test_of_another_identity_it_starts_again_and_says_so(self, tmp_path, capsys, change):
        before = {"identity": "one"} if change == "identity" else {}
        run(Lines(), [adam(40)], tmp_path, **before)
        capsys.readouterr()
        after = {"identity": "two"} if change == "identity" else {}
        stages = [adam(40)] if change == "identity" else [adam(40, rate=0.05)]
        again = run(Lines(), stages, tmp_path, **after)
        assert "the checkpoint is of other settings and is not continued" in capsys.readouterr().err
        assert_same(again, run(Lines(), stages, tmp_path / "fresh", **after))
        # And the new one is now the checkpoint.
        assert read_weights(tmp_path / "checkpoint")[0]["p/slope"].tobytes() == (
            again.parameters["slope"].tobytes()
        )

    def test_of_a_corrupt_checkpoint_it_starts_again_and_says_so(self, tmp_path, capsys):
        expected = run(Lines(), [adam(40)], tmp_path)
        data = next((tmp_path / "checkpoint").glob("weights.data*"))
        data.write_bytes(data.read_bytes()[:20])
        capsys.readouterr()
        assert_same(run(Lines(), [adam(40)], tmp_path), expected)
        told = capsys.readouterr().err
        assert "the checkpoint cannot be read and is not continued" in told
        assert "continuing" not in told

    @pytest.mark.parametrize(
        "numbers",
        [
            {},
            {"identity": "same"},
            {"identity": "same", "position": {"stage": 1, "strange": 2}},
            {"identity": "same", "position": [1, 2]},
            {"identity": "same", "position": None},
        ],
    )
    def test_numbers_that_lack_the_position_are_not_continued(self, tmp_path, capsys, numbers):
        write_weights(tmp_path / "checkpoint", {"p/x": np.zeros(2)}, numbers)
        assert checkpoints.resume(tmp_path / "checkpoint", "same", "Toy", [40]) == (None, None)
        assert "is not continued" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "forged", [{"stage": 9}, {"stage": 2}, {"stage": 1, "step": 41}, {"stage": 0, "step": 40}]
    )
    def test_a_position_outside_of_the_training_is_not_continued(self, tmp_path, capsys, forged):
        stages = [adam(40), adam(40)]
        expected = run(Lines(), stages, tmp_path / "fresh")
        run(Lines(), [adam(40), adam(40)], tmp_path)
        weights, numbers = read_weights(tmp_path / "checkpoint")
        start = {name: np.zeros_like(value) for name, value in weights.items()}
        numbers["position"] |= {"step": 0, "history": numbers["position"]["history"][:1]} | forged
        write_weights(tmp_path / "checkpoint", start, numbers)
        capsys.readouterr()
        assert_same(run(Lines(), stages, tmp_path), expected)
        told = capsys.readouterr().err
        assert "a training of 2 stages cannot" in told
        assert "continuing" not in told

    def test_a_folder_that_cannot_be_written_is_told(self, tmp_path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(ArtifactError) as caught:
            run(Lines(), [adam(20)], tmp_path / "file")
        assert caught.value.exit_status == 3

    def test_short_stages_are_saved_as_often_as_one_long_one(self, tmp_path, monkeypatch):
        now, saves = [0.0], []
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        monkeypatch.setattr(
            training.Progress, "advance", lambda *_: now.__setitem__(0, now[0] + 4.0)
        )
        monkeypatch.setattr(checkpoints, "write_weights", lambda *_: saves.append(now[0]))
        run(Lines(), [adam(100)] * 3, tmp_path, checkpoint_seconds=30.0)
        assert len(saves) == 2


LONG = [adam(6000), adam(400, window=2)]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="This system has no SIGKILL.")
def test_a_process_killed_anywhere_ends_with_the_same_numbers(tmp_path):
    folder = tmp_path / "killed"
    sources = [Path(emergence.__file__).parents[1], Path(toys.__file__).parent]
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder)],
        # Compiled as here: otherwise it rounds otherwise.
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sources))},
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not (folder / "checkpoint").is_dir():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 1.0))
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    expected = run(Lines(), LONG, tmp_path / "undisturbed")
    assert_same(run(Lines(), LONG, folder), expected)


if __name__ == "__main__":
    # Slowly enough that the kill comes in time on any machine.
    training.Progress.advance = lambda *_: time.sleep(0.005)
    run(Lines(), LONG, Path(sys.argv[1]), checkpoint_seconds=0.0)
