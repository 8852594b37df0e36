"""What several test modules start from."""

import copy
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings

# As the command line does, before TensorFlow is imported: it starts a second sooner.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# As the command line has it, before NumPy is loaded: threads of small matrices wait for each other,
# and where processes share the tests they wait for the other process's too.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
# What a test compiles it runs a few times: less optimised it is there sooner. Commands inherit it.
os.environ["XLA_FLAGS"] = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=1"
# How long an example takes depends on what else the machine does. The same examples every time, so that
# a run that fails fails again; others are tried by `make test ARGS=--hypothesis-profile=exploring`.
settings.register_profile("untimed", deadline=None, derandomize=True)
settings.register_profile("exploring", deadline=None, print_blob=True)
settings.load_profile("untimed")

MINIMAL_SETTINGS: dict[str, Any] = {
    "scale": "tiny",
    "seed": 7,
    "introspection": {
        "extrapolation": [20],
        "training_windows": 8,
        "test_windows": 4,
        "test_systems": 4,
        "seeds": 2,
        "datasets": {"waves": {"families": ["shallow", "deep"], "start": "circle"}},
        "stages": {"short": [{"update": "adam", "steps": 20, "batch": 4, "window": 10}]},
        "translators": {"free": {"dataset": "waves", "hidden": [3, 6], "stages": "short"}},
        "distillers": {
            "born": {"dataset": "waves", "translator": "free", "latent": [1, 2], "stages": "short"}
        },
        "spectral": {"noise": [0.0]},
    },
    "holography": {
        "samples": 16,
        "chunk": 8,
        "theories": {
            "disc": {"model": "phi4", "t": 1.0, "mu": 1.0, "lam": 1.0},
            "line": {"model": "phi4", "t": [0.1, 0.5], "mu": [-199.8, -199.0], "lam": 25.0},
            "ising": {"model": "ising", "temperature": 2.3},
        },
        "stages": {"brief": [{"update": "adam", "steps": 3, "batch": 8}]},
        "flows": {
            "disc": {"theory": "disc", "network": "spline", "width": 4, "sizes": {2: "brief"}},
            "line": {"theory": "line", "network": "spline", "width": 4, "sizes": {2: "brief"}},
        },
        "diagram": {"t": [0.2, 0.4], "sides": [4], "chains": 2, "sweeps": 20},
    },
    "retraining": {
        "samples": 16,
        "batch": 8,
        "configurations": 16,
        "stages": {"brief": [{"update": "adam", "steps": 3, "batch": 8}]},
        "chains": {
            "ising": {
                "model": "ising",
                "geometry": "chain",
                "field": 1.0,
                "network": "gated",
                "units": 4,
                "sizes": {4: "brief", 6: "brief"},
            }
        },
    },
}


LONGEST_FIRST = ("container", "test_smoke.py", "cluster")
"""Of the tests of the workflow."""


def pytest_configure(config: pytest.Config) -> None:
    """Files are shared in the order below, not by the number of their tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files are shared among processes, those that take long come first.

    At the end there is then only little for one process to wait for another: the image, the smoke
    workflow, the cluster, other workflows, then what is marked slow, then what TensorFlow compiles,
    then NumPy.
    """
    if not hasattr(config, "workerinput"):
        return
    workflow = config.rootpath / "tests/workflow"
    ranks: dict[Path, int] = {}
    for item in items:
        if item.path.is_relative_to(workflow):
            parts = item.path.relative_to(workflow).parts
            rank = next((i for i, name in enumerate(LONGEST_FIRST) if name in parts), 3)
        elif item.get_closest_marker("slow"):
            rank = 4
        else:
            rank = 5 if hasattr(item.module, "tf") else 6
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: ranks[item.path])


@pytest.fixture(scope="session")
def build_settings() -> Callable[[], dict[str, Any]]:
    """Makes a fresh mapping of settings: valid, and of no more keys than must be given."""
    return lambda: copy.deepcopy(MINIMAL_SETTINGS)


@pytest.fixture
def here(monkeypatch, capfd):
    """`emergence` with these arguments in this process: what it would end with, and say."""

    from emergence import cli

    def here(*arguments) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["emergence", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return SimpleNamespace(returncode=ended.value.code, stdout=out, stderr=err)

    return here
