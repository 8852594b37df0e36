"""`emergence` in a process of its own, every command that it has, and how all of them refuse."""

import os
import re
import subprocess
import sys
from pathlib import Path

import typer

from emergence import cli

ROOT = Path(__file__).parents[2]


def run(*arguments, python=(), **environment) -> subprocess.CompletedProcess:
    """`emergence` with these arguments, in a process of its own."""
    return subprocess.run(
        [sys.executable, *python, "-m", "emergence.cli", *map(str, arguments)],
        env=os.environ
        | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "80", "NO_COLOR": "1"}
        | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def refused(done, status, output=None):
    """The one sentence of a refusal that left nothing at ``output`` nor beside it."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert re.fullmatch(r"emergence: .+[.?]\n", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    if output is not None:
        assert not output.exists()
        assert not output.parent.exists() or not list(output.parent.iterdir())
    return done.stderr


def commands(group=None, path=()):
    """(path, command) of every command, groups included."""
    group = group or typer.main.get_command(cli.app)
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


COMMANDS = dict(commands())
SYSTEMS = ("introspection", "holography", "retraining")
STAGES = [path for path in COMMANDS if len(path) == 2 and path[0] in SYSTEMS]
