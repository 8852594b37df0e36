"""Snakemake killed at random moments and started again: every number ends as in a quiet run.

By default three kills of a tiny run of trainings of all systems, in turn on one core and on two, the
first of them before anything is written; with ``CHAOS_SCALE=smoke``, as in continuous integration, of the
smoke run, figures and verdicts included. ``make chaos`` kills that fifty times on one core and fifty times
on two, and leaves a record.
"""

import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from emergence import artifacts
from emergence.provenance import code_in_use, host_in_use

KILLS = int(os.environ.get("CHAOS_KILLS", "3"))
WHOLE = os.environ.get("CHAOS_SCALE", "tiny") == "smoke"
SEED = int(os.environ.get("CHAOS_SEED", "7"))
RECORD = os.environ.get("CHAOS_RECORD")
CORES = [[1], [2]] if RECORD else [[1, 2]]
"""Used in turn, in as many tests."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.workflow,
    pytest.mark.timeout(0 if WHOLE else 1200),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="This system has no SIGKILL."),
]
TARGETS = [
    "results/tiny/introspection/translators/free/arrays.npz",
    "results/tiny/holography/flows/disc/2/arrays.npz",
    "results/tiny/retraining/chains/ising/4/arrays.npz",
]


@pytest.fixture(scope="module")
def start(tmp_path_factory, build_settings, environment):
    """Starts Snakemake in a tree, as the leader of a group that can be killed as a whole."""
    content = build_settings() | {"checkpoint_seconds": 0}
    content["introspection"]["translators"]["free"]["hidden"] = [3]
    for system in ("introspection", "holography", "retraining"):
        for stages in content[system]["stages"].values():
            stages[0]["steps"] = 150
    settings = tmp_path_factory.mktemp("settings") / "tiny.yaml"
    settings.write_text(yaml.safe_dump(content, sort_keys=False))
    which = [] if WHOLE else ["--config", f"settings={settings}"]

    def start(tree: Path, cores: int, *more: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *which, *more]
        return subprocess.Popen(
            [*command, *([] if WHOLE or more else ["--", *TARGETS])],
            cwd=tree,
            env=environment(tree, SCALE="smoke"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


def finish(process: subprocess.Popen) -> None:
    told, _ = process.communicate()
    assert process.returncode == 0, told[-4000:]


def numbers(tree: Path) -> dict[str, str]:
    """Hash of every result but those that tell times: seconds of a step, provenance, benchmarks.

    Of tables the columns that tell times are left out, of the verdicts the tree's own commit. The crate
    is packed where somebody asks for it.
    """
    found = {}
    for root in ("results", "figures"):
        scale = tree / root / ("smoke" if WHOLE else "tiny")
        for path in sorted(scale.rglob("*")):
            timed = path.name in ("timing.json", "report.html", "crate.zip")
            timed |= "benchmarks" in path.parts
            timed |= path.name.endswith(".provenance.json") or "logs" in path.parts
            if path.is_file() and not timed and ".snakemake" not in path.name:
                found[path.relative_to(tree).as_posix()] = content(path)
    return found


def content(path: Path) -> str:
    """Hash of a file without what tells times or places."""
    if path.suffix == ".csv" and path.stat().st_size > 1:  # of a figure without data there is none
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        text = table.drop(columns="seconds", errors="ignore").to_csv()
    elif path.name == "verdict.json":
        verdict = json.loads(path.read_text())
        del verdict["provenance"]["commit"]
        text = json.dumps(verdict)
    else:
        return artifacts.sha256(path)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def quiet(start, new_tree, tmp_path_factory, request) -> dict[str, str]:
    """The numbers of a run that nothing happened to; of the smoke scale the one that all tests share."""
    if WHOLE:
        tree = request.getfixturevalue("finished")
    else:
        tree = new_tree(tmp_path_factory.mktemp("quiet"))
        finish(start(tree, 2))
    found = numbers(tree)
    assert any(name.endswith("arrays.npz") for name in found)
    return found


def wait_for_files(process: subprocess.Popen, tree: Path, number: int) -> None:
    """Until so many more files lie among the results, or the process is over."""

    def count() -> int:
        # Not rglob, which fails where a folder is replaced under its eyes.
        return sum(len(files) for _, _, files in os.walk(tree / "results"))

    before = count()
    while process.poll() is None and count() < before + number:
        time.sleep(0.02)


def same(tree: Path, quiet: dict[str, str]) -> None:
    found = numbers(tree)
    assert found.keys() == quiet.keys(), "Nothing is missing, nothing half done is left."
    different = [name for name in quiet if found[name] != quiet[name]]
    assert different == [], json.dumps(different)


@pytest.fixture(scope="module")
def record(quiet):
    """What is told of the kills, and kept where ``CHAOS_RECORD`` says once the tests are over."""
    began, rows = time.time(), []
    yield rows
    if RECORD and len(rows) == len(CORES):
        told = {"scale": "smoke", "seed": SEED, "compared": len(quiet), "runs": rows}
        about = {"seconds": round(time.time() - began), **code_in_use(), **host_in_use()}
        artifacts.write_numbers(RECORD, told | {"provenance": about})


@pytest.mark.parametrize("cores", CORES, ids=str)
def test_killed_at_random_moments_it_ends_with_the_same_numbers(
    start, new_tree, tmp_path, quiet, cores, record
):
    tree = new_tree(tmp_path / "killed")
    moments, in_turn = random.Random(SEED), itertools.cycle(cores)
    killed, runs = 0, 1
    while killed < KILLS:
        now = next(in_turn)
        process = start(tree, now)
        # Told by progress and then by the clock, so that nearly every start leaves something to go on
        # from; without progress it is the start itself that is killed, the first one always.
        number = moments.randint(0, 12 if WHOLE else 4) if killed else 0
        wait_for_files(process, tree, number)
        time.sleep(moments.uniform(0.0, 4.0 if WHOLE or number == 0 else 0.5))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
            process.communicate()
            finish(start(tree, now, "--unlock"))
            if WHOLE:
                print(f"{killed} of {KILLS} kills, {now} core(s), run {runs}", flush=True)
            continue
        # It ended before it was killed: as it should, and then once more from nothing.
        finish(process)
        same(tree, quiet)
        for name in ("results", "figures/smoke"):
            shutil.rmtree(tree / name, ignore_errors=True)
        runs += 1
    finish(start(tree, next(in_turn)))
    same(tree, quiet)
    record.append({"cores": cores, "kills": killed, "compared_times": runs, "same": True})
