"""Committed weights are those of the committed settings: `make verify` would refuse any other."""

from pathlib import Path

import numpy as np
import pytest

from emergence.holography import growth as flows
from emergence.introspection import experiments
from emergence.retraining import growth as chains
from emergence.settings import Settings, Stage, fingerprint, load

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "weights" / "laptop"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load(ROOT / "config" / "laptop.yaml")


def shipped(path: Path) -> dict[str, str]:
    """Training → the identity that it was shipped with."""
    with np.load(path) as arrays:
        return {
            key.removesuffix("/identity"): str(arrays[key])
            for key in arrays
            if key.endswith("/identity")
        }


def told(identity: str, stages: list[Stage]) -> str:
    """As :func:`emergence.training.train` has it."""
    return fingerprint({"identity": identity, "stages": [stage.model_dump() for stage in stages]})


@pytest.mark.parametrize("kind", ["translators", "distillers"])
def test_of_introspection(settings: Settings, kind: str) -> None:
    chosen = settings.introspection
    files = sorted((WEIGHTS / "introspection" / kind).glob("*.npz"))
    assert len(files) > 10
    for file in files:
        stages = chosen.stages[getattr(chosen, kind)[file.stem].stages]
        for training, identity in shipped(file).items():
            size = int(training.rpartition("-")[2])
            expected = told(experiments.identity(settings, kind, file.stem, size), stages)
            assert identity == expected, f"{file.stem}, {training}"


def test_of_holography(settings: Settings) -> None:
    files = sorted((WEIGHTS / "holography" / "flows").glob("*/*.npz"))
    assert len(files) > 15
    for file in files:
        name, size = file.parent.name, int(file.stem)
        stages = flows.stages_of(settings, name, size)
        expected = told(flows.identity(settings, name, size), stages)
        assert set(shipped(file).values()) == {expected}, f"{name}, {size}"


def test_of_retraining(settings: Settings) -> None:
    chosen = settings.retraining
    files = sorted((WEIGHTS / "retraining" / "chains").glob("*/*.npz"))
    assert len(files) > 15
    for file in files:
        name, size = file.parent.name, int(file.stem)
        arm = chosen.chains[name]
        sites = size if arm.geometry == "chain" else size**2
        stages = [
            stage.model_copy(update={"window": sites}) for stage in chosen.stages[arm.sizes[size]]
        ]
        expected = told(chains.identity(settings, name, size), stages)
        assert set(shipped(file).values()) == {expected}, f"{name}, {size}"
