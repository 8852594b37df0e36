"""A small result of every kind, how it is written and read, and what a folder holds of it."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, settings

from emergence import artifacts

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

WRITERS = {
    "result.npz": lambda path: artifacts.write_arrays(path, {"field": np.arange(4096.0)}),
    "result.csv": lambda path: artifacts.write_table(path, pd.DataFrame({"x": np.arange(4096.0)})),
    "result.json": lambda path: artifacts.write_numbers(path, {"x": list(range(4096))}),
    "result.txt": lambda path: artifacts.write_text(path, "x" * 40_000),
}
READERS = {
    "result.npz": artifacts.read_arrays,
    "result.csv": artifacts.read_table,
    "result.json": artifacts.read_numbers,
}


def entries(folder: Path) -> list[str]:
    """Names of everything in a folder, hidden ones too."""
    return sorted(os.listdir(folder))
