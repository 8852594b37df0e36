"""The finished smoke run shipped and evaluated again: the same measurements, and nothing trained."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from emergence.statistics import read_measurements

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.timeout(1800)]

MEASURED = "retraining/measurements.json"


def test_gives_the_numbers_of_the_run_bit_for_bit(copy, snakemake, environment):
    """Of retraining, whose two sizes start from each other; no number there is a time."""

    def emergence(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "emergence.cli", *arguments],
            cwd=copy, env=environment(copy), capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = emergence("ship", "--results", "results/smoke", "--output", "weights/smoke")
    assert "11 trainings and 0 samplings in weights/smoke" in told
    told = emergence("plan", "--trained", "weights/smoke", "--scale", "smoke")
    taken, cost = told.splitlines()
    assert taken == "11 trainings are taken from weights/smoke; nothing is trained."
    assert re.fullmatch(r"It takes about (\d+ min )?\d+ s on this machine\.", cost)
    where = ("--config", "settings=results/verify/settings.yaml", "trained=weights/smoke")
    done = snakemake(copy, "--cores", "2", *where, "--", f"results/verify/{MEASURED}", timeout=1500)
    assert done.returncode == 0, done.stdout[-3000:]
    logs = Path(copy, "results/verify/retraining/logs/chains/ising").glob("*.log")
    assert all("nothing is trained" in path.read_text() for path in logs)
    ours, theirs = (
        read_measurements(copy / f"results/{name}/{MEASURED}") for name in ("verify", "smoke")
    )
    assert ours == theirs
