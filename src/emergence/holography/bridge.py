"""ln Z and both KL divergences from samples of the theory and of the flow together.

Bennett's acceptance ratio (J. Comput. Phys. 22, 245, 1976): with ln w = −S − ln q, as many samples
of either law, and f(x) = 1/(1 + e^x), ln Z = c solves

    Σ_theory f(ln w − c) = Σ_flow f(c − ln w),

which is the best estimate that both can give. It has an error where neither law's tail alone would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from emergence.errors import SettingsError
from emergence.holography.mutual_information import Estimate, jackknife

CHUNKS = 20
"""Of either samples, for the jackknife; of fewer samples the two tell nothing together."""


@dataclass(frozen=True)
class Divergences:
    """How far a flow is from its theory, nats."""

    log_partition: Estimate
    forward: Estimate
    """KL(theory ‖ flow): what the latents of true samples lack to be the prior's."""
    reverse: Estimate
    """KL(flow ‖ theory): what is trained."""


def log_partition(of_theory: np.ndarray, of_flow: np.ndarray) -> float:
    """ln Z from ln w = −S − ln q of true samples and of the flow's own, any numbers of each."""
    balance = np.log(len(of_theory) / len(of_flow))

    def miss(c: float) -> float:
        # Rises with c: the left side rises, the right side falls.
        theory = np.sum(expit(c - of_theory - balance))
        return float(theory - np.sum(expit(of_flow + balance - c)))

    both = np.concatenate([of_theory, of_flow])
    return float(brentq(miss, both.min() - 60.0, both.max() + 60.0, xtol=1e-10))


def divergences(
    of_theory: np.ndarray, of_flow: np.ndarray, *, known: float | None = None, chunks: int = CHUNKS
) -> Divergences:
    """ln Z, KL(theory ‖ flow) and KL(flow ‖ theory).

    Args:
        of_theory: ln w of true samples, ``[samples]``; chunks of them are independent.
        of_flow: ln w of the flow's own, ``[samples]``.
        known: ln Z where it is known exactly.

    Raises:
        SettingsError: for fewer than two chunks, or fewer samples than chunks.
    """
    if not 2 <= chunks <= min(len(of_theory), len(of_flow)):
        raise SettingsError(
            f"{len(of_theory)} true samples and {len(of_flow)} of the flow make no {chunks} chunks.",
            "Use at least 2 chunks and as many samples.",
        )

    def values(theory: np.ndarray, flow: np.ndarray) -> np.ndarray:
        partition = log_partition(theory, flow) if known is None else known
        return np.array([partition, theory.mean() - partition, partition - flow.mean()])

    owners = [np.arange(len(part)) * chunks // len(part) for part in (of_theory, of_flow)]
    without = np.array(
        [values(of_theory[owners[0] != c], of_flow[owners[1] != c]) for c in range(chunks)]
    )
    value, error = jackknife(values(of_theory, of_flow), without)
    return Divergences(*(Estimate(float(v), float(e)) for v, e in zip(value, error, strict=True)))
