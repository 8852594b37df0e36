"""What exact waves must do: the current that they carry, the way back, the barriers they cross."""

import numpy as np

from emergence.introspection.schrodinger import step_matrix


def current(states: np.ndarray) -> np.ndarray:
    """J = Im ψ*ψ′, conserved along the chain by either solver; shape of ``states`` less the last axis."""
    return np.imag(np.conj(states[..., 0]) * states[..., 1])


def rewind(
    potential: np.ndarray, state: np.ndarray, spacing: float, solver: str = "transfer_matrix"
) -> np.ndarray:
    """Start vectors from which the cells of ``potential`` lead to ``state``.

    Args:
        potential: ``[batch, sites]``.
        state: (ψ, ψ′) after the last cell, ``[batch, 2]``.

    Returns:
        (ψ, ψ′) before the first cell, ``[batch, 2]``.
    """
    update = step_matrix(potential, spacing, solver)
    for site in reversed(range(potential.shape[1])):
        # The determinant is 1 for either solver, so the adjugate is the inverse.
        (a, b), (c, d) = np.moveaxis(update[:, site], 0, -1)
        first, second = state[:, 0], state[:, 1]
        state = np.stack([d * first - b * second, a * second - c * first], axis=-1)
    return state


def tunnelling_integral(potential: np.ndarray, spacing: float) -> np.ndarray:
    """∫κ dx with κ = √max(V, 0) over the largest forbidden stretch, ``[batch]``."""
    kappa = np.sqrt(np.maximum(potential, 0.0)) * spacing
    largest = np.zeros(len(potential))
    running = np.zeros(len(potential))
    for site in range(potential.shape[1]):
        running = np.where(kappa[:, site] > 0.0, running + kappa[:, site], 0.0)
        largest = np.maximum(largest, running)
    return largest
