"""Exponential decays of mutual information: ln I = a − rate·u, with errors and with lattice scatter.

The fits are done in asinh(I/2e), which is ln I where I is far above its error e and I/2e where it
is noise, so that no insignificant pair has to be dropped. Beside the errors the likelihood has a
relative scatter τ of the pairs about the law, fitted too, because on a lattice no law of the
distance alone is exact; with exact information (e = 0) it is all there is. The likeliest τ
of few pairs is too small, since the same pairs tell the other parameters: it is enlarged as the
variance of a linear fit is, by the pairs over the degrees of freedom. A power law is an exponential
in the logarithm of the distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from emergence.errors import SettingsError

ROUNDING = 1e-26
"""Exact information below this is rounding: it goes as the square of a correlation."""

SCATTER_BOUNDS = (1e-3, 10.0)
"""Of τ: exact data on a perfect law would send it to zero and the likelihood to infinity."""

LEAST_FREEDOM = 2
"""Degrees of freedom that a fit must leave: with fewer its pairs do not tell their own scatter."""

NEWTON_STEPS = 50
"""Most steps of a replica's fit; some five are needed."""


@dataclass(frozen=True)
class DecayFit:
    """ln I = a_g − rate·u."""

    rate: float
    error: float
    """Standard error of the rate: statistical and from the scatter of the pairs about the law."""
    scatter_error: float
    """The part of the error that more samples would not remove."""
    intercepts: np.ndarray
    """ln I₀ of each group."""
    groups: np.ndarray
    """Whose they are."""
    scatter: float
    """τ, relative."""
    chi_square: float
    """Of the statistical errors alone, correlations between pairs neglected; NaN if exact."""
    points: int
    log_likelihood: float
    """Of the transformed data, up to a constant of the data."""
    replicas: np.ndarray
    """``[resamples]`` rates of the bootstrap; empty if exact."""

    @property
    def relative_error(self) -> float:
        """error / |rate|, also that of the length 1/rate."""
        return self.error / abs(self.rate) if self.rate else float("inf")

    @property
    def parameters(self) -> int:
        """Intercepts, rate and scatter."""
        return self.intercepts.size + 2

    @property
    def aic(self) -> float:
        """Akaike's criterion, the lower the better."""
        return 2.0 * self.parameters - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion, the lower the better."""
        return self.parameters * float(np.log(self.points)) - 2.0 * self.log_likelihood


class _Law:
    """The transformed data and the model, for one distance and grouping."""

    def __init__(self, distance: np.ndarray, error: np.ndarray, group: np.ndarray) -> None:
        self.distance, self.error, self.group = distance, error, group
        self.groups = int(group.max()) + 1
        self.design = np.zeros((distance.size, self.groups + 1))
        self.design[np.arange(distance.size), group] = 1.0
        self.design[:, -1] = -distance

    def transform(self, value: np.ndarray) -> np.ndarray:
        return np.arcsinh(value / (2.0 * self.error))

    def model(self, parameters: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(parameters @ self.design.T, -300.0, 300.0))

    def slope(self, model: np.ndarray) -> np.ndarray:
        """∂transform/∂I at the model."""
        return 1.0 / np.sqrt(model**2 + 4.0 * self.error**2)

    def variance(self, model: np.ndarray, scatter: float) -> np.ndarray:
        return (self.error**2 + (scatter * model) ** 2) * self.slope(model) ** 2

    def start(self, value: np.ndarray) -> np.ndarray:
        clear = value > 2.0 * self.error
        if len({*self.group[clear]}) < self.groups or clear.sum() <= self.groups:
            raise SettingsError(
                f"Only {int(clear.sum())} of {value.size} pairs of bulk cells share information"
                " above the noise, too few for a fit.",
                "Draw more boundary samples or fit nearer pairs.",
            )
        return np.linalg.lstsq(self.design[clear], np.log(value[clear]), rcond=None)[0]

    def refit(self, values: np.ndarray, start: np.ndarray, width: np.ndarray) -> np.ndarray:
        """Least squares at fixed weights by Gauss–Newton: a replica's optimum is near the start.

        Args:
            values: of the replicas ``[resamples, P]``, which all go at once.

        Returns:
            Parameters of each, ``[resamples, groups + 1]``.
        """
        data = self.transform(values)
        parameters = np.tile(start, (len(values), 1))
        miss = self._miss(data, parameters, width)
        going = np.arange(len(values))
        for _ in range(NEWTON_STEPS):
            step = self._step(parameters[going], miss[going], width)
            shortened = np.arange(len(going))
            while len(shortened):
                rows = going[shortened]
                trial = self._miss(data[rows], parameters[rows] + step[shortened], width)
                worse = np.sum(trial**2, axis=1) > np.sum(miss[rows] ** 2, axis=1)
                worse &= np.abs(step[shortened]).max(axis=1) >= 1e-9
                miss[rows[~worse]] = trial[~worse]
                shortened = shortened[worse]
                step[shortened] *= 0.5
            parameters[going] += step
            going = going[np.abs(step).max(axis=1) >= 1e-7]
            if not len(going):
                break
        return parameters

    def _miss(self, data: np.ndarray, parameters: np.ndarray, width: np.ndarray) -> np.ndarray:
        return (data - self.transform(self.model(parameters))) / width

    def _step(self, parameters: np.ndarray, miss: np.ndarray, width: np.ndarray) -> np.ndarray:
        """Gauss–Newton's, from the normal equations: where it ends does not depend on their rounding."""
        model = self.model(parameters)
        jacobian = self.design * (model * self.slope(model) / width)[..., None]
        transposed = jacobian.swapaxes(1, 2)
        normal = transposed @ jacobian
        size = normal.shape[-1]
        # Of a column that says nothing no step is asked for; where none says anything, no step at all.
        least = 1e-13 * np.trace(normal, axis1=1, axis2=2) + np.finfo(float).tiny
        normal += least[:, None, None] * np.eye(size)
        return np.linalg.solve(normal, transposed @ miss[..., None])[..., 0]


def fit_decay(
    distance: np.ndarray,
    value: np.ndarray,
    error: np.ndarray,
    *,
    group: np.ndarray | None = None,
    replicas: np.ndarray | None = None,
) -> DecayFit:
    """Fit ln I = a_g − rate·u.

    Args:
        distance: u, ``[P]``.
        value: I, ``[P]`` nats; if exact (errors zero), those at rounding are left out.
        error: standard errors, ``[P]``, all zero if exact.
        group: which intercept each pair has, ``[P]`` integers from 0; one for all by default.
        replicas: ``[resamples, P]`` bootstrap values, for correlated statistical errors; without
            them the errors of the pairs are taken as independent.

    Raises:
        SettingsError: if too few pairs are above the noise, or fewer than :data:`LEAST_FREEDOM`
            degrees of freedom are left; a pair alone in its group tells no slope and does not count.
    """
    group = np.zeros(value.size, dtype=int) if group is None else group
    exact = not np.any(error > 0.0)
    kept, freedom = _usable(value, group, exact)
    distance, value, error = distance[kept], value[kept], error[kept]
    groups, group = np.unique(group[kept], return_inverse=True)
    law = _Law(distance, 1e-12 * value if exact else np.maximum(error, 1e-300), group)
    best = _likeliest(law, value)
    parameters = best.x[:-1]
    scatter = float(np.exp(best.x[-1]) * np.sqrt(value.size / freedom))
    model = law.model(parameters)
    width = np.sqrt(law.variance(model, scatter))
    # Linear propagation of independent errors through the weighted fit.
    jacobian = law.design * (model * law.slope(model) / width)[:, None]
    gain = np.linalg.pinv(jacobian)[-1] / width * law.slope(model)
    scatter_error = float(np.sqrt(np.sum((gain * scatter * model) ** 2)))
    statistical = 0.0 if exact else float(np.sqrt(np.sum((gain * law.error) ** 2)))
    rates = np.empty(0)
    if replicas is not None and len(replicas) > 1 and not exact:
        rates = law.refit(replicas[:, kept], parameters, width)[:, -1]
        statistical = float(rates.std(ddof=1))
    miss = law.transform(value) - law.transform(model)
    chi_square = float(np.sum(miss**2 / law.variance(model, 0.0)))
    return DecayFit(
        rate=float(parameters[-1]),
        error=float(np.hypot(statistical, scatter_error)),
        scatter_error=scatter_error,
        intercepts=parameters[:-1],
        groups=groups,
        scatter=scatter,
        chi_square=float("nan") if exact else chi_square,
        points=value.size,
        log_likelihood=-float(best.fun),
        replicas=rates,
    )


def _usable(value: np.ndarray, group: np.ndarray, exact: bool) -> tuple[np.ndarray, int]:
    """Which pairs tell a slope, bool ``[P]``, and the degrees of freedom that they leave."""
    kept = value > ROUNDING if exact else np.ones(value.size, dtype=bool)
    if not kept.any():
        raise SettingsError("No pair of bulk cells shares information.", "Fit other pairs.")
    numbers = np.bincount(group[kept], minlength=int(group.max()) + 1)
    kept &= numbers[group] > 1
    freedom = int(kept.sum()) - int(np.sum(numbers > 1)) - 1
    if freedom < LEAST_FREEDOM:
        raise SettingsError(
            f"{int(kept.sum())} pairs of bulk cells leave {max(freedom, 0)} degrees of freedom, too few"
            " for the error of a slope.",
            "Use a larger lattice or fit farther pairs.",
        )
    return kept, freedom


def _likeliest(law: _Law, value: np.ndarray) -> OptimizeResult:
    """Intercepts, rate and ln of the scatter of the greatest likelihood, from two starts."""
    data, start = law.transform(value), law.start(value)

    def cost(parameters: np.ndarray) -> float:
        model = law.model(parameters[:-1])
        variance = law.variance(model, np.exp(parameters[-1]))
        miss = data - law.transform(model)
        return 0.5 * float(np.sum(miss**2 / variance + np.log(2.0 * np.pi * variance)))

    bounds = [(None, None)] * start.size + [tuple(np.log(SCATTER_BOUNDS))]
    return min(
        (
            minimize(cost, [*start, np.log(scatter)], method="L-BFGS-B", bounds=bounds)
            for scatter in (0.05, 0.5)
        ),
        key=lambda result: result.fun,
    )
