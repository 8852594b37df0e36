"""Is the bulk hyperbolic? Decays of the mutual information of bulk cells, and what they tell.

Cells at (x, z = 2^level) of a hyperbolic space are cosh d = 1 + (Δx² + Δz²)/(2zz') apart. If two
cells share I = I₀ exp(−d/ξ), then within a layer I ∝ (|Δx|/z)^(−2/ξ), across layers
I ∝ 2^(−|Δℓ|/ξ), **with one ξ** (arXiv:1903.00804).

What the test of one ξ can tell: a scale-invariant boundary gives one ξ for *every* scale-covariant
map with local blocks, Haar on the massless free field included (two vanishing moments: ξ = ½). It
tells critical from gapped; that a map was learnt shows in ξ and in the amount of information. Nor
does it exclude a flat bulk, as the amplitudes of the layers are free in it: that is the comparison
of the geometries over all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from emergence.holography.bulk_pairs import PairInformation
from emergence.holography.decay import DecayFit, fit_decay

Verdict = Literal["one length", "two lengths", "underpowered"]

POWER_LIMIT = 0.2
"""Relative error of ξ above which the test of one ξ has no power."""

PULL_LIMIT = 2.0
"""Combined errors that two values of one number may differ by."""


def hyperbolic_distance(dx: np.ndarray, z: np.ndarray, z_other: np.ndarray) -> np.ndarray:
    """arccosh(1 + (Δx² + Δz²)/(2zz')), curvature −1; raises ValueError unless z, z' > 0."""
    z, z_other = np.asarray(z, dtype=float), np.asarray(z_other, dtype=float)
    if np.any(z <= 0.0) or np.any(z_other <= 0.0):
        raise ValueError("The hyperbolic half-space is z > 0.")
    half_chord = np.sqrt((np.square(dx) + (z - z_other) ** 2) / (4.0 * z * z_other))
    # cosh d − 1 = 2 sinh²(d/2): exact for near points, where arccosh is not.
    return 2.0 * np.arcsinh(half_chord)


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
    """I ∝ (|Δx|/z)^(−2·rate), rate = 1/ξ, with an amplitude per layer.

    Args:
        farthest: separations up to this share of the lattice's side.

    Raises:
        SettingsError: if too few pairs are above the noise.
    """
    chosen = same_layer(pairs, farthest=farthest)
    distance = 2.0 * np.log(chosen.separation / chosen.z)
    return fit_decay(
        distance, chosen.value, chosen.error, group=chosen.level, replicas=chosen.replicas
    )


def fit_vertical(pairs: PairInformation) -> DecayFit:
    """I ∝ 2^(−rate·|Δℓ|) of the mean over positions, rate = 1/ξ.

    There is an amplitude per coarser layer: the scaling is that of ever finer cells under one given
    cell, whose own normalisation knows of the size of the torus.

    Raises:
        SettingsError: if too few pairs are above the noise.
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
        return 1.0 / self.same_layer.rate, 1.0 / self.vertical.rate

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
        return self.same_layer.rate - self.vertical.rate

    @property
    def difference_error(self) -> float:
        """Combined error; the statistical part by common replicas, hence with its correlation."""
        first, second = self.same_layer, self.vertical
        if first.replicas.size and first.replicas.size == second.replicas.size:
            statistical = float((first.replicas - second.replicas).std(ddof=1))
            return float(np.hypot(statistical, np.hypot(first.scatter_error, second.scatter_error)))
        return float(np.hypot(first.error, second.error))

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

    1/rate of "hyperbolic" is the ξ of the straight fit. A criterion only ranks the geometries: where
    the best one leaves a scatter above 1, as in the gapped phase, none of them describes the bulk.

    Raises:
        SettingsError: if too few pairs are above the noise.
    """
    near = pairs.separation <= farthest * pairs.side + 1e-9
    chosen = pairs.select(near & _details(pairs))
    return {
        name: fit_decay(distance, chosen.value, chosen.error, replicas=chosen.replicas)
        for name, distance in distances(chosen).items()
    }
