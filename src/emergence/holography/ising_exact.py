"""Exact results for the two-dimensional Ising model and its continuous dual field.

S = −(1/T) Σ_⟨ij⟩ s_i s_j on the periodic L×L square lattice, J = 1, no field. The partition
function of any torus is Kaufman's (Phys. Rev. 76, 1232, 1949); correlations come from the
transfer matrix of a row (L ≤ 10). On a 2-site-wide torus a bond counts twice, in both of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emergence.errors import SettingsError
from emergence.holography.actions import IsingDualField, check_side

LARGEST_TRANSFER = 10

_LARGE = 80.0
"""Beyond this exponent cosh and exp/2 are the same number."""


def _check_temperature(temperature: float) -> None:
    if not 0.0 < temperature < np.inf:
        raise SettingsError(
            f"The Ising temperature is {temperature}.", "Choose a positive, finite temperature."
        )


def _modes(side: int, coupling: float) -> tuple[np.ndarray, np.ndarray]:
    """γ_l and dγ_l/dK for l = 0 … 2L−1, ``[2L]`` each; γ_0 changes sign at T_c.

    cosh γ_l = cosh 2K coth 2K − cos(πl/L). With u = ln sinh 2K this is
    sinh²(γ_l/2) = 2 sinh²(u/2) + sin²(πl/2L), which cancels nowhere.
    """
    u = 2.0 * coupling + np.log(-np.expm1(-4.0 * coupling)) - np.log(2.0)
    bounded = float(np.clip(u, -_LARGE, _LARGE))
    sine = np.sin(0.5 * np.pi * np.arange(2 * side) / side)
    half = np.arcsinh(np.hypot(np.sqrt(2.0) * np.sinh(0.5 * bounded), sine))
    half[0] = np.arcsinh(np.sqrt(2.0) * np.sinh(0.5 * bounded))
    gamma = 2.0 * half + abs(u - bounded)
    gamma[0] = 2.0 * half[0] + (u - bounded)
    growth = 2.0 / np.tanh(2.0 * coupling)  # du/dK
    slope = np.empty(2 * side)
    slope[1:] = 2.0 * np.sinh(bounded) * growth / np.sinh(2.0 * half[1:])
    # d(2K + ln tanh K)/dK; the general formula is 0/0 at T_c.
    slope[0] = 2.0 + 2.0 * _cosecant(2.0 * coupling)
    return gamma, slope


def _cosecant(x: float) -> float:
    """1/sinh x for x > 0, without overflow."""
    return float(2.0 * np.exp(-x) / -np.expm1(-2.0 * x))


def _kaufman(side: int, temperature: float) -> tuple[float, float]:
    """ln Z and its derivative by K = 1/T.

    Z = ½ (2 sinh 2K)^{N/2} [Π 2cosh(Lγ_odd/2) + Π 2sinh(Lγ_odd/2) + the same over even l]. A
    product changes at the rate Σ_l Lγ'_l/2 · (tanh or coth) times itself, but the factor
    sinh(Lγ_0/2), which vanishes at T_c, is differentiated apart in its neighbourhood.
    """
    check_side(side)
    _check_temperature(temperature)
    coupling = 1.0 / temperature
    gamma, slope = _modes(side, coupling)
    x, dx = 0.5 * side * gamma, 0.5 * side * slope
    magnitude = np.abs(x)
    log_cosh = magnitude + np.log1p(np.exp(-2.0 * magnitude))  # of 2 cosh x
    with np.errstate(divide="ignore"):
        log_sinh = magnitude + np.log(-np.expm1(-2.0 * magnitude))  # of |2 sinh x|, −∞ at T_c
    odd, even, rest = slice(1, None, 2), slice(0, None, 2), slice(2, None, 2)
    logarithms = np.array(
        [np.sum(part[half]) for half in (odd, even) for part in (log_cosh, log_sinh)]
    )
    scale = float(logarithms.max())
    terms = np.exp(logarithms - scale) * [1.0, 1.0, 1.0, np.sign(x[0])]
    rates = [
        dx[odd] @ np.tanh(x[odd]),
        dx[odd] @ (1.0 / np.tanh(x[odd])),
        dx[even] @ np.tanh(x[even]),
        dx[rest] @ (1.0 / np.tanh(x[rest])),
    ]
    from_zero_mode = 0.0
    if magnitude[0] > 1.0:
        # Far from T_c it goes with the others: apart, the logarithms, as large as N/T, would leave
        # their rounding in a difference that vanishes.
        rates[3] += dx[0] / np.tanh(x[0])
    else:
        from_zero_mode = dx[0] * np.exp(np.sum(log_sinh[rest]) + log_cosh[0] - scale)
    bracket = float(np.sum(terms))
    half_sites = 0.5 * side * side
    log_prefactor = 2.0 * coupling + np.log(-np.expm1(-4.0 * coupling))  # ln 2 sinh 2K
    by_coupling = side * side / np.tanh(2.0 * coupling) + (terms @ rates + from_zero_mode) / bracket
    log_total = half_sites * log_prefactor + scale + np.log(0.5 * bracket)
    return float(log_total), float(by_coupling)


def log_partition(side: int, temperature: float) -> float:
    """ln Z of the L×L torus, any L ≥ 2 and T > 0.

    Raises:
        SettingsError: for a side below 2, or a temperature that is not positive and finite.
    """
    return _kaufman(side, temperature)[0]


def energy(side: int, temperature: float) -> float:
    """⟨E⟩ = −∂ ln Z/∂(1/T) of the whole torus in units of J, by the analytic derivative.

    Rounding leaves about 1e-15·N·T at high temperatures, where two terms of order NT cancel.

    Raises:
        SettingsError: as :func:`log_partition`.
    """
    return -_kaufman(side, temperature)[1]


@dataclass(frozen=True)
class SpinReference:
    """Exact thermodynamics of a small Ising torus."""

    log_partition: float
    """ln Z."""
    energy: float
    """⟨E⟩ of the whole torus in units of J."""
    correlation: np.ndarray
    """⟨s_0 s_r⟩, ``[L, L]`` over the displacement r."""

    @property
    def magnetisation_squared(self) -> float:
        """⟨m²⟩, m the mean spin: the correlation averaged over the torus."""
        return float(np.mean(self.correlation))


def transfer_rows(side: int, temperature: float) -> SpinReference:
    """ln Z, energy and correlations through the symmetric 2^L×2^L transfer matrix between rows.

    Raises:
        SettingsError: for a side outside 2 … 10, or an impossible temperature.
    """
    check_side(side)
    _check_temperature(temperature)
    if side > LARGEST_TRANSFER:
        raise SettingsError(
            f"The row transfer matrix of side {side} has 2^{2 * side} entries.",
            f"Choose a side of at most {LARGEST_TRANSFER}; ln Z and the energy need no such bound.",
        )
    codes = np.arange(2**side)[:, None]
    rows = 1.0 - 2.0 * ((codes >> np.arange(side)) & 1)
    within = np.sum(rows * np.roll(rows, -1, axis=1), axis=1)
    exponent = (0.5 * (within[:, None] + within[None, :]) + rows @ rows.T) / temperature
    scale = float(exponent.max())
    eigenvalues, vectors = np.linalg.eigh(np.exp(exponent - scale))
    largest = float(eigenvalues[-1])
    powers = (eigenvalues / largest) ** np.arange(side + 1)[:, None]
    total = float(np.sum(powers[side]))
    # ⟨s_(0,0) s_(d,y)⟩ = Tr[σ_0 T^d σ_y T^(L−d)]/Z in the eigenbasis.
    spins = np.einsum("ca,cy,cb->yab", vectors, rows, vectors, optimize=True)
    correlation = np.empty((side, side))
    for distance in range(side):
        weight = powers[side - distance][:, None] * powers[distance][None, :]
        correlation[distance] = np.tensordot(spins, spins[0] * weight, axes=2) / total
    bonds = np.sum(correlation[0, 1] + correlation[1, 0]) * side * side
    return SpinReference(
        log_partition=float(side * (scale + np.log(largest)) + np.log(total)),
        energy=-float(bonds),
        correlation=correlation,
    )


def dual_log_constant(action: IsingDualField, side: int) -> float:
    """ln Z_cont − ln Z_Ising = (N/2)(offset + ln(π/2)) + ½ ln det K."""
    sites = side * side
    log_determinant = float(np.sum(np.log(action.eigenvalues(side))))
    return 0.5 * (sites * (action.offset(side) + float(np.log(0.5 * np.pi))) + log_determinant)


def dual_log_partition(action: IsingDualField, side: int) -> float:
    """ln Z_cont = ln ∫dx exp(−½xᵀK⁻¹x) Π cosh x_i of the continuous field, any L and T."""
    return log_partition(side, action.temperature) + dual_log_constant(action, side)
