"""What the sections of all systems are made of."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Field(pattern=r"^[a-z][a-z0-9_]*$")
ArmName = Annotated[str, Name]


class Section(BaseModel):
    """Base of every section: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class Stage(Section):
    """One stage of a training: an update rule run for so many steps on windows of one length."""

    update: Literal["adam", "levenberg_marquardt", "natural_gradient"] = Field(
        description="First-order steps, damped Gauss-Newton steps for least-squares losses, or "
        "natural-gradient steps for expectations over the network's own samples."
    )
    steps: int = Field(strict=True, ge=1, le=10_000_000, description="Optimisation steps.")
    batch: int = Field(
        strict=True, ge=1, le=65_536, description="Windows (or samples) per step and seed."
    )
    window: int = Field(
        strict=True, ge=1, le=1_000_000, description="Sites per window: the curriculum."
    )
    rate: float = Field(1e-2, gt=0, le=1, description="Learning rate at the start of the stage.")
    final_rate: float = Field(
        0.1, ge=0, le=1, description="Last rate over first, reached on a cosine."
    )
    clip_norm: float = Field(
        1.0, gt=0, le=1e6, description="Adam: gradient norm per seed; natural gradient: step norm."
    )
    ridge: float = Field(
        0.0, ge=0, le=1, description="Weight of |parameters|² added to the loss; bounds idle modes."
    )
    candidates: int = Field(
        1,
        strict=True,
        ge=1,
        le=64,
        description="Starts per seed alive in this stage; the best so far by training loss go on.",
    )
    damping: float = Field(
        1e-2,
        gt=0,
        le=1e8,
        description="Relative damping; of Levenberg-Marquardt at the start of the stage.",
    )
    momentum: float = Field(
        0.9, ge=0, lt=1, description="Natural gradient: share of the last direction that is kept."
    )
    carry: bool = Field(
        False,
        description="Go on with the moments that the last stage of this update rule left, of this size "
        "or the one before, instead of fresh ones.",
    )


class GrowingArm(Section):
    """What is grown from size to size: each starts from the weights of the one before."""

    measure: ClassVar[str] = "size"
    """What a size is called."""
    seeds: int = Field(1, strict=True, ge=1, le=64, description="Networks trained side by side.")
    sizes: dict[int, ArmName] = Field(
        min_length=1, description="Size → its stages; in the order of growth."
    )
    shipped: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_]*$",
        description="Weights of the system's folder in weights/ that the first size goes on from.",
    )

    @model_validator(mode="after")
    def _sizes_grow(self) -> Self:
        for before, after in pairwise(self.sizes):
            if after <= before:
                raise ValueError(
                    f"the {self.measure} {after} follows {before}, but a {self.measure} must "
                    "exceed its predecessor"
                )
        return self

    def before(self, size: int) -> int | None:
        """The size whose weights ``size`` starts from; None for the first."""
        sizes = list(self.sizes)
        index = sizes.index(size)
        return sizes[index - 1] if index else None

    def starts_from(self, name: str, size: int) -> tuple[str, int] | None:
        """Arm and size of the run whose weights ``size`` of this arm, of that name, starts from."""
        before = self.before(size)
        return None if before is None else (name, before)


class EvaluationSettings(Section):
    """How trained networks are evaluated; other than by default only to measure what it changes."""

    precision: Literal["float32", "float64"] = Field(
        "float64", description="Of final numbers, those of bulks too; chains keep their own."
    )
    compiled: bool = Field(True, strict=True, description="By XLA; false: as plain graphs.")


def require(key: str, name: str, among: dict[str, Any]) -> None:
    if name not in among:
        raise ValueError(f"{key} = {name!r} is not one of {sorted(among)}")


def once_each(key: str, values: list[Any]) -> None:
    """Refuse a list that would measure the same twice, under one name."""
    if len(set(values)) < len(values):
        raise ValueError(f"{key} = {values} holds one of them twice")


def candidates_fall_to_one(name: str, stages: list[Any]) -> None:
    """Refuse stages that bring back starts which were dropped, or end with more than one per seed."""
    numbers = [stage.candidates for stage in stages]
    if numbers != sorted(numbers, reverse=True) or numbers[-1] != 1:
        raise ValueError(f"stages.{name} has the candidates {numbers}, but they must fall to 1")
