"""What an arm of the settings stands for: its theory, its flow and what is minimised."""

from __future__ import annotations

from emergence.holography.densities import IsingTheory, Phi4Theory, Theory
from emergence.holography.flow import FlowProblem
from emergence.holography.hierarchy import (
    Hierarchy,
    Ranges,
    real_nvp_flow,
    spline_flow,
    with_prior,
)
from emergence.randomness import derive_seed
from emergence.settings import Holography, Settings, TheorySettings


def theory_of(chosen: TheorySettings) -> Theory:
    """The theory of an entry; where couplings have a range, in the middle of it."""
    if chosen.model == "ising":
        return IsingTheory(chosen.temperature)
    ranges = ranges_of(chosen)
    return Phi4Theory(*ranges.centre, chosen.lam)


def ranges_of(chosen: TheorySettings) -> Ranges:
    """The rectangle of couplings of a complex theory."""
    return Ranges(t=chosen.range_of("t"), mu=chosen.range_of("mu"))


def flow_of(chosen: Holography, name: str, size: int) -> Hierarchy:
    """The flow of an arm on one torus."""
    flow, reach = _map_of(chosen, name, size), chosen.flows[name].prior
    return flow if reach is None else with_prior(flow, reach)


def _map_of(chosen: Holography, name: str, size: int) -> Hierarchy:
    """The same without a learnt prior."""
    arm = chosen.flows[name]
    theory = theory_of(chosen.theories[arm.theory])
    told = chosen.theories[arm.theory]
    ranges = ranges_of(told) if told.conditional else None
    shared = {"width": arm.width, "depth": arm.depth, "ranges": ranges}
    if arm.network == "spline":
        return spline_flow(
            theory, size, sweeps=arm.sweeps, bins=arm.bins, surroundings=arm.surroundings, **shared
        )
    return real_nvp_flow(theory, size, couplings=arm.couplings, radial=arm.radial, **shared)


def problem_of(settings: Settings, name: str, size: int) -> FlowProblem:
    """What the training of an arm minimises on one torus."""
    chosen = settings.holography
    arm = chosen.flows[name]
    told = chosen.theories[arm.theory]
    return FlowProblem(
        flow=flow_of(chosen, name, size),
        theory=theory_of(told),
        seeds=arm.seeds,
        seed=derive_seed(settings.seed, "holography", name, size),
        dtype=chosen.precision,
        symmetrised=arm.symmetrised,
        ranges=ranges_of(told) if told.conditional else None,
    )
