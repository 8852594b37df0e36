"""What several test modules start from."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

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


LONGEST_FIRST = ("tests/workflow/container", "tests/workflow/cluster", "tests/workflow")
"""Folders of the tests that wait for whole workflows; the others fill the time beside them."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files are shared among processes, those that take longest come first."""

    def place(item: pytest.Item) -> int:
        inside = [item.path.is_relative_to(config.rootpath / folder) for folder in LONGEST_FIRST]
        return inside.index(True) if True in inside else len(inside)

    if hasattr(config, "workerinput"):
        items.sort(key=place)


@pytest.fixture(scope="session")
def build_settings() -> Callable[[], dict[str, Any]]:
    """Makes a fresh mapping of settings: valid, and of no more keys than must be given."""
    return lambda: copy.deepcopy(MINIMAL_SETTINGS)
