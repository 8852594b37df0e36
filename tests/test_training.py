"""The training loop on toys: it converges, guards, selects, and survives being killed anywhere."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import emergence
from emergence import artifacts, training
from emergence.errors import ArtifactError, DivergenceError
from emergence.settings import Stage
from emergence.training import train
from emergence.weights import read_weights, write_weights

NEVER = 1e9
"""Seconds between checkpoints, where only the one at the end is wanted."""


def adam(steps, **options):
    return Stage(
        **{"update": "adam", "steps": steps, "batch": 4, "window": 3, "rate": 0.1} | options
    )


def marquardt(steps, **options):
    return adam(steps, **{"update": "levenberg_marquardt", "damping": 1e-8} | options)


class Lines:
    """Linear least squares without noise: every seed has its own line to find."""

    truth = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25]])

    def __init__(self, start=None):
        self.start = np.zeros_like(self.truth) if start is None else np.asarray(start, float)
        self.drawn = []

    def initial_parameters(self, candidates):
        return {"slope": np.repeat(self.start, candidates, axis=0)}

    def draw(self, seed, batch, window):
        self.drawn.append((batch, window))
        shape = [len(self.truth), batch, window, 2]
        design = tf.random.stateless_normal(shape, seed, dtype=tf.float64)
        return design, tf.einsum("snwp,sp->snw", design, tf.constant(self.truth))

    def residuals(self, parameters, batch):
        error = tf.einsum("snwp,sp->snw", batch[0], parameters["slope"]) - batch[1]
        return tf.reshape(error, [error.shape[0], -1])

    def objective(self, parameters, batch):
        loss = tf.reduce_mean(self.residuals(parameters, batch) ** 2, axis=1)
        return loss, loss


class Still(Lines):
    """Losses that are what the starts say: the better the candidate, the lower its number."""

    values = np.array([[3.0, 1.0, 2.0, 4.0], [0.4, 0.3, 0.1, 0.2], [5.0, 8.0, 7.0, 6.0]])

    def initial_parameters(self, candidates):
        return {"value": self.values[:, :candidates].reshape(-1, 1)}

    def objective(self, parameters, batch):
        loss = tf.reduce_sum(parameters["value"], axis=1)
        return 1e-9 * loss, loss


class Cliff(Lines):
    """Two seeds that walk to the right, one step of the rate each; beyond the edge there is NaN."""

    def __init__(self, edge):
        super().__init__()
        self.edge = edge

    def initial_parameters(self, candidates):
        return {"place": np.array([[0.0], [-0.2]])}

    def draw(self, seed, batch, window):
        return (tf.random.stateless_normal([2, batch, window], seed, dtype=tf.float64),)

    def objective(self, parameters, batch):
        place = parameters["place"][:, 0]
        loss = tf.where(place > self.edge, tf.constant(np.nan, place.dtype), 10.0 - place)
        return loss, loss


def run(problem, stages, folder, **options):
    options = {"seed": 5, "title": "Toy", "checkpoint_seconds": NEVER} | options
    return train(problem, stages, checkpoint=folder / "checkpoint", **options)


def assert_same(one, other):
    """Bit for bit."""
    assert one.parameters.keys() == other.parameters.keys()
    for name, value in one.parameters.items():
        assert value.tobytes() == other.parameters[name].tobytes()
    assert one.loss.tobytes() == other.loss.tobytes()
    pd.testing.assert_frame_equal(one.history, other.history, check_exact=True)


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


class TestConvergence:
    def test_adam_finds_every_line(self, tmp_path):
        trained = run(Lines(), [adam(300)], tmp_path)
        np.testing.assert_allclose(trained.parameters["slope"], Lines.truth, atol=1e-3)
        assert trained.loss.shape == (3,)
        assert np.all(trained.loss < 1e-5)

    def test_levenberg_marquardt_finds_them_in_two_steps(self, tmp_path):
        trained = run(Lines(), [marquardt(2)], tmp_path)
        np.testing.assert_allclose(trained.parameters["slope"], Lines.truth, atol=1e-12)
        assert np.all(trained.loss < 1e-24)

    def test_adam_alone_does_not_in_two(self, tmp_path):
        assert np.all(run(Lines(), [adam(2)], tmp_path).loss > 0.1)

    def test_the_history_has_a_line_per_seed_and_chunk(self, tmp_path):
        trained = run(Lines(), [adam(50), marquardt(3, window=2)], tmp_path)
        history = trained.history
        assert list(history.columns) == ["stage", "window", "step", "seed", "loss"]
        assert history["step"].tolist() == np.repeat([20, 40, 50, 53], 3).tolist()
        assert history["seed"].tolist() == [0, 1, 2] * 4
        assert history["stage"].tolist() == [0] * 9 + [1] * 3
        assert history["window"].tolist() == [3] * 9 + [2] * 3
        assert np.array_equal(history["loss"].tail(3), trained.loss)

    def test_the_same_seed_gives_the_same_bits_and_another_does_not(self, tmp_path):
        one, same, other = (
            run(Lines(), [adam(40)], tmp_path / name, seed=seed)
            for name, seed in [("one", 5), ("same", 5), ("other", 6)]
        )
        assert_same(one, same)
        assert not np.array_equal(one.loss, other.loss)

    def test_levenberg_marquardt_needs_residuals(self, tmp_path):
        class Bare(Lines):
            residuals = property()

        with pytest.raises(TypeError, match="residuals"):
            run(Bare(), [marquardt(1)], tmp_path)

    def test_says_how_it_goes(self, tmp_path, capsys):
        run(Lines(), [adam(20)], tmp_path)
        assert "Toy: done in" in capsys.readouterr().err


class TestCurriculum:
    def test_each_stage_draws_its_own_windows_and_batches(self, tmp_path):
        problem = Lines()
        stages = [adam(20, window=2, batch=3), adam(20, window=5, batch=2), marquardt(1, window=7)]
        run(problem, stages, tmp_path)
        assert list(dict.fromkeys(problem.drawn)) == [(3, 2), (2, 5), (4, 7)]

    def test_a_stage_starts_where_the_last_one_ended(self, tmp_path):
        first = run(Lines(), [adam(60)], tmp_path / "first")
        still = adam(20, rate=1e-12)
        both = run(Lines(), [adam(60), still], tmp_path / "both")
        np.testing.assert_allclose(
            both.parameters["slope"], first.parameters["slope"], atol=1e-9, rtol=0
        )

    def test_every_step_has_its_own_batch_and_its_own_rate(self, tmp_path):
        class Reporting(Cliff):
            def objective(self, parameters, batch):
                loss, _ = super().objective(parameters, batch)
                return loss, tf.reduce_mean(batch[0], axis=[1, 2])

        stage = adam(50, rate=0.01, final_rate=0.2, clip_norm=1e3)
        trained = run(Reporting(np.inf), [stage, stage], tmp_path)
        # Six chunks of two seeds, and no batch twice.
        assert trained.history["loss"].nunique() == 12
        cosine = 0.5 * (1.0 + np.cos(np.pi * np.arange(50) / 50))
        walked = 2 * np.sum(0.01 * (0.2 + 0.8 * cosine))
        np.testing.assert_allclose(trained.parameters["place"][:, 0], [walked, walked - 0.2])


class TestCandidates:
    def test_the_best_of_each_seed_go_on(self, tmp_path):
        stages = [adam(20, rate=1e-12, candidates=n) for n in (4, 2, 1)]
        trained = run(Still(), stages, tmp_path)
        np.testing.assert_allclose(trained.parameters["value"][:, 0], [1.0, 0.1, 5.0], atol=1e-9)
        # The history tells the best candidate of each seed from the first stage on.
        for _, part in trained.history.groupby("stage"):
            np.testing.assert_allclose(part["loss"], [1.0, 0.1, 5.0], atol=1e-9)

    def test_more_than_one_may_go_on(self, tmp_path):
        stages = [adam(20, rate=1e-12, candidates=n) for n in (4, 2)]
        trained = run(Still(), stages, tmp_path)
        kept = trained.parameters["value"].reshape(3, 2)
        np.testing.assert_allclose(kept, [[1.0, 2.0], [0.1, 0.2], [5.0, 6.0]], atol=1e-9)

    def test_all_candidates_of_a_seed_see_the_same_batches(self, tmp_path):
        trained = run(Lines(), [adam(20, candidates=2)], tmp_path)
        slopes = trained.parameters["slope"].reshape(3, 2, 2)
        assert np.array_equal(slopes[:, 0], slopes[:, 1])
        assert not np.array_equal(slopes[0], slopes[1])

    def test_a_wild_start_of_one_seed_changes_no_other_under_adam(self, tmp_path):
        calm = run(Lines(), [adam(40)], tmp_path / "calm")
        wild = run(Lines([[0, 0], [1e4, -1e4], [0, 0]]), [adam(40)], tmp_path / "wild")
        for seed in (0, 2):
            assert np.array_equal(calm.parameters["slope"][seed], wild.parameters["slope"][seed])
            assert calm.loss[seed] == wild.loss[seed]
        assert wild.loss[1] > 1e4 * calm.loss[1]

    def test_a_seed_lost_from_the_start_changes_no_other_under_marquardt(self, tmp_path):
        calm = run(Lines(), [marquardt(3)], tmp_path / "calm")
        lost = run(Lines([[0, 0], [np.nan, 0], [0, 0]]), [marquardt(3)], tmp_path / "lost")
        for seed in (0, 2):
            assert np.array_equal(calm.parameters["slope"][seed], lost.parameters["slope"][seed])
            assert calm.loss[seed] == lost.loss[seed]
        assert not np.isfinite(lost.loss[1])

    def test_a_lost_candidate_is_left_behind(self, tmp_path):
        class HalfLost(Lines):
            def initial_parameters(self, candidates):
                slope = super().initial_parameters(candidates)["slope"]
                slope[::2] = np.nan
                return {"slope": slope}

        stages = [marquardt(2, candidates=2), marquardt(2)]
        trained = run(HalfLost(), stages, tmp_path)
        np.testing.assert_allclose(trained.parameters["slope"], Lines.truth, atol=1e-12)
        assert np.isfinite(trained.history["loss"]).all()


WALK = adam(300, rate=0.01, final_rate=1.0, clip_norm=1e3)
"""On the cliff: a hundredth per step, times what the guard leaves of the rate."""


class TestDivergence:
    def test_goes_back_to_the_start_with_half_the_rate_and_says_so(self, tmp_path, capsys):
        # At the full rate the edge is passed in step 12, at half of it not within 20.
        guarded = run(Cliff(0.11), [WALK.model_copy(update={"steps": 20})], tmp_path / "guarded")
        told = capsys.readouterr().err
        assert (
            "Toy: the loss became non-finite; restarting from step 0 of stage 1 with the rate "
            "times 0.5 (restart 1 of 3)." in told
        )
        assert "restart 2" not in told
        halved = WALK.model_copy(update={"steps": 20, "rate": 0.005})
        assert_same(guarded, run(Cliff(0.11), [halved], tmp_path / "halved"))

    def test_goes_back_to_the_last_good_point_as_often_as_three_times(self, tmp_path, capsys):
        trained = run(Cliff(1.45), [WALK], tmp_path)
        told = [line for line in capsys.readouterr().err.splitlines() if "non-finite" in line]
        assert [line.split("; ")[1] for line in told] == [
            "restarting from step 100 of stage 1 with the rate times 0.5 (restart 1 of 3).",
            "restarting from step 100 of stage 1 with the rate times 0.25 (restart 2 of 3).",
            "restarting from step 200 of stage 1 with the rate times 0.125 (restart 3 of 3).",
        ]
        # 100 steps of a hundredth, 100 of a quarter and 100 of an eighth of it.
        np.testing.assert_allclose(trained.parameters["place"][:, 0], [1.375, 1.175], atol=1e-6)
        history = trained.history
        assert history["step"].tolist() == np.repeat(np.arange(20, 301, 20), 2).tolist()
        assert np.isfinite(history["loss"]).all()

    def test_gives_up_after_the_third_restart(self, tmp_path, capsys):
        with pytest.raises(DivergenceError) as caught:
            run(Cliff(0.0), [WALK], tmp_path)
        assert caught.value.exit_status == 4
        assert "non-finite in stage 1 again after 3 restarts" in str(caught.value)
        assert "Lower the stage's rate" in caught.value.remedy
        assert "\n" not in str(caught.value)
        assert capsys.readouterr().err.count("restart ") == 3

    def test_the_next_stage_has_its_full_rate_and_all_its_restarts(self, tmp_path):
        short = WALK.model_copy(update={"steps": 20})
        trained = run(Cliff(0.15), [short, WALK.model_copy(update={"steps": 1})], tmp_path)
        # Half the rate for 20 steps, which the edge asks for, and one step at the full rate.
        np.testing.assert_allclose(trained.parameters["place"][0, 0], 0.11, atol=1e-7)


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
        assert training._resume(tmp_path / "checkpoint", "same", "Toy") == (None, None)
        assert "is not continued" in capsys.readouterr().err

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
        monkeypatch.setattr(training, "write_weights", lambda *_: saves.append(now[0]))
        run(Lines(), [adam(100)] * 3, tmp_path, checkpoint_seconds=30.0)
        assert len(saves) == 2


class TestWeights:
    weights = {  # noqa: RUF012
        "p/update": np.arange(6.0).reshape(1, 2, 3),
        "p/readout_bias_1": np.float32([1.5, -0.0]),
        "c/m/update": np.array(3, dtype=np.int64),
    }

    def test_come_back_bit_for_bit(self, tmp_path):
        numbers = {"loss": [0.1, 1e-300], "note": "é"}
        write_weights(tmp_path / "weights", self.weights, numbers)
        weights, read = read_weights(tmp_path / "weights")
        assert read == numbers
        assert weights.keys() == self.weights.keys()
        for name, value in self.weights.items():
            assert weights[name].dtype == value.dtype
            assert weights[name].shape == value.shape
            assert weights[name].tobytes() == value.tobytes()

    def test_missing(self, tmp_path):
        with pytest.raises(ArtifactError, match="missing"):
            read_weights(tmp_path / "weights")

    def test_any_damage_is_told_or_harmless(self, tmp_path):
        folder = tmp_path / "weights"
        write_weights(folder, self.weights, {"loss": 1.0})
        intact = {path: path.read_bytes() for path in sorted(folder.iterdir())}

        @settings(max_examples=100, deadline=None, database=None)
        @given(
            path=st.sampled_from(list(intact)),
            kind=st.sampled_from(["cut", "flip", "empty", "remove"]),
            share=st.floats(0, 1, exclude_max=True),
            bits=st.integers(1, 255),
        )
        def check(path, kind, share, bits):
            for other, content in intact.items():
                other.write_bytes(content)
            damaged = bytearray(intact[path])
            place = int(share * len(damaged))
            damaged[place] ^= bits
            if kind == "remove":
                path.unlink()
            else:
                path.write_bytes({"cut": damaged[:place], "flip": damaged, "empty": b""}[kind])
            try:
                weights, _ = read_weights(folder)
            except ArtifactError as error:
                assert "\n" not in str(error)
                assert str(folder) in str(error)
                assert "snakemake" in error.remedy
            else:
                # Such as the end of the data, which holds no weights.
                assert kind != "remove"
                for name, value in self.weights.items():
                    assert weights[name].tobytes() == value.tobytes()

        check()


LONG = [adam(6000), adam(400, window=2)]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="This system has no SIGKILL.")
def test_a_process_killed_anywhere_ends_with_the_same_numbers(tmp_path):
    folder = tmp_path / "killed"
    source = Path(emergence.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder)],
        env={"PYTHONPATH": str(source), "TF_CPP_MIN_LOG_LEVEL": "2"},
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
