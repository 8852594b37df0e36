"""A small ledger, which each test changes in one place."""

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from drift_numbers import RUNS, WEIGHTS
from rich.console import Console

from emergence.statistics import Measurement, write_measurements
from emergence.verification import drift
from emergence.verification.claims import Ledger, load_ledger
from emergence.verification.report import verify

GOOD = {"loss_ratio": (30, 1), "control__loss_ratio": (1, 1)}
"""Measurements that decide the small ledger as it expects."""

CRITERION = {
    "measure": "loss_ratio",
    "test": "at_least",
    "bound": 10,
    "basis": "choice",
    "justification": "Ten times the spread over seeds.",
}
CLAIM = {
    "id": "I3",
    "statement": "The loss |jumps| below n = 2 [slides].",
    "place": "slides",
    "published": "2",
    "expected": "reproduced",
    "scales": ["laptop", "paper"],
    "figure": "introspection/loss_against_latent_dimension",
    "criteria": [CRITERION],
    "control": {
        "name": "shuffled pairing",
        "statement": "each potential is paired with another's density",
        "measure": "control.loss_ratio",
    },
}
LEDGER = {
    "system": "introspection",
    "paper": {"arxiv": "1901.11103", "title": "Emergent Schrödinger", "authors": "Wang et al."},
    "claims": [CLAIM],
}


@pytest.fixture
def raw() -> dict[str, Any]:
    """A valid ledger as plain data, with one claim."""
    return copy.deepcopy(LEDGER)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], Path]:
    """Writes plain data, or text as it stands, to a ledger file."""

    def write(content: Any, name: str = "introspection.yaml") -> Path:
        path = tmp_path / "claims" / name
        path.parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def claim_ledger(raw: dict[str, Any], write: Callable[[Any], Path]) -> Callable[..., Ledger]:
    """Loads the ledger with the claim's keys replaced."""

    def claim_ledger(**changes: Any) -> Ledger:
        raw["claims"][0] |= changes
        return load_ledger(write(raw))

    return claim_ledger


@pytest.fixture
def measure() -> Callable[..., dict[str, Measurement]]:
    """Turns name=(value, error[, values]) into measurements; a double underscore is a dot."""

    def measure(**entries: tuple) -> dict[str, Measurement]:
        named = {key.replace("__", "."): entry for key, entry in entries.items()}
        return {name: Measurement(name, *entry) for name, entry in named.items()}

    return measure


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200, color_system=None)


@pytest.fixture
def project(tmp_path, raw, write, measure, console):
    """Writes a ledger and its measurements, and verifies them as the command line does."""

    class Project:
        root = tmp_path
        ledger = raw
        claim = raw["claims"][0]
        results = tmp_path / "results"
        figures = tmp_path / "figures"

        def measured(self, system="introspection", scale="laptop", **entries):
            path = self.results / scale / system / "measurements.json"
            write_measurements(path, measure(**(entries or GOOD)).values())
            return path

        def verify(self, scale="laptop", **options):
            ledgers = write(self.ledger).parent
            options = {"house": self.root / "house", "console": console} | options
            return verify(scale, ledgers, self.results, self.figures, **options)

        def printed(self):
            return console.file.getvalue()

    return Project()


@pytest.fixture
def measured(tmp_path, raw, write):
    """Measures the drift of the small ledger's claim from runs that came to these numbers."""
    ledgers = write(raw).parent

    def measured(
        numbers, runs=RUNS, weights=WEIGHTS, kept=MappingProxyType({}), asked=("loss_ratio",)
    ):
        results = tmp_path / "results"
        (results / "drift").mkdir(parents=True, exist_ok=True)
        (results / "drift/runs.json").write_text(json.dumps(runs))
        planned = {raw["system"]: dict.fromkeys(asked, "ab12")}
        (results / "drift/weights.json").write_text(json.dumps(planned))
        for name, found in numbers.items():
            path = tmp_path / ("shipped" if name == "shipped" else f"results/{name}")
            write_measurements(path / raw["system"] / "measurements.json", [found])
        places = ledgers, results, tmp_path / "shipped"
        return drift.measure("laptop", "laptop", *places, weights, kept)

    return measured
