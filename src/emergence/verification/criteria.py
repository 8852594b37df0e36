"""The tests that a ledger can ask of a measurement, each with its bound and where that comes from.

This is their schema; :mod:`emergence.verification.outcomes` says how each is decided.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


Text = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1),
    AfterValidator(_on_one_line),
]
MeasurementName = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
PositiveNumber = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
# Below two standard errors nothing is told apart from noise.
Sigmas = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=2)]
# No sample of seeds tells that all of them pass.
Fraction = Annotated[float, Field(strict=True, gt=0, lt=1)]
Count = Annotated[int, Field(strict=True, ge=1)]


Basis = Literal["spread", "statement", "published", "resolution", "physics", "choice"]
"""What a bound or tolerance rests on.

``spread``: how much single trainings, which differ in the seed alone, scatter.
``statement``: the statement itself, such as an order, a ratio against one, two numbers that are equal.
``published``: a number or network of the paper, its authors' code or logs, or what others reached.
``resolution``: how well the method, the samples or rounding can tell it, or a plot show it.
``physics``: another scale of the problem, such as a gap, the noise put in, or what another law gives.
``choice``: a round number of this project, with nothing measured behind it."""


class Entry(BaseModel):
    """A mapping of the ledger; an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BaseCriterion(Entry, ABC):
    """What every test has in common."""

    basis: Basis
    """What the bound or tolerance rests on, in one word."""
    justification: Text
    """The same in full; ``{measurement}`` in it stands for that number as it comes out."""
    min_samples: Count | None = None
    """Fewer seeds than this are underpowered; by default 3 for any measurement over seeds."""
    max_error: PositiveNumber | None = None
    """A larger standard error is underpowered."""
    over_trainings: Annotated[bool, Field(strict=True)] = False
    """Whether the mean over trainings decides, where the certificate of drift has others: of what a
    single one has not the power to tell."""
    relative: Annotated[bool, Field(strict=True)] = False
    """Whether ``tolerance`` and ``max_error`` are fractions: of the target where there is one,
    else of the measured value."""

    @model_validator(mode="after")
    def _relative_to_something(self) -> Self:
        if self.relative and getattr(self, "target", None) == 0:
            raise ValueError("relative is true, but it must be false where the target is 0")
        if self.relative and self.max_error is None and not hasattr(self, "tolerance"):
            raise ValueError("relative is true, but it must have a max_error to apply to")
        return self

    @model_validator(mode="after")
    def _one_way_to_count_trainings(self) -> Self:
        if self.over_trainings and getattr(self, "fraction", None) is not None:
            raise ValueError("over_trainings is true, but 'fraction' counts the trainings already")
        return self

    def allowed(self) -> str:
        """Return what the test demands, in words."""
        demand = self._demand()
        if (fraction := getattr(self, "fraction", None)) is not None:
            demand += f" in at least {100 * fraction:g} % of the seeds"
        if self.over_trainings:
            demand += " in the mean over trainings"
        if self.max_error is not None:
            demand += f", its error at most {self._size(self.max_error)}"
        return demand

    @abstractmethod
    def _demand(self) -> str:
        """What the test demands but for shares of seeds and sizes of errors, in words."""

    def _size(self, size: float) -> str:
        return f"{100 * size:g} %" if self.relative else f"{size:g}"


class AtMost(BaseCriterion):
    """``measure`` ≤ ``bound``."""

    test: Literal["at_most"]
    measure: MeasurementName
    bound: Number
    fraction: Fraction | None = None

    def _demand(self) -> str:
        return f"at most {self.bound:g}"


class AtLeast(BaseCriterion):
    """``measure`` ≥ ``bound``."""

    test: Literal["at_least"]
    measure: MeasurementName
    bound: Number
    fraction: Fraction | None = None

    def _demand(self) -> str:
        return f"at least {self.bound:g}"


class RatioAtLeast(BaseCriterion):
    """``measure``, a ratio of two positive quantities such as times or lengths, is ≥ ``bound``.

    The analysis measures it under a name of its own, with the error of the quotient. Trainings scatter in
    its logarithm.
    """

    test: Literal["ratio_at_least"]
    measure: MeasurementName
    bound: PositiveNumber
    fraction: Fraction | None = None

    def _demand(self) -> str:
        return f"ratio at least {self.bound:g}"


class Within(BaseCriterion):
    """|``measure`` - ``target``| ≤ ``tolerance``."""

    test: Literal["within"]
    measure: MeasurementName
    target: Number
    tolerance: PositiveNumber
    fraction: Fraction | None = None

    def _demand(self) -> str:
        return f"{self.target:g} ± {self._size(self.tolerance)}"


class EqualWithinErrors(BaseCriterion):
    """|``measure`` - target| ≤ ``sigmas`` combined standard errors, which must be small enough."""

    test: Literal["equal_within_errors"]
    measure: MeasurementName
    target: Number | None = None
    other: MeasurementName | None = None
    sigmas: Sigmas = 3.0
    max_error: PositiveNumber

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.target is None) == (self.other is None):
            raise ValueError(
                "equal_within_errors must have either 'target' (a number) or 'other' (a "
                "measurement), and not both"
            )
        return self

    def _demand(self) -> str:
        target = self.other if self.target is None else f"{self.target:g}"
        return f"equal to {target} within {self.sigmas:g} standard errors"


class Ordering(BaseCriterion):
    """``smaller`` < ``larger``."""

    test: Literal["ordering"]
    smaller: MeasurementName
    larger: MeasurementName
    fraction: Fraction | None = None

    def _demand(self) -> str:
        return f"{self.smaller} < {self.larger}"


class ModelComparison(BaseCriterion):
    """``measure``, a difference of scores, exceeds ``bound`` by ``sigmas`` standard errors."""

    test: Literal["model_comparison"]
    measure: MeasurementName
    bound: Number = 0.0
    sigmas: Sigmas = 3.0

    def _demand(self) -> str:
        return f"exceeds {self.bound:g} by {self.sigmas:g} standard errors"


class ScalingExponent(BaseCriterion):
    """The exponent ``measure`` is ``target`` within ``sigmas`` standard errors."""

    test: Literal["scaling_exponent"]
    measure: MeasurementName
    target: Number
    sigmas: Sigmas = 3.0
    max_error: PositiveNumber

    def _demand(self) -> str:
        return f"exponent {self.target:g} within {self.sigmas:g} standard errors"


Criterion = (
    AtMost
    | AtLeast
    | RatioAtLeast
    | Within
    | EqualWithinErrors
    | Ordering
    | ModelComparison
    | ScalingExponent
)


def keys_of(criterion: Criterion) -> list[str]:
    """The measurements that a criterion compares: what is tested first, then what with."""
    names = (getattr(criterion, key, None) for key in ("measure", "other", "larger", "smaller"))
    return [name for name in names if name is not None]
