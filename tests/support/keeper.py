"""Keeps a service running for as long as its test lives, and leaves nothing of it behind.

    python keeper.py SECONDS FOLDER COMMAND...

The command runs in namespaces of its own for processes and mounts (Linux, as root): when it ends, the
kernel ends every other process that it started and undoes its mounts. It is asked to end (SIGTERM) as
soon as standard input is closed, which a parent that was killed does as well, or after so many
seconds; a minute later it is killed. FOLDER, where it keeps its files, is deleted at last.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE_S = 60
ISOLATED = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
REAPING = ("sh", "-c", '"$@"; exit "$?"', "sh")
"""First process of the namespace: it outlives no command, and takes in what has lost its parent."""

ENDS_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")
"""Before a command: it is asked to end when whoever started it is gone."""


@contextlib.contextmanager
def kept(
    folder: Path, *command: object, seconds: float, log: Path, **options
) -> Iterator[subprocess.Popen]:
    """A service with its files in ``folder`` for the length of a ``with`` block.

    Args:
        folder: deleted afterwards, with ``log`` if that lies in it.
        seconds: the longest that it may live.
        log: where its output goes.
        options: more of ``subprocess.Popen``.
    """
    parts = [sys.executable, __file__, str(seconds), folder, *command]
    with log.open("w") as output:
        keeper = subprocess.Popen(
            [str(part) for part in parts],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # What is sent to all of the tests (Ctrl-C, a kill) does not reach it.
            start_new_session=True,
            **options,
        )
    try:
        yield keeper
    finally:
        keeper.stdin.close()
        keeper.wait(timeout=10 * PATIENCE_S)


def isolation() -> str:
    """Why nothing can be isolated here; empty where it can."""
    try:
        done = subprocess.run(
            [*ISOLATED, "true"], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
    except FileNotFoundError:
        return "there is no program unshare"
    return "" if done.returncode == 0 else done.stderr.strip()


def keep(seconds: float, command: list[str]) -> int:
    """Run the command until it ends, or standard input closes, or the time is over; its status."""
    service = subprocess.Popen(
        [*ISOLATED, *REAPING, *command], stdin=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + seconds
    while service.poll() is None and time.monotonic() < deadline:
        closed, _, _ = select.select([sys.stdin], [], [], 0.2)
        if closed:
            break
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if service.poll() is None:
            os.killpg(service.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.wait(timeout=PATIENCE_S)
    return service.wait()


if __name__ == "__main__":
    try:
        status = keep(float(sys.argv[1]), sys.argv[3:])
    finally:
        shutil.rmtree(sys.argv[2], ignore_errors=True)
    sys.exit(status)
