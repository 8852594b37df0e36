"""Settings of the holography system."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from emergence.settings.sections import (
    ArmName,
    GrowingArm,
    Section,
    Stage,
    candidates_fall_to_one,
    once_each,
    require,
)
from emergence.settings.studies import (
    FEWEST_FIELDS,
    SHORTEST_SERIES,
    BulkSettings,
    ChainsSettings,
    Count,
    Coupling,
    PlaneSettings,
    Quartic,
    Samples,
    Series,
    Side,
    read_by_the_analysis,
)

Range = tuple[Coupling, Coupling]


class FlowStage(Stage):
    """One stage of training a flow by reverse KL; ``window`` is the number of sites."""

    window: int = Field(0, strict=True, ge=0, description="Set to the number of sites by the run.")
    estimator: Literal["path", "reparameterised", "score"] = Field(
        "reparameterised",
        description="Gradient along the samples alone, or the whole one; of a prior, by its score.",
    )
    ramp: float = Field(
        0.0, ge=0, le=1, description="Share of the stage in which the hopping t rises from 0."
    )
    groups: int = Field(
        1, strict=True, ge=1, le=4096, description="Parts of a batch with couplings of their own."
    )


class TheorySettings(Section):
    """A field theory on the torus: complex φ⁴ (free at λ = 0), or the Ising dual field."""

    model: Literal["phi4", "ising"] = Field(description="Which action.")
    t: Coupling | Range | None = Field(None, description="Hopping, or the range of a flow told it.")
    mu: Coupling | Range | None = Field(None, description="Chemical potential μ, or its range.")
    lam: Quartic | None = Field(None, description="Quartic coupling λ.")
    temperature: float | None = Field(None, gt=0, le=1e4, description="Ising: T in units of J.")

    @model_validator(mode="after")
    def _parts_fit(self) -> TheorySettings:
        wanted = {"phi4": ("t", "mu", "lam"), "ising": ("temperature",)}[self.model]
        for key in ("t", "mu", "lam", "temperature"):
            if (getattr(self, key) is not None) != (key in wanted):
                raise ValueError(
                    f"the model {self.model} {'needs' if key in wanted else 'takes no'} {key}"
                )
        if self.model == "phi4":
            for key in ("t", "mu"):
                low, high = self.range_of(key)
                if low > high:
                    raise ValueError(f"the range of {key} runs from {low} down to {high}")
            reach = 2.0 * max(abs(end) for end in self.range_of("t"))
            if self.lam == 0.0 and self.range_of("mu")[0] <= reach:
                raise ValueError(
                    "the action has no lowest value, so exp(-S) has no integral: it must have "
                    "lam > 0, or lam = 0 with mu > 2|t|"
                )
        return self

    def range_of(self, key: Literal["t", "mu"]) -> Range:
        """Lowest and highest value of a coupling; equal where it is fixed."""
        value = getattr(self, key)
        return value if isinstance(value, tuple) else (value, value)

    def holds(self, t: float, mu: float) -> bool:
        """Whether couplings lie within the ranges."""
        (t_low, t_high), (mu_low, mu_high) = self.range_of("t"), self.range_of("mu")
        return t_low <= t <= t_high and mu_low <= mu <= mu_high

    @property
    def conditional(self) -> bool:
        """Whether a flow of this theory is told its couplings."""
        return self.model == "phi4" and any(
            low < high for low, high in (self.range_of("t"), self.range_of("mu"))
        )


class FlowArm(GrowingArm):
    """One hierarchical flow, grown from size to size: each starts from the levels of the one before."""

    theory: ArmName = Field(description="Entry of theories.")
    network: Literal["spline", "real_nvp"] = Field(
        description="U(1)-symmetric polar splines, or the paper's affine couplings."
    )
    sweeps: int = Field(1, strict=True, ge=1, le=16, description="Spline: rounds over a block.")
    bins: int = Field(8, strict=True, ge=2, le=128, description="Spline: bins of the circle.")
    surroundings: bool = Field(True, description="Spline: read the eight sites around.")
    couplings: int = Field(8, strict=True, ge=2, le=64, description="Real NVP: couplings.")
    radial: bool = Field(True, description="Real NVP: start from the single-site radius.")
    width: int = Field(32, strict=True, ge=1, le=4096, description="Units of a hidden layer.")
    depth: int = Field(2, strict=True, ge=1, le=16, description="Hidden layers.")
    symmetrised: bool = Field(False, description="Average the density over a change of sign.")
    after: ArmName | None = Field(
        None, description="Flow whose map, at the same side, is kept while a prior is trained."
    )
    prior: int | None = Field(
        None,
        strict=True,
        ge=0,
        le=16,
        description="Reach, in cells, of the couplings of the prior that is trained after it.",
    )
    measure: ClassVar[str] = "side"
    samples: Samples | None = Field(None, description="Of the final evaluation; the system's own.")
    observed: bool = Field(
        True, description="Keep the observables of the samples beside their weights."
    )
    sizes: dict[Side, ArmName] = Field(
        min_length=1, description="Side → its stages; in the order of growth."
    )

    @model_validator(mode="after")
    def _a_prior_has_a_map(self) -> FlowArm:
        if (self.after is None) != (self.prior is None):
            raise ValueError("a prior is trained after another flow: give both after and prior")
        if self.after and self.shipped:
            raise ValueError(f"it starts from the weights of {self.after}, not from shipped ones")
        return self

    def before(self, size: int) -> int | None:
        """As of any growing arm; a prior is trained at each side on its own."""
        return None if self.after else super().before(size)

    def starts_from(self, name: str, size: int) -> tuple[str, int] | None:
        """As of any growing arm; a prior starts from the map that it belongs to."""
        return (self.after, size) if self.after else super().starts_from(name, size)


class DiagramSettings(Section):
    """The phase diagram: where it is measured, and by how long a cluster Monte Carlo."""

    lam: float = Field(25.0, gt=0, le=1e4, description="λ of the paper, recalled.")
    mu: Coupling = Field(-200.0, description="μ at t = 0, recalled.")
    mu_slope: Coupling = Field(2.0, description="dμ/dt, recalled; 2 keeps |φ|² the same.")
    t: list[Coupling] = Field(
        min_length=2, description="Hoppings; the control compares neighbours."
    )
    sides: list[Side] = Field(min_length=1, description="Sides of the lattice.")
    chains: Count = Field(4, description="Cluster chains at each t and side.")
    sweeps: Series = Field(description="Measured sweeps of each chain.")
    thermalisation: Count = Field(200, description="Sweeps before the first measured one.")

    @model_validator(mode="after")
    def _measured_once(self) -> DiagramSettings:
        once_each("t", self.t)
        once_each("sides", self.sides)
        return self

    def mu_at(self, t: float) -> float:
        """μ on the line of the diagram."""
        return self.mu + self.mu_slope * t


class Holography(Section):
    """arXiv:1903.00804: the theories, the flows and what is measured of them."""

    precision: Literal["float32", "float64"] = Field("float32", description="Of the training.")
    samples: Samples = Field(description="Samples of each final evaluation.")
    chunk: Count = Field(128, description="Samples of one compiled call; divides samples.")
    theories: dict[ArmName, TheorySettings]
    stages: dict[ArmName, Annotated[list[FlowStage], Field(min_length=1)]]
    flows: dict[ArmName, FlowArm]
    diagram: DiagramSettings
    plane: PlaneSettings | None = Field(
        None, description="The map against t and μ; none: not drawn."
    )
    chains: dict[ArmName, ChainsSettings] = Field(
        {}, description="Markov chains, by trajectories or refreshed latents."
    )
    bulks: dict[ArmName, BulkSettings] = Field({}, description="Studies of the bulk.")

    @model_validator(mode="after")
    def _flows_fit(self) -> Holography:
        if self.samples % self.chunk:
            raise ValueError(
                f"the samples {self.samples} are no multiple of the chunk {self.chunk}"
            )
        for name, arm in self.flows.items():
            require(f"flows.{name}.theory", arm.theory, self.theories)
            model = self.theories[arm.theory].model
            if arm.network == "spline" and model != "phi4":
                raise ValueError(f"flows.{name}: polar splines are for complex fields")
            if arm.samples and arm.samples % self.chunk:
                raise ValueError(
                    f"flows.{name}: the samples {arm.samples} are no multiple of the chunk {self.chunk}"
                )
            for size, stages in arm.sizes.items():
                require(f"flows.{name}.sizes.{size}", stages, self.stages)
                grown = arm.shipped or arm.starts_from(name, size)
                if grown and self.stages[stages][0].candidates > 1:
                    raise ValueError(
                        f"flows.{name}.sizes.{size}: a flow that goes on from weights is one "
                        f"candidate, but the stages {stages} begin with several"
                    )
            self._prior_fits(name, arm)
            scored = [stage for stages in arm.sizes.values() for stage in self.stages[stages]]
            if arm.prior is None and any(stage.estimator == "score" for stage in scored):
                raise ValueError(f"flows.{name}: the estimator score is that of a prior")
            if any(stage.estimator == "score" and stage.batch < 2 for stage in scored):
                raise ValueError(f"flows.{name}: the estimator score needs a batch of two or more")
        for name, stages in self.stages.items():
            if any(stage.update != "adam" for stage in stages):
                raise ValueError(f"stages.{name} must use adam")
            candidates_fall_to_one(name, stages)
            if any(stage.batch % stage.groups for stage in stages):
                raise ValueError(f"stages.{name}: a batch must be a multiple of its groups")
        return self

    def _prior_fits(self, name: str, arm: FlowArm) -> None:
        """Refuse a prior whose map is of another architecture, or where there is nothing to train."""
        if arm.after is None:
            return
        require(f"flows.{name}.after", arm.after, self.flows)
        other = self.flows[arm.after]
        if other.after:
            raise ValueError(f"flows.{name}: {arm.after} has a prior already; give its map")
        # What is drawn of a trained flow, and from where its map came, says nothing of the map.
        apart = {"sizes", "samples", "observed", "shipped", "after", "prior"}
        told = other.model_dump(exclude=apart)
        odd = [key for key, value in arm.model_dump(exclude=apart).items() if value != told[key]]
        if odd:
            raise ValueError(
                f"flows.{name}: the map of {arm.after} is of another {odd[0]}, {told[odd[0]]!r}"
            )
        if lacking := [size for size in arm.sizes if size not in other.sizes]:
            raise ValueError(f"flows.{name}: {arm.after} has no size {lacking[0]}")
        theory = self.theories[arm.theory]
        if theory.model != "phi4" or theory.conditional:
            raise ValueError(
                f"flows.{name}: a prior is of a complex field, at one t and one mu of it"
            )
        if any(stage.ridge for stages in arm.sizes.values() for stage in self.stages[stages]):
            raise ValueError(f"flows.{name}: a ridge would change the map, which is kept")

    @model_validator(mode="after")
    def _studies_fit(self) -> Holography:
        for kind in ("chains", "bulks"):
            for name, study in getattr(self, kind).items():
                require(f"{kind}.{name}.flow", study.flow, self.flows)
                arm = self.flows[study.flow]
                if study.size not in arm.sizes:
                    raise ValueError(f"{kind}.{name}: {study.flow} has no size {study.size}")
                theory = self.theories[arm.theory]
                if kind == "bulks" and arm.after:
                    raise ValueError(
                        f"{kind}.{name}: what {study.flow} has in its bulk is a prior; "
                        f"study the map, {arm.after}"
                    )
                if kind == "chains" and study.t is not None and not theory.conditional:
                    raise ValueError(f"{kind}.{name}: {study.flow} is not told t")
                if kind == "chains" and study.t == "plane":
                    self._of_the_plane(name, study)
                elif (
                    theory.model == "phi4"
                    and study.t is not None
                    and theory.lam != self.diagram.lam
                ):
                    raise ValueError(
                        f"{kind}.{name}: its t lie on the line of the diagram, whose λ is "
                        f"{self.diagram.lam:g}, but {study.flow} is of λ = {theory.lam:g}"
                    )
                if kind == "chains" and study.reflections and theory.model != "phi4":
                    raise ValueError(f"{kind}.{name}: reflections are of complex fields")
                listed = study.t if isinstance(study.t, list) else [study.t]
                whole = study.t in (None, "diagram", "plane")
                for t in listed if theory.conditional and not whole else []:
                    self._told(theory, t, f"{kind}.{name}.t")
        if self.plane is not None:
            require("plane.flow", self.plane.flow, self.flows)
            if self.plane.side not in self.flows[self.plane.flow].sizes:
                raise ValueError(f"plane: {self.plane.flow} has no size {self.plane.side}")
        return self

    def _of_the_plane(self, name: str, study: ChainsSettings) -> None:
        """Refuse chains at the points of a map that is of another flow."""
        if self.plane is None:
            raise ValueError(f"chains.{name}: there is no map of t and mu; add the key plane")
        if (study.flow, study.size) != (self.plane.flow, self.plane.side):
            raise ValueError(
                f"chains.{name}: the map of t and mu is of {self.plane.flow} at side {self.plane.side}, "
                f"not of {study.flow} at side {study.size}"
            )

    @model_validator(mode="after")
    def _counts_suffice(self) -> Holography:
        for name in read_by_the_analysis(self.chains, self.diagram.sides):
            run = self.chains[name]
            if run.trajectories < SHORTEST_SERIES and run.shipped is None:
                raise ValueError(
                    f"chains.{name}: {run.trajectories} trajectories tell no autocorrelation, which "
                    f"takes at least {SHORTEST_SERIES} of them"
                )
        for side in self.diagram.sides:
            if run := self.chains.get(f"crossover_{side}"):
                run.check_crossover(f"chains.crossover_{side}", side, self.diagram.t)
            if run := self.chains.get(f"hamiltonian_{side}"):
                run.check_hamiltonian(f"chains.hamiltonian_{side}", side, self.diagram.t)
        if (run := self.chains.get("plane")) and run.t != "plane":
            raise ValueError("chains.plane: its t must be plane, as the map is drawn from it")
        for name, study in self.bulks.items():
            fields = study.chains * study.samples
            if fields < FEWEST_FIELDS:
                raise ValueError(
                    f"bulks.{name}: {study.chains} chains of {study.samples} samples are {fields} "
                    f"fields, but errors are told from at least {FEWEST_FIELDS}"
                )
        return self

    @model_validator(mode="after")
    def _flows_are_evaluated(self) -> Holography:
        for name, arm in self.flows.items():
            theory = self.theories[arm.theory]
            if not theory.conditional or (self.plane is not None and self.plane.flow == name):
                continue
            if not any(theory.holds(t, self.diagram.mu_at(t)) for t in self.diagram.t):
                raise ValueError(
                    f"flows.{name}: none of the diagram's t = {self.diagram.t} lies within what it "
                    "is told, so it would be evaluated nowhere"
                )
        return self

    def _told(self, theory: TheorySettings, t: float, key: str) -> None:
        """Refuse couplings of the diagram's line that a conditional flow was not trained at."""
        for name, value in (("t", t), ("mu", self.diagram.mu_at(t))):
            low, high = theory.range_of(name)
            # Tolerant of rounding: the ends of a range lie on the line.
            if not low - 1e-9 <= value <= high + 1e-9:
                raise ValueError(f"{key}: {name} = {value:g} is outside the flow's {low} … {high}")
