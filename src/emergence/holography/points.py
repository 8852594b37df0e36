"""Couplings of the settings: the action of an entry, and where its flows are evaluated."""

from __future__ import annotations

from emergence.holography.actions import ComplexPhi4, FreeField, IsingDualField
from emergence.settings import (
    ChainsSettings,
    DiagramSettings,
    Holography,
    PlaneSettings,
    TheorySettings,
)

Point = tuple[float, float]
"""(t, μ)."""


def centre_of(chosen: TheorySettings) -> Point:
    """The couplings of a complex theory, in the middle of their ranges."""
    return tuple(0.5 * sum(chosen.range_of(key)) for key in ("t", "mu"))


def action_of(
    chosen: TheorySettings, point: Point | None = None
) -> ComplexPhi4 | FreeField | IsingDualField:
    """The NumPy action of an entry, at a point of its range."""
    if chosen.model == "ising":
        return IsingDualField(chosen.temperature)
    t, mu = point or centre_of(chosen)
    return ComplexPhi4(t, mu, chosen.lam) if chosen.lam else FreeField(t, mu)


def points_of(chosen: Holography, name: str) -> list[Point]:
    """Where a flow is evaluated: its own couplings, the diagram's within its range, or the map's."""
    told = chosen.theories[chosen.flows[name].theory]
    if chosen.plane is not None and chosen.plane.flow == name:
        return plane_of(chosen.plane)
    if told.model == "ising":
        return [(0.0, 0.0)]
    if not told.conditional:
        return [centre_of(told)]
    return line_within(chosen.diagram, told)


def line_within(diagram: DiagramSettings, told: TheorySettings) -> list[Point]:
    """The points of the phase diagram within the range of a conditional flow."""
    return [point for point in line_of(diagram) if told.holds(*point)]


def line_of(diagram: DiagramSettings) -> list[Point]:
    """The points of the phase diagram."""
    return [(t, diagram.mu_at(t)) for t in diagram.t]


def plane_of(plane: PlaneSettings) -> list[Point]:
    """The points of the map, μ by μ."""
    return [(t, mu) for mu in plane.mu for t in plane.t]


def points_for(chosen: Holography, entry: ChainsSettings) -> list[Point]:
    """The couplings of an entry; (0, 0) for the Ising field, which has none."""
    told = chosen.theories[chosen.flows[entry.flow].theory]
    if entry.t == "diagram":
        return line_within(chosen.diagram, told)
    if entry.t == "plane":
        return plane_of(chosen.plane)
    if entry.t is not None:
        return [(t, chosen.diagram.mu_at(t)) for t in entry.t]
    return [(0.0, 0.0)] if told.model == "ising" else [centre_of(told)]


def cold_density(action: ComplexPhi4 | FreeField) -> float:
    """|φ|² of the ordered field that chains start cold from, that of the mean field.

    Where it has no order, a density of one is as cold.
    """
    return getattr(action, "mean_field_density", 0.0) or 1.0
