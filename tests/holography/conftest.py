"""Runs of chains that several files test."""

from typing import Any

import numpy as np
import pytest

from emergence.settings import Settings

HOLOGRAPHY: dict[str, Any] = {
    "precision": "float64",
    "samples": 16,
    "chunk": 16,
    "theories": {
        "disc": {"model": "phi4", "t": 1.0, "mu": 1.0, "lam": 1.0},
        "line": {"model": "phi4", "t": [0.1, 1.0], "mu": [-199.8, -198.0], "lam": 25.0},
        "spins": {"model": "ising", "temperature": 3.0},
    },
    "stages": {"brief": [{"update": "adam", "steps": 2, "batch": 4}]},
    "flows": {
        "disc": {"theory": "disc", "network": "real_nvp", "couplings": 2, "width": 4,
                 "radial": False, "sizes": {2: "brief"}},
        "line": {"theory": "line", "network": "spline", "width": 4, "sizes": {2: "brief"}},
        "spins": {"theory": "spins", "network": "real_nvp", "couplings": 2, "width": 4,
                  "symmetrised": True, "sizes": {2: "brief"}},
    },
    "diagram": {"t": [0.2, 0.9], "sides": [2], "sweeps": 10},
}  # fmt: skip

RUN = {"size": 2, "chains": 32, "tuning": 100, "trajectories": 600, "leapfrogs": 5}


@pytest.fixture
def settings_of(build_settings):
    """Settings of these runs of chains, in small flows of three theories."""

    def settings_of(**runs: dict[str, Any]) -> Settings:
        holography = HOLOGRAPHY | {"chains": {name: RUN | run for name, run in runs.items()}}
        return Settings.model_validate(build_settings() | {"holography": holography})

    return settings_of


@pytest.fixture
def crooked():
    """Random weights in every layer: a flow that is neither the identity nor near the theory."""

    def crooked(settings: Settings, flow: str, spread: float = 0.1) -> dict[str, np.ndarray]:
        from emergence.holography.arms import problem_of

        rng = np.random.default_rng(5)
        start = problem_of(settings, flow, 2).initial_parameters()
        return {
            name: value + spread * rng.standard_normal(value.shape) for name, value in start.items()
        }

    return crooked
