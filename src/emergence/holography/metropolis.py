"""What the importance weights w = π/q of a flow's independent samples are good for.

With ln w known up to a constant, means over π are ratios of weighted sums, and the independence
Metropolis chain that accepts proposal j after i with probability min(1, w_j/w_i) has π as its
stationary distribution. Both degrade with the spread of ln w: for Gaussian ln w of deviation σ the
effective sample size is the share e^{−σ²} of the samples and the acceptance is erfc(σ/2).

A reweighted number whose effective sample size is below ``LEAST_SAMPLES`` is *underpowered*: it
carries a warning that is printed with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit

from emergence.errors import DivergenceError, SettingsError
from emergence.holography.weights import LEAST_SAMPLES

BATCHES = 50
"""Of the jackknife of a reweighted number."""


class WeightsError(DivergenceError):
    """The importance weights are of no use at all: NaN, +∞ or all zero."""


def check_log_weights(log_weights: np.ndarray) -> np.ndarray:
    """The log-weights as float64; −∞ (a sample outside the support of π) is allowed.

    Raises:
        WeightsError: there is none, one is NaN or +∞, or all are −∞.
    """
    log_weights = np.asarray(log_weights, dtype=np.float64)
    if log_weights.size == 0 or np.isnan(log_weights).any() or np.isposinf(log_weights).any():
        lost = int(np.sum(np.isnan(log_weights) | np.isposinf(log_weights)))
        raise WeightsError(
            f"{lost} of {log_weights.size} importance weights are not finite.",
            "Look for NaN in the weights of the flow, and evaluate it in float64.",
        )
    if np.isneginf(log_weights).all():
        raise WeightsError(
            "All importance weights are zero.", "Train the flow: no sample lies where π does."
        )
    return log_weights


def _relative(log_weights: np.ndarray) -> np.ndarray:
    """Weights divided by the largest, which neither overflow nor all vanish."""
    log_weights = check_log_weights(log_weights)
    return np.exp(log_weights - log_weights.max())


def effective_samples(log_weights: np.ndarray) -> float:
    """(Σw)²/Σw² of log-weights of any shape: between 1 and their number.

    Raises:
        WeightsError: as :func:`check_log_weights`.
    """
    weights = _relative(log_weights)
    return float(weights.sum() ** 2 / np.sum(weights**2))


def expected_acceptance(log_weights: np.ndarray) -> float:
    """Stationary acceptance of independence Metropolis, from independent samples of q.

    ⟨min(w, w')⟩/⟨w⟩ over pairs of distinct samples: after sorting, each weight is the smaller one
    of as many pairs as there are weights above it. NaN for a single sample.

    Raises:
        WeightsError: as :func:`check_log_weights`.
    """
    weights = np.sort(_relative(np.ravel(log_weights)))
    number = len(weights)
    if number < 2:
        return float("nan")
    smaller = np.sum(weights * np.arange(number - 1, -1, -1)) * 2.0 / (number * (number - 1))
    return float(smaller / weights.mean())


def _warning(effective: float, number: int) -> str:
    if effective >= LEAST_SAMPLES:
        return ""
    return (
        f"Underpowered: {number} weighted samples are worth {effective:.1f}, fewer than"
        f" {LEAST_SAMPLES:.0f}."
    )


@dataclass(frozen=True)
class Reweighted:
    """A function of means over π, from weighted samples of q."""

    value: float
    error: float
    """Jackknife over batches."""
    effective: float
    """Effective sample size."""
    samples: int
    warning: str
    """Empty, or why the number must not be used."""

    @property
    def underpowered(self) -> bool:
        """Whether the effective sample size is too small for any conclusion."""
        return bool(self.warning)

    def __str__(self) -> str:
        return f"{self.value:.6g} ± {self.error:.2g}" + f" ({self.warning})" * self.underpowered


def reweight(
    samples: Mapping[str, np.ndarray],
    log_weights: np.ndarray,
    function: Callable[[Mapping[str, float]], float],
    *,
    batches: int | None = None,
) -> Reweighted:
    """A function of means over π.

    Args:
        samples: name → independent values under q, ``[samples]``.
        log_weights: ln π − ln q up to a constant, ``[samples]``.
        function: takes name → mean.
        batches: of the jackknife; what is left over goes into the last ones. By default
            :data:`BATCHES`, or one for each sample where there are fewer.

    Raises:
        WeightsError: as :func:`check_log_weights`.
        ValueError: shapes differ, or there are fewer samples than batches, or fewer than 2.
    """
    log_weights = check_log_weights(log_weights)
    number = log_weights.size
    if any(np.shape(values) != (number,) for values in samples.values()):
        raise ValueError(f"Every series must have the weights' shape, [{number}].")
    batches = min(BATCHES, number) if batches is None else batches
    if not 2 <= batches <= number:
        raise ValueError(f"{number} samples cannot make {batches} batches.")
    weights = _relative(log_weights)
    starts = np.arange(batches) * number // batches

    def without(values: np.ndarray) -> np.ndarray:
        sums = np.add.reduceat(values, starts)
        return sums.sum() - sums

    total, remaining = weights.sum(), without(weights)
    value = function({name: float(weights @ v / total) for name, v in samples.items()})
    with np.errstate(divide="ignore", invalid="ignore"):
        partial = {name: without(weights * v) / remaining for name, v in samples.items()}
    values = np.array(
        [function({name: float(mean[i]) for name, mean in partial.items()}) for i in range(batches)]
    )
    error = np.sqrt((batches - 1) * np.mean((values - values.mean()) ** 2))
    effective = effective_samples(log_weights)
    return Reweighted(float(value), float(error), effective, number, _warning(effective, number))


@dataclass(frozen=True)
class IndependenceChain:
    """Chains of independence Metropolis over given proposals."""

    index: np.ndarray
    """Which proposal each state is, ``[chains, time]`` into the same chain's proposals."""
    accepted: np.ndarray
    """Share of proposals accepted, ``[chains]``."""
    warning: str
    """Empty, or that the proposals are worth too few samples for the chain to be trusted."""

    def series(self, values: np.ndarray) -> np.ndarray:
        """Values of the states, from those of the proposals ``[chains, time, ...]``."""
        chains = np.arange(len(self.index))[:, None]
        return np.asarray(values)[chains, self.index]


def independence_metropolis(log_weights: np.ndarray, rng: np.random.Generator) -> IndependenceChain:
    """Propose in the order given; the first proposal of each chain is where it starts.

    Args:
        log_weights: ln π − ln q up to one constant, ``[chains, time]``, time ≥ 2.

    Raises:
        WeightsError: as :func:`check_log_weights`.
        SettingsError: the weights are not ``[chains, time]`` with at least two proposals.
    """
    log_weights = np.asarray(log_weights, dtype=np.float64)
    if log_weights.ndim != 2 or log_weights.shape[1] < 2:
        raise SettingsError(
            f"Independence Metropolis has proposals of shape {list(log_weights.shape)}.",
            "Give it [chains, time] with at least two proposals in each chain.",
        )
    check_log_weights(log_weights)
    log_uniform = np.log1p(-rng.random(log_weights.shape))
    index = np.empty(log_weights.shape, np.int64)
    accepted = _walk(log_weights, log_uniform, index)
    return IndependenceChain(
        index=index,
        accepted=accepted / (log_weights.shape[1] - 1),
        warning=_warning(effective_samples(log_weights), log_weights.size),
    )


@njit(cache=True)
def _walk(log_weights: np.ndarray, log_uniform: np.ndarray, index: np.ndarray) -> np.ndarray:
    chains, length = log_weights.shape
    accepted = np.zeros(chains)
    for chain in range(chains):
        current = 0
        index[chain, 0] = 0
        for time in range(1, length):
            # Spelt so that a start outside the support (−∞) accepts whatever lies within it.
            if log_weights[chain, time] > log_weights[chain, current] + log_uniform[chain, time]:
                current = time
                accepted[chain] += 1.0
            index[chain, time] = current
    return accepted
