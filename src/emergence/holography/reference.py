"""The phase diagram by the cluster Monte Carlo, at every hopping of one torus: what flows must match."""

from __future__ import annotations

import numpy as np

from emergence.holography.actions import ComplexPhi4
from emergence.holography.autocorrelation import estimate_all
from emergence.holography.cluster import run_phi4
from emergence.holography.observables import formulas
from emergence.holography.points import line_of
from emergence.progress import Progress
from emergence.randomness import derive_seed
from emergence.settings import Settings

CORRELATION_BLOCKS = 32
"""Blocks of sweeps whose mean correlation functions are kept, for errors and correlated fits."""


def measure(settings: Settings, side: int) -> dict[str, np.ndarray]:
    """Derived observables and correlation functions along the line of the diagram.

    Returns:
        ``t``, ``mu`` ``[points]``; of each formula ``<name>``, ``<name>_error``, ``<name>_tau`` (in
        sweeps), ``<name>_tau_error``, ``<name>_agreement`` (p-value of the scatter of the chains)
        ``[points]``;
        ``correlation`` ``[points, blocks, L/2 + 1]``, the mean of each block of sweeps, along an
        axis.
    """
    diagram = settings.holography.diagram
    points = line_of(diagram)
    columns: dict[str, list[float]] = {}
    correlations = []
    with Progress(f"reference, side {side}", len(points)) as progress:
        for index, (t, mu) in enumerate(points):
            action = ComplexPhi4(t, mu, diagram.lam)
            run = run_phi4(
                action,
                side,
                chains=diagram.chains,
                sweeps=diagram.sweeps,
                thermalisation=diagram.thermalisation,
                seed=derive_seed(settings.seed, "holography", "reference", side, index),
                correlate=True,
            )
            for name, found in estimate_all(run.series, formulas(side, action)).items():
                columns.setdefault(name, []).append(found.value)
                columns.setdefault(f"{name}_error", []).append(found.error)
                columns.setdefault(f"{name}_tau", []).append(found.tau)
                columns.setdefault(f"{name}_tau_error", []).append(found.tau_error)
                columns.setdefault(f"{name}_agreement", []).append(found.agreement)
            correlations.append(blocks_of(run.correlation))
            progress.advance(index + 1, f"t = {t:g}")
    arrays = {name: np.array(values) for name, values in columns.items()}
    return arrays | {
        "t": np.array([point[0] for point in points]),
        "mu": np.array([point[1] for point in points]),
        "correlation": np.stack(correlations),
    }


def blocks_of(correlation: np.ndarray) -> np.ndarray:
    """Means of consecutive sweeps of ``[chains, time, r]``, ``[blocks, r]``; a remainder is left out."""
    chains, length, distances = correlation.shape
    each = max(1, CORRELATION_BLOCKS // chains)
    size = length // each
    if size < 1:
        return correlation.reshape(-1, distances)
    kept = correlation[:, : each * size].reshape(chains, each, size, distances)
    return kept.mean(axis=2).reshape(-1, distances)
