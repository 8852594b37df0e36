"""Typed settings: the single source of every key, default, unit and bound.

A settings file (``config/smoke.yaml``, ``config/laptop.yaml``, ``config/paper.yaml`` or a reader's
own copy) is checked whole before any work starts. Every fault is one sentence that names the file,
the key, the value found and what is allowed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emergence.errors import SettingsError

FamilyName = Literal["shallow", "deep", "rough", "strong"]
StartName = Literal["single", "arc", "circle", "current"]
SolverName = Literal["transfer_matrix", "central_difference"]
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
        False, description="Go on with the moments of the stage before, instead of fresh ones."
    )


class GrowthStage(Stage):
    """One stage of training a wave function at one size; ``window`` is the number of sites."""

    window: int = Field(0, strict=True, ge=0, description="Set to the number of sites by the run.")
    symmetric: bool = Field(False, description="Average over the lattice's point group.")
    truncation: int | None = Field(
        None, strict=True, ge=1, description="Sites that a flip is followed; none: to the end."
    )
    temperature: float = Field(
        0.0, ge=0, le=100, description="Entropy annealing: T at the start, halved in 1000 steps."
    )
    penalty: float = Field(
        0.0, ge=0, le=100, description="Soft constraint: weight of the squared magnetisation."
    )


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
    def _range_rises(self) -> DatasetSettings:
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
    def _candidates_fall_to_one(self) -> Introspection:
        for name, stages in self.stages.items():
            numbers = [stage.candidates for stage in stages]
            if numbers != sorted(numbers, reverse=True) or numbers[-1] != 1:
                raise ValueError(
                    f"stages.{name} has the candidates {numbers}, but they must fall to 1"
                )
        return self

    @model_validator(mode="after")
    def _references_exist(self) -> Introspection:
        for kind, arms in (("translators", self.translators), ("distillers", self.distillers)):
            for name, arm in arms.items():
                _require(f"{kind}.{name}.dataset", arm.dataset, self.datasets)
                _require(f"{kind}.{name}.stages", arm.stages, self.stages)
        for name, arm in self.distillers.items():
            _require(f"distillers.{name}.translator", arm.translator, self.translators)
            hidden = self.translators[arm.translator].hidden
            if arm.hidden is not None and arm.hidden not in hidden:
                raise ValueError(f"distillers.{name}.hidden = {arm.hidden} is not one of {hidden}")
        return self


def _require(key: str, name: str, among: dict[str, Any]) -> None:
    if name not in among:
        raise ValueError(f"{key} = {name!r} is not one of {sorted(among)}")


class Settings(Section):
    """A whole run."""

    scale: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", description="Names the results' folder.")
    seed: int = Field(
        strict=True, ge=0, lt=2**31, description="Root of every random number of the run."
    )
    threads: int = Field(
        1,
        strict=True,
        ge=1,
        le=256,
        description="TensorFlow threads per stage; numbers may depend on it.",
    )
    precision: Literal["float32", "float64"] = Field("float64", description="Of the training.")
    checkpoint_seconds: float = Field(20.0, ge=0, le=86_400, description="Between checkpoints.")
    introspection: Introspection


def load(path: str | Path) -> Settings:
    """Read and check a settings file.

    Raises:
        SettingsError: the file is missing, is no YAML mapping, or a key is unknown, of the wrong
            type or out of bounds; the sentence names file, key, value and what is allowed.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"The settings file {path} cannot be read ({problem}).",
            "Choose a scale of config/ (smoke, laptop, paper) or give an existing file.",
        ) from None
    try:
        content = yaml.safe_load(text)
    # The other three: scalars and nesting that PyYAML itself fails on, such as 2001-13-45.
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        raise SettingsError(
            f"The settings file {path} is not valid YAML: {error}.", "Correct the line it names."
        ) from None
    return parse(content, str(path))


def parse(content: Any, source: str) -> Settings:
    """Check settings already read; ``source`` names them in messages. Raises SettingsError."""
    if not isinstance(content, dict):
        raise SettingsError(
            f"The settings file {source} holds no mapping of keys to values.",
            "Start from a copy of config/laptop.yaml.",
        )
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise SettingsError(
            _sentence(error.errors()[0], source), "Correct that line; nothing was run."
        ) from None


def _sentence(fault: dict[str, Any], source: str) -> str:
    """One sentence for the first fault that pydantic reports."""
    key = ".".join(str(part) for part in fault["loc"]) or "the whole file"
    if fault["type"] == "extra_forbidden":
        return f"In {source} the key {key} is unknown."
    if fault["type"] == "missing":
        return f"In {source} the key {key} is missing."
    value = repr(fault.get("input"))
    value = value if len(value) <= 80 else value[:77] + "..."
    allowed = fault["msg"].removeprefix("Value error, ")
    allowed = allowed[0].lower() + allowed[1:]
    if fault["type"] == "value_error":
        return f"In {source} the section {key} is inconsistent: {allowed}."
    return f"In {source} the key {key} has the value {value}, but {allowed}."


def fingerprint(section: BaseModel | dict[str, Any]) -> str:
    """Short hash of a resolved section: a rule's parameter, so that a changed key reruns it."""
    content = section.model_dump(mode="json") if isinstance(section, BaseModel) else section
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
