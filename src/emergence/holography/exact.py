"""Exact results for complex fields: the free field on any torus, φ⁴ and XY on the 2×2 torus.

The 2×2 torus is a ring of four sites whose bonds count twice. Integrating the four angles turns it
into radial transfer matrices, one per angular momentum n,

    Z = (2π)⁴ Σ_n Tr K_n⁴,   K_n(r, r') = √(w w') I_n(2t r r'),   w = r exp(−μr² − λr⁴),

which Gauss–Legendre quadrature in r evaluates to machine precision. The XY model has the one radius 1:
Z = (2π)⁴ Σ_n I_n(2/T)⁴.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ive

from emergence.holography.actions import XY, ComplexPhi4, FreeField, check_side

TAIL = 45.0
"""The radial grid ends where the integrand has fallen by exp(−TAIL)."""

NEGLIGIBLE = 1e-18
"""Angular momenta are summed until they add less than this fraction."""


def free_log_partition(action: FreeField, side: int) -> float:
    """ln Z = Σ_k ln(π/e_k) of the complex free field on the L×L torus."""
    return float(np.sum(np.log(np.pi / action.eigenvalues(side))))


def free_sample(action: FreeField, side: int, batch: int, rng: np.random.Generator) -> np.ndarray:
    """Independent draws of the complex free field, ``[batch, L, L]`` complex128."""
    check_side(side)
    shape = (batch, side, side)
    white = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return np.fft.ifft2(np.fft.fft2(white) / np.sqrt(2.0 * action.eigenvalues(side)))


@dataclass(frozen=True)
class SmallTorus:
    """Exact thermodynamics of a complex field on the 2×2 torus.

    The current Σ_x Im φ_x*φ_{x+d} is zero there, so that the helicity modulus is Υ/T = t ``neighbour``.
    """

    log_partition: float
    """ln Z."""
    density: float
    """⟨|φ|²⟩."""
    neighbour: float
    """⟨Re φ_i*φ_j⟩ of neighbouring sites."""
    diagonal: float
    """⟨Re φ_i*φ_j⟩ of diagonally opposite sites."""

    @property
    def susceptibility(self) -> float:
        """χ = N⟨|φ̄|²⟩, the correlation function summed over the torus."""
        return self.density + 2.0 * self.neighbour + self.diagonal


def radial_grid(action: ComplexPhi4, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre radii and weights ``[nodes]`` over all radii that matter on the 2×2 torus.

    Since 2rr' ≤ r² + r'², the integrand is at most the product over the sites of
    r exp(−(μ − 2|t|)r² − λr⁴): where that bound has fallen by exp(−TAIL) the grid ends. It closes
    on a thin ring and reaches to zero for a wide one.
    """
    mass = action.mu - 2.0 * abs(action.t)
    # The bound peaks where 4λr⁴ + 2·mass·r² = 1; written without cancellation on either side.
    root = np.sqrt(mass**2 + 4.0 * action.lam)
    peak = np.sqrt(1.0 / (mass + root) if mass >= 0.0 else (root - mass) / (4.0 * action.lam))

    def log_bound(radius: float) -> float:
        density = radius * radius
        return np.log(radius) - density * (mass + action.lam * density)

    floor = log_bound(peak) - TAIL
    outer = 2.0 * peak
    while log_bound(outer) > floor:
        outer *= 2.0
    inner = brentq(lambda r: log_bound(r) - floor, peak * np.exp(-TAIL - 15.0), peak)
    outer = brentq(lambda r: log_bound(r) - floor, peak, outer)
    abscissae, weights = np.polynomial.legendre.leggauss(nodes)
    half = 0.5 * (outer - inner)
    return inner + half * (abscissae + 1.0), half * weights


def _transfer_matrices(
    t: float, radii: np.ndarray, log_weight: np.ndarray
) -> tuple[list[np.ndarray], float]:
    """K_n for n = 0, 1, … until negligible, each divided by exp(scale), and the scale."""
    argument = 2.0 * abs(t) * np.outer(radii, radii)
    # ive(n, x) = I_n(x) exp(−x): the exponential goes into the logarithm.
    exponent = 0.5 * (log_weight[:, None] + log_weight[None, :]) + argument
    scale = float(exponent.max())
    envelope = np.exp(exponent - scale)
    matrices: list[np.ndarray] = []
    while True:
        order = len(matrices)
        sign = -1.0 if t < 0.0 and order % 2 else 1.0
        matrix = sign * envelope * ive(order, argument)
        matrices.append(matrix)
        if np.sum(matrix**2) < NEGLIGIBLE * np.sum(matrices[0] ** 2):
            return matrices, scale


def _on_grid(action: ComplexPhi4, nodes: int) -> SmallTorus:
    radii, weights = radial_grid(action, nodes)
    density = radii**2
    log_weight = np.log(weights * radii) - density * (action.mu + action.lam * density)
    return _small_torus(action.t, radii, log_weight)


def _small_torus(t: float, radii: np.ndarray, log_weight: np.ndarray) -> SmallTorus:
    """The torus of fields of these radii, of whose measure times weight the logarithm is given."""
    matrices, scale = _transfer_matrices(t, radii, log_weight)
    squares = [matrix @ matrix for matrix in matrices]
    multiplicity = np.array([1.0] + [2.0] * (len(matrices) - 1))
    traces = multiplicity * [np.sum(square**2) for square in squares]
    total = float(np.sum(traces))
    # φ_i*φ_j inserts r_i and r_j and raises the angular momentum between the two sites by one;
    # the pairs (n, n+1) and (−n−1, −n) contribute alike.
    neighbour = diagonal = density = 0.0
    pair = np.outer(radii, radii)
    for order, square in enumerate(squares):
        density += multiplicity[order] * float(radii**2 @ np.sum(square**2, axis=1))
        if order + 1 == len(squares):
            break
        lower, upper = matrices[order], matrices[order + 1]
        diagonal += 2.0 * float(np.sum(pair * square * squares[order + 1]))
        neighbour += float(np.sum(pair * lower * (squares[order + 1] @ upper)))
        neighbour += float(np.sum(pair * upper * (square @ lower)))
    return SmallTorus(
        log_partition=float(4.0 * np.log(2.0 * np.pi) + 4.0 * scale + np.log(total)),
        density=float(density / total),
        neighbour=neighbour / total,
        diagonal=diagonal / total,
    )


def small_torus(action: ComplexPhi4 | XY, *, tolerance: float = 1e-12) -> SmallTorus:
    """Complex φ⁴ or XY on the 2×2 torus, exactly; a radial grid is doubled until nothing changes.

    Args:
        tolerance: change of ln Z (absolute, beyond its rounding) and of the moments (relative)
            below which two grids agree.

    Raises:
        ArithmeticError: if 512 radii do not suffice, which no stable couplings of the map need.
    """
    if isinstance(action, XY):
        return _small_torus(action.t, np.ones(1), np.zeros(1))
    coarse = _on_grid(action, 32)
    for nodes in (64, 128, 256, 512):
        fine = _on_grid(action, nodes)
        rounding = 8.0 * np.finfo(float).eps * (1.0 + abs(fine.log_partition))
        moments = abs(fine.density - coarse.density) + abs(fine.neighbour - coarse.neighbour)
        change = abs(fine.log_partition - coarse.log_partition)
        if change <= tolerance + rounding and moments <= tolerance * fine.density + rounding:
            return fine
        coarse = fine
    raise ArithmeticError(f"The radial quadrature of {action} does not converge.")
