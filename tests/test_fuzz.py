"""Malformed settings, results and verdicts by the hundred: one sentence each, nothing half written.

The ledger has the like in ``verification/test_faults.py``. Everything here is derandomised, so that a
failure on one machine is a failure on every other.
"""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed import ODD, fuzz
from mappings import changed, places

from emergence import artifacts
from emergence.errors import ArtifactError, EmergenceError, SettingsError
from emergence.settings import Settings, load, parse
from emergence.statistics import read_measurements
from emergence.verification import budget, costs, page
from emergence.verification.claims import load_ledgers

ROOT = Path(__file__).parents[1]


def one_sentence_and_a_remedy(error: EmergenceError) -> None:
    text = str(error)
    assert "\n" not in text
    assert error.message.endswith((".", "!", "?")), text
    assert error.remedy, text
    assert "Traceback" not in text
    assert len(text) < 1500


class TestSettings:
    @fuzz
    @given(data=st.data())
    def test_one_value_replaced(self, build_settings, data):
        content = build_settings()
        path = data.draw(st.sampled_from(list(places(content))))
        content = changed(content, path, data.draw(ODD))
        try:
            assert isinstance(parse(content, "fuzzed.yaml"), Settings)
        except SettingsError as error:
            one_sentence_and_a_remedy(error)
            assert "fuzzed.yaml" in str(error)

    @fuzz
    @given(data=st.data())
    def test_one_key_lost_or_misspelt(self, build_settings, data):
        content = build_settings()
        path = data.draw(
            st.sampled_from([p for p in places(content) if p and isinstance(p[-1], str)])
        )
        node = content
        for part in path[:-1]:
            node = node[part]
        value = node.pop(path[-1])
        if data.draw(st.booleans()):
            node[data.draw(st.text(max_size=12))] = value
        try:
            parse(content, "fuzzed.yaml")
        except SettingsError as error:
            one_sentence_and_a_remedy(error)

    @fuzz
    @given(cut=st.integers(0, 5000), junk=st.binary(max_size=8))
    def test_the_file_damaged_at_one_place(self, tmp_path, build_settings, cut, junk):
        text = yaml.safe_dump(build_settings(), sort_keys=False).encode()
        cut %= len(text)
        path = tmp_path / "fuzzed.yaml"
        path.write_bytes(text[:cut] + junk + text[cut + 1 :])
        try:
            load(path)
        except SettingsError as error:
            one_sentence_and_a_remedy(error)
            assert str(path) in str(error)

    def test_what_is_fuzzed_is_valid(self, build_settings):
        assert parse(build_settings(), "whole")


WHOLE = {
    "arrays.npz": lambda path: artifacts.write_arrays(path, {"a": np.arange(6.0), "b": np.eye(2)}),
    "table.csv": lambda path: artifacts.write_table(
        path, pd.DataFrame({"x": [1.5, 2.5], "name": ["one", "two"]})
    ),
    "numbers.json": lambda path: artifacts.write_numbers(path, {"a": [1.0, 2.0], "b": {"c": "d"}}),
    "costs.csv": lambda path: costs.record(path, "laptop", [costs.Cost("a/b", 1.0, 2.0, 3.0)]),
    "plan.json": lambda path: artifacts.write_numbers(path, {"left_out": {"I1": "no time"}}),
}
READ = {
    "arrays.npz": lambda path: artifacts.read_arrays(path, ["a", "b"]),
    "table.csv": lambda path: artifacts.read_table(path, ["x", "name"]),
    "numbers.json": lambda path: artifacts.read_numbers(path, ["a", "b"]),
    "costs.csv": lambda path: costs.recorded_costs(path, "laptop"),
    "plan.json": budget.read_left_out,
}


class TestResults:
    @pytest.mark.parametrize("name", READ)
    @settings(fuzz, max_examples=60)
    @given(data=st.data())
    def test_damaged_anywhere(self, tmp_path, name, data):
        """Bytes changed, lost or added; what can still be read is read, the rest is refused."""
        path = tmp_path / name
        path.unlink(missing_ok=True)
        WHOLE[name](path)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            where = data.draw(st.integers(0, max(len(content) - 1, 0)))
            how = data.draw(st.sampled_from(["change", "cut", "insert", "drop"]))
            if how == "change" and content:
                content[where] = data.draw(st.integers(0, 255))
            elif how == "cut":
                del content[where:]
            elif how == "insert":
                content[where:where] = data.draw(st.binary(max_size=6))
            elif content:
                del content[where]
        path.write_bytes(bytes(content))
        try:
            READ[name](path)
        except ArtifactError as error:
            one_sentence_and_a_remedy(error)
            assert name in str(error)

    @pytest.mark.parametrize("name", READ)
    def test_whole_it_is_read(self, tmp_path, name):
        WHOLE[name](tmp_path / name)
        assert len(READ[name](tmp_path / name)) > 0

    @fuzz
    @given(data=st.data())
    def test_measurements_of_another_shape(self, tmp_path, data):
        content = {
            "measurements": [
                {"name": "a", "value": 1.0, "error": 0.1, "values": [1.0, 1.1], "unit": "",
                 "source": "x", "note": ""},
            ]
        }  # fmt: skip
        path = data.draw(st.sampled_from(list(places(content))))
        content = changed(content, path, data.draw(ODD))
        file = tmp_path / "measurements.json"
        try:
            text = json.dumps(content)
        except ValueError:  # an integer that Python refuses to print
            text = re.sub("x", "1" * 6000, '{"measurements": [{"name": "a", "value": x}]}')
        file.write_text(text)
        try:
            read_measurements(file)
        except ArtifactError as error:
            one_sentence_and_a_remedy(error)


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
