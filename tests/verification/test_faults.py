"""Whatever a ledger file holds, it is read or refused with a LedgerError of one sentence."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from malformed import fuzz, one_sentence_and_a_remedy

from emergence.errors import LedgerError
from emergence.verification.claims import Ledger, load_ledger
from emergence.verification.faults import read_yaml, show

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**400, max_value=10**401)
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["reproduced", "laptop", "at_most", "ordering", "mapping", "word", "2"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.integers() | st.booleans(), inner, max_size=3)
    ),
    max_leaves=8,
)


def refusal(path: Path) -> str | None:
    """Return what the loader says against a file, remedy included; None where it accepts it."""
    try:
        assert isinstance(load_ledger(path), Ledger)
    except LedgerError as error:
        one_sentence_and_a_remedy(error)
        return str(error)
    return None


def assert_one_sentence(text: str, path: Path) -> None:
    assert text.splitlines() == [text]
    assert text.endswith((".", "?"))
    assert str(path) in text
    assert len(text) < 700 + len(str(path))


def containers(node):
    """Every mapping and list of a ledger, the ledger itself first."""
    found = [node]
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            found += containers(child)
    return found


@fuzz
@given(data=st.data())
def test_any_change_of_a_ledger_is_accepted_or_refused_in_one_sentence(raw, write, data):
    ledger = copy.deepcopy(raw)
    for _ in range(data.draw(st.integers(1, 2))):
        places = containers(ledger)
        container = places[data.draw(st.integers(0, len(places) - 1))]
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        new = data.draw(VALUES)
        match data.draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace" if keys:
                container[data.draw(st.sampled_from(keys))] = new
            case "remove" if keys:
                del container[data.draw(st.sampled_from(keys))]
            case _ if isinstance(container, dict):
                container[data.draw(st.text(max_size=8) | st.integers() | st.booleans())] = new
            case _:
                container.append(new)
    path = write(yaml.safe_dump(ledger, allow_unicode=True))
    if (text := refusal(path)) is not None:
        assert_one_sentence(text, path)


@fuzz
@given(value=VALUES)
def test_anything_else_than_a_ledger_is_refused_in_one_sentence(write, value):
    path = write(yaml.safe_dump(value))
    assert_one_sentence(refusal(path), path)


@fuzz
@given(
    content=st.binary(max_size=80)
    | st.text(alphabet="{}[]&*!<>|%@`'\"\\:-?#, \n\taM1.", max_size=40).map(str.encode)
)
def test_any_bytes_are_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "ledger.yaml"
    path.write_bytes(content)
    assert_one_sentence(refusal(path), path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---\n---\n",
        "claims: [",
        "claims: *nowhere",
        "claims: &a [*a]",
        "claims: &a {<<: *a}",
        "a: &a {<<: *a, system: x}",
        "claims: !!set {a, b}",
        "claims: !!omap [a: 1]",
        "claims: !!python/object:os.system {}",
        "claims: !!bool x",
        "claims: !!int ''",
        'claims: "\\UFFFFFFFF"',
        "claims: 2001-13-01",
        "? [a]\n: b",
        "? {a: b}\n: c",
        "claims: " + "[" * 3000,
        "claims: " + "9" * 5000,
        "claims: 0x" + "f" * 5000,
        "claims: [{id: " + "1" * 4000 + "}]",
        "system: " + "x" * 100_000,
        "x" * 1000 + ": 1",
        "claims: 1\nclaims: 2",
        "\x00",
    ],
)
def test_the_corners_of_yaml_are_refused_in_one_sentence(write, text):
    path = write(text)
    assert_one_sentence(refusal(path), path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "is missing" in refusal(tmp_path / "nowhere.yaml")
    assert "cannot be read" in refusal(tmp_path)


def test_a_broken_line_is_named_by_its_number(write):
    path = write("system: x\nclaims: [\nfigure: }\n")
    assert refusal(path).startswith(f"{path}, line 3: this is no valid YAML (")


def test_a_key_may_not_stand_twice(write):
    assert "line 2: this is no valid YAML (the key 'system' stands twice)" in refusal(
        write("system: x\nsystem: y\n")
    )
    merged = read_yaml(write("a: &a {x: 1}\nb: {<<: *a, x: 2}\n"))
    assert merged == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2.5E+4", -2.5e4),
        (".5e1", 5.0),
        ("1e", "1e"),
        ("2020-01-02", "2020-01-02"),
    ],
)
def test_numbers_are_read_as_in_yaml_1_2_and_dates_as_text(write, text, value):
    read = read_yaml(write(f"x: {text}"))["x"]
    assert read == value
    assert type(read) is type(value)


def test_long_values_are_shortened():
    assert show("a" * 60) == repr("a" * 60)
    assert len(show("a" * 61)) <= 60
    assert len(show([10**5000])) <= 60
