"""Times of samplers: of the work, whoever drew the records."""

from pathlib import Path

import numpy as np
import pytest

from emergence import devices, finished
from emergence.holography import chain_timing, chains
from emergence.holography.efficiency import TIMING_ERROR
from emergence.settings import load

ROOT = Path(__file__).parents[2]

LATENTS = {"flow": "disc", "space": "bulk", "leapfrogs": None, "refreshes": 2}
BRIEF = {"trajectories": 10, "tuning": 5, "cold": 10}


@pytest.fixture
def settings(settings_of):
    boundary = {"flow": "disc", "space": "boundary", "leapfrogs": 5}
    return settings_of(bulk=LATENTS | BRIEF, boundary=boundary | BRIEF)


@pytest.mark.parametrize("name", ["bulk", "boundary"])
def test_records_drawn_before_are_timed_as_in_a_run(settings, crooked, name):
    weights = crooked(settings, "disc")
    arrays, drawn = chains.run(settings, name, weights)
    timed = chains.time_of(settings, name, weights, arrays["tuned"])
    assert timed.keys() == drawn.keys()
    assert timed["evaluations"] == drawn["evaluations"]
    assert ("seconds_per_sample" in timed) == (name == "bulk")
    assert min(timed.values()) > 0.0
    assert timed["seconds_per_force"] * timed["evaluations"] == pytest.approx(
        timed["seconds_per_trajectory"]
    )


def test_the_fastest_round_counts_and_the_first_never(monkeypatch):
    clock = iter([0.0, 1.0, 100.0, 107.0, 107.0, 110.0, 110.0, 119.0])
    monkeypatch.setattr(chain_timing.devices, "clock", lambda: next(clock))
    rounds = []
    assert chain_timing.fastest(rounds.append) == 3.0
    assert rounds == [0, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tuned"), [("critical_bulk", 5), ("critical_boundary", 1)])
def test_scatter_of_the_fastest_round_is_within_the_error_that_is_taken(monkeypatch, name, tuned):
    """Of everything that is timed for the samplers at the transition, each three times over."""
    laptop, scatter = load(ROOT / "config/laptop.yaml"), []
    entry = laptop.holography.chains[name]
    flow = f"weights/laptop/holography/flows/{entry.flow}/{entry.size}.npz"
    (trained,) = finished.read(ROOT / flow).values()

    def fastest(work):
        taken = []
        for index in range(1 + 3 * chain_timing.TIMED_ROUNDS):
            began = devices.clock()
            work(index)
            taken.append(devices.clock() - began)
        least = np.reshape(taken[1:], (3, chain_timing.TIMED_ROUNDS)).min(axis=1)
        scatter.append(least.std(ddof=1) / least.mean())
        return float(least.min())

    monkeypatch.setattr(chain_timing, "fastest", fastest)
    # What a trajectory costs does not depend on its step or strengths.
    chains.time_of(laptop, name, trained.parameters, np.full((1, tuned), 0.01))
    assert len(scatter) == (3 if name == "critical_bulk" else 2)
    assert 0.0 < max(scatter) < TIMING_ERROR
