"""The default profile, as Snakemake takes it: found unasked, plain in pipes, bars at a terminal."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yte

from emergence.verification.costs import recorded_costs

ROOT = Path(__file__).parents[2]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
pytestmark = pytest.mark.workflow

# Two jobs that share one GPU (they fail when they meet), one that fails, one beside it.
SNAKEFILE = """
rule all:
    input: "0.trained", "1.trained", "broken", "figure"
rule train:
    output: "{seed}.trained"
    resources: gpu=1
    shell: "mkdir gpu && sleep 0.5 && rmdir gpu && touch {output}"
rule fail:
    output: "broken"
    log: "fail.log"
    priority: 1
    shell: "echo the reason > {log}; exit 1"
rule draw:
    input: "0.trained"
    output: "figure"
    shell: "touch {output}"
"""


@pytest.fixture
def workflow(tmp_path) -> Path:
    """A small workflow with this project's profiles, laid out as here."""
    shutil.copytree(ROOT / "workflow/profiles", tmp_path / "workflow/profiles")
    (tmp_path / "profiles").symlink_to("workflow/profiles")
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def test_profiles_lie_where_snakemake_looks():
    """Snakemake looks beside the Snakefile, the workflow keeps them in its own folder."""
    assert (ROOT / "profiles").resolve() == ROOT / "workflow/profiles"


def test_one_job_per_gpu_going_on_after_a_failure_in_plain_lines(workflow):
    done = subprocess.run(
        SNAKEMAKE, cwd=workflow, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120
    )
    text = done.stdout.decode()
    assert "Using workflow specific profile profiles/default" in text
    assert "rule train:" in text
    assert "\x1b" not in text
    assert done.returncode == 1, "A failure stays one."
    assert "the reason" in text, "The log of what failed is shown."
    made = {path.name for path in workflow.iterdir()}
    assert {"0.trained", "1.trained", "figure"} <= made, text


def test_bars_at_a_terminal(workflow):
    pty = pytest.importorskip("pty", reason="This platform has no pseudo-terminals.")
    reader, writer = pty.openpty()
    with subprocess.Popen(
        [*SNAKEMAKE, "0.trained"],
        cwd=workflow,
        stdin=writer,
        stdout=writer,
        stderr=writer,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as run:
        os.close(writer)
        seen = b""
        while True:
            try:
                part = os.read(reader, 4096)
            except OSError:  # how Linux ends a pseudo-terminal
                break
            if not part:
                break
            seen += part
    os.close(reader)
    assert run.returncode == 0
    assert b"Total Progress" in seen
    assert b"\x1b[" in seen


def test_found_from_another_folder(workflow, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(
        [*SNAKEMAKE, "-n", "-s", workflow / "Snakefile", "figure"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert f"workflow specific profile {workflow}/profiles/default" in done.stderr


TRAINING = {
    "introspection/translators": "introspection_translator",
    "introspection/distillers": "introspection_distiller",
    "holography/reference": "holography_reference",
    "holography/flows": "holography_flow",
    "holography/chains": "holography_chains",
    "holography/bulks": "holography_bulk",
    "retraining/chains": "retraining_grow",
}


def resources(name: str, attempt: int = 1, **environment: str) -> dict[str, dict[str, int]]:
    """What a profile asks for, rule by rule, at an attempt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GPUS", raising=False)
        for key, value in environment.items():
            patch.setenv(key, value)
        profile = yte.process_yaml((ROOT / f"workflow/profiles/{name}/profile.v9+.yaml").open())
    return {
        rule: {key: eval(str(value), {"attempt": attempt}) for key, value in asked.items()}
        for rule, asked in profile["set-resources"].items()
    }


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_a_cluster_is_asked_for_what_was_measured_with_room(name):
    """Memory in MB, wall time in minutes, against the record of the laptop run."""
    asked = resources(name)
    measured = recorded_costs(ROOT / "config/costs.csv", "laptop")
    for kind, rule in TRAINING.items():
        costs = [cost for job, cost in measured.items() if job.startswith(f"{kind}/")]
        memory = max(cost.memory_mib for cost in costs) * 2**20 / 1e6
        assert asked[rule]["mem_mb"] >= 1.4 * memory, (rule, memory)
        if name == "slurm":
            minutes = max(cost.wall_s for cost in costs) / 60.0
            assert asked[rule]["runtime"] >= 3.0 * minutes, (rule, minutes)
        assert resources(name, attempt=2)[rule]["mem_mb"] == 2 * asked[rule]["mem_mb"]


def test_what_may_use_a_gpu_is_the_same_everywhere():
    wanted = [
        {rule for rule, asked in resources(name, GPUS="2").items() if asked.get("gpu")}
        for name in ("default", "slurm", "kubernetes")
    ]
    assert wanted[0] == wanted[1] == wanted[2] == set(TRAINING.values()) - {"holography_reference"}
    assert not any(asked["gpu"] for asked in resources("default").values())
    # One host has one GPU to give at a time, a cluster as many as each training was promised.
    assert {asked["gpu"] for asked in resources("default", GPUS="2").values()} == {1}
    assert resources("slurm", GPUS="2")["holography_flow"]["gpu"] == 2
