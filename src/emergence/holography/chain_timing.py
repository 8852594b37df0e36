"""What a step of each sampler costs, without what compiles: the fastest of some rounds.

In processor seconds, on a GPU in seconds of wall time (:func:`.devices.clock`). Times are taken where
the samplers are compared: records may have been drawn on another machine, but a ratio of times must
have both from one; and of each the fastest round counts, which other work on the machine disturbs least.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from emergence import devices
from emergence.holography.cluster import run_ising, run_phi4
from emergence.holography.flow import FlowProblem, compile_weigher
from emergence.holography.points import Point, action_of
from emergence.randomness import derive_seed
from emergence.settings import TheorySettings
from emergence.updates import Parameters

if TYPE_CHECKING:
    from emergence.holography.chains import Batch

TIMED_SWEEPS = 200
"""Cluster sweeps whose time is taken."""

TIMED_SAMPLES = 64
"""Samples of the flow whose time is taken."""

TIMED_TRAJECTORIES = 5
"""Trajectories of every chain whose time is taken, where records are not drawn here."""

TIMED_ROUNDS = 3
"""Times that anything timed here is repeated."""


def timing_of(batch: Batch, seconds_per_trajectory: float) -> dict[str, float]:
    """What the comparison of samplers reads.

    Args:
        seconds_per_trajectory: of one chain.

    Returns:
        ``seconds_per_trajectory``, ``evaluations`` of the density or of its force in it, and the
        ``seconds_per_force`` of each, ``seconds_per_sweep`` of the cluster algorithm at the first
        point; after a cold start in the bulk also ``seconds_per_sample``, an independent sample of
        the flow with its weight.
    """
    entry, point = batch.entry, batch.points[0]
    timing = {
        "seconds_per_trajectory": seconds_per_trajectory,
        "evaluations": batch.moves.evaluations,
        "seconds_per_force": seconds_per_trajectory / batch.moves.evaluations,
        "seconds_per_sweep": _time_of_sweep(batch.told, point, entry.size),
    }
    if entry.cold and entry.space == "bulk":
        timing["seconds_per_sample"] = _time_of_sample(batch.problem, batch.parameters, point)
    return timing


def time_of_trajectory(batch: Batch, tuned: np.ndarray) -> float:
    """Seconds of one trajectory of one chain, all chains moving side by side as they always do.

    Args:
        tuned: step or strengths; what a trajectory costs does not depend on them.
    """
    state = batch.start(tf.constant([0, 0], tf.int32))

    def move(index: int) -> None:
        batch.moves.segment(state, tuned, TIMED_TRAJECTORIES, derive_seed(0, index))[1].numpy()

    return fastest(move) / (TIMED_TRAJECTORIES * len(state))


def fastest(work: Callable[[int], None]) -> float:
    """Seconds of the fastest round of ``work(round)``; one before them, which compiles, does not count."""
    taken = []
    for index in range(1 + TIMED_ROUNDS):
        began = devices.clock()
        work(index)
        taken.append(devices.clock() - began)
    return min(taken[1:])


def _time_of_sweep(told: TheorySettings, point: Point, side: int) -> float:
    """Of one cluster sweep of one chain."""

    def sweeps(_: int) -> None:
        counts = {"chains": 1, "sweeps": TIMED_SWEEPS, "thermalisation": 1, "seed": 0}
        if told.model == "ising":
            run_ising(told.temperature, side, **counts)
        else:
            run_phi4(action_of(told, point), side, **counts)

    return fastest(sweeps) / TIMED_SWEEPS


def _time_of_sample(problem: FlowProblem, parameters: Parameters, point: Point) -> float:
    """Of one sample of the flow and its weight."""
    weigh = compile_weigher(problem, 1, TIMED_SAMPLES)
    at = tf.broadcast_to(tf.constant(point, problem.dtype), [1, TIMED_SAMPLES, 2])

    def draw(index: int) -> None:
        weigh(parameters, at, tf.constant([0, index], tf.int32))[1].numpy()

    return fastest(draw) / TIMED_SAMPLES
