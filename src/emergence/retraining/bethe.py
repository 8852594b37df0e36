"""The Heisenberg chain at any even size, exactly, by the Bethe ansatz.

H = Σ S_i·S_{i+1} with J1 = 1. The ground state is given by N/2 real rapidities λ, which solve

    open:      2N·θ(λ_j) = π I_j + Σ_{k≠j} [atan(λ_j − λ_k) + atan(λ_j + λ_k)],  I = 1 … N/2,
               E = (N − 1)/4 − Σ 2/(1 + 4λ²);
    periodic:   N·θ(λ_j) = π I_j + Σ_k atan(λ_j − λ_k),  I = −(N/2 − 1)/2 … (N/2 − 1)/2,
               E = N/4 − Σ 2/(1 + 4λ²),

with θ(λ) = atan 2λ (Bethe 1931; open ends: Alcaraz et al. 1987).
"""

from __future__ import annotations

import math

import numpy as np

from emergence.errors import EmergenceError, SettingsError
from emergence.retraining.models import Heisenberg

BULK_ENERGY = 0.25 - math.log(2.0)
"""Energy per site of the infinite chain (Hulthén 1938)."""


NEWTON_STEPS = 50


def rapidities(model: Heisenberg) -> np.ndarray:
    """λ of the ground state in rising order, ``[sites / 2]``, by Newton iteration.

    Raises:
        SettingsError: not an unfrustrated Heisenberg chain.
        EmergenceError: the iteration does not converge.
    """
    known = isinstance(model, Heisenberg) and model.lattice.geometry == "chain" and not model.j2
    if not known:
        raise SettingsError(
            f"The {model} is not solved by the Bethe ansatz.",
            "Choose a Heisenberg chain with j2 = 0.",
        )
    quantum, start = _quantum_numbers(model)
    value = start
    for _ in range(NEWTON_STEPS):
        residual, jacobian = _equations(model, quantum, value)
        step = np.linalg.solve(jacobian, residual)
        value = value - step
        if np.max(np.abs(step) / (1.0 + np.abs(value))) < 1e-14:
            return value
        # Convergence is quadratic: once the residual is rounding, so are the steps.
        if np.max(np.abs(residual)) < 1e-15 * model.sites:
            return value
    raise EmergenceError(
        f"The Bethe equations of the {model.lattice} did not converge in {NEWTON_STEPS} steps.",
        "Choose a shorter chain.",
    )


def _quantum_numbers(model: Heisenberg) -> tuple[np.ndarray, np.ndarray]:
    """I and the rapidities without the scattering, which are where Newton starts."""
    sites, count = model.sites, model.sites // 2
    if model.lattice.periodic:
        quantum = np.arange(count) - (count - 1) / 2.0
        return quantum, np.tan(np.pi * quantum / sites) / 2.0
    quantum = np.arange(1.0, count + 1.0)
    return quantum, np.tan(np.pi * quantum / (2.0 * sites + 2.0)) / 2.0


def _equations(
    model: Heisenberg, quantum: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals ``[sites / 2]`` and their Jacobian ``[sites / 2, sites / 2]``."""
    ring = model.lattice.periodic
    copies = 1.0 if ring else 2.0
    others = 1.0 - np.eye(len(value))
    difference = value[:, None] - value[None, :]
    total = value[:, None] + value[None, :]
    # At an open end each rapidity also scatters off the mirror images of the others.
    mirrored = 0.0 * others if ring else others
    scattering = others * np.arctan(difference) + mirrored * np.arctan(total)
    residual = copies * model.sites * np.arctan(2.0 * value) - np.pi * quantum
    residual -= scattering.sum(axis=1)
    direct = others / (1.0 + difference**2)
    image = mirrored / (1.0 + total**2)
    own = copies * model.sites * 2.0 / (1.0 + 4.0 * value**2)
    jacobian = direct - image + np.diag(own - np.sum(direct + image, axis=1))
    return residual, jacobian


def energy(model: Heisenberg) -> float:
    """Ground-state energy of the whole chain."""
    bonds = model.sites if model.lattice.periodic else model.sites - 1
    value = rapidities(model)
    return float(bonds / 4.0 - np.sum(2.0 / (1.0 + 4.0 * value**2)))
