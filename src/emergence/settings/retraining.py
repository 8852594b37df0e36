"""Settings of the retraining system."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from emergence.settings.sections import ArmName, GrowingArm, Section, Stage, require

Size = Annotated[int, Field(ge=2, le=100_000)]


class GrowthStage(Stage):
    """One stage of training a wave function at one size; ``window`` is the number of sites."""

    window: int = Field(0, strict=True, ge=0, description="Set to the number of sites by the run.")
    symmetric: bool = Field(
        False,
        description="Average over the lattice's point group and, of the Ising model, the flip of"
        " all spins.",
    )
    truncation: int | None = Field(
        None, strict=True, ge=1, description="Sites that a flip is followed; none: to the end."
    )
    temperature: float = Field(
        0.0, ge=0, le=100, description="Entropy annealing: T at the start, halved in 1000 steps."
    )
    penalty: float = Field(
        0.0, ge=0, le=100, description="Soft constraint: weight of the squared magnetisation."
    )


class GrowthArm(GrowingArm):
    """One wave function grown from size to size: each starts from the weights of the one before."""

    model: Literal["ising", "heisenberg", "j1j2"] = Field(description="Hamiltonian.")
    geometry: Literal["chain", "square"] = Field(description="Sizes are N, or L of L × L.")
    boundary: Literal["open", "periodic"] = Field("open", description="Of the lattice.")
    field: float | None = Field(None, ge=0, le=1e3, description="Ising: transverse field h.")
    j2: float | None = Field(None, ge=-10, le=10, description="J1–J2: second coupling.")
    network: Literal["gated", "tensor", "original_chain", "original_square"] = Field(
        description="Recurrent cell: gated for chains, tensor for squares, or the original's."
    )
    units: int = Field(64, strict=True, ge=1, le=4096, description="Hidden units.")
    marshall: bool = Field(
        True, description="Marshall rotation of antiferromagnets; the original learns the sign."
    )
    masked: bool = Field(
        True, description="Zero magnetisation exactly, where conserved; the original penalises."
    )
    averaged: bool = Field(
        True, description="Evaluate the average over the point group (beside the plain network)."
    )
    sizes: dict[Size, ArmName] = Field(
        min_length=1, description="Size → its stages; in the order of growth."
    )
    samples: int | None = Field(
        None,
        strict=True,
        ge=4,
        le=10_000_000,
        description="Samples of each final energy instead of the system's, for a dear network.",
    )
    probes: list[Size] = Field([], description="Sizes at which memory and entropy are measured.")

    @model_validator(mode="after")
    def _sizes_suit(self) -> GrowthArm:
        sizes = list(self.sizes)
        odd = [size for size in sizes if size % 2]
        if self.model != "ising" and odd:
            lattice = f"{self.geometry} of size {odd[0]}"
            raise ValueError(f"a {lattice} has an odd number of spins, so no zero magnetisation")
        if self.geometry == "chain" and sizes[0] == 2:
            if self.model == "j1j2":
                raise ValueError("a chain of 2 sites has no second neighbours; begin with 4")
            if self.boundary == "open":
                raise ValueError(
                    "an open chain of 2 sites is one bond, which has no middle and no mirror image; "
                    "begin with more"
                )
        missing = sorted(set(self.probes) - set(sizes))
        if missing:
            raise ValueError(f"the probes name the size {missing[0]}, which is not one of {sizes}")
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> GrowthArm:
        wanted = {"ising": "field", "j1j2": "j2"}.get(self.model)
        for key in ("field", "j2"):
            if (getattr(self, key) is not None) != (key == wanted):
                raise ValueError(
                    f"the model {self.model} {'needs' if key == wanted else 'takes no'} {key}"
                )
        shape = "square" if self.network in ("tensor", "original_square") else "chain"
        if shape != self.geometry:
            raise ValueError(f"the network {self.network} is for a {shape}")
        return self


class Retraining(Section):
    """arXiv:2003.06228: the models, the networks and how they are grown."""

    precision: Literal["float32", "float64"] = Field("float32", description="Of the training.")
    samples: int = Field(
        strict=True,
        ge=8,
        le=10_000_000,
        description="Samples of each final energy, at 80 sites and more.",
    )
    batch: int = Field(
        strict=True, ge=4, le=65_536, description="Samples evaluated in one call; divides samples."
    )
    configurations: int = Field(
        strict=True, ge=8, le=10_000_000, description="Samples of correlations and entropies."
    )
    stages: dict[ArmName, Annotated[list[GrowthStage], Field(min_length=1)]]
    chains: dict[ArmName, GrowthArm]

    @model_validator(mode="after")
    def _consistent(self) -> Retraining:
        for key in ("samples", "configurations"):
            if getattr(self, key) % self.batch:
                raise ValueError(
                    f"the {key} {getattr(self, key)} are no multiple of the batch {self.batch}"
                )
        for name, arm in self.chains.items():
            for size, stages in arm.sizes.items():
                require(f"chains.{name}.sizes.{size}", stages, self.stages)
            if arm.probes and self.configurations % (2 * self.batch):
                raise ValueError(
                    f"chains.{name} has probes, whose entropies compare two halves of the "
                    f"configurations, but {self.configurations} are no multiple of twice the batch"
                )
        for name, stages in self.stages.items():
            if any(
                stage.update == "levenberg_marquardt" or stage.candidates > 1 for stage in stages
            ):
                raise ValueError(
                    f"stages.{name} must use adam or natural_gradient, with one candidate"
                )
        return self
