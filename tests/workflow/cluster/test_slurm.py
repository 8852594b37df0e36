"""The SLURM profile on a cluster of one node: jobs placed, failed, cancelled, given a GPU.

Of the smoke workflow one system runs there from training to figures, with a part of each other, or
what CLUSTER_TARGET names; `make cluster-test` runs all of it.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from keeper import ENDS_WITH_PARENT

ROOT = Path(__file__).parents[3]
CANCELLED = "results/smoke/introspection/translators/strong"
TARGETS = (
    *os.environ.get("CLUSTER_TARGET", "retraining_figures").split(),
    f"{CANCELLED}/arrays.npz",
    "results/smoke/holography/reference/4.npz",
)
# The profile leaves both to the cluster; this one keeps no accounts.
WITHOUT_ACCOUNTING = ("--slurm-no-account", "--slurm-status-command", "squeue")
IMPATIENT = ("--slurm-init-seconds-before-status-checks", "2")
LIMIT_S = 1500

pytestmark = [
    pytest.mark.root,
    pytest.mark.daemon,
    pytest.mark.slow,
    pytest.mark.workflow,
    pytest.mark.timeout(LIMIT_S + 60),
]

# One job per GPU (each waits until the other runs too), one that fails, one that needs neither.
SNAKEFILE = """
rule all:
    input: "0.devices", "1.devices", "broken", "plain"
rule devices:
    output: "{seed}.devices"
    resources: gpu=1, mem_mb=200, runtime=2
    shell:
        "touch running.{wildcards.seed};"
        "timeout -k 5 60 sh -c 'until [ -e running.0 ] && [ -e running.1 ]; do sleep 0.1; done';"
        "echo $CUDA_VISIBLE_DEVICES > {output}"
rule fail:
    output: "broken"
    log: "fail.log"
    resources: mem_mb=200, runtime=2
    shell: "echo the reason > {log}; exit 3"
rule plain:
    output: "plain"
    resources: mem_mb=200, runtime=2
    shell: "echo ${{CUDA_VISIBLE_DEVICES:-none}} > {output}"
"""


def start(tree: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen:
    """Snakemake with the cluster's profile; what it says goes to `told` in its folder."""
    command = [
        *ENDS_WITH_PARENT,
        "timeout",
        "-k",
        "20",
        str(LIMIT_S),
        sys.executable,
        "-m",
        "snakemake",
    ]
    command += ["--workflow-profile", "workflow/profiles/slurm", *WITHOUT_ACCOUNTING, *IMPATIENT]
    with (tree / "told").open("w") as told:
        return subprocess.Popen(
            [*command, *arguments],
            cwd=tree,
            env=environment,
            stdout=told,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )


def slurm(*command: str) -> str:
    limited = ["timeout", "-k", "5", "20", *command]
    return subprocess.run(limited, capture_output=True, text=True, check=True).stdout


def jobs() -> dict[str, dict[str, str]]:
    """All that the cluster still knows of its jobs, by their number."""
    found = {}
    for line in slurm("scontrol", "show", "jobs", "--oneliner").splitlines():
        fields = dict(re.findall(r"(\S+?)=(\S*)", line))
        if "JobId" in fields:
            found[fields["JobId"]] = fields
    return found


def trainings() -> dict[str, dict[str, str]]:
    """The jobs of the training that is cancelled."""
    told = ("rule_introspection_translator", "strong")
    return {n: j for n, j in jobs().items() if all(word in j.get("Comment", "") for word in told)}


@pytest.fixture(scope="module")
def small(cluster, environment, tmp_path_factory):
    """(folder, status, what it said) of the small workflow, with this project's profiles."""
    folder = tmp_path_factory.mktemp("small")
    shutil.copytree(ROOT / "workflow/profiles", folder / "workflow/profiles")
    (folder / "Snakefile").write_text(SNAKEFILE)
    # Its failing job would be tried three times.
    process = start(folder, environment(), "--retries", "0")
    return folder, process.wait(timeout=LIMIT_S + 30), (folder / "told").read_text()


class TestSmallWorkflow:
    def test_a_failing_job_is_reported_as_failed(self, small):
        folder, status, told = small
        assert status == 1, told[-3000:]
        assert "Error in rule fail" in told
        assert "the reason" in told, "The log of what failed is shown."
        assert not (folder / "broken").exists()

    def test_the_others_are_done_all_the_same(self, small):
        folder, _, told = small
        assert (folder / "plain").exists(), told[-3000:]

    def test_a_job_with_a_gpu_receives_its_device(self, small):
        """Each its own: the two ran side by side."""
        folder, _, told = small
        devices = {(folder / f"{seed}.devices").read_text().strip() for seed in (0, 1)}
        assert devices == {"0", "1"}, told[-3000:]

    def test_a_job_without_one_receives_none(self, small):
        folder, _, _ = small
        assert (folder / "plain").read_text().strip() in ("none", "NoDevFiles")


@pytest.fixture(scope="module")
def cancelled(cluster, environment, new_tree, tmp_path_factory):
    """(folder, status, what it said) of the smoke workflow; one of its trainings is cancelled.

    Once, by the cluster's own means, as soon as there is a checkpoint.
    """
    tree = new_tree(tmp_path_factory.mktemp("cluster") / "clone")
    settings = yaml.safe_load((tree / "config/smoke.yaml").read_text())
    (tree / "mine.yaml").write_text(yaml.safe_dump(settings | {"checkpoint_seconds": 0}))
    process = start(tree, environment(tree), *TARGETS, "--config", "settings=mine.yaml")
    checkpoints = tree / CANCELLED / "checkpoints"
    deadline = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        if any(checkpoints.glob("*/numbers.json")):
            slurm("scancel", *trainings())
            break
        time.sleep(0.05)
    status = process.wait(timeout=LIMIT_S + 30)
    return tree, status, (tree / "told").read_text()


class TestSmokeWorkflow:
    def test_ends_well(self, cancelled):
        tree, status, told = cancelled
        assert status == 0, told[-3000:]
        assert "(100%) done" in told
        assert all((tree / target).exists() for target in TARGETS if "/" in target)

    def test_every_job_was_one_of_the_cluster(self, cancelled):
        """All that wrote a benchmark, and the one that was cancelled."""
        tree, _, told = cancelled
        measured = list((tree / "results").rglob("benchmarks/**/*.tsv"))
        here = [job for job in jobs().values() if job["WorkDir"] == str(tree)]
        assert len(here) == len(measured) + 1, told[-3000:]
        figures = list((tree / "figures/smoke").rglob("*.png"))
        assert len(figures) >= 10

    def test_the_cancelled_job_was_submitted_again_and_went_on(self, cancelled):
        tree, _, told = cancelled
        states = [job["JobState"] for job in trainings().values()]
        assert sorted(states) == ["CANCELLED", "COMPLETED"], told[-3000:]
        log = tree / "results/smoke/introspection/logs/translators/strong.log"
        assert "continuing from stage" in log.read_text()

    def test_memory_and_time_asked_for_were_enough(self, cancelled):
        """What the profile asks for, against what the benchmark of each job measured."""
        tree, _, _ = cancelled
        asked = {
            "introspection/benchmarks/translators/strong.tsv": "introspection_translator",
            "introspection/benchmarks/data/strong.tsv": "introspection_data",
            "holography/benchmarks/reference/4.tsv": "holography_reference",
            "retraining/benchmarks/chains/ising/10.tsv": "retraining_grow",
        }
        for name, rule in asked.items():
            with (tree / "results/smoke" / name).open() as table:
                (measured,) = csv.DictReader(table, delimiter="\t")
            (job, *_) = [
                j for j in jobs().values() if j.get("Comment", "").startswith(f"rule_{rule}")
            ]
            (memory,) = re.findall(r"mem=(\d+)M", job["TRES"])
            assert float(measured["max_rss"]) < 0.75 * int(memory), rule
            hours, minutes, seconds = map(int, job["TimeLimit"].split(":"))
            assert float(measured["s"]) < 3600 * hours + 60 * minutes + seconds, rule
