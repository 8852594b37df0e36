"""Trainings that are over: kept whole, taken without a step, refused where they are others."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from emergence import finished, training
from emergence.errors import ArtifactError
from emergence.settings import Stage
from emergence.training import train

STAGES = [
    Stage(update="adam", steps=30, batch=4, window=3, rate=0.1, candidates=2),
    Stage(update="adam", steps=20, batch=4, window=3, rate=0.05),
]


class Line:
    """A slope per seed, in single precision."""

    def __init__(self, length=2):
        self.length = length

    def initial_parameters(self, candidates):
        return {"slope": np.zeros((3 * candidates, self.length), np.float32)}

    def draw(self, seed, batch, window):
        return (tf.random.stateless_normal([3, batch, window, self.length], seed),)

    def objective(self, parameters, batch):
        error = tf.einsum("snwp,sp->snw", batch[0], parameters["slope"] - 1.0)
        loss = tf.reduce_mean(error**2, axis=[1, 2])
        return loss, loss


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder of checkpoints, what the training returned)."""
    folder = tmp_path_factory.mktemp("checkpoints")
    run = train(Line(), STAGES, seed=3, title="line", checkpoint=folder / "a", identity="mine")
    return folder, run


@pytest.fixture
def kept(trained, tmp_path):
    """The trainings as they come back from their file."""
    finished.write(tmp_path / "trained.npz", finished.collect(trained[0]))
    return finished.read(tmp_path / "trained.npz")


@pytest.fixture
def forbid(monkeypatch):
    """No step may be taken."""

    def taken(*_):
        raise AssertionError("It trains.")

    monkeypatch.setattr(training, "_run_stage", taken)


def take(kept, problem=None, **changes):
    given = {"seed": 3, "title": "line", "identity": "mine"} | changes
    return train(problem or Line(), STAGES, checkpoint=changes.pop("checkpoint", None) or NOWHERE,
                 finished=kept, **given)  # fmt: skip


class _Nowhere:
    """A checkpoint's folder of which nothing but the name may be asked."""

    name = "a"


NOWHERE = _Nowhere()


def test_what_is_kept_is_what_the_training_returned(trained, kept):
    run = trained[1]
    assert kept.keys() == {"a"}
    np.testing.assert_array_equal(kept["a"].parameters["slope"], run.parameters["slope"])
    assert kept["a"].parameters["slope"].dtype == np.float32
    pd.testing.assert_frame_equal(kept["a"].history, run.history, check_exact=True)


def test_a_folder_that_is_a_checkpoint_itself_is_one_training(trained):
    assert finished.collect(trained[0] / "a").keys() == {"a"}


def test_taken_it_gives_the_same_numbers_without_a_step_and_says_so(trained, kept, forbid, capsys):
    run, again = trained[1], take(kept)
    np.testing.assert_array_equal(again.parameters["slope"], run.parameters["slope"])
    np.testing.assert_array_equal(again.loss, run.loss)
    pd.testing.assert_frame_equal(again.history, run.history, check_exact=True)
    assert np.isnan(again.seconds_per_step)
    told = capsys.readouterr()
    assert "nothing is trained" in told.out + told.err


def test_other_rounding_of_what_it_starts_from_does_not_matter(kept, forbid):
    take(kept, inputs="rounded by another processor")


@pytest.mark.parametrize("change", [{"identity": "theirs"}, {"stages": STAGES[:1]}])
def test_of_other_settings_it_is_refused(kept, forbid, change):
    stages, identity = change.get("stages", STAGES), change.get("identity", "mine")
    with pytest.raises(ArtifactError, match=r"line: .* trained with other settings\. Take"):
        train(Line(), stages, seed=3, title="line", checkpoint=NOWHERE, identity=identity,
              finished=kept)  # fmt: skip


def test_of_another_network_it_is_refused(kept, forbid):
    with pytest.raises(ArtifactError, match=r"another network: slope has the shape \(3, 2\), not"):
        take(kept, Line(length=5))


def test_what_is_not_finite_is_refused(kept, forbid):
    kept["a"].parameters["slope"][1, 0] = np.nan
    with pytest.raises(ArtifactError, match="not finite"):
        take(kept)


def test_a_training_that_is_not_there_is_never_run(kept, forbid):
    with pytest.raises(ArtifactError, match="hold no training 'a'"):
        take({"b": kept["a"]})


def test_without_a_checkpoint_there_is_nothing_to_keep(tmp_path):
    with pytest.raises(ArtifactError, match="no checkpoint"):
        finished.collect(tmp_path)


@pytest.mark.parametrize("lost", ["a/identity", "a/history/loss", "a/p/slope"])
def test_a_file_that_lacks_a_part_is_told(kept, tmp_path, lost):
    from emergence.artifacts import read_arrays, write_arrays

    arrays = read_arrays(tmp_path / "trained.npz")
    arrays = {k: v for k, v in arrays.items() if k != lost}
    if lost == "a/history/loss":
        arrays |= {"a/history/loss": np.zeros(2)}
    write_arrays(tmp_path / "other.npz", arrays)
    with pytest.raises(ArtifactError, match="no finished training 'a'"):
        finished.read(tmp_path / "other.npz")


def test_the_same_trainings_give_the_same_bytes_and_compressed_fewer(kept, tmp_path):
    long = dataclasses.replace(kept["a"], parameters={"slope": np.zeros(10_000)})
    for name, compressed in (("one", True), ("two", True), ("plain", False)):
        finished.write(tmp_path / f"{name}.npz", {"a": long}, compressed)
    one, two, plain = ((tmp_path / f"{n}.npz").read_bytes() for n in ("one", "two", "plain"))
    assert one == two
    assert len(one) < len(plain) / 10
