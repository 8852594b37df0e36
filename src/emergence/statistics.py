"""Measurements with their errors, from ensembles of seeds, and the file the ledger reads them from.

A measurement is one number of one system: ``results/<scale>/<system>/measurements.json`` holds all
of them, by name. The errors come from SciPy; nothing here draws a random number that is not fixed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from emergence.artifacts import AGAIN, read_numbers, write_numbers
from emergence.errors import ArtifactError

RESAMPLES = 9999
"""Bootstrap resamples: the error is then itself known to a percent."""


FEWEST = 3
"""Fewer values tell no spread."""


@dataclass(frozen=True)
class Measurement:
    """One measured number.

    Raises:
        ArtifactError: the value, the error or a seed's value is NaN or infinite, or the error is
            negative; or there is no value, and nothing says why.
    """

    name: str
    value: float | None
    """None where the data could not tell it, for the reason in ``note``."""
    error: float | None = None
    """Standard error of ``value``; None where it is not known, 0 where it is exact."""
    values: tuple[float, ...] | None = None
    """One value per seed; None where there is no ensemble."""
    unit: str = ""
    source: str = ""
    """The result it was measured in, such as the name of a table."""
    note: str = ""

    def __post_init__(self) -> None:
        if self.value is None:
            if self.error is not None or self.values is not None or not self.note:
                raise ArtifactError(
                    f"Measurement '{self.name}' has no value but an error, or no reason.", AGAIN
                )
            return
        number = object.__setattr__  # the way to normalise the fields of a frozen dataclass
        number(self, "value", float(self.value))
        number(self, "error", None if self.error is None else float(self.error))
        if self.values is not None:
            number(self, "values", tuple(float(value) for value in self.values))
        numbers = [self.value, self.error or 0.0, *(self.values or ())]
        if not all(math.isfinite(number) for number in numbers):
            raise ArtifactError(
                f"Measurement '{self.name}' holds a number that is not finite.",
                "Read the log of the stage that computed it.",
            )
        if self.error is not None and self.error < 0:
            raise ArtifactError(f"Measurement '{self.name}' has a negative error.", AGAIN)

    @classmethod
    def from_seeds(
        cls,
        name: str,
        values: ArrayLike,
        *,
        unit: str = "",
        source: str = "",
        note: str = "",
    ) -> Measurement:
        """Return the median over seeds, with its standard error; ``values`` has shape [seeds].

        Raises:
            ArtifactError: there is no seed, or a value is NaN or infinite.
        """
        samples = np.asarray(values, dtype=float).ravel()
        if samples.size == 0:
            raise ArtifactError(f"Measurement '{name}' has no seed to be taken from.", AGAIN)
        finite = np.isfinite(samples).all()
        return cls(
            name=name,
            value=float(np.median(samples)),
            error=median_error(samples) if finite else None,
            values=tuple(samples.tolist()),
            unit=unit,
            source=source,
            note=note,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the entry of ``measurements.json``, without the name, which is its key."""
        return {
            "value": self.value,
            "error": self.error,
            "values": None if self.values is None else list(self.values),
            "unit": self.unit,
            "source": self.source,
            "note": self.note,
        }


def median_error(samples: ArrayLike) -> float | None:
    """Return the standard error of the median of ``samples`` [seeds]; None for fewer than two.

    The bootstrap, with a fixed seed. Resampling n values underestimates their variance by a factor
    (n - 1) / n, which matters for the few seeds of an ensemble and is put right here: for two seeds
    the result is that of the mean's textbook error.
    """
    # Imported here, because the command line, which imports this module, must start fast.
    from scipy.stats import bootstrap

    samples = np.asarray(samples, dtype=float).ravel()
    count = samples.size
    if count < 2:
        return None
    if np.ptp(samples) == 0:
        return 0.0
    resampled = bootstrap(
        (samples,), np.median, n_resamples=RESAMPLES, method="percentile", rng=0
    ).standard_error
    return float(resampled * math.sqrt(count / (count - 1)))


def scatter(values: ArrayLike) -> float | None:
    """Half of the central 68 % of some values, so that one lost seed counts as one.

    None where there are fewer than :data:`FEWEST`. Of a normal distribution it is the standard deviation.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < FEWEST:
        return None
    low, high = np.quantile(values, [0.16, 0.84])
    return float(high - low) / 2.0


class Pooled(NamedTuple):
    """The mean of numbers that differ by more than their errors."""

    mean: float
    error: float
    """Its standard error; by Student's t of one degree of freedom less than there are numbers."""
    between: float
    """Standard deviation of what they differ by beside their errors."""
    common: float
    """What the error would be if their own errors were one and the same draw."""


def random_effects(values: ArrayLike, errors: ArrayLike) -> Pooled:
    """Mean of numbers that differ by more than their errors, and its standard error.

    Each is weighted by the variance of its own error and of the scatter between them, which is taken
    from the same numbers (DerSimonian & Laird, Controlled Clinical Trials 7, 177, 1986). The error is
    the weighted scatter about the mean (Hartung & Knapp, Statistics in Medicine 20, 3875, 2001), and
    not less than what the weights alone would tell: an interval of 95 % by Student's t holds 90 % or
    more also where the errors differ tenfold.

    Args:
        values: two or more, [trainings].
        errors: their standard errors, positive, [trainings].
    """
    values, errors = np.asarray(values, dtype=float), np.asarray(errors, dtype=float)
    freedom = len(values) - 1
    with np.errstate(all="ignore"):  # errors too small to be squared: nothing finite comes of them
        fixed = 1.0 / errors**2
        excess = fixed @ (values - np.average(values, weights=fixed)) ** 2 - freedom
        between = max(0.0, excess / (fixed.sum() - fixed @ fixed / fixed.sum()))
        weights = 1.0 / (errors**2 + between)
        mean = float(np.average(values, weights=weights))
        scatter_about = weights @ (values - mean) ** 2 / freedom
        error = math.sqrt(max(1.0, scatter_about) / weights.sum())
        return Pooled(mean, error, math.sqrt(between), float(np.average(errors, weights=weights)))


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion, ``successes`` out of ``n``.

    Raises:
        ValueError: ``n`` is not positive or ``successes`` not between 0 and ``n``.
    """
    from scipy.stats import binomtest

    if n < 1:
        raise ValueError(f"A proportion needs at least one trial, not {n}.")
    interval = binomtest(int(successes), int(n)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def relative_rms(
    prediction: ArrayLike, truth: ArrayLike, axis: int | tuple[int, ...] | None = None
) -> np.ndarray | float:
    """Return rms(prediction - truth) / rms(truth) along ``axis``, in double precision.

    Args:
        prediction: any shape.
        truth: the same shape; nothing is broadcast, because a broadcast is most often a mistake.
        axis: the axes to average over; None for all, which gives a plain float.

    Raises:
        ValueError: the shapes differ, or the truth vanishes, so that nothing is relative to it.
    """
    prediction, truth = (
        np.asarray(prediction, dtype=float),
        np.asarray(truth, dtype=float),
    )
    if prediction.shape != truth.shape:
        raise ValueError(f"The shapes {prediction.shape} and {truth.shape} differ.")
    scale = np.mean(truth**2, axis=axis)
    if np.any(scale == 0):
        raise ValueError("The truth is zero throughout; use an absolute error.")
    ratio = np.sqrt(np.mean((prediction - truth) ** 2, axis=axis) / scale)
    return float(ratio) if np.ndim(ratio) == 0 else ratio


def write_measurements(path: str | Path, measurements: Iterable[Measurement]) -> None:
    """Write measurements to one ``.json``, in the order given.

    Raises:
        ArtifactError: two have the same name, or the file cannot be written.
    """
    entries: dict[str, dict[str, Any]] = {}
    for measurement in measurements:
        if measurement.name in entries:
            raise ArtifactError(
                f"{path} was not written: two measurements are called '{measurement.name}'.",
                "Rename one of them in the stage that measures it.",
            )
        entries[measurement.name] = measurement.to_json()
    write_numbers(path, {"measurements": entries})


def read_measurements(path: str | Path) -> dict[str, Measurement]:
    """Read what :func:`write_measurements` wrote, by name.

    Raises:
        ArtifactError: the file is missing, truncated or corrupt.
    """
    entries = read_numbers(path, required=["measurements"])["measurements"]
    if not isinstance(entries, dict):
        raise ArtifactError(f"{path} holds no mapping of measurements.", AGAIN)
    measurements = {}
    for name, entry in entries.items():
        try:
            measurements[name] = Measurement(name=name, **entry)
        except (ArithmeticError, ArtifactError, TypeError, ValueError) as error:
            what = getattr(error, "message", str(error)).rstrip(".")
            raise ArtifactError(
                f"{path} holds a malformed measurement '{name}': {what}.", AGAIN
            ) from error
    return measurements


def shrunk_correlation(samples: np.ndarray) -> np.ndarray:
    """Correlation matrix of few samples of many variables, as far as they tell it from none.

    Off its diagonal it is multiplied by 1 − λ with λ = Σ Var(r_ij) / Σ r_ij², which makes the expected
    squared error least (Schäfer & Strimmer, Stat. Appl. Genet. Mol. Biol. 4, 32, 2005).

    Args:
        samples: independent ones, ``[variables, n]`` with n ≥ 3; a variable that does not vary, or is
            not finite, is correlated with none.

    Returns:
        ``[variables, variables]``, positive definite.
    """
    variables, count = samples.shape
    found = np.eye(variables)
    spread = samples.std(axis=1, ddof=1)
    known = np.flatnonzero(np.isfinite(spread) & (spread > 0.0))
    scaled = (samples[known] - samples[known].mean(axis=1, keepdims=True)) / spread[known, None]
    products = scaled[:, None] * scaled[None]
    correlation = products.sum(axis=2) / (count - 1)
    variance = count / (count - 1) ** 3 * products.var(axis=2) * count
    off = ~np.eye(len(known), dtype=bool)
    total = float(np.sum(correlation[off] ** 2))
    shrinkage = min(1.0, float(np.sum(variance[off])) / total) if total > 0.0 else 1.0
    found[np.ix_(known, known)] = np.where(off, (1.0 - shrinkage) * correlation, 1.0)
    return found
