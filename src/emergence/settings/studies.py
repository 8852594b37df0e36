"""Settings of what is measured in trained flows: chains, bulks and the map, and the counts that they take."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from emergence.settings.sections import ArmName, Section, once_each


def _power_of_two(side: int) -> int:
    if side & (side - 1):
        near = 1 << side.bit_length() - 1
        raise ValueError(
            f"the side {side} must be a power of two, so that 2×2 blocks can halve it to 1, such as "
            f"{near} or {2 * near}"
        )
    return side


def _stable(lam: float) -> float:
    if lam < 0.0:
        raise ValueError(
            f"λ = {lam:g} is unstable, as the action has no lowest value: it must be positive, or 0 for "
            "the free field"
        )
    return lam


Quartic = Annotated[float, Field(le=1e4), AfterValidator(_stable)]
Side = Annotated[int, Field(ge=2, le=256), AfterValidator(_power_of_two)]
Coupling = Annotated[float, Field(ge=-1e4, le=1e4)]
Count = Annotated[int, Field(strict=True, ge=1, le=10_000_000)]
Samples = Annotated[int, Field(strict=True, ge=2, le=10_000_000)]
"""Of which an error is told: one alone has no scatter."""

SHORTEST_SERIES = 4
"""Shorter series tell no autocorrelation."""
Series = Annotated[int, Field(strict=True, ge=SHORTEST_SERIES, le=10_000_000)]

FEWEST_FIELDS = 20
"""Of a bulk: so many chunks the jackknife leaves out one of."""


class ChainsSettings(Section):
    """One run of chains in the bulk of a flow or on its boundary: trajectories or refreshed latents.

    A *trajectory* of refreshed latents is what lies between two records.
    """

    flow: ArmName = Field(description="Entry of flows.")
    size: Side = Field(description="Which of its sizes.")
    space: Literal["bulk", "boundary"] = Field(description="Where the chains move.")
    t: Annotated[list[Coupling], Field(min_length=1)] | Literal["diagram", "plane"] | None = Field(
        None,
        description="Hoppings along the line of the diagram, all of them, or every point of the map of t "
        "and μ; none: the flow's own theory.",
    )
    chains: Count = Field(description="Side by side, at each t.")
    tuning: Count = Field(description="Trajectories that tune the step.")
    trajectories: Count = Field(description="Measured trajectories.")
    leapfrogs: int | None = Field(
        None, strict=True, ge=1, le=1000, description="Steps of each Hamiltonian trajectory."
    )
    refreshes: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=10_000,
        description="Sweeps of refreshed latents between records.",
    )
    subtrees: bool = Field(
        False,
        description="Whether with a block's latents all those below it are refreshed.",
    )
    exchanges: int = Field(
        0,
        strict=True,
        ge=0,
        le=10_000,
        description="How often neighbouring hoppings exchange latents between records; divides the "
        "refreshes.",
    )
    shifts: int = Field(
        0,
        strict=True,
        ge=0,
        le=10_000,
        description="How often the field is shifted by a random vector between records; divides the "
        "refreshes.",
    )
    reflections: int = Field(
        0,
        strict=True,
        ge=0,
        le=10_000,
        description="Sweeps of reflections before each shift, at most; of complex fields.",
    )
    precision: Literal["float32", "float64"] | None = Field(
        None, description="In which the chains move; none: that of the training."
    )
    step: float | None = Field(None, gt=0, le=10, description="Fixed step size, untuned.")
    target: float = Field(0.8, gt=0, lt=1, description="Acceptance that the step is tuned to.")
    untrained: bool = Field(
        False, description="Whether the flow has fresh weights in place of trained ones."
    )
    shipped: ArmName | None = Field(
        None,
        description="Records drawn beforehand that this run continues, untuned: "
        "weights/holography/chains/<name>.npz.",
    )
    cold: int = Field(
        0, strict=True, ge=0, le=1_000_000, description="Trajectories recorded from a cold start."
    )

    @model_validator(mode="after")
    def _one_way(self) -> ChainsSettings:
        if isinstance(self.t, list):
            once_each("t", self.t)
        if (self.leapfrogs is None) == (self.refreshes is None):
            raise ValueError("give either leapfrogs or refreshes")
        if self.untrained and self.space == "boundary":
            raise ValueError("chains on the boundary know nothing of a flow, trained or not")
        if self.refreshes is not None and (self.space == "boundary" or self.step is not None):
            raise ValueError("latents are refreshed in the bulk, by steps that are tuned")
        if self.subtrees and self.refreshes is None:
            raise ValueError("subtrees are a way to refresh latents")
        if self.exchanges and (self.refreshes is None or self.t is None):
            raise ValueError("latents are exchanged between hoppings, where they are refreshed")
        for number in filter(None, (self.shifts, self.exchanges)):
            if self.refreshes is None or self.refreshes % number:
                raise ValueError(
                    "shifts and exchanges share the sweeps of refreshed latents equally"
                )
        if self.shifts and self.precision != "float64":
            raise ValueError(
                "shifts need the precision float64: they are exact only where the inverse of the flow is"
            )
        if self.reflections and not self.shifts:
            raise ValueError("a field is reflected before it is shifted, so there must be shifts")
        if self.cold and self.chains < 2:
            raise ValueError("a cold start needs two chains or more, as its error is their scatter")
        return self

    def check_hamiltonian(self, name: str, side: int, hoppings: Collection[float]) -> None:
        """Trajectories that are held against the diagram are in the bulk, of its torus and hoppings."""
        if self.space != "bulk" or self.leapfrogs is None:
            raise ValueError(f"{name}: its chains must move by leapfrogs in the bulk")
        if self.t != "diagram" or self.size != side:
            self.check_crossover(name, side, hoppings)

    def check_crossover(self, name: str, side: int, hoppings: Collection[float]) -> None:
        """What is added to the chains of a line must be of its torus and of its hoppings."""
        if self.size != side:
            raise ValueError(f"{name}: its size is {self.size}, but it must be {side}")
        listed = self.t if isinstance(self.t, list) else []
        if others := sorted(set(listed) - set(hoppings)):
            raise ValueError(f"{name}: t = {others[0]:g} is no hopping of the diagram")
        if not listed:
            raise ValueError(f"{name}: t must list hoppings of the diagram")


class BulkSettings(Section):
    """True samples of the boundary pushed into the bulk of a flow, beside maps known exactly."""

    flow: ArmName = Field(description="Entry of flows.")
    size: Side = Field(description="Which of its sizes.")
    t: Coupling | None = Field(
        None,
        description="Of the samples, on the line of the diagram; none: the flow's own. A flow that "
        "is not told t is the same map for all.",
    )
    chains: Count = Field(8, description="Cluster chains.")
    samples: Count = Field(description="Fields of each chain.")
    thinning: Count = Field(4, description="Sweeps between two of them.")
    portions: int | None = Field(
        None,
        strict=True,
        ge=2,
        le=10_000,
        description="How often so many fields are drawn for what pairs of the trained map's cells share; "
        "none: once.",
    )
    footprints: Samples = Field(64, description="Latents moved at each level.")


class PlaneSettings(Section):
    """The map of order against t and μ: where a conditional flow draws it, and how it is checked."""

    flow: ArmName = Field(description="Entry of flows, told t and μ.")
    side: Side = Field(description="Which of its sizes.")
    t: list[Coupling] = Field(min_length=2, description="Hoppings of the map.")
    mu: list[Coupling] = Field(min_length=2, description="Chemical potentials of the map.")
    chains: Count = Field(2, description="Cluster chains at each point.")
    sweeps: Series = Field(description="Measured sweeps of each chain.")
    thermalisation: Count = Field(100, description="Sweeps before the first measured one.")

    @model_validator(mode="after")
    def _measured_once(self) -> PlaneSettings:
        once_each("t", self.t)
        once_each("mu", self.mu)
        return self


def read_by_the_analysis(runs: Iterable[str], sides: Iterable[int]) -> list[str]:
    """Runs of chains whose series are read: along the line and of the map, and of pairs."""
    runs = list(runs)
    lines = {f"{kind}_{side}" for side in sides for kind in ("line", "crossover", "hamiltonian")}
    lines |= {"plane"}
    pairs = {
        pair
        for pair in (name.removesuffix("_bulk") for name in runs if name.endswith("_bulk"))
        if f"{pair}_boundary" in runs
    }
    return [name for name in runs if name in lines or name.rpartition("_")[0] in pairs]
