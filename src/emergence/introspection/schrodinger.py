"""Exact solutions of ψ'' = V ψ as initial-value problems: the data and the reference of every claim.

On a cell of length a with constant V the state (ψ, ψ′) is advanced by the transfer matrix
M(V) = [[c, S], [V S, c]] with c = cosh κa, S = sinh(κa)/κ, κ = √V, both real and entire in V.
The central-difference solver advances (ψ, (ψ_i − ψ_{i−1})/a) by [[1 + a²V, a], [aV, 1]].
The two are told apart by their trace: 2 + x + x²/12 + … against 2 + x, with x = a²V.
"""

from __future__ import annotations

import numpy as np

SOLVERS = ("transfer_matrix", "central_difference")
STARTS = ("single", "arc", "circle", "current")


def entire_pair(potential: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """c = cosh κa and S = sinh(κa)/κ, real for either sign of V, same shape as ``potential``."""
    potential = np.asarray(potential, dtype=np.float64)
    magnitude = np.sqrt(np.abs(potential)) * spacing
    allowed = potential < 0.0
    cosine = np.where(allowed, np.cos(magnitude), np.cosh(magnitude))
    # np.sinc carries the limit at κ = 0; sinh needs its own guard there.
    small = magnitude < 1e-4
    safe = np.where(small, 1.0, magnitude)
    hyperbolic = np.where(small, 1.0 + magnitude**2 / 6.0, np.sinh(safe) / safe)
    sine = np.where(allowed, np.sinc(magnitude / np.pi), hyperbolic) * spacing
    return cosine, sine


def transfer_matrix(potential: np.ndarray, spacing: float) -> np.ndarray:
    """M(V) = exp(a [[0, 1], [V, 0]]) acting on (ψ, ψ′); ``[..., 2, 2]``, determinant 1."""
    cosine, sine = entire_pair(potential, spacing)
    upper = np.stack([cosine, sine], -1)
    lower = np.stack([potential * sine, cosine], -1)
    return np.stack([upper, lower], -2)


def lattice_matrix(potential: np.ndarray, spacing: float) -> np.ndarray:
    """Central difference as an update of (ψ_i, (ψ_i − ψ_{i−1})/a): [[1 + a²V, a], [aV, 1]]."""
    potential = np.asarray(potential, dtype=np.float64)
    one = np.ones_like(potential)
    upper = np.stack([one + spacing**2 * potential, spacing * one], -1)
    lower = np.stack([spacing * potential, one], -1)
    return np.stack([upper, lower], -2)


def euler_matrix(potential: np.ndarray, spacing: float) -> np.ndarray:
    """The slides' update [[1, a], [aV, 1]], right to first order in a; determinant 1 − a²V."""
    potential = np.asarray(potential, dtype=np.float64)
    one = np.ones_like(potential)
    upper = np.stack([one, spacing * one], -1)
    lower = np.stack([spacing * potential, one], -1)
    return np.stack([upper, lower], -2)


def step_matrix(potential: np.ndarray, spacing: float, solver: str) -> np.ndarray:
    """The 2 × 2 update of ``solver``, one of ``SOLVERS``; ``[..., 2, 2]``."""
    if solver == "transfer_matrix":
        return transfer_matrix(potential, spacing)
    if solver == "central_difference":
        return lattice_matrix(potential, spacing)
    raise ValueError(f"unknown solver {solver!r}, expected one of {SOLVERS}")


def density_matrix(update: np.ndarray) -> np.ndarray:
    """Symmetric square of a 2 × 2 update: the linear update of (ρ, s, t) = (ψ², ψψ′, ψ′²).

    Args:
        update: ``[..., 2, 2]``.

    Returns:
        ``[..., 3, 3]``; it preserves ρt − s² when det(update) = 1.
    """
    a, b, c, d = (update[..., i, j] for i in (0, 1) for j in (0, 1))
    rows = [
        [a * a, 2 * a * b, b * b],
        [a * c, a * d + b * c, b * d],
        [c * c, 2 * c * d, d * d],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def propagate(
    potential: np.ndarray, start: np.ndarray, spacing: float, solver: str = "transfer_matrix"
) -> np.ndarray:
    """Solve the initial-value problem for every system at once.

    Args:
        potential: V, ``[batch, sites]``.
        start: (ψ, ψ′) before the first cell, real or complex, ``[batch, 2]``.

    Returns:
        (ψ, ψ′) after each cell, ``[batch, sites, 2]``.
    """
    update = step_matrix(potential, spacing, solver)
    state = start
    states = np.empty((*potential.shape, 2), dtype=start.dtype)
    for site in range(potential.shape[1]):
        state = np.einsum("bij,bj->bi", update[:, site], state)
        states[:, site] = state
    return states


def draw_starts(
    rng: np.random.Generator, batch: int, kind: str, wavenumber: float, half_arc: float
) -> np.ndarray:
    """Start vectors (ψ₀, ψ₀′) of one of the four kinds of start data.

    Args:
        kind: ``single`` (A: the same for every system), ``arc`` (B: real, directions within
            ±``half_arc`` of (1, 0)), ``circle`` (C: all directions), ``current`` (D: complex with
            J = Im ψ*ψ′ > 0).
        wavenumber: k₀, the scale of ψ₀′ against ψ₀, 1/length.
        half_arc: degrees.

    Returns:
        ``[batch, 2]``, complex for ``current`` and real otherwise.
    """
    scale = np.array([1.0, wavenumber])
    if kind == "single":
        angle = np.full(batch, np.pi / 6.0)
    elif kind == "arc":
        angle = np.deg2rad(half_arc) * rng.uniform(-1.0, 1.0, batch)
    elif kind in ("circle", "current"):
        angle = rng.uniform(-np.pi, np.pi, batch)
    else:
        raise ValueError(f"unknown start data {kind!r}, expected one of {STARTS}")
    real = np.stack([np.cos(angle), np.sin(angle)], -1) * scale
    if kind != "current":
        return real
    turn = angle + np.deg2rad(rng.uniform(30.0, 150.0, batch))
    size = rng.uniform(0.3, 1.0, batch)
    imaginary = np.stack([np.cos(turn), np.sin(turn)], -1) * scale * size[:, None]
    return real + 1j * imaginary


def lead_densities(start: np.ndarray, spacing: float, detector_sites: int) -> np.ndarray:
    """Densities at three detectors in the field-free lead, 2k, k and 0 sites before the first cell.

    They fix (ρ, s, t) of the start and nothing more: they are all that a translator is given. In a
    field-free lead ψ is a straight line for either solver.

    Args:
        start: (ψ₀, ψ₀′), ``[batch, 2]``.
        detector_sites: k, the detectors' distance in sites.

    Returns:
        ``[batch, 3]``.
    """
    position = -spacing * detector_sites * np.array([2.0, 1.0, 0.0])
    return np.abs(start[:, :1] + start[:, 1:] * position) ** 2
