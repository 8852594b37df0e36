"""A stage that is killed, interrupted or cannot write: no number changes, nothing half done."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from emergence import artifacts

LM = "levenberg_marquardt"
DEADLINE_S = 120
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def wait_for(condition: Callable[[], object], process: subprocess.Popen) -> None:
    """Until the condition holds; an error when the process ends before."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, f"It ended too early:\n{process.communicate()[1]}"
        assert time.monotonic() < deadline
        time.sleep(0.002)


def listing(folder: Path) -> list[str]:
    """Names of everything in a folder, hidden ones too."""
    return sorted(os.listdir(folder)) if folder.is_dir() else []


class Stage:
    """The stage `emergence introspection translator` of tiny settings, and its dataset."""

    RESULTS = ("arrays.npz", "history.csv", "weights")

    def __init__(self, folder: Path, settings: dict, environment: dict[str, str]) -> None:
        self.settings, self.data = folder / "settings.yaml", folder / "waves.npz"
        self.environment = environment
        self.settings.write_text(yaml.safe_dump(settings))
        self.make_data(self.data)

    def popen(self, *arguments) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "emergence.cli", "introspection", *map(str, arguments)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A test run in the background ignores Ctrl-C, and would hand that down.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def make_data(self, output: Path, status: int = 0) -> str:
        process = self.popen(
            *("data", "--dataset", "waves", "--settings", self.settings, "--output", output)
        )
        _, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == status, errors
        return errors

    def start(self, output: Path) -> subprocess.Popen:
        return self.popen(
            *("translator", "--arm", "free", "--data", self.data),
            *("--settings", self.settings, "--output", output),
        )

    def finish(self, output: Path, status: int = 0) -> str:
        """Run it to its end; what it said on standard error, TensorFlow's start-up left out."""
        process = self.start(output)
        _, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == status, errors
        return said(errors)


def said(errors: str) -> str:
    lines = errors.splitlines(keepends=True)
    return "".join(line for line in lines if not re.match(r"WARNING: All log|[IW]\d{4} ", line))


@pytest.fixture(scope="module")
def stage(tmp_path_factory, build_settings, environment) -> Stage:
    settings = build_settings() | {"checkpoint_seconds": 0}
    system = settings["introspection"]
    system["translators"]["free"]["hidden"] = [2, 3]
    system["stages"]["short"] = [
        {"update": "adam", "steps": 600, "batch": 4, "window": 8, "candidates": 2},
        {"update": LM, "steps": 120, "batch": 8, "window": 10, "ridge": 1e-6},
    ]
    return Stage(tmp_path_factory.mktemp("stage"), settings, environment())


@pytest.fixture(scope="module")
def undisturbed(stage, tmp_path_factory) -> Path:
    """The results of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    told = stage.finish(folder)
    assert "continuing" not in told
    return folder


def assert_same(folder: Path, other: Path) -> None:
    """Bit for bit: the arrays, and with them the bytes of every result."""
    ours, theirs = (artifacts.read_arrays(place / "arrays.npz") for place in (folder, other))
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array.view(), theirs[name], strict=True, err_msg=name)
    for name in ("arrays.npz", "history.csv", "weights"):
        assert artifacts.sha256(folder / name) == artifacts.sha256(other / name), name
    assert listing(folder) == listing(other), "Neither checkpoints nor anything half done."


def checkpoint(folder: Path, hidden: int) -> Path:
    return folder / "checkpoints" / f"hidden-{hidden}"


def written(path: Path) -> int:
    """Identifies a checkpoint: another one has another inode."""
    return path.stat().st_ino if path.is_dir() else 0


def test_two_undisturbed_runs_agree(stage, undisturbed, tmp_path):
    stage.finish(tmp_path)
    assert_same(tmp_path, undisturbed)


def test_the_training_is_one_worth_interrupting(undisturbed):
    """Its numbers move to the end, in both ensembles and by both updates."""
    history = artifacts.read_table(undisturbed / "history.csv")
    for _, part in history.groupby(["size", "stage"]):
        assert part["step"].nunique() >= 6
        assert part["loss"].nunique() == len(part)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="This system has no SIGKILL.")
def test_killed_at_many_moments_it_ends_with_the_same_numbers(stage, undisturbed, tmp_path):
    """One training, killed again and again, each time further on."""

    def half_written(hidden):
        folder = tmp_path / "checkpoints"
        return lambda: [n for n in listing(folder) if n.startswith(f".hidden-{hidden}.")]

    def another(hidden):
        before = written(checkpoint(tmp_path, hidden))
        return lambda: written(checkpoint(tmp_path, hidden)) not in (0, before)

    began = time.monotonic()
    moments = [
        lambda: lambda: time.monotonic() > began + 1.0,  # while it imports
        lambda: half_written(2),  # while the first checkpoint is written
        lambda: another(2),
        lambda: another(2),
        lambda: another(3),  # while the second ensemble is trained
        lambda: half_written(3),
        lambda: lambda: (tmp_path / "weights").exists(),  # while the results are written
        lambda: lambda: (tmp_path / "arrays.npz").exists(),  # before their provenance
    ]
    told = []
    for moment in moments:
        process = stage.start(tmp_path)
        wait_for(moment(), process)
        process.kill()
        told.append(said(process.communicate()[1]))
        assert process.returncode == -signal.SIGKILL
        assert "Traceback" not in told[-1]
        if (tmp_path / "arrays.npz").exists():
            artifacts.read_arrays(tmp_path / "arrays.npz")
    told.append(stage.finish(tmp_path))
    assert not any("cannot be read" in text for text in told), "A checkpoint is whole or absent."
    assert sum("continuing from" in text for text in told) >= 4
    assert_same(tmp_path, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_interrupted_it_says_so_and_a_rerun_continues(stage, undisturbed, tmp_path, number):
    process = stage.start(tmp_path)
    wait_for(lambda: written(checkpoint(tmp_path, 2)), process)
    process.send_signal(number)
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert output == ""
    assert "Traceback" not in errors
    if number == signal.SIGINT:
        assert process.returncode == 130, errors
        assert re.search(r"(?m)^emergence: Interrupted.+\.$", errors)
    else:
        assert process.returncode in (-number, 128 + number)
    assert not set(listing(tmp_path)) & set(Stage.RESULTS)
    assert "continuing from" in stage.finish(tmp_path)
    assert_same(tmp_path, undisturbed)


READ_ONLY = r"emergence: .+ was not written: the folder .+ is read-only\. .+\.\n"
FULL = r"emergence: .+ was not written: the disk is full\. .+\.\n"


def test_a_folder_without_permission_ends_a_stage_in_one_sentence(stage, tmp_path):
    results = tmp_path / "results"
    results.mkdir(mode=0o555)
    if os.access(results, os.W_OK):
        pytest.skip("Permissions mean nothing to root; a read-only mount is tested instead.")
    assert re.fullmatch(READ_ONLY, stage.make_data(results / "waves.npz", status=3))
    assert listing(results) == []


@pytest.mark.root
class TestFileSystem:
    """What no permission bit does to root: a read-only mount, and a full disk."""

    def test_a_read_only_folder_ends_a_stage_in_one_sentence(self, stage, mounts, tmp_path):
        results = tmp_path / "results"
        results.mkdir()
        (results / "of_before").touch()
        mounts.read_only(results)
        assert re.fullmatch(READ_ONLY, stage.make_data(results / "waves.npz", status=3))
        told = stage.finish(results / "translators", status=3)
        assert re.fullmatch(READ_ONLY, told)
        assert listing(results) == ["of_before"]

    def test_a_full_disk_ends_a_stage_in_one_sentence(self, stage, mounts, tmp_path):
        results = tmp_path / "results"
        results.mkdir()
        mounts.small(results, "16k")
        assert re.fullmatch(FULL, stage.make_data(results / "waves.npz", status=3))
        assert listing(results) == []

    def test_a_disk_that_fills_while_training_is_no_loss(
        self, stage, undisturbed, mounts, tmp_path
    ):
        """The checkpoints fit, all of the results beside them do not."""
        results = tmp_path / "results"
        results.mkdir()
        mounts.small(results, "64k")
        told = stage.finish(results, status=3)
        assert re.fullmatch(f"(?s)(.+\n)*{FULL}", told), told
        if (results / "arrays.npz").exists():
            artifacts.read_arrays(results / "arrays.npz")
        assert not [path for path in results.rglob("*") if path.name.endswith(".partial")]
        # As after freeing some space.
        subprocess.run(["mount", "-o", "remount,size=8m", str(results)], check=True)
        assert "continuing from" in stage.finish(results)
        assert_same(results, undisturbed)

    def test_snakemake_shows_the_sentence(self, mounts, new_tree, snakemake, tmp_path):
        tree = new_tree(tmp_path / "clone")
        (tree / "results").mkdir()
        mounts.small(tree / "results", "16k")
        target = "results/smoke/introspection/data/arc.npz"
        done = snakemake(tree, target)
        assert done.returncode == 1
        assert re.search(
            rf"(?m)^emergence: {target} was not written: the disk is full\.", done.stdout
        )
        assert not (tree / target).exists()
