"""Reference Monte Carlo: clusters for complex φ⁴ and for the Ising model, compiled by Numba.

One sweep of complex φ⁴ on the periodic L×L lattice is

- two updates of embedded Ising variables (U. Wolff, Phys. Rev. Lett. 62, 361, 1989; all clusters as
  Swendsen and Wang): with p = Re(e^{−iα}φ) the bond ⟨ij⟩ is set with probability
  1 − exp(−2 t p_i p_j), and each cluster reflects its p with probability ½; the angle α is random
  for the first and α + π/2 for the second;
- overrelaxation: each φ is reflected at the field of its neighbours, which leaves S unchanged;
- radial Metropolis: ρ = |φ|² moves by a Gaussian step tuned to its single-site width, reflected at
  zero, with the exact conditional weight exp(−μρ − λρ² + a√ρ) at fixed angles and neighbours. The XY
  model is the same without it.

Given the clusters their signs are independent, so Σ_C |Σ_{x∈C} p_x e^{ikx}|², summed over the two
directions, has the mean of |Σ_x φ_x e^{ikx}|² with far less noise where clusters are small.

A chain is a NumPy generator of its own, so its numbers do not depend on how many run beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emergence.errors import SettingsError
from emergence.holography.actions import XY, ComplexPhi4, check_side
from emergence.holography.cluster_kernels import sweep_ising, sweep_phi4
from emergence.holography.observables import primary
from emergence.randomness import generator

BLOCK_VALUES = 2**18
"""Field values held at once while a chain is measured."""

RADIAL_STEP = 2.0
"""Radial step in standard deviations of ρ: about half of the moves are accepted."""


@dataclass(frozen=True)
class ClusterRun:
    """What chains of cluster sweeps leave."""

    series: dict[str, np.ndarray]
    """Name → ``[chains, time]``: the primary quantities, and the improved estimators of two."""
    correlation: np.ndarray | None
    """Cluster estimate of Re φ_x*φ_{x+r} along the axes, ``[chains, time, L/2 + 1]``."""
    acceptance: float
    """Share of radial moves that were accepted; NaN for the XY model, which has none."""
    field: np.ndarray
    """Where the chains ended, complex ``[chains, L, L]``."""


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < (0 if name in ("thermalisation", "overrelaxations") else 1):
            raise SettingsError(f"The number of {name} is {count}.", "Choose a larger one.")


def _couplings_and_radius(action: ComplexPhi4 | XY) -> tuple[tuple[float, ...], float]:
    """t, μ, λ and the radial step, 0 where the radii are fixed; and the radius to start from."""
    if isinstance(action, XY):
        return (action.t, 0.0, 0.0, 0.0), 1.0
    # ρ falls off as exp(−μρ − λρ²): a Gaussian on a ring, near an exponential without one.
    width = 1.0 / (np.sqrt(2.0 * action.lam) + max(action.mu, 0.0))
    radius = np.sqrt(max(action.mean_field_density, width))
    return (action.t, action.mu, action.lam, RADIAL_STEP * width), radius


class _Phi4Chain:
    """One chain of complex φ⁴ or XY: its field ``[2, N]`` and its random numbers."""

    def __init__(
        self, action: ComplexPhi4 | XY, side: int, overrelaxations: int, rng: np.random.Generator
    ) -> None:
        check_side(side)
        self._couplings, radius = _couplings_and_radius(action)
        self._side, self._overrelaxations, self._rng = side, overrelaxations, rng
        angle = 2.0 * np.pi * rng.random(side * side)
        self.field = radius * np.stack([np.cos(angle), np.sin(angle)])
        self.moves = self.accepted = 0

    def advance(self, sweeps: int, correlate: bool = False) -> tuple[np.ndarray, ...]:
        """Complex fields ``[sweeps, L, L]``, improved ``[sweeps, 2]``, correlation sums."""
        sites = self._side**2
        fields = np.empty((sweeps, 2, sites))
        improved = np.zeros((sweeps, 2))
        correlation = np.zeros((sweeps, self._side // 2 + 1 if correlate else 0))
        self.accepted += sweep_phi4(
            self.field, self._couplings, self._overrelaxations, self._rng,
            fields, improved, correlation,
        )  # fmt: skip
        self.moves += sweeps * sites if self._couplings[-1] else 0
        field = (fields[:, 0] + 1j * fields[:, 1]).reshape(sweeps, self._side, self._side)
        return field, improved / sites**2, correlation / (2.0 * sites)

    def skip(self, sweeps: int) -> None:
        """Advance without keeping anything, a block at a time."""
        block = max(1, BLOCK_VALUES // self._side**2)
        for first in range(0, sweeps, block):
            self.advance(min(block, sweeps - first))


def run_phi4(
    action: ComplexPhi4 | XY,
    side: int,
    *,
    chains: int,
    sweeps: int,
    thermalisation: int,
    seed: int,
    overrelaxations: int = 1,
    correlate: bool = False,
) -> ClusterRun:
    """Chains of complex φ⁴ (λ = 0 with μ > 2|t| included) or XY, each from random angles.

    Args:
        sweeps: measured ones, each a step of the series.
        thermalisation: sweeps before the first measured one.
        correlate: whether to measure the correlation function too.

    Raises:
        SettingsError: a side below 2, or a count that is not positive.
    """
    _check_counts(
        chains=chains, sweeps=sweeps, thermalisation=thermalisation, overrelaxations=overrelaxations
    )
    block = max(1, BLOCK_VALUES // side**2)
    collected: list[dict[str, np.ndarray]] = []
    correlations, fields, moves, accepted = [], [], 0, 0
    for index in range(chains):
        chain = _Phi4Chain(action, side, overrelaxations, generator(seed, "cluster", index))
        chain.skip(thermalisation)
        chain.moves = chain.accepted = 0
        parts, along = [], []
        for first in range(0, sweeps, block):
            field, improved, correlation = chain.advance(min(block, sweeps - first), correlate)
            part = primary(field, action.t)
            part |= {"improved_square": improved[:, 0], "improved_structure": improved[:, 1]}
            parts.append(part)
            along.append(correlation)
        collected.append({name: np.concatenate([p[name] for p in parts]) for name in parts[0]})
        correlations.append(np.concatenate(along))
        fields.append(field[-1])
        moves, accepted = moves + chain.moves, accepted + chain.accepted
    return ClusterRun(
        series={name: np.stack([each[name] for each in collected]) for name in collected[0]},
        correlation=np.stack(correlations) if correlate else None,
        acceptance=accepted / moves if moves else np.nan,
        field=np.stack(fields),
    )


def draw_phi4(
    action: ComplexPhi4 | XY,
    side: int,
    *,
    chains: int,
    samples: int,
    thinning: int,
    thermalisation: int,
    seed: int,
    overrelaxations: int = 1,
) -> np.ndarray:
    """Fields ``thinning`` sweeps apart, complex ``[chains, samples, L, L]``; as :func:`run_phi4`."""
    _check_counts(chains=chains, samples=samples, thinning=thinning, thermalisation=thermalisation)
    fields = np.empty((chains, samples, side, side), np.complex128)
    for index in range(chains):
        chain = _Phi4Chain(action, side, overrelaxations, generator(seed, "cluster", index))
        chain.skip(thermalisation)
        for sample in range(samples):
            chain.skip(thinning - 1)
            fields[index, sample] = chain.advance(1)[0][0]
    return fields


def run_ising(
    temperature: float, side: int, *, chains: int, sweeps: int, thermalisation: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Swendsen–Wang chains of the Ising model (J = 1), each from random spins.

    Returns:
        spins, ±1 in float64 ``[chains, sweeps, L, L]``, and the cluster estimator of m²,
        Σ_C |C|²/N², ``[chains, sweeps]``.

    Raises:
        SettingsError: a side below 2, a temperature or a count that is not positive.
    """
    check_side(side)
    _check_counts(chains=chains, sweeps=sweeps, thermalisation=thermalisation)
    if not 0.0 < temperature < np.inf:
        raise SettingsError(f"The Ising temperature is {temperature}.", "Choose a positive one.")
    sites = side * side
    spins = np.empty((chains, sweeps, sites))
    square = np.zeros((chains, sweeps))
    for index in range(chains):
        rng = generator(seed, "ising", index)
        spin = np.where(rng.random(sites) < 0.5, -1.0, 1.0)
        ignored = np.empty((thermalisation, sites)), np.zeros(thermalisation)
        sweep_ising(spin, 1.0 / temperature, rng, *ignored)
        sweep_ising(spin, 1.0 / temperature, rng, spins[index], square[index])
    return spins.reshape(chains, sweeps, side, side), square / sites**2
