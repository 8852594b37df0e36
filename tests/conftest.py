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
}


@pytest.fixture(scope="session")
def build_settings() -> Callable[[], dict[str, Any]]:
    """Makes a fresh mapping of settings: valid, and of no more keys than must be given."""
    return lambda: copy.deepcopy(MINIMAL_SETTINGS)
