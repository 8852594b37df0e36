"""The image, built from the lock and run for real: offline, on a read-only root, as anybody.

The whole smoke workflow runs in it, or as much as CONTAINER_TARGET names.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TARGETS = os.environ.get("CONTAINER_TARGET", "all").split()
VARIANT = os.environ.get("CONTAINER_VARIANT", "cpu")
LOCK = {"cpu": "requirements.lock", "cuda": "requirements-gpu.lock"}[VARIANT]
SOMEBODY = 12345
"""A user id that has no account in the image, nor here."""

pytestmark = [
    pytest.mark.root,
    pytest.mark.daemon,
    pytest.mark.slow,
    pytest.mark.workflow,
    pytest.mark.timeout(3000),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A folder on the host that belongs to a user without an account."""
    folder = tmp_path_factory.mktemp("results")
    os.chown(folder, SOMEBODY, SOMEBODY)
    # What leads to it is pytest's own, closed to others.
    for above in list(folder.parents)[:3]:
        above.chmod(above.stat().st_mode | 0o011)
    return folder


class TestImage:
    def test_labels_tell_revision_and_lock(self, engine, image, revision):
        labels = json.loads(
            engine.must("image", "inspect", "--format", "{{json .Config.Labels}}", image)
        )
        sha256 = hashlib.sha256((ROOT / LOCK).read_bytes()).hexdigest()
        assert labels["emergence.lock.name"] == LOCK
        assert labels["emergence.lock.sha256"] == sha256
        assert labels["org.opencontainers.image.revision"] == revision

    def test_a_wrong_lock_hash_builds_no_image(self, engine, image, base, revision):
        wrong = [f"BASE_IMAGE={base}", f"LOCK={LOCK}", f"REVISION={revision}"]
        wrong += [f"LOCK_SHA256={'0' * 64}"]
        arguments = [part for pair in wrong for part in ("--build-arg", pair)]
        done = engine("build", "--network", "host", *arguments, ROOT, timeout=1500)
        assert done.returncode != 0
        assert "LOCK_SHA256" in done.stdout

    def test_holds_the_locked_versions_and_nothing_unmet(self, inside):
        done = inside("-m", "pip", "check", options=("--entrypoint", "/opt/venv/bin/python"))
        assert done.returncode == 0, done.stdout

    def test_starts_snakemake(self, inside):
        done = inside("--version")
        assert done.returncode == 0, done.stdout
        assert f"snakemake=={done.stdout.strip()} " in (ROOT / LOCK).read_text()

    def test_holds_neither_history_nor_tests(self, inside):
        done = inside("-A", "/app", options=("--entrypoint", "ls"))
        names = set(done.stdout.split())
        assert {"Snakefile", "src", "weights", "claims"} <= names
        assert not {".git", "tests", "results", ".venv"} & names
        done = inside("-R", "/app/figures", options=("--entrypoint", "ls"))
        assert done.stdout.split() == [
            "/app/figures:",
            "laptop",
            "/app/figures/laptop:",
            "drift.csv",
        ]


class TestTensorFlow:
    def python(self, inside, code: str) -> str:
        done = inside("-c", code, options=("--entrypoint", "python"))
        assert done.returncode == 0, done.stdout
        # Beside what TensorFlow says of a machine without a driver.
        (found,) = [line for line in done.stdout.splitlines() if line.startswith("found: ")]
        return found.removeprefix("found: ")

    def test_compiles_and_runs_without_a_gpu(self, inside):
        code = (
            "import tensorflow as tf; double = tf.function(lambda x: 2.0 * x, jit_compile=True);"
            "print('found:', float(double(tf.constant(21.0))))"
        )
        assert self.python(inside, code) == "42.0"

    def test_a_stage_takes_the_processor_where_there_is_no_gpu(self, inside):
        code = "from emergence.host import use_host; print('found:', use_host(1))"
        assert self.python(inside, code) == "CPU (1 thread)"

    @pytest.mark.skipif(
        VARIANT != "cuda", reason="Only the CUDA image (`make container-cuda-test`)."
    )
    def test_finds_its_cuda_libraries_without_being_told_where(self, inside):
        """By the paths that stand in TensorFlow's own library, which its wheel set."""
        code = (
            "import tensorflow as tf; assert tf.test.is_built_with_cuda();"
            "from pathlib import Path;"
            "lines = Path('/proc/self/maps').read_text().splitlines();"
            "print('found:', len({line.split()[-1] for line in lines if '/nvidia/' in line}))"
        )
        assert int(self.python(inside, code)) > 0


@pytest.fixture(scope="module")
def done(engine, image, results) -> subprocess.CompletedProcess:
    """The workflow, offline, in the folder of somebody without an account."""
    return engine(
        *("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp"),
        *("--user", f"{SOMEBODY}:{SOMEBODY}", "--volume", f"{results}:/results"),
        *("--env", "SCALE=smoke", image, "--cores", "2", *TARGETS),
        timeout=1500,
    )


class TestWorkflow:
    def test_ends_well(self, done):
        assert done.returncode == 0, done.stdout[-3000:]
        assert "(100%) done" in done.stdout

    def test_results_are_on_the_host_and_belong_to_who_asked(self, done, results):
        made = [path for path in results.rglob("*") if ".snakemake" not in path.parts]
        assert len(list(results.glob("figures/smoke/*/*.png"))) >= 10
        assert len(list(results.glob("results/smoke/*/tables/*.csv"))) >= 1
        owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in results.rglob("*")}
        assert owners == {(SOMEBODY, SOMEBODY)}
        assert not [path for path in made if path.name.endswith(".partial")]

    def test_verdicts_are_those_that_the_ledger_expects(self, done, results):
        """Of the whole workflow; where only a part was asked for there are none."""
        if TARGETS != ["all"]:
            pytest.skip(f"Only {', '.join(TARGETS)} was run.")
        claims = json.loads((results / "results/smoke/verdict.json").read_text())["claims"]
        assert [c["id"] for c in claims if c["verdict"] != "not run"]
        assert not [c["id"] for c in claims if c["verdict"] != c["expected"]]

    def test_provenance_tells_commit_and_lock_of_the_image(self, done, results, revision):
        records = list(results.glob("results/smoke/**/*.provenance.json"))
        assert records
        sha256 = hashlib.sha256((ROOT / LOCK).read_bytes()).hexdigest()
        for record in records:
            content = json.loads(record.read_text())
            assert content["lock_sha256"] == sha256, record
            assert content["commit"] == revision.removesuffix("-dirty"), record

    def test_a_report_is_made_offline(self, done, inside, results):
        made = inside(
            *("--report", "report.html", *TARGETS),
            results=results,
            user=f"{SOMEBODY}:{SOMEBODY}",
            options=("--env", "SCALE=smoke"),
        )
        assert made.returncode == 0, made.stdout[-2000:]
        assert "energy_error.png" in (results / "report.html").read_text()

    def test_has_nothing_left_to_do_for_another_user(self, done, inside, results):
        again = inside(
            *("--cores", "1", "--dry-run", "--nolock", *TARGETS),
            results=results,
            user="0:0",
            options=("--env", "SCALE=smoke"),
        )
        assert again.returncode == 0, again.stdout[-2000:]
        assert "Nothing to be done" in again.stdout
