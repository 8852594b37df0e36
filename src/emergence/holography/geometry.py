"""Is the bulk hyperbolic? Decays of the mutual information of bulk cells, and what they tell.

Cells at (x, z = 2^level) of a hyperbolic space are cosh d = 1 + (Δx² + Δz²)/(2zz') apart. If two
cells share I = I₀ exp(−d/ξ), then within a layer I ∝ (|Δx|/z)^(−2/ξ), across layers
I ∝ 2^(−|Δℓ|/ξ), **with one ξ** (arXiv:1903.00804).

All fits are of ln I = a − b·u, with a = ln I₀ per group of cells and u the distance in question.
They are done in asinh(I/2e), which is ln I where I is far above its error e and I/2e where it is
noise, so that no insignificant pair has to be dropped. Beside the errors the likelihood has a
relative scatter τ of the pairs about the law, fitted too, because on a lattice no law of the
distance alone is exact; with exact information (e = 0) it is all there is.

What the test of one ξ can tell: a scale-invariant boundary gives one ξ for *every* scale-covariant
map with local blocks, Haar on the massless free field included (two vanishing moments: ξ = ½). It
tells critical from gapped; that a map was learnt shows in ξ and in the amount of information.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import least_squares, minimize

from emergence.errors import SettingsError
from emergence.holography.bulk_pairs import PairInformation

Verdict = Literal["one length", "two lengths", "underpowered"]

POWER_LIMIT = 0.2
"""Relative error of ξ above which the test of one ξ has no power."""

PULL_LIMIT = 2.0
"""Combined errors that two values of one number may differ by."""

ROUNDING = 1e-26
"""Exact information below this is rounding: it goes as the square of a correlation."""

SCATTER_BOUNDS = (1e-3, 10.0)
"""Of τ: exact data on a perfect law would send it to zero and the likelihood to infinity."""


def hyperbolic_distance(dx: np.ndarray, z: np.ndarray, z_other: np.ndarray) -> np.ndarray:
    """arccosh(1 + (Δx² + Δz²)/(2zz')), curvature −1; raises ValueError unless z, z' > 0."""
    z, z_other = np.asarray(z, dtype=float), np.asarray(z_other, dtype=float)
    if np.any(z <= 0.0) or np.any(z_other <= 0.0):
        raise ValueError("The hyperbolic half-space is z > 0.")
    half_chord = np.sqrt((np.square(dx) + (z - z_other) ** 2) / (4.0 * z * z_other))
    # cosh d − 1 = 2 sinh²(d/2): exact for near points, where arccosh is not.
    return 2.0 * np.arcsinh(half_chord)


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
        return np.exp(np.clip(self.design @ parameters, -300.0, 300.0))

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

    def refit(self, value: np.ndarray, start: np.ndarray, width: np.ndarray) -> np.ndarray:
        data = self.transform(value)

        def residuals(parameters: np.ndarray) -> np.ndarray:
            return (data - self.transform(self.model(parameters))) / width

        def jacobian(parameters: np.ndarray) -> np.ndarray:
            model = self.model(parameters)
            return -self.design * (model * self.slope(model) / width)[:, None]

        return least_squares(residuals, start, jac=jacobian, x_scale="jac").x


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
        SettingsError: if too few pairs are above the noise.
    """
    group = np.zeros(value.size, dtype=int) if group is None else group
    exact = not np.any(error > 0.0)
    kept = value > ROUNDING if exact else np.ones(value.size, dtype=bool)
    if not kept.any():
        raise SettingsError("No pair of bulk cells shares information.", "Fit other pairs.")
    distance, value, error = distance[kept], value[kept], error[kept]
    group = np.unique(group[kept], return_inverse=True)[1]
    law = _Law(distance, 1e-12 * value if exact else np.maximum(error, 1e-300), group)
    data, start = law.transform(value), law.start(value)

    def cost(parameters: np.ndarray) -> float:
        model = law.model(parameters[:-1])
        variance = law.variance(model, np.exp(parameters[-1]))
        miss = data - law.transform(model)
        return 0.5 * float(np.sum(miss**2 / variance + np.log(2.0 * np.pi * variance)))

    bounds = [(None, None)] * start.size + [tuple(np.log(SCATTER_BOUNDS))]
    best = min(
        (
            minimize(cost, [*start, np.log(scatter)], method="L-BFGS-B", bounds=bounds)
            for scatter in (0.05, 0.5)
        ),
        key=lambda result: result.fun,
    )
    parameters, scatter = best.x[:-1], float(np.exp(best.x[-1]))
    model = law.model(parameters)
    width = np.sqrt(law.variance(model, scatter))
    # Linear propagation of independent errors through the weighted fit.
    jacobian = law.design * (model * law.slope(model) / width)[:, None]
    gain = np.linalg.pinv(jacobian)[-1] / width * law.slope(model)
    scatter_error = float(np.sqrt(np.sum((gain * scatter * model) ** 2)))
    statistical = 0.0 if exact else float(np.sqrt(np.sum((gain * law.error) ** 2)))
    rates = np.empty(0)
    if replicas is not None and len(replicas) > 1 and not exact:
        rates = np.array([law.refit(row[kept], parameters, width)[-1] for row in replicas])
        statistical = float(rates.std(ddof=1))
    chi_square = float(np.sum((data - law.transform(model)) ** 2 / law.variance(model, 0.0)))
    return DecayFit(
        rate=float(parameters[-1]),
        error=float(np.hypot(statistical, scatter_error)),
        scatter_error=scatter_error,
        intercepts=parameters[:-1],
        scatter=scatter,
        chi_square=float("nan") if exact else chi_square,
        points=value.size,
        log_likelihood=-float(best.fun),
        replicas=rates,
    )


def _details(pairs: PairInformation) -> np.ndarray:
    """Pairs that can tell a geometry.

    Left out are a lone coarse site at the top, which sits beyond the last layer of details, and the
    pairs of the last two layers: the single cell of the last one is the whole torus, whose
    reflections forbid what it would share with the four cells below it.
    """
    last = pairs.side.bit_length() - 2
    reflected = (pairs.other == last) & (pairs.level == last - 1)
    return (pairs.other <= last) & ~reflected


def same_layer(pairs: PairInformation, *, farthest: float = 0.5) -> PairInformation:
    """Pairs within a layer, no farther apart than a share of the lattice's side.

    On a torus far pairs share more than on the plane; half a side takes all rows and columns.
    """
    near = pairs.separation <= farthest * pairs.side + 1e-9
    return pairs.select((pairs.level == pairs.other) & near & _details(pairs))


def vertical(pairs: PairInformation) -> PairInformation:
    """Pairs of a cell and the one above it, averaged over the positions under the latter."""
    chosen = pairs.select(pairs.vertical & _details(pairs))
    levels, inverse = np.unique(
        np.stack([chosen.level, chosen.other], axis=1), axis=0, return_inverse=True
    )
    average = np.zeros((len(levels), chosen.level.size))
    average[inverse.ravel(), np.arange(chosen.level.size)] = chosen.count
    count = average.sum(axis=1)
    average /= count[:, None]
    # The errors of one cell's neighbours are correlated: only the replicas know their mean's.
    replicas = chosen.replicas @ average.T
    error = replicas.std(axis=0, ddof=1) if len(replicas) > 1 else average @ chosen.error
    return PairInformation(
        side=pairs.side,
        level=levels[:, 0],
        other=levels[:, 1],
        separation=average @ chosen.separation,
        count=count,
        vertical=np.ones(len(levels), dtype=bool),
        value=average @ chosen.value,
        error=error,
        replicas=replicas,
    )


def fit_same_layer(pairs: PairInformation, *, farthest: float = 0.5) -> DecayFit:
    """I ∝ (|Δx|/z)^(−rate), rate = 2/ξ, with an amplitude per layer."""
    chosen = same_layer(pairs, farthest=farthest)
    distance = np.log(chosen.separation / chosen.z)
    return fit_decay(
        distance, chosen.value, chosen.error, group=chosen.level, replicas=chosen.replicas
    )


def fit_vertical(pairs: PairInformation) -> DecayFit:
    """I ∝ 2^(−rate·|Δℓ|), rate = 1/ξ, with an amplitude per coarser layer.

    The scaling is that of ever finer cells under one given cell, whose own normalisation knows of
    the size of the torus.
    """
    chosen = vertical(pairs)
    distance = np.log(2.0) * (chosen.other - chosen.level)
    return fit_decay(
        distance, chosen.value, chosen.error, group=chosen.other, replicas=chosen.replicas
    )


@dataclass(frozen=True)
class OneLength:
    """Do both slopes give one ξ?"""

    same_layer: DecayFit
    vertical: DecayFit

    @property
    def lengths(self) -> tuple[float, float]:
        """ξ of the same layer and ξ of the vertical, in units of the curvature radius."""
        return 2.0 / self.same_layer.rate, 1.0 / self.vertical.rate

    @property
    def errors(self) -> tuple[float, float]:
        """Standard errors of the lengths."""
        fits = (self.same_layer, self.vertical)
        return tuple(
            abs(length) * fit.relative_error for length, fit in zip(self.lengths, fits, strict=True)
        )

    @property
    def difference(self) -> float:
        """1/ξ of the same layer less 1/ξ of the vertical; the inverses are the better Gaussians."""
        return 0.5 * self.same_layer.rate - self.vertical.rate

    @property
    def difference_error(self) -> float:
        """Combined error; the statistical part by common replicas, hence with its correlation."""
        first, second = self.same_layer, self.vertical
        if first.replicas.size and first.replicas.size == second.replicas.size:
            statistical = float((0.5 * first.replicas - second.replicas).std(ddof=1))
            return float(
                np.hypot(statistical, np.hypot(0.5 * first.scatter_error, second.scatter_error))
            )
        return float(np.hypot(0.5 * first.error, second.error))

    @property
    def pull(self) -> float:
        """Difference in combined errors."""
        return self.difference / self.difference_error

    @property
    def verdict(self) -> Verdict:
        """Underpowered if either ξ is known to worse than a fifth."""
        if max(self.same_layer.relative_error, self.vertical.relative_error) > POWER_LIMIT:
            return "underpowered"
        return "one length" if abs(self.pull) <= PULL_LIMIT else "two lengths"


def one_length(pairs: PairInformation, *, farthest: float = 0.5) -> OneLength:
    """Fit both decays of the same pairs.

    Raises:
        SettingsError: if too few pairs are above the noise.
    """
    return OneLength(fit_same_layer(pairs, farthest=farthest), fit_vertical(pairs))


def distances(pairs: PairInformation) -> dict[str, np.ndarray]:
    """The distance u of each candidate geometry, ``[P]``; I ∝ exp(−rate·u).

    "hyperbolic": d. "flat": the straight distance √(Δx² + Δz²), I falls exponentially, a massive
    bulk without curvature. "flat, massless": its logarithm, I falls as a power. "stack": layers a
    lattice unit apart, √(Δx² + Δℓ²).
    """
    z, z_other, dx = pairs.z, pairs.z_other, pairs.separation
    straight = np.hypot(dx, z - z_other)
    return {
        "hyperbolic": hyperbolic_distance(dx, z, z_other),
        "flat": straight,
        "flat, massless": np.log(np.maximum(straight, 1e-12)),
        "stack": np.hypot(dx, pairs.level - pairs.other),
    }


def compare_geometries(pairs: PairInformation, *, farthest: float = 0.5) -> dict[str, DecayFit]:
    """I = I₀ exp(−u/ξ) over all pairs of details, for each geometry's u; compare aic or bic.

    1/rate of "hyperbolic" is the ξ of the straight fit.

    Raises:
        SettingsError: if too few pairs are above the noise.
    """
    near = pairs.separation <= farthest * pairs.side + 1e-9
    chosen = pairs.select(near & _details(pairs))
    return {
        name: fit_decay(distance, chosen.value, chosen.error, replicas=chosen.replicas)
        for name, distance in distances(chosen).items()
    }
