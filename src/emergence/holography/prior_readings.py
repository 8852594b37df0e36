"""What a prior gains that was trained with the map frozen: nats of KL(flow ‖ theory), and their share.

Both flows are drawn from the same random numbers, so that of the difference of their mean ln w, which is
that of their distances whatever ln Z is, the error is smaller than that of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emergence.analysing import Found
from emergence.holography.mutual_information import Estimate
from emergence.holography.partition import best_partition
from emergence.holography.readings import LOW
from emergence.holography.weights import Evaluation
from emergence.statistics import Measurement

if TYPE_CHECKING:
    from emergence.holography.analysis import Flow, Results


def gains(flow: Flow) -> dict[str, Estimate]:
    """Nats that a learnt prior removes: ``gain``, and ``reversed_gain`` of the opposite couplings."""
    arrays = flow.arrays
    with_it = {"gain": arrays["log_weights"][0], "reversed_gain": arrays["reversed_log_weights"]}
    found = {}
    for name, log_weights in with_it.items():
        change = (log_weights - arrays["map_log_weights"]).ravel()
        error = np.std(change, ddof=1) / np.sqrt(change.size)
        found[name] = Estimate(float(change.mean()), float(error))
    return found


def trained_after(results: Results, arm: str, size: int) -> list[Flow]:
    """The flows whose prior was trained for the map of a flow at one side."""
    return [
        results.flow(name, size)
        for name, other in results.chosen.flows.items()
        if other.after == arm and size in other.sizes
    ]


def learnt_priors(results: Results) -> Found:
    """Of every learnt prior: what it gains, alone and over the distance of its map to the theory."""
    for name, arm in results.chosen.flows.items():
        for size in arm.sizes if arm.after else ():
            flow, plain = results.flow(name, size), results.flow(arm.after, size)
            best = best_partition(results, plain, (plain.arrays["t"][0], plain.arrays["mu"][0]))
            weights = Evaluation(plain.arrays["log_weights"][0].ravel())
            distance = Estimate(*weights.divergence(best.value, best.error))
            for label, gain in gains(flow).items():
                yield _named(f"{name}.{label}_{size}", gain, flow, unit="nats")
                share = gain.value / distance.value
                error = np.hypot(gain.error / distance.value, share * distance.relative_error)
                share = Estimate(share, float(error))
                yield _named(f"{name}.{label}_share_{size}", share, flow, LOW if best.low else "")


def _named(
    name: str, found: Estimate, flow: Flow, untold: str = "", unit: str = ""
) -> tuple[str, Measurement]:
    """A measurement, whose error is not known where there is a reason for that."""
    error = None if untold else found.error
    return name, Measurement(name, found.value, error, source=flow.source, unit=unit, note=untold)


PARTS = (learnt_priors,)
