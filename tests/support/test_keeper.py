"""What keeps the tests' services leaves nothing behind: after its test, without it, or by the clock."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from keeper import isolation, kept

pytestmark = [pytest.mark.root, pytest.mark.daemon, pytest.mark.timeout(120)]

WITH_SUPPORT = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}

# A service with a mount and a process that has left its parent, and one that will not end when asked.
SERVICE = (
    "{trap}; mkdir {folder}/mounted; mount -t tmpfs none {folder}/mounted;"
    "setsid sleep 1000.{mark} & sleep 2000.{mark} & touch {folder}/ready;"
    "while :; do sleep 0.1; done"
)
ENDS, STAYS = "trap exit TERM", "trap '' TERM"


@pytest.fixture(autouse=True)
def isolated():
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("Only root can give a service namespaces of its own.")
    if why := isolation():
        pytest.skip(f"Nothing can be isolated here: {why}")


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "service"
    made.mkdir()
    return made


def mark_of(folder: Path) -> str:
    """By which processes of this service are known: a fraction of the seconds that they sleep."""
    return str(abs(hash(folder)) % 10**9)


def service(folder: Path, trap: str) -> list[str]:
    mark = mark_of(folder)
    return ["sh", "-c", SERVICE.format(folder=folder, mark=mark, trap=trap)]


def traces(folder: Path) -> list[str]:
    """Processes with the service's mark and mounts in its folder, seen from outside."""
    mark = mark_of(folder)
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it ended in between
            continue
        if words[0] == b"sleep" and words[1].decode().endswith(mark):
            found.append(f"process {path.parent.name}")
    mounts = Path("/proc/mounts").read_text().splitlines()
    return found + [line for line in mounts if str(folder) in line]


def wait_for(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ends_with_its_block(folder, tmp_path):
    with kept(folder, *service(folder, ENDS), seconds=60, log=tmp_path / "log"):
        wait_for((folder / "ready").exists)
        # Two processes are seen from here; what it mounts is its own.
        wait_for(lambda: len(traces(folder)) == 2)
    assert traces(folder) == []
    assert not folder.exists()


def test_ends_by_the_clock(folder, tmp_path):
    with kept(folder, *service(folder, ENDS), seconds=1, log=tmp_path / "log") as keeper:
        wait_for((folder / "ready").exists)
        keeper.wait(timeout=30)
        assert traces(folder) == []
    assert not folder.exists()


def test_one_that_will_not_end_is_killed(folder):
    impatient = "import keeper, sys; keeper.PATIENCE_S = 0.5; keeper.keep(60, sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", impatient, *service(folder, STAYS)],
        env=WITH_SUPPORT,
        stdin=subprocess.PIPE,
    )
    wait_for((folder / "ready").exists)
    process.stdin.close()
    process.wait(timeout=30)
    assert traces(folder) == []


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_ends_when_its_test_was_killed(folder, tmp_path, sign):
    tests = (
        "import pathlib, sys, time; from keeper import kept\n"
        "folder, log = map(pathlib.Path, sys.argv[1:3])\n"
        "with kept(folder, *sys.argv[3:], seconds=60, log=log): time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", tests, folder, tmp_path / "log", *service(folder, ENDS)],
        env=WITH_SUPPORT,
        start_new_session=True,
    )
    wait_for((folder / "ready").exists)
    os.killpg(process.pid, sign)
    process.wait(timeout=10)
    wait_for(lambda: not folder.exists())
    assert traces(folder) == []
