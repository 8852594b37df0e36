"""Settings of the introspection system."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from emergence.settings.sections import (
    ArmName,
    Name,
    Section,
    Stage,
    candidates_fall_to_one,
    once_each,
    require,
)

FamilyName = Literal["shallow", "deep", "rough", "strong"]
StartName = Literal["single", "arc", "circle", "current"]
SolverName = Literal["transfer_matrix", "central_difference"]


class DatasetSettings(Section):
    """Potentials and the densities they produce."""

    families: list[FamilyName] = Field(
        min_length=1, description="Kinds of potential, mixed evenly."
    )
    start: StartName = Field(description="Start data: A single, B arc, C circle, D current.")
    solver: SolverName = Field("transfer_matrix", description="What generates the densities.")
    strong_range: tuple[float, float] = Field(
        (-0.5, 0.1), description="a²V of the strong family, which decides the discretisation."
    )

    @model_validator(mode="after")
    def _suits(self) -> DatasetSettings:
        once_each("families", self.families)
        low, high = self.strong_range
        if not -2.0 <= low < high <= 2.0:
            raise ValueError("strong_range must be two rising numbers within [-2, 2]")
        return self


def _check_sizes(kind: str, sizes: list[int], largest: int) -> None:
    for size in sizes:
        if not 1 <= size <= largest:
            raise ValueError(
                f"every {kind} dimension must lie between 1 and {largest}, but {size} is listed"
            )
    if len(set(sizes)) < len(sizes):
        raise ValueError(f"the {kind} dimensions {sizes} hold one of them twice")


class TranslatorSettings(Section):
    """One arm: a translator ensemble for each hidden dimension listed."""

    dataset: str = Name
    hidden: list[int] = Field(min_length=1, description="Hidden dimensions, each 1 to 16.")
    degree: int = Field(3, strict=True, ge=1, le=3, description="Degree of W(V) in V.")
    readout: Literal["linear", "quadratic", "general"] = Field("linear", description="P(h).")
    noise: float = Field(
        0.0, ge=0, le=0.5, description="Relative Gaussian noise on every density it is shown."
    )
    shuffled: bool = Field(False, description="Control: potentials paired with others' densities.")
    stages: str = Name

    @model_validator(mode="after")
    def _hidden_in_range(self) -> TranslatorSettings:
        _check_sizes("hidden", self.hidden, 16)
        return self


class DistillerSettings(Section):
    """One arm: a distiller ensemble for each latent dimension listed."""

    dataset: str = Name
    translator: str = Name
    hidden: int | None = Field(
        None, ge=1, le=16, description="Which hidden dimension of the translator arm; the first."
    )
    latent: list[int] = Field(min_length=1, description="Latent dimensions, each 1 to 8.")
    degree: int = Field(3, strict=True, ge=1, le=3, description="Degree of the latent update in V.")
    decoder: Literal["linear", "quadratic", "general"] = Field("quadratic", description="D(g).")
    cell: Literal["linear", "general"] = Field("linear", description="Latent update in g.")
    shuffled: bool = Field(False, description="Control: hidden states of other potentials.")
    stages: str = Name

    @model_validator(mode="after")
    def _latent_in_range(self) -> DistillerSettings:
        _check_sizes("latent", self.latent, 8)
        return self


READ_BY_THE_ANALYSIS = {
    ("translators", "main", "hidden"): 3,
    ("distillers", "quadratic", "latent"): 2,
    ("distillers", "linear", "latent"): 3,
}
"""A size that an arm of this name must have: the two- and the three-variable law."""


class SpectralSettings(Section):
    """The network-free baseline: spectral learning of a linear recurrence from Hankel matrices."""

    words: int = Field(60, strict=True, ge=4, le=2000, description="Prefixes and as many suffixes.")
    length: int = Field(
        20, strict=True, ge=2, le=200, description="Sites per prefix and per suffix."
    )
    letters: int = Field(
        7, strict=True, ge=4, le=64, description="Values of V, Chebyshev nodes of its range."
    )
    noise: list[Annotated[float, Field(ge=0, le=0.5)]] = Field(
        min_length=1, description="Relative density noise, one fit for each."
    )


class Introspection(Section):
    """arXiv:1901.11103: what is generated, trained and analysed."""

    spacing: float = Field(0.1, gt=0, le=1, description="Lattice spacing a, the unit of x.")
    data_seed: int | None = Field(
        None,
        strict=True,
        ge=0,
        le=2**31 - 1,
        description="Seed of the datasets, where it is not the seed of everything else.",
    )
    start_wavenumber: float = Field(2.0, gt=0, le=100, description="k₀ of the start data, 1/x.")
    start_half_arc: float = Field(60.0, gt=0, lt=90, description="Start data B: ± degrees.")
    lead_sites: int = Field(
        8, strict=True, ge=1, le=100, description="Distance of the three lead detectors."
    )
    window: int = Field(50, strict=True, ge=4, le=1000, description="Sites per training window.")
    extrapolation: list[Annotated[int, Field(strict=True, ge=2, le=100_000)]] = Field(
        min_length=1, description="Lengths of the longer test systems, sites."
    )
    training_windows: int = Field(strict=True, ge=8, le=1_000_000, description="Per family.")
    test_windows: int = Field(strict=True, ge=4, le=100_000, description="Per family.")
    test_systems: int = Field(strict=True, ge=4, le=100_000, description="Long systems per family.")
    seeds: int = Field(
        strict=True, ge=1, le=256, description="Ensemble: the leading axis of every training."
    )
    datasets: dict[ArmName, DatasetSettings]
    stages: dict[ArmName, Annotated[list[Stage], Field(min_length=1)]]
    translators: dict[ArmName, TranslatorSettings]
    distillers: dict[ArmName, DistillerSettings]
    spectral: SpectralSettings

    def hidden_of(self, distiller: str) -> int:
        """Hidden dimension of the translator that a distiller's arm reads."""
        arm = self.distillers[distiller]
        return arm.hidden or self.translators[arm.translator].hidden[0]

    @model_validator(mode="after")
    def _measured_once(self) -> Introspection:
        once_each("extrapolation", self.extrapolation)
        once_each("spectral.noise", self.spectral.noise)
        return self

    @model_validator(mode="after")
    def _candidates_fall_to_one(self) -> Introspection:
        for name, stages in self.stages.items():
            candidates_fall_to_one(name, stages)
        return self

    @model_validator(mode="after")
    def _references_exist(self) -> Introspection:
        for kind, arms in (("translators", self.translators), ("distillers", self.distillers)):
            for name, arm in arms.items():
                require(f"{kind}.{name}.dataset", arm.dataset, self.datasets)
                require(f"{kind}.{name}.stages", arm.stages, self.stages)
        for name, arm in self.distillers.items():
            require(f"distillers.{name}.translator", arm.translator, self.translators)
            hidden = self.translators[arm.translator].hidden
            if arm.hidden is not None and arm.hidden not in hidden:
                raise ValueError(f"distillers.{name}.hidden = {arm.hidden} is not one of {hidden}")
        return self

    @model_validator(mode="after")
    def _sizes_that_are_read(self) -> Introspection:
        for (kind, name, size), wanted in READ_BY_THE_ANALYSIS.items():
            arm = getattr(self, kind).get(name)
            if arm is not None and wanted not in getattr(arm, size):
                raise ValueError(
                    f"{kind}.{name}.{size} = {getattr(arm, size)} lacks {wanted}, "
                    "whose law the analysis reads off; add it"
                )
        return self
