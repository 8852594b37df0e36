"""Importance weights of a flow's samples: how far it is from the theory, and ln Z, in NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emergence.errors import DivergenceError

LEAST_SAMPLES = 10.0
"""Effective samples below which a reweighted number says nothing."""
FEW = "fewer than ten effective samples"
"""The same in words: of such a number no error is known."""


def check_finite(log_weights: np.ndarray) -> None:
    """Refuse importance weights that are not numbers.

    Raises:
        DivergenceError: one is not finite.
    """
    if not np.isfinite(log_weights).all():
        raise DivergenceError(
            "An importance weight of the flow is not a finite number.",
            "Train the flow again with a lower rate.",
        )


@dataclass(frozen=True)
class Evaluation:
    """Importance weights of one trained flow, in double precision."""

    log_weights: np.ndarray
    """ln w = −S − ln q of every sample, ``[samples]``."""

    @property
    def samples(self) -> int:
        """How many."""
        return len(self.log_weights)

    @property
    def log_partition(self) -> float:
        """ln of the mean weight: ln Z, up to a bias of error²/2."""
        largest = self.log_weights.max()
        return float(largest + np.log(np.mean(np.exp(self.log_weights - largest))))

    @property
    def error(self) -> float:
        """Standard error of :attr:`log_partition`."""
        weight = np.exp(self.log_weights - self.log_weights.max())
        return float(np.std(weight, ddof=1) / np.mean(weight) / np.sqrt(self.samples))

    @property
    def effective_fraction(self) -> float:
        """(Σw)²/(n Σw²)."""
        weight = np.exp(self.log_weights - self.log_weights.max())
        return float(np.mean(weight) ** 2 / np.mean(weight**2))

    @property
    def effective_error(self) -> float:
        """Standard error of :attr:`effective_fraction`, to first order in the means of w and of w²."""
        weight = np.exp(self.log_weights - self.log_weights.max())
        square = weight**2
        each = 2.0 * weight / weight.mean() - square / square.mean()
        return float(self.effective_fraction * np.std(each, ddof=1) / np.sqrt(self.samples))

    @property
    def underpowered(self) -> bool:
        """Whether fewer than ten samples are effective: then no weighted number means anything."""
        return self.effective_fraction * self.samples < LEAST_SAMPLES

    @property
    def variance(self) -> float:
        """Variance of ln w."""
        return float(np.var(self.log_weights, ddof=1))

    def divergence(
        self, log_partition: float | None = None, partition_error: float = 0.0
    ) -> tuple[float, float]:
        """KL(q‖p) = ln Z − ⟨ln w⟩ and its standard error.

        Args:
            log_partition: ln Z; the weights' own estimate where it is not known.
            partition_error: its standard error, where it is given and not exact.
        """
        known = self.log_partition if log_partition is None else log_partition
        off = self.error if log_partition is None else partition_error
        error = np.sqrt(self.variance / self.samples + off**2)
        return float(known - self.log_weights.mean()), float(error)
