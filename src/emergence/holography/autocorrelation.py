"""Errors of means, and of functions of means, over correlated series from several chains.

The Γ-method with automatic windowing for several replica (U. Wolff, hep-lat/0306017), by pyerrors: a
derived quantity is linearised in its means, the fluctuations of that linear form are one series per
chain, and its autocorrelation function Γ, summed up to the window that balances bias against noise,
gives the error √(2 τ_int Γ(0)/samples).

The fluctuations that the package is given are about the mean of all chains. About each chain's own
mean, as it takes them by itself, 64 chains of 20 τ_int lose a quarter of their error (tested).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from emergence.errors import DivergenceError
from emergence.settings.studies import SHORTEST_SERIES

if TYPE_CHECKING:
    import pyerrors

Function = Callable[[Mapping[str, float]], float]

LEAST_LENGTH = 10.0
"""In τ_int; the slow modes of a shorter chain are not seen at all."""

LEAST_AGREEMENT = 1e-3
"""p-value of the scatter of the chains' means below which they are too short to be averaged."""

_ENSEMBLE = "chains"

WINDOW_FACTOR = 1.5
"""S of the windowing: τ_exp is taken as S τ_int; Wolff advises 1 to 2."""


@dataclass(frozen=True)
class Estimate:
    """A mean, or a function of means, with its error."""

    value: float
    error: float
    """Standard error."""
    error_of_error: float
    tau: float
    """τ_int in steps of the series: the error is √(2τ) that of independent samples. At least ½:
    where long trajectories overshoot and the series alternates, the error is on the safe side."""
    tau_error: float
    window: int
    """Separation up to which Γ was summed."""
    samples: int
    """Of all chains together."""
    agreement: float
    """p-value of the scatter of the chains' means about theirs (χ²); 1 for a single chain. A tiny
    one says that the chains are too short, or that they started too far from equilibrium."""
    windowed: bool
    """Whether the window closed within half a chain of at least ten τ_int; otherwise the error is
    too small."""

    @property
    def equilibrated(self) -> bool:
        """Whether the error can be trusted: the window closed, and the chains agree."""
        return self.windowed and self.agreement >= LEAST_AGREEMENT


def _checked(series: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The series as float64, all ``[chains, time]``."""
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in series.items()}
    shapes = {values.shape for values in arrays.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 2 or shape[1] < SHORTEST_SERIES:
        raise ValueError(
            f"Series are [chains, time] of one shape, at least {SHORTEST_SERIES} long."
        )
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise DivergenceError(
                f"The series '{name}' holds values that are not finite.",
                "Lower the step size of the sampler, or look at where it started.",
            )
    return arrays


def _linearised(arrays: dict[str, np.ndarray], function: Function) -> tuple[float, np.ndarray]:
    """The function of the means, and the fluctuations of its linear form, ``[chains, time]``."""
    means = {name: float(values.mean()) for name, values in arrays.items()}
    value = float(function(means))
    fluctuations = np.zeros_like(next(iter(arrays.values())))
    for name, values in arrays.items():
        # One standard error of independent samples: as far as the means can be trusted.
        step = float(values.std()) / np.sqrt(values.size)
        # Two means that differ by rounding give no slope.
        if step <= 1e-14 * abs(means[name]):
            continue
        ahead = float(function(means | {name: means[name] + step}))
        behind = float(function(means | {name: means[name] - step}))
        if ahead != behind:
            fluctuations += (ahead - behind) / (2.0 * step) * (values - means[name])
    # Exact for a mean; for a function it removes what rounding leaves.
    return value, fluctuations - fluctuations.mean()


def _observable(fluctuations: np.ndarray, factor: float) -> pyerrors.Obs:
    """The mean of chains ``[chains, time]`` with its error, from fluctuations about that of all."""
    # Takes 60 MB and 0.4 s, which the jobs that only train or sample have no use for.
    import pyerrors

    chains = len(fluctuations)
    names = [f"{_ENSEMBLE}|{index:06d}" for index in range(chains)]
    found = pyerrors.Obs(list(fluctuations), names, means=[0.0] * chains)
    found.gamma_method(S=factor)
    return found


def estimate(
    series: Mapping[str, np.ndarray], function: Function, *, factor: float = WINDOW_FACTOR
) -> Estimate:
    """A function of the means of several series, with its error.

    Args:
        series: name → ``[chains, time]``, all measured at the same times.
        function: takes name → mean; what it does not use does not enter.
        factor: S of the windowing.

    Raises:
        DivergenceError: a value is not finite.
        ValueError: the series differ in shape or are shorter than 4.
    """
    arrays = _checked(series)
    value, fluctuations = _linearised(arrays, function)
    chains, length = fluctuations.shape
    samples = chains * length
    if not np.isfinite(value) or not np.isfinite(fluctuations).all():
        return Estimate(value, np.nan, np.nan, np.nan, np.nan, 0, samples, np.nan, False)
    contact = float(np.mean(fluctuations**2))
    if contact <= 10.0 * np.finfo(float).tiny:
        return Estimate(value, 0.0, 0.0, 0.5, 0.0, 0, samples, 1.0, True)
    found = _observable(fluctuations, factor)
    window, total = int(found.e_windowsize[_ENSEMBLE]), samples * found.dvalue**2
    # Subtracting the measured mean lowers every Γ(w), Γ(0) among them, by the variance of that mean: eq.
    # (49), which the package heeds in the error and not in τ.
    tau = max(0.5, 0.5 * total / (contact + total / samples))
    scatter = length * np.sum(fluctuations.mean(axis=1) ** 2) / total
    return Estimate(
        value=value,
        error=float(found.dvalue),
        error_of_error=float(found.ddvalue),
        tau=float(tau),
        tau_error=float(2.0 * tau * np.sqrt(max(window + 0.5 - tau, 0.5) / samples)),
        window=window,
        samples=samples,
        agreement=float(chdtrc(chains - 1, scatter)) if chains > 1 else 1.0,
        # Where it never closes, the package's window is the longest one.
        windowed=window < length // 2 - 1 and length >= LEAST_LENGTH * tau,
    )


def fluctuations(series: Mapping[str, np.ndarray], function: Function) -> np.ndarray:
    """What a function of means deviates by at each time, linearised, ``[chains, time]``.

    Raises:
        DivergenceError: a value is not finite.
        ValueError: the series differ in shape or are shorter than 4.
    """
    return _linearised(_checked(series), function)[1]


def estimate_mean(series: np.ndarray, *, factor: float = WINDOW_FACTOR) -> Estimate:
    """The mean of one series ``[chains, time]`` with its error, as :func:`estimate`."""
    return estimate({"series": series}, lambda means: means["series"], factor=factor)


def estimate_all(
    series: Mapping[str, np.ndarray], functions: Mapping[str, Function]
) -> dict[str, Estimate]:
    """:func:`estimate` for every function."""
    return {name: estimate(series, function) for name, function in functions.items()}
