"""A copy of the repository to run Snakemake in, and file systems that refuse to be written."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
UNTRACKED = (".git", ".venv", ".snakemake", "__pycache__", "results", "node_modules")


def _tracked() -> list[Path]:
    """The files of this repository; where there is no git, all that do not look generated."""
    listing = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True)
    if listing.returncode == 0:
        names = [Path(name) for name in listing.stdout.split("\0") if name]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*") if not path.is_dir()]
        names = [name for name in names if not set(UNTRACKED) & set(name.parts)]
    return [name for name in names if (ROOT / name).exists() or (ROOT / name).is_symlink()]


@pytest.fixture(scope="session")
def environment() -> Callable[..., dict[str, str]]:
    """Makes a process's environment: this Python's programs first, the given tree's package."""

    def make(tree: Path = ROOT, **more: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name != "SCALE" and not name.startswith(("SNAKEMAKE_", "EMERGENCE_", "MAKE"))
        }
        programs = str(Path(sys.executable).parent)
        kept |= {"PATH": f"{programs}{os.pathsep}{kept['PATH']}", "PYTHONPATH": str(tree / "src")}
        return kept | more

    return make


@pytest.fixture(scope="session")
def snakemake(environment) -> Callable[..., subprocess.CompletedProcess]:
    """Runs Snakemake in a tree, as a person would there; standard error is part of the output."""

    def run(
        tree: Path,
        *arguments: str,
        scale: str = "smoke",
        timeout: float = 120,
        prefix: tuple[str, ...] = (),
    ):
        return subprocess.run(
            [*prefix, sys.executable, "-m", "snakemake", *arguments],
            cwd=tree,
            env=environment(tree, SCALE=scale),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=timeout,
        )

    return run


@pytest.fixture(scope="session")
def offline() -> tuple[str, ...]:
    """What to put before a command that shall have no network; nothing where that is not allowed.

    A machine of its own, without any device but the loopback, and that switched off.
    """
    for command in (("unshare", "--net"), ("unshare", "--net", "--map-current-user")):
        try:
            done = subprocess.run([*command, "true"], capture_output=True, timeout=30)
        except OSError:
            continue
        if done.returncode == 0:
            return command
    return ()


@pytest.fixture(scope="session")
def planned(snakemake) -> Callable[..., list[str]]:
    """Stages that Snakemake would run in a tree, as "translator strong", "verify", ...; sorted."""
    name = re.compile(r" --(?:dataset|arm|name) (\S+)")

    def plan(tree: Path, *arguments: str, scale: str = "smoke") -> list[str]:
        done = snakemake(tree, "--dry-run", "--printshellcmds", *arguments, scale=scale)
        assert done.returncode == 0, done.stdout
        calls = re.findall(r"(?m)^Shell command: emergence (.+?)(?= --)(.*)$", done.stdout)
        parts = [[call.removeprefix("introspection "), *name.findall(more)] for call, more in calls]
        return sorted(" ".join(part) for part in parts)

    return plan


@pytest.fixture(scope="session")
def new_tree() -> Callable[[Path], Path]:
    """Copies the tracked files to a folder and commits them there, as in a fresh clone."""

    def make(folder: Path) -> Path:
        for name in _tracked():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
        if shutil.which("git"):
            who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
            for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "copy"]):
                subprocess.run(["git", *command], cwd=folder, check=True)
        return folder

    return make


@pytest.fixture(scope="session")
def smoke(tmp_path_factory, new_tree, snakemake, offline) -> SimpleNamespace:
    """``folder`` and ``done`` of the smoke workflow in a fresh clone, without a network; ``again``.

    The first of the processes that share the tests runs it, the others wait for that. ``again`` is
    what a second run said, right after the first and before anybody looked.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, told = shared / "smoke", shared / "smoke.json"
    with (shared / "smoke.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            done = snakemake(new_tree(folder), "--cores", "2", timeout=1500, prefix=offline)
            runs = [done, snakemake(folder)] if done.returncode == 0 else [done]
            told.write_text(json.dumps([[run.returncode, run.stdout] for run in runs]))
    runs = [SimpleNamespace(returncode=r, stdout=s) for r, s in json.loads(told.read_text())]
    return SimpleNamespace(folder=folder, done=runs[0], again=runs[-1])


@pytest.fixture(scope="session")
def finished(smoke) -> Path:
    """The folder after a run that succeeded; to be read only, others read it at the same time."""
    if smoke.done.returncode != 0:
        pytest.fail(f"The smoke workflow failed:\n{smoke.done.stdout[-3000:]}")
    return smoke.folder


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """A copy of the finished folder to do damage in."""
    return shutil.copytree(finished, tmp_path / "copy", symlinks=True)


class Mounts:
    """Mounts at folders, for as long as a test lasts."""

    def __init__(self) -> None:
        self.folders: list[Path] = []

    def small(self, folder: Path, size: str) -> None:
        """An empty file system of so many bytes."""
        self._mount(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))

    def read_only(self, folder: Path) -> None:
        """What is there, but not to be written, not even by root."""
        self._mount(folder, "--bind", str(folder), str(folder))
        self._do("-o", "remount,ro,bind", str(folder))

    def _mount(self, folder: Path, *arguments: str) -> None:
        self._do(*arguments)
        self.folders.append(folder)

    def _do(self, *arguments: str) -> None:
        answer = subprocess.run(["mount", *arguments], capture_output=True, text=True)
        if answer.returncode != 0:
            pytest.skip(f"No file system can be mounted here: {answer.stderr.strip()}")

    def undo(self) -> None:
        while self.folders:
            subprocess.run(["umount", str(self.folders.pop())], check=True)


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    if os.geteuid() != 0:
        pytest.skip("Only root can mount a file system.")
    made = Mounts()
    yield made
    made.undo()
