"""The claims ledger: its schema, and how a ledger file is read.

A ledger (``claims/<system>.yaml``) states what one paper claims, the number it published, which
measurement of ours decides the claim by which test, and the negative control that must break it.
It is data: :mod:`emergence.verification.verdicts` decides it without knowing the system.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from emergence.errors import LedgerError
from emergence.verification.criteria import (
    Count,
    Criterion,
    Entry,
    MeasurementName,
    Ordering,
    Text,
)
from emergence.verification.faults import CORRECT, read_yaml, sentence

Verdict = Literal["reproduced", "compatible", "deviates", "underpowered", "not run"]
Scale = Literal["smoke", "laptop", "paper"]
SCALES: tuple[str, ...] = get_args(Scale)
NOT_RUN: Verdict = "not run"
NEEDS_REASON: tuple[Verdict, ...] = ("deviates", "underpowered", NOT_RUN)

Identifier = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=40)
]


def _shape(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else "word"


class ControlPair(Entry):
    """The two measurements of a control whose criterion is an ordering."""

    smaller: MeasurementName
    larger: MeasurementName


class Control(Entry):
    """What is broken on purpose, and the criterion that must then deviate."""

    name: Text
    statement: Text
    criterion: Annotated[int, Field(strict=True, ge=0)] = 0
    """Index of the criterion that it must break."""
    measure: Annotated[
        Annotated[MeasurementName, Tag("word")] | Annotated[ControlPair, Tag("mapping")],
        Discriminator(_shape),
    ]
    """The measurement that stands in for the criterion's own."""
    min_samples: Count | None = None
    """Seeds that the control needs, where it has fewer than the claim."""


class Claim(Entry):
    """One claim of the paper, or one of ours that goes beyond it."""

    id: Identifier
    statement: Text
    place: Text
    """Where it is claimed: a figure, a section, the slides, or "ours"."""
    published: Text
    """The number published, as printed there, or "none given"."""
    expected: Annotated[
        Annotated[Verdict, Tag("word")] | Annotated[dict[Scale, Verdict], Tag("mapping")],
        Discriminator(_shape),
    ]
    reason: Text | None = None
    """The measured reason of an expected deviation; also why it is underpowered or never run.
    ``{measurement}`` in it stands for that number as it comes out."""
    scales: tuple[Scale, ...]
    """The scales that measure it; elsewhere it is not run. They decide it too, but for those at which
    ``expected`` is underpowered: there the number is told with its error, and why it decides nothing."""
    figure: (
        Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)+$")] | None
    ) = None
    """``<system>/<name>`` under ``figures/<scale>/``, without suffix."""
    headline: Annotated[int, Field(strict=True, ge=0)] = 0
    """Index of the criterion whose number stands for the claim, if its verdict is the claim's."""
    criteria: Annotated[
        tuple[Annotated[Criterion, Field(discriminator="test")], ...], Field(min_length=1)
    ]
    control: Control
    positive: Control | None = None
    """What must pass the criterion, where the claim is expected to fail it: proof that it can."""

    def expected_at(self, scale: str) -> Verdict:
        """Return the verdict that the ledger expects at this scale."""
        if scale not in self.scales:
            return NOT_RUN
        return self.expected[scale] if isinstance(self.expected, dict) else self.expected

    def asked_of(self, control: Control) -> Criterion:
        """Return the criterion of a control, asked of the control's own measurement, of this training."""
        measure = control.measure
        update = measure.model_dump() if isinstance(measure, ControlPair) else {"measure": measure}
        update["over_trainings"] = False
        if control.min_samples is not None:
            update["min_samples"] = control.min_samples
        return self.criteria[control.criterion].model_copy(update=update)

    @model_validator(mode="after")
    def _expectation_fits_scales(self) -> Self:
        if len(set(self.scales)) != len(self.scales):
            raise ValueError("scales names one scale twice, but each must stand there once")
        if isinstance(self.expected, dict) and set(self.expected) != set(self.scales):
            raise ValueError(
                f"expected names the scales {_listed(self.expected)}, but it must name those of "
                f"'scales', which are {_listed(self.scales)}"
            )
        verdicts = (
            set(self.expected.values()) if isinstance(self.expected, dict) else {self.expected}
        )
        if (NOT_RUN in verdicts) != (not self.scales):
            raise ValueError(
                "expected must be 'not run' where scales is empty, and only there; a scale that "
                "does not measure it is left out of scales"
            )
        if self.reason is None and (unexplained := verdicts.intersection(NEEDS_REASON)):
            raise ValueError(
                f"expected is '{min(unexplained)}', but reason is missing, which must say why"
            )
        return self

    @model_validator(mode="after")
    def _controls_fit_their_criteria(self) -> Self:
        if self.headline >= len(self.criteria):
            raise ValueError(
                f"headline is {self.headline}, but it must be the index of a criterion, from 0 to "
                f"{len(self.criteria) - 1}"
            )
        for key in ("control", "positive"):
            if (control := getattr(self, key)) is not None:
                self._check_control(key, control)
        return self

    def _check_control(self, key: str, control: Control) -> None:
        count, index = len(self.criteria), control.criterion
        if index >= count:
            raise ValueError(
                f"{key}.criterion is {index}, but it must be the index of a criterion, from 0 "
                f"to {count - 1}"
            )
        pair = isinstance(control.measure, ControlPair)
        if pair != isinstance(self.criteria[index], Ordering):
            shape = "one measurement" if pair else "a mapping of 'smaller' and 'larger'"
            raise ValueError(
                f"{key}.measure must be {shape}, because criterion {index} is a test "
                f"'{self.criteria[index].test}'"
            )


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"


class Paper(Entry):
    """The paper whose claims these are."""

    arxiv: Annotated[str, StringConstraints(strict=True, pattern=r"^\d{4}\.\d{4,5}$")]
    title: Text
    authors: Text
    places: dict[Text, Text] = Field(default_factory=dict)
    """What the places of its claims are, such as "slides"; those that are ours need no telling."""

    def where(self, place: str) -> list[str]:
        """The places that the place of a claim names."""
        return [] if place.startswith("ours") else place.split(", ")


class Ledger(Entry):
    """Everything that is claimed of one system."""

    system: Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z][a-z0-9_]*$")]
    paper: Paper
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [claim.id for claim in self.claims]
        for index, claim_id in enumerate(ids):
            if claim_id in ids[:index]:
                raise ValueError(f"the id {claim_id} stands twice, but each id must be unique")
        return self


# How faults are told: the model that each key and each tag of a union leads to.
_TESTS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["test"].annotation)[0]: model for model in get_args(Criterion)
}
_MODELS = {
    "": Ledger,
    "paper": Paper,
    "claims": Claim,
    "control": Control,
    "positive": Control,
    **_TESTS,
}
_MODELS["mapping"] = ControlPair
_TAGS = {"word", "mapping", *_TESTS}


def load_ledger(path: str | Path) -> Ledger:
    """Read and check one ledger.

    Raises:
        LedgerError: the file is missing, is no YAML or breaks the schema; one sentence names the
            file, the claim, the key, the value and what is allowed, another the remedy.
    """
    raw = read_yaml(path)
    try:
        return Ledger.model_validate(raw)
    except ValidationError as error:
        raise LedgerError(sentence(path, raw, error, _MODELS, _TAGS), CORRECT) from error


def load_ledgers(path: str | Path) -> list[Ledger]:
    """Read every ledger of a folder in the order of their file names, or the one ledger given.

    Raises:
        LedgerError: there is none, one is malformed, or two share a system or a claim's id.
    """
    path = Path(path)
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise LedgerError(
            f"{path} holds no ledger.", "Name the folder of claims/*.yaml, or one ledger."
        )
    ledgers = [load_ledger(file) for file in files]
    seen: dict[str, Path] = {}
    for file, ledger in zip(files, ledgers, strict=True):
        names = [f"system {ledger.system}", *(f"claim id {claim.id}" for claim in ledger.claims)]
        for name in names:
            if name in seen:
                raise LedgerError(
                    f"{file} uses the {name}, which {seen[name]} uses already.",
                    "Rename it in one of them.",
                )
            seen[name] = file
    return ledgers
