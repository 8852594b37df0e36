"""A bench at sizes that show nothing but that it runs, in a process of its own."""

import json
import os
import subprocess
import sys

CODE = """
import dataclasses, json
from emergence.{system} import bench
found = bench.run(quick=True)
parts = found if isinstance(found, tuple) else (found,)
print("ROWS", json.dumps([[dataclasses.asdict(row) for row in part] for part in parts]))
"""


def run(system: str) -> tuple[str, list[list[dict]]]:
    """What the bench of a system prints, in single spaces, and the rows of each of its tables.

    TensorFlow's threads are fixed before its first operation, hence the process.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(system=system)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed, rows = done.stdout.split("ROWS", 1)
    return " ".join(printed.split()), json.loads(rows)
