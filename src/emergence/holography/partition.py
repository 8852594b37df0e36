"""ln Z as well as a run knows it: a distance to the theory is no better than that.

A flow's own weights tell ln Z too low where few of its samples are effective, and would hide how far
off it is. So ln Z is taken, in this order, from where it is exact, from true samples together with a
flow's (Bennett's acceptance ratio), or from the flow with the most effective samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from emergence.holography import exact, ising_exact
from emergence.holography.actions import ComplexPhi4, FreeField, IsingDualField
from emergence.holography.bridge import CHUNKS, divergences
from emergence.holography.points import Point, action_of
from emergence.holography.weights import LEAST_SAMPLES, Evaluation
from emergence.settings import TheorySettings

if TYPE_CHECKING:
    from emergence.holography.analysis import Flow, Results


class Partition(NamedTuple):
    """ln Z of a theory on one torus."""

    value: float
    error: float
    source: str
    """Where it was taken from."""
    low: bool = False
    """Whether it is a lower bound, from fewer than ten effective samples."""


def exact_log_partition(
    action: ComplexPhi4 | FreeField | IsingDualField, side: int
) -> float | None:
    """ln Z where it is known: the free field, the Ising field, and everything on the 2×2 torus."""
    if isinstance(action, FreeField):
        return exact.free_log_partition(action, side)
    if isinstance(action, IsingDualField):
        return ising_exact.dual_log_partition(action, side)
    return exact.small_torus(action).log_partition if side == 2 else None


def best_partition(results: Results, flow: Flow, point: Point) -> Partition:
    """The best ln Z that a run has of the theory of a flow at a point.

    Args:
        results: of the run.
        flow: one of its flows.
        point: (t, μ), one that the flow is evaluated at.
    """
    theory = results.chosen.theories[results.chosen.flows[flow.arm].theory]
    known = exact_log_partition(action_of(theory, point), flow.size)
    if known is not None:
        return Partition(known, 0.0, "exact")
    candidates = [
        (other, other.arrays["log_weights"][index, 0])
        for other in results.flows()
        if other.size == flow.size
        for index in _same_theory(results, other, theory, point)
    ]
    for name, study in results.chosen.bulks.items():
        arrays = results.bulk(name)
        where = (float(arrays["t"]), float(arrays["mu"]))
        for other, log_weights in candidates:
            if len(log_weights) < CHUNKS:
                continue
            if (study.flow, study.size) == (other.arm, flow.size) and np.allclose(where, point):
                found = divergences(arrays["log_weights"], log_weights).log_partition
                return Partition(found.value, found.error, f"bulks/{name}")
    effective = [Evaluation(weights).effective_fraction * len(weights) for _, weights in candidates]
    best = int(np.argmax(effective))
    other, log_weights = candidates[best]
    found = Evaluation(log_weights)
    low = effective[best] < LEAST_SAMPLES
    return Partition(found.log_partition, found.error, other.source, low)


def _same_theory(results: Results, other: Flow, theory: TheorySettings, point: Point) -> list[int]:
    """Where a flow was evaluated at the same couplings of the same action."""
    told = results.chosen.theories[results.chosen.flows[other.arm].theory]
    if (told.model, told.lam) != (theory.model, theory.lam):
        return []
    points = np.stack([other.arrays["t"], other.arrays["mu"]], axis=1)
    return [int(at) for at in np.flatnonzero(np.isclose(points, point, atol=1e-9).all(axis=1))]
