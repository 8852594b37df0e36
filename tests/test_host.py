"""What the settings ask of TensorFlow, in a process of its own: it is fixed once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPILE = """
from emergence.host import use_host
use_host(1{level})
import tensorflow as tf
print(float(tf.function(lambda x: 2.0 * x + 1.0, jit_compile=True)(tf.constant(1.0))))
"""


@pytest.mark.parametrize(
    ("level", "asked", "taken"),
    [("", "", None), (", 1", "", 1), (", 1", "--xla_backend_optimization_level=2", 2)],
    ids=["as XLA likes", "as the settings say", "as the user says"],
)
def test_xla_optimises_as_far_as_it_is_told(
    level: str, asked: str, taken: int | None, tmp_path: Path
) -> None:
    told = subprocess.run(
        [sys.executable, "-c", COMPILE.format(level=level)],
        env=os.environ | {"XLA_FLAGS": f"--xla_dump_to={tmp_path} {asked}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(told.stdout.splitlines()[-1]) == 3.0
    (options,) = tmp_path.glob("*.debug_options")
    said = [line for line in options.read_text().splitlines() if "optimization_level" in line]
    assert said == ([] if taken is None else [f"xla_backend_optimization_level: {taken}"])
