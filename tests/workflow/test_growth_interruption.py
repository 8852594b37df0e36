"""A chain of growing sizes whose jobs are killed: both sizes end with the numbers of a quiet run."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from emergence import artifacts

DEADLINE_S = 180
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="This system has no SIGKILL."),
]

NATURAL = {"update": "natural_gradient", "batch": 8, "rate": 0.1}


@pytest.fixture(scope="module")
def grow(tmp_path_factory, build_settings, environment):
    """Starts `emergence retraining grow` of one size; the second size starts from the first."""
    content = build_settings() | {"checkpoint_seconds": 0}
    content["retraining"]["stages"] = {
        "first": [{"update": "adam", "steps": 220, "batch": 8}, NATURAL | {"steps": 220}],
        # Goes on with the last direction of the size before, too.
        "second": [NATURAL | {"steps": 220, "carry": True}],
    }
    content["retraining"]["chains"]["ising"]["sizes"] = {4: "first", 6: "second"}
    settings = tmp_path_factory.mktemp("growth") / "settings.yaml"
    settings.write_text(yaml.safe_dump(content))

    def start(folder: Path, size: int) -> subprocess.Popen:
        before = ["--before", folder / "4" / "weights"] if size == 6 else []
        command = ["grow", "--settings", settings, "--arm", "ising", "--size", size, *before]
        command += ["--output", folder / str(size)]
        return subprocess.Popen(
            [sys.executable, "-m", "emergence.cli", "retraining", *map(str, command)],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finish(process: subprocess.Popen) -> str:
    """What it said on its way to its end."""
    errors = process.communicate(timeout=DEADLINE_S)[1]
    assert process.returncode == 0, errors
    return errors


def kill_after_checkpoints(process: subprocess.Popen, checkpoint: Path, number: int) -> None:
    """Kill it once so many checkpoints were written; another one has another inode."""
    seen, deadline = set(), time.monotonic() + DEADLINE_S
    while len(seen) < number:
        assert process.poll() is None, f"It ended too early:\n{process.communicate()[1]}"
        assert time.monotonic() < deadline
        if checkpoint.is_dir():
            seen.add(checkpoint.stat().st_ino)
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_killed_growth_chain_continues_and_ends_with_identical_numbers(grow, tmp_path):
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    for size in (4, 6):
        assert "continuing" not in finish(grow(quiet, size))
        kill_after_checkpoints(grow(killed, size), killed / str(size) / "checkpoint", 1)
        assert not (killed / str(size) / "arrays.npz").exists()
        assert f"ising, size {size}: continuing from stage" in finish(grow(killed, size))
    for size in ("4", "6"):
        ours, theirs = (artifacts.read_arrays(f / size / "arrays.npz") for f in (quiet, killed))
        assert ours.keys() == theirs.keys()
        for name, array in ours.items():
            np.testing.assert_array_equal(array.view(), theirs[name], strict=True, err_msg=name)
        for name in ("history.csv", "weights"):
            hashes = {artifacts.sha256(folder / size / name) for folder in (quiet, killed)}
            assert len(hashes) == 1, name
        assert not (killed / size / "checkpoint").exists()
