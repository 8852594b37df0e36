"""Times of samplers: of the work, whoever drew the records."""

import pytest

from emergence.holography import chain_timing, chains

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
