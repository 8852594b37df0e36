"""The default profile, as Snakemake takes it: found unasked, plain in pipes, bars at a terminal."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
