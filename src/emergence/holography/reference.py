"""The phase diagram by the cluster Monte Carlo, at every hopping of one torus: what flows must match."""

from __future__ import annotations

import numpy as np

from emergence.artifacts import Arrays
from emergence.holography.actions import ComplexPhi4
from emergence.holography.autocorrelation import estimate_all
from emergence.holography.cluster import run_phi4
from emergence.holography.observables import formulas
from emergence.holography.points import Point, line_of, plane_of
from emergence.progress import Progress
from emergence.randomness import derive_seed
from emergence.settings import Settings

LENGTHS = ("chains", "sweeps", "thermalisation")

CORRELATION_BLOCKS = 32
"""Blocks of sweeps whose mean correlation functions are kept, for errors and correlated fits."""


def line(settings: Settings, side: int) -> Arrays:
    """The diagram's line of couplings on one torus, see :func:`measure`."""
    diagram = settings.holography.diagram
    lengths = {name: getattr(diagram, name) for name in LENGTHS}
    return measure(settings, f"line, side {side}", side, diagram.lam, line_of(diagram), lengths)


def plane(settings: Settings) -> Arrays:
    """The map of t and μ, see :func:`measure`."""
    chosen = settings.holography
    lengths = {name: getattr(chosen.plane, name) for name in LENGTHS}
    lam = chosen.theories[chosen.flows[chosen.plane.flow].theory].lam
    points = plane_of(chosen.plane)
    return measure(settings, "plane", chosen.plane.side, lam, points, lengths)


def measure(
    settings: Settings, title: str, side: int, lam: float, points: list[Point], lengths: dict
) -> Arrays:
    """Derived observables and correlation functions at points (t, μ).

    Args:
        lengths: ``chains``, ``sweeps`` and ``thermalisation`` of :func:`.cluster.run_phi4`.

    Returns:
        ``t``, ``mu`` ``[points]``; of each formula ``<name>``, ``<name>_error``, ``<name>_tau`` (in
        sweeps), ``<name>_tau_error``, ``<name>_agreement`` (p-value of the scatter of the chains)
        ``[points]``;
        ``correlation`` ``[points, blocks, L/2 + 1]``, the mean of each block of sweeps, along an
        axis.
    """
    columns: dict[str, list[float]] = {}
    correlations = []
    with Progress(f"cluster Monte Carlo, {title}", len(points)) as progress:
        for index, (t, mu) in enumerate(points):
            action = ComplexPhi4(t, mu, lam)
            seed = derive_seed(settings.seed, "holography", "reference", title, index)
            run = run_phi4(action, side, seed=seed, correlate=True, **lengths)
            for name, found in estimate_all(run.series, formulas(side, action)).items():
                for suffix in ("", "_error", "_tau", "_tau_error", "_agreement"):
                    value = getattr(found, suffix[1:] or "value")
                    columns.setdefault(name + suffix, []).append(value)
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
