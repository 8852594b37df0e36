"""Typed settings: the single source of every key, default, unit and bound.

A settings file (``config/smoke.yaml``, ``config/laptop.yaml``, ``config/paper.yaml`` or a reader's
own copy) is checked whole before any work starts. Every fault is one sentence that names the file,
the key, the value found and what is allowed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from emergence.errors import SettingsError
from emergence.settings.holography import (
    DiagramSettings,
    FlowArm,
    FlowStage,
    Holography,
    TheorySettings,
)
from emergence.settings.introspection import (
    DatasetSettings,
    DistillerSettings,
    FamilyName,
    Introspection,
    SpectralSettings,
    StartName,
    TranslatorSettings,
)
from emergence.settings.retraining import GrowthArm, GrowthStage, Retraining
from emergence.settings.sections import EvaluationSettings, Section, Stage
from emergence.settings.studies import BulkSettings, ChainsSettings, PlaneSettings
from emergence.yaml_text import YamlFault, parse_yaml, show

__all__ = [
    "BulkSettings",
    "ChainsSettings",
    "DatasetSettings",
    "DiagramSettings",
    "DistillerSettings",
    "EvaluationSettings",
    "FamilyName",
    "FlowArm",
    "FlowStage",
    "GrowthArm",
    "GrowthStage",
    "Holography",
    "Introspection",
    "PlaneSettings",
    "Retraining",
    "Settings",
    "SpectralSettings",
    "Stage",
    "StartName",
    "TheorySettings",
    "TranslatorSettings",
    "fingerprint",
    "load",
    "parse",
]


class Settings(Section):
    """A whole run."""

    scale: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", description="Names the results' folder.")
    judged_as: Literal["smoke", "laptop", "paper"] | None = Field(
        None, description="Scale whose claims are decided; that of the same name, or laptop."
    )
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
    devices: int = Field(
        1,
        strict=True,
        ge=1,
        le=64,
        description="GPUs, or logical devices of the processor, that share each batch of Adam: the "
        "numbers of one device to rounding. Other updates, and retraining, stay on the first.",
    )
    optimisation: int = Field(
        3,
        strict=True,
        ge=0,
        le=3,
        description="Of what XLA compiles: with 1 a flow is compiled in two thirds of the time and its "
        "steps take half as long again, which pays where there are few; numbers change by rounding.",
    )
    precision: Literal["float32", "float64"] = Field("float64", description="Of the training.")
    checkpoint_seconds: float = Field(20.0, ge=0, le=86_400, description="Between checkpoints.")
    evaluation: EvaluationSettings = Field(
        EvaluationSettings(), description="How trained networks are evaluated."
    )
    introspection: Introspection
    holography: Holography
    retraining: Retraining

    def unusual(self) -> dict[str, Any]:
        """Return how networks are compiled and evaluated, only what is not as always.

        A part of every fingerprint, which so stays what it was when a choice is added.
        """
        chosen = {"evaluation", "optimisation"}
        return self.model_dump(mode="json", include=chosen, exclude_defaults=True)


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
        content = parse_yaml(text)
    except YamlFault as error:
        raise SettingsError(
            f"The settings file {path}{error.line} is not valid YAML ({error}).",
            "Correct that line; nothing was run.",
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
    try:
        value = repr(fault.get("input"))
    except ValueError:  # Python refuses to print an integer of thousands of digits
        value = show(fault.get("input"))
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
