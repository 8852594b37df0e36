"""Malformed settings, ledgers, results and records by the hundred: one sentence and a remedy each.

Everything here is derandomised, so that a failure on one machine is a failure on every other, and
what is refused is counted: a damage that leaves a file valid shows nothing.
"""

import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed import (
    ODD,
    damage_bytes,
    damage_cell,
    damage_key,
    damage_value,
    first_lines,
    fuzz,
    of_one_claim,
    one_sentence_and_a_remedy,
    refusals,
)
from mappings import changed, places

from emergence import artifacts, finished
from emergence.errors import ArtifactError, EmergenceError, LedgerError, SettingsError
from emergence.finished import Finished
from emergence.settings import Settings, load, parse
from emergence.shipped import read_manifest
from emergence.statistics import Measurement, read_measurements, write_measurements
from emergence.verification import audit, budget, costs, drift_table, page, readme, rehearsal
from emergence.verification.claims import load_ledger, load_ledgers
from emergence.verification.drawn import load_drawn
from emergence.verification.jobs import load_needs

ROOT = Path(__file__).parents[1]
MANIFEST = json.loads((ROOT / "weights/laptop/manifest.json").read_text())
for part in (
    "jobs",
    "samples",
    "drawn_again",
    "left_out",
    "withheld",
):  # one entry of each is enough
    MANIFEST[part] = dict(list(MANIFEST[part].items())[:1])
# Of each system what is always needed and one claim: of all claims' keys hardly any is required.
NEEDS = {
    system: dict(list(part.items())[:2])
    for system, part in yaml.safe_load((ROOT / "workflow/needs.yaml").read_text()).items()
}
AUDIT = {"seed": 3, "judged_as": "laptop", "drawn": ["a/b/c"], "claims": ["I1"], "jobs": []}
TRAINING = Finished({"w": np.eye(2)}, pd.DataFrame({"step": [1], "loss": [0.5]}), "identity")


def written(name: str, write: Callable[[Path], Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, name))
        return Path(folder, name).read_bytes()


TEXTS = (damage_bytes, damage_value, damage_key)
TABLES = (damage_bytes, damage_cell)
KINDS: dict[str, tuple] = {
    # name: (what stands in it, its reader, the kind of its refusals, its damages)
    "settings.yaml": (None, load, SettingsError, TEXTS),
    "ledger.yaml": (
        of_one_claim(ROOT / "claims/introspection.yaml"), load_ledger, LedgerError, TEXTS
    ),
    "needs.yaml": (yaml.safe_dump(NEEDS).encode(), load_needs, LedgerError, TEXTS),
    "figures.yaml": ((ROOT / "workflow/figures.yaml").read_bytes(), load_drawn, LedgerError, TEXTS[:2]),
    "findings.md": (
        (ROOT / "claims/findings.md").read_bytes(),
        lambda path: readme.findings(path, ROOT / "weights/laptop"),
        EmergenceError, (damage_bytes,),
    ),
    "arrays.npz": (
        written("a.npz", lambda path: artifacts.write_arrays(path, {"a": np.arange(6.0)})),
        lambda path: artifacts.read_arrays(path, ["a"]), ArtifactError, (damage_bytes,),
    ),
    "trained.npz": (
        written("a.npz", lambda path: finished.write(path, {"main": TRAINING})),
        finished.read, ArtifactError, (damage_bytes,),
    ),
    "table.csv": (
        b"x,name\n1.5,one\n2.5,two\n",
        lambda path: artifacts.read_table(path, ["x", "name"], numbers=["x"]), ArtifactError, TABLES,
    ),
    "numbers.json": (
        b'{"a": [1.0, 2.0], "b": {"c": "d"}}',
        lambda path: artifacts.read_numbers(path, ["a", "b"]), ArtifactError, TEXTS,
    ),
    "measurements.json": (
        written("m.json", lambda path: write_measurements(
            path, [Measurement("a", 1.0, 0.1, [1.0, 1.1], unit="", source="x", note="")]
        )),
        read_measurements, ArtifactError, TEXTS,
    ),
    "manifest.json": (
        json.dumps(MANIFEST).encode(), lambda path: read_manifest(path.parent), ArtifactError, TEXTS
    ),
    "left_out.json": (b'{"left_out": {"I1": "no time"}}', budget.read_left_out, ArtifactError, TEXTS),
    "plan.json": (
        json.dumps(AUDIT).encode(), lambda path: audit.read_plan(path.parent), ArtifactError, TEXTS
    ),
    "costs.csv": (
        first_lines(ROOT / "config/costs.csv"),
        lambda path: costs.recorded_costs(path, "laptop"), ArtifactError, TABLES,
    ),
    "steps.csv": (first_lines(ROOT / "config/steps.csv"), rehearsal.read_steps, ArtifactError, TABLES),
    "drift.csv": (
        first_lines(ROOT / "figures/laptop/drift.csv"), drift_table.read_spreads, ArtifactError, TABLES
    ),
}  # fmt: skip
CASES = [(name, damage) for name, (*_, damages) in KINDS.items() for damage in damages]
EXAMPLES = 60


@pytest.fixture(scope="module")
def refused(build_settings, tmp_path_factory):
    """How many damaged files of a kind were refused; each kind is tried once."""
    folder = tmp_path_factory.mktemp("fuzzed")

    @functools.cache
    def refused(name, damage):
        content, read, error, _ = KINDS[name]
        content = content or yaml.safe_dump(build_settings(), sort_keys=False).encode()
        return refusals(folder / name, content, damage, read, error, EXAMPLES)

    return refused


@pytest.mark.parametrize("name", KINDS)
def test_whole_it_is_read(tmp_path, build_settings, name):
    content, read, *_ = KINDS[name]
    (tmp_path / name).write_bytes(content or yaml.safe_dump(build_settings()).encode())
    assert read(tmp_path / name) is not None


@pytest.mark.parametrize(
    ("name", "damage"), CASES, ids=[f"{name}-{damage.__name__}" for name, damage in CASES]
)
def test_damaged_it_is_read_or_refused_in_a_sentence_with_a_remedy(refused, name, damage):
    assert refused(name, damage) > 0


def test_hundreds_are_refused(refused, record_property):
    """All of them different: of settings, of ledgers, and of results and records."""
    found = {case: refused(*case) for case in CASES}
    of = {"settings": 0, "ledgers": 0, "results": 0}
    for (name, _), number in found.items():
        error = KINDS[name][2]
        kind = {SettingsError: "settings", ArtifactError: "results"}.get(error, "ledgers")
        of[kind] += number
    record_property("refused", of)
    assert min(of.values()) >= 100, of
    assert sum(of.values()) >= 1000, of


@fuzz
@given(data=st.data())
def test_settings_with_a_value_that_no_file_holds(build_settings, data):
    content = build_settings()
    path = data.draw(st.sampled_from(list(places(content))))
    content = changed(content, path, data.draw(ODD))
    try:
        assert isinstance(parse(content, "fuzzed.yaml"), Settings)
    except SettingsError as error:
        one_sentence_and_a_remedy(error)
        assert "fuzzed.yaml" in str(error)


class TestReport:
    """A verdict that is damaged makes no page, and leaves the page there was."""

    WHOLE = json.loads((ROOT / "figures/laptop/verdict.json").read_text())
    LEDGERS = load_ledgers(ROOT / "claims")

    @settings(fuzz, max_examples=40)
    @given(data=st.data())
    def test_damaged_bytes(self, tmp_path_factory, monkeypatch, data):
        monkeypatch.setattr(page, "load_ledgers", lambda path: self.LEDGERS)
        verdict = self.WHOLE | {"claims": self.WHOLE["claims"][4:5]}
        folder = tmp_path_factory.mktemp("report")
        (folder / "laptop").mkdir()
        text = bytearray(json.dumps(verdict).encode())
        where = data.draw(st.integers(0, len(text) - 1))
        text[where : where + data.draw(st.integers(1, 200))] = data.draw(st.binary(max_size=3))
        (folder / "laptop/verdict.json").write_bytes(bytes(text))
        (folder / "laptop/report.html").write_text("before")
        try:
            page.write_report(
                "laptop", ROOT / "claims", folder, folder / "figures", folder / "none"
            )
        except EmergenceError as error:
            one_sentence_and_a_remedy(error)
            assert (folder / "laptop/report.html").read_text() == "before"
        names = sorted(path.name for path in (folder / "laptop").iterdir())
        assert names == ["report.html", "verdict.json"], "Nothing half done beside it."
        shutil.rmtree(folder)
