"""The environment: locks, project file and their kin agree, and name no package index."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = {
    "requirements.lock": ("dev", "cluster"),
    "requirements-gpu.lock": ("dev", "cluster", "gpu"),
    "requirements-peers.lock": ("dev", "cluster", "peers"),
}
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))


def lock_entries(name: str) -> list[tuple[Requirement, list[str]]]:
    """Return each locked requirement with the options after it; anything else is an error."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / name).read_text())
    entries = []
    for line in filter(None, text.replace("\\\n", " ").splitlines()):
        requirement, *options = re.split(r"\s+(?=--)", line.strip())
        entries.append((Requirement(requirement), options))
    return entries


def pins(name: str) -> dict[str, str]:
    """Return the locked version of each package, whatever platform it is for."""
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement, _ in lock_entries(name)
    }


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def git_files() -> list[Path]:
    """Return the tracked files, or skip: an unpacked archive has none."""
    try:
        listed = subprocess.run(
            ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True, timeout=30
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("This is not a git checkout, so no file is tracked.")
    return [ROOT / os.fsdecode(name) for name in listed.split(b"\0") if name]


@pytest.mark.parametrize("lock", LOCKS)
class TestLocks:
    def test_every_requirement_is_pinned_and_hashed(self, lock):
        entries = lock_entries(lock)
        assert len(entries) > 50
        for requirement, options in entries:
            assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
            assert requirement.url is None, requirement
            assert options, f"{requirement} has no hash"
            for option in options:
                assert re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", option), (requirement, option)

    def test_one_version_of_each_package(self, lock):
        names = [canonicalize_name(requirement.name) for requirement, _ in lock_entries(lock)]
        assert sorted(names) == sorted(set(names))

    @pytest.mark.parametrize("python", PYTHONS)
    @pytest.mark.parametrize(("system", "machine"), MACHINES)
    def test_holds_what_the_project_asks_for(self, lock, python, system, machine):
        environment = {
            "python_version": python,
            "python_full_version": f"{python}.1",
            "sys_platform": system,
            "platform_machine": machine,
            "platform_system": system.capitalize(),
            "os_name": "posix",
            "extra": "",
        }
        locked = {
            canonicalize_name(requirement.name): requirement.specifier
            for requirement, _ in lock_entries(lock)
            if requirement.marker is None or requirement.marker.evaluate(environment)
        }
        optional = project()["optional-dependencies"]
        asked = project()["dependencies"] + [r for extra in LOCKS[lock] for r in optional[extra]]
        for requirement in map(Requirement, asked):
            if requirement.marker is None or requirement.marker.evaluate(environment):
                version = str(locked[canonicalize_name(requirement.name)]).removeprefix("==")
                assert requirement.specifier.contains(version), (requirement, version)

    def test_agrees_with_the_lock_of_everybody(self, lock):
        everybody, these = pins("requirements.lock"), pins(lock)
        assert everybody == {name: these[name] for name in everybody}


def test_gpu_lock_fixes_the_cuda_libraries():
    added = pins("requirements-gpu.lock").keys() - pins("requirements.lock").keys()
    assert {"nvidia-cudnn-cu12", "nvidia-cublas-cu12", "nvidia-cuda-nvcc-cu12"} <= added
    assert all(name.startswith("nvidia-") for name in added)


def test_readme_tells_the_gpus_that_tensorflow_was_built_for():
    """The wheel says it itself, on Linux, in a file that can be read without importing it."""
    (built,) = [
        path.read_text()
        for file in importlib.metadata.files("tensorflow")
        if file.match("python/platform/build_info.py") and (path := Path(file.locate()))
    ]
    named = re.findall(r"'(?:sm|compute)_(\d+)'", built)
    if not named:
        pytest.skip("This TensorFlow was built without CUDA.")
    oldest, newest = (f"{int(number) // 10}.{int(number) % 10}" for number in (named[0], named[-1]))
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"compute capability {oldest} or more" in text
    assert f"and for {newest} in a form that newer GPUs compile for themselves" in text


def test_this_environment_is_the_locked_one():
    """What is installed has the locked version, and everything it asks for is locked too."""
    locked = pins("requirements.lock")
    for requirement, _ in lock_entries("requirements.lock"):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        name = canonicalize_name(requirement.name)
        assert importlib.metadata.version(name) == locked[name], "Run `make env`."
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                version = locked[canonicalize_name(needed.name)]
                assert needed.specifier.contains(version, prereleases=True), (name, line)


def test_no_tracked_file_names_a_package_index():
    """Where packages come from is the reader's business: a mirror must do as well."""
    hosts = re.compile(
        rb"pypi\.(org|python)|pythonhosted\.org|https?://\S*/simple\b"
        rb"|(?<!no-emit-)index-url[ =]+\S*:|--find-links|registry\.npmjs",
        re.IGNORECASE,
    )
    this = Path(__file__).resolve()
    assert hosts.search(b"--extra-index-url https://mirror.example/simple")
    for path in git_files():
        if path.is_file() and path != this:
            found = hosts.search(path.read_bytes())
            assert found is None, f"{path.relative_to(ROOT)} names a package index: {found}"


class TestCondaEnvironment:
    def test_takes_everything_but_python_from_the_lock(self):
        environment = yaml.safe_load((ROOT / "environment.yml").read_text())
        assert environment["name"] == "emergence"
        *plain, pip = environment["dependencies"]
        assert plain == ["python=3.12", "pip"]
        assert pip == {"pip": ["-r requirements.lock"]}

    def test_resolves_to_the_pins_of_the_lock(self, tmp_path):
        """As conda hands it to pip: one more file beside this one, which names the lock.

        In this environment, which is the locked one, pip then finds nothing left to install; of a
        pin that differed it would have to look for another release, and has no index to look in.
        """
        environment = yaml.safe_load((ROOT / "environment.yml").read_text())
        (tmp_path / "requirements.lock").symlink_to(ROOT / "requirements.lock")
        handed = tmp_path / "condaenv.requirements.txt"
        command = [sys.executable, "-m", "pip", "--isolated", "install", "--dry-run", "--no-index"]

        def resolve(*lines: str) -> subprocess.CompletedProcess:
            handed.write_text("\n".join(lines) + "\n")
            asked = [*command, "--report", tmp_path / "report.json", "-r", handed]
            return subprocess.run(asked, capture_output=True, text=True, timeout=120)

        done = resolve(*environment["dependencies"][-1]["pip"])
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / "report.json").read_text())["install"] == []
        other = f"numpy==0.1 --hash=sha256:{'0' * 64}"
        assert resolve(other).returncode != 0, "Without the lock's pin it would not be satisfied."

    def test_python_is_one_the_project_supports(self):
        environment = yaml.safe_load((ROOT / "environment.yml").read_text())
        version = environment["dependencies"][0].removeprefix("python=")
        assert Requirement(f"python{project()['requires-python']}").specifier.contains(version)


class TestProject:
    def test_citation_names_this_version_and_the_three_papers(self):
        citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
        assert citation["cff-version"] == "1.2.0"
        assert citation["version"] == project()["version"]
        assert citation["license"] == project()["license"]
        papers = [reference["identifiers"][0]["value"] for reference in citation["references"]]
        assert papers == ["arXiv:1901.11103", "arXiv:1903.00804", "arXiv:2003.06228"]
        assert all(citation[key] for key in ("message", "title", "authors"))

    def test_installed_package_is_this_one(self):
        installed = importlib.metadata.distribution("emergence")
        assert installed.version == project()["version"]
        (script,) = installed.entry_points.select(group="console_scripts")
        assert (script.name, script.value) == ("emergence", project()["scripts"]["emergence"])

    def test_changelog_has_room_for_what_comes(self):
        headings = re.findall(r"(?m)^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text())
        assert headings[0] == "Unreleased"


class TestContinuousIntegration:
    """`.ci/run` for real, with stand-ins for make, apt and dpkg that write down their calls."""

    @pytest.fixture
    def run(self, tmp_path):
        def run(*, installed: bool, root: bool, make_fails: bool = False):
            (tmp_path / ".ci").mkdir()
            for name in ("run", "apt-packages"):
                (tmp_path / ".ci" / name).write_bytes((ROOT / ".ci" / name).read_bytes())
            stubs = tmp_path / "bin"
            stubs.mkdir()
            record = 'echo "$(basename "$0") $*" >> calls'
            bodies = {
                "make": f'{record}; [ "$1" = env ] && exit; echo "daemons: $EMERGENCE_DAEMONS"; '
                f'echo "== 3 passed =="; '
                f"exit {make_fails:d}",
                "apt-get": record,
                "dpkg": f"exit {not installed:d}",
                "id": f"echo {0 if root else 1000}",
            }
            for name, body in bodies.items():
                (stubs / name).write_text(f"#!/bin/sh\n{body}\n")
                (stubs / name).chmod(0o755)
            done = subprocess.run(
                ["bash", tmp_path / ".ci" / "run"],
                env={"PATH": f"{stubs}:{os.environ['PATH']}"},
                cwd="/",
                capture_output=True,
                text=True,
                timeout=60,
            )
            return done, (tmp_path / "calls").read_text().splitlines()

        return run

    def test_closes_with_the_line_of_the_tests(self, run):
        done, calls = run(installed=True, root=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "== 3 passed =="
        assert calls == ["make env", "make --no-print-directory test"]

    def test_asks_for_the_tests_that_start_daemons(self, run, monkeypatch):
        monkeypatch.delenv("EMERGENCE_DAEMONS", raising=False)
        done, _ = run(installed=True, root=True)
        assert "daemons: 1" in done.stdout.splitlines()

    def test_installs_the_listed_packages(self, run):
        _, calls = run(installed=False, root=True)
        listed = [line for line in (ROOT / ".ci/apt-packages").read_text().split("\n") if line]
        names = " ".join(line for line in listed if not line.startswith("#"))
        assert calls[0] == "apt-get update -qq"
        assert calls[1].startswith("apt-get install") and calls[1].endswith(names)

    def test_says_what_it_goes_without(self, run):
        done, calls = run(installed=False, root=False)
        assert "going on without git make" in done.stdout
        assert not [call for call in calls if call.startswith("apt-get")]

    def test_fails_with_the_tests(self, run):
        done, calls = run(installed=True, root=True, make_fails=True)
        assert done.returncode == 1
        assert len(calls) == 2

    def test_can_be_started_as_a_program(self):
        assert os.access(ROOT / ".ci/run", os.X_OK)
