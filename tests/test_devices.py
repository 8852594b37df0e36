"""Two devices that share every batch: the numbers of one to rounding, or a sentence why not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from emergence import artifacts, devices, training
from emergence.errors import SettingsError
from emergence.settings import Stage

STAGES = [
    {"update": "adam", "steps": 30, "batch": 4, "window": 8, "candidates": 2, "ridge": 1e-6},
    # The rest of a training stays on one device and takes over from two.
    {"update": "levenberg_marquardt", "steps": 2, "batch": 4, "window": 8},
]


class Translators:
    """The stage `emergence introspection translator`, on so many logical devices."""

    def __init__(self, folder: Path, content: dict) -> None:
        self.folder, self.content = folder, content
        self.data = folder / "waves.npz"
        self.call(1, "data", "--dataset", "waves", "--output", self.data)

    def call(self, count: int, *arguments) -> subprocess.CompletedProcess:
        settings = self.folder / f"{count}.yaml"
        settings.write_text(yaml.safe_dump(self.content | {"devices": count}))
        command = [sys.executable, "-m", "emergence.cli", "introspection", *map(str, arguments)]
        return subprocess.run(
            [*command, "--settings", settings], capture_output=True, text=True, timeout=170
        )

    def train(self, count: int) -> tuple[subprocess.CompletedProcess, Path]:
        output = self.folder / f"on-{count}"
        done = self.call(
            *(count, "translator", "--arm", "free", "--data", self.data, "--output", output)
        )
        return done, output


@pytest.fixture(scope="module")
def translators(build_settings, tmp_path_factory):
    content = build_settings()
    content["introspection"]["stages"]["short"] = STAGES
    content["introspection"]["translators"]["free"]["hidden"] = [3]
    return Translators(tmp_path_factory.mktemp("devices"), content)


@pytest.mark.slow
def test_two_devices_give_the_numbers_of_one_to_rounding(translators):
    found = {}
    for count in (1, 2):
        done, output = translators.train(count)
        assert done.returncode == 0, done.stderr
        found[count] = artifacts.read_arrays(output / "arrays.npz")
        found[count]["history"] = artifacts.read_table(output / "history.csv", ("loss",))["loss"]
    assert found[1].keys() == found[2].keys()
    for name, value in found[1].items():
        if np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(found[2][name], value, rtol=1e-8, atol=1e-10, err_msg=name)
    same = [np.array_equal(found[1][name], found[2][name]) for name in found[1] if "/p/" in name]
    assert not all(same), "Bit for bit would mean that nothing was shared."


def test_a_batch_that_cannot_be_shared_is_refused_in_one_sentence(translators):
    done, output = translators.train(3)
    assert done.returncode == SettingsError.exit_status
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("emergence: ")]
    assert "A batch of 4 cannot be shared among 3 devices." in sentence
    assert "multiples of the key devices" in sentence
    assert not (output / "arrays.npz").exists()


@pytest.fixture
def two():
    devices.want(2)
    yield
    devices.want(1)


class Sampled:
    """A problem that draws from its own network, as retraining does: it says so by `scores`."""

    def initial_parameters(self, candidates):
        return {"place": np.array([[1.0], [2.0]])}

    def draw(self, seed, batch, window):
        return (tf.tile(seed[None], [2, 1]),)

    def objective(self, parameters, batch):
        loss = parameters["place"][:, 0] ** 2
        return loss, loss

    def scores(self, parameters, batch):
        raise AssertionError("Adam asks for no scores.")


def test_who_draws_from_the_network_stays_on_one_device(two, tmp_path):
    """There is one device in this process: sharing would fail."""
    stage = Stage(update="adam", steps=20, batch=8, window=1, rate=0.1)
    trained = training.train(
        Sampled(), [stage], seed=1, title="Toy", checkpoint=tmp_path / "checkpoint"
    )
    assert (trained.loss < [1.0, 4.0]).all()


def test_fewer_gpus_than_asked_for_is_one_sentence(two, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind=None: ["the only GPU"])
    with pytest.raises(SettingsError, match="ask for 2 devices, but there are 1 GPUs") as refusal:
        devices.prepare()
    assert "Set devices to 1" in str(refusal.value)


def test_a_checkpoint_of_another_number_of_devices_is_not_continued(tmp_path, capsys):
    stage = Stage(update="adam", steps=20, batch=8, window=1, rate=0.1)
    options = {"seed": 1, "title": "Toy", "checkpoint": tmp_path / "checkpoint"}
    training.train(Sampled(), [stage], **options)
    devices.want(2)
    try:
        training.train(Sampled(), [stage], **options)
    finally:
        devices.want(1)
    assert "is of other settings" in capsys.readouterr().err


def test_processors_are_those_that_this_process_may_use(monkeypatch):
    assert 1 <= devices.usable_processors() <= os.cpu_count()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert devices.usable_processors() == 2


def test_capabilities_are_read_as_tensorflow_names_them():
    assert devices.capability("sm_60") == (6, 0)
    assert devices.capability("compute_90") == (9, 0)
    assert devices.capability("sm_100") == (10, 0)


class TestUnsupportedGpu:
    @pytest.fixture
    def hidden(self, monkeypatch):
        """GPUs by name and capability → those kept, and what TensorFlow was told to show."""

        def hidden(**capabilities):
            shown = []
            details = {
                name: {"device_name": name} | ({"compute_capability": has} if has else {})
                for name, has in capabilities.items()
            }
            built = {"cuda_compute_capabilities": ["sm_60", "sm_89", "compute_90"]}
            monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: built)
            monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(details))
            monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
            monkeypatch.setattr(
                tf.config, "set_visible_devices", lambda gpus, kind: shown.append((gpus, kind))
            )
            return devices.hide_unsupported(), shown

        return hidden

    def test_is_hidden_with_one_sentence(self, hidden, capsys):
        kept, shown = hidden(K80=(3, 7), P100=(6, 0))
        assert kept == ["P100"]
        assert shown == [(["P100"], "GPU")]
        told = capsys.readouterr().err
        assert "K80 has compute capability 3.7, but TensorFlow is built for 6.0 and later" in told
        assert told.count("\n") == 1

    def test_alone_leaves_the_processor(self, hidden):
        assert hidden(K80=(3, 7)) == ([], [([], "GPU")])

    def test_what_is_supported_or_unknown_stays(self, hidden, capsys):
        assert hidden(H100=(9, 0), odd=None) == (["H100", "odd"], [])
        assert capsys.readouterr().err == ""


def test_work_is_charged_to_the_processor_unless_a_gpu_does_it(monkeypatch):
    began = devices.clock()
    time.sleep(0.3)
    assert devices.clock() - began < 0.25
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    began = devices.clock()
    time.sleep(0.3)
    assert devices.clock() - began >= 0.3
