"""The Dockerfile, read: what it is built from, what it fetches, who runs it, where that writes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()


def instructions(text: str) -> list[tuple[str, str]]:
    """Return (keyword, rest) of each instruction, continuation lines joined, comments dropped."""
    without_comments = re.sub(r"(?m)^\s*#.*\n", "", text)
    lines = re.sub(r"\\\n\s*", " ", without_comments).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


INSTRUCTIONS = instructions(TEXT)


def all_of(keyword: str) -> list[str]:
    return [rest for word, rest in INSTRUCTIONS if word == keyword]


def variables() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in all_of("ENV") for pair in line.split())


class TestBase:
    def test_is_a_build_argument_before_the_first_stage(self):
        keyword, rest = INSTRUCTIONS[0]
        assert keyword == "ARG"
        assert re.fullmatch(r"BASE_IMAGE=nvidia/cuda:12\.\d+\.\d+-base-ubuntu24\.04", rest)

    def test_every_stage_stands_on_it(self):
        stages = all_of("FROM")
        assert len(stages) == 2
        assert all(stage.split()[0] == "${BASE_IMAGE}" for stage in stages)

    def test_no_remote_frontend(self):
        """A `# syntax=` line would be fetched from a registry at every build."""
        assert not re.search(r"(?im)^#\s*syntax\s*=", TEXT)


class TestFetching:
    def test_only_by_apt_and_pip(self):
        others = {"curl", "wget", "git", "conda", "npm", "uv", "add-apt-repository", "apt-key"}
        assert not all_of("ADD")
        for instruction in all_of("RUN"):
            assert not re.search(r"https?://", instruction), instruction
            for command in re.split(r"&&|\|\||[;|]|\$\(", instruction):
                assert Path(command.split()[0]).name not in others, command

    def test_nothing_is_copied_from_another_image(self):
        stages = {stage.split(" AS ")[1] for stage in all_of("FROM") if " AS " in stage}
        for line in [*all_of("COPY"), *all_of("RUN")]:
            for source in re.findall(r"(?:--from=|from=)(\S+?)[\s,]", line):
                assert source in stages, line

    def test_pip_installs_hashed_locks_or_the_project_alone(self):
        commands = [part for run in all_of("RUN") for part in run.split("&&") if "pip ins" in part]
        locked, project = commands
        assert "--require-hashes -r /tmp/lock" in locked
        assert "--no-deps --no-build-isolation -e /app" in project

    def test_the_default_lock_has_cuda_and_the_other_has_not(self):
        assert set(all_of("ARG")) >= {"LOCK=requirements-gpu.lock"}
        assert "nvidia-cudnn" in (ROOT / "requirements-gpu.lock").read_text()
        assert "nvidia-cudnn" not in (ROOT / "requirements.lock").read_text()

    def test_apt_leaves_no_lists(self):
        for run in all_of("RUN"):
            if "apt-get" in run:
                assert "--no-install-recommends" in run
                assert run.endswith("rm -rf /var/lib/apt/lists/*")


class TestRunning:
    def test_not_as_root(self):
        """A number, so that Kubernetes can check it (runAsNonRoot)."""
        user, group = all_of("USER")[-1].split(":")
        assert int(user) > 0
        assert int(group) > 0

    def test_every_cache_is_where_any_user_may_write(self):
        for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
            assert re.fullmatch(r"/tmp(/.*)?", variables()[name]), name

    def test_a_user_id_without_an_account_has_a_name(self):
        assert variables()["LOGNAME"]

    def test_starts_snakemake_in_the_mounted_folder(self):
        assert all_of("ENTRYPOINT") == ['["snakemake", "--snakefile", "/app/Snakefile"]']
        assert all_of("WORKDIR") == ["/results"]
        assert not all_of("VOLUME"), "An anonymous volume would swallow results unasked."

    def test_provenance_is_told_what_git_cannot_tell(self):
        assert variables()["EMERGENCE_REVISION"] == "${REVISION}"
        assert variables()["EMERGENCE_LOCK"] == "/app/${LOCK}"

    def test_labels_carry_revision_and_lock(self):
        (labels,) = all_of("LABEL")
        assert 'org.opencontainers.image.revision="${REVISION}"' in labels
        assert 'emergence.lock.sha256="${LOCK_SHA256}"' in labels

    def test_a_wrong_lock_hash_fails_the_build(self, tmp_path):
        (command,) = [run for run in all_of("RUN") if "LOCK_SHA256" in run]
        lock = tmp_path / "some.lock"
        lock.write_text("numpy==2\n")
        command = command.replace("/app", str(tmp_path))
        told = subprocess.run(["sha256sum", lock], capture_output=True, text=True, check=True)
        for value, status in [("unknown", 0), (told.stdout.split()[0], 0), ("0" * 64, 1)]:
            environment = {"LOCK": lock.name, "LOCK_SHA256": value, "PATH": "/usr/bin:/bin"}
            done = subprocess.run(["sh", "-c", command], env=environment)
            assert done.returncode == status, value


class TestContext:
    ignored = frozenset(
        line for line in (ROOT / ".dockerignore").read_text().split("\n") if line[:1] not in "# "
    )

    def test_leaves_out_history_environments_and_results(self):
        assert {".git", ".venv", "results", ".snakemake"} <= self.ignored

    def test_keeps_what_the_workflow_reads(self):
        needed = {"Snakefile", "workflow", "profiles", "config", "claims", "src", "pyproject.toml"}
        needed |= {"LICENSE", "requirements.lock", "requirements-gpu.lock"}
        assert not needed & self.ignored
        assert not {line for line in self.ignored if line.startswith("*.")}

    def test_of_the_figures_it_keeps_what_decides_claims(self):
        lines = (ROOT / ".dockerignore").read_text().splitlines()
        figures = [line for line in lines if "figures" in line]
        # An exception counts after what it is an exception of.
        assert figures == [
            "figures/*",
            "!figures/laptop",
            "figures/laptop/*",
            "!figures/laptop/drift.csv",
        ]


@pytest.mark.skipif(shutil.which("make") is None, reason="There is no make on this machine.")
@pytest.mark.parametrize(
    ("target", "lock"),
    [("container", "requirements.lock"), ("container-cuda", "requirements-gpu.lock")],
)
def test_make_passes_arguments_that_the_dockerfile_takes(target, lock):
    answer = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    given = dict(re.findall(r'--build-arg (\w+)=("[^"]*"|\S+)', answer))
    declared = {line.split("=")[0] for line in all_of("ARG")}
    assert given.keys() <= declared
    assert given["LOCK"] == lock
    assert {"REVISION", "LOCK_SHA256"} <= given.keys()


def test_hadolint_has_nothing_to_say():
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("hadolint is not installed: its package has no build for this platform.")
    done = subprocess.run(
        [linter, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")
