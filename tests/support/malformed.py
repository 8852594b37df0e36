"""Files with something wrong in them: how they are damaged, and how every refusal of one reads."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mappings import changed, places

from emergence.errors import EmergenceError

fuzz = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WRITABLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["adam", "spline", "1e3", "yes", "", "../x", "\x00", "[", "ising", -0.0])
    | st.lists(st.integers(-2, 3), max_size=3)
    | st.dictionaries(st.text(max_size=5) | st.integers(), st.integers(), max_size=2)
)
"""Values that YAML can write."""
ODD = WRITABLE | st.just(10**5000)
"""What should not stand in a file."""

Damage = Callable[[st.DataObject, bytes], bytes]


def one_sentence_and_a_remedy(error: EmergenceError) -> None:
    """What holds of every refusal, whatever was quoted in it."""
    text = str(error)
    assert text.splitlines() == [text]
    assert "Traceback" not in text
    assert len(text) < 1500
    for part in (error.message, error.remedy):
        assert part.endswith((".", "!", "?")), text
    # What stands in quotes or brackets was written by others, and a file's name has a full stop.
    told = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\(.*\)", "…", error.message)
    assert not re.search(r"[.!?]\s+[A-Z]", told[:-1]), text


def damage_bytes(data: st.DataObject, content: bytes) -> bytes:
    """Some bytes changed, lost or added."""
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, max(len(damaged) - 1, 0)))
        how = data.draw(st.sampled_from(["flip", "cut", "insert", "drop"]))
        if how == "flip" and damaged:
            damaged[where] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del damaged[where:]
        elif how == "insert":
            damaged[where:where] = data.draw(st.binary(min_size=1, max_size=6))
        elif damaged:
            del damaged[where]
    return bytes(damaged)


def damage_value(data: st.DataObject, content: bytes) -> bytes:
    """One value of a JSON or YAML file of another type or out of bounds."""
    whole = yaml.safe_load(content)
    path = data.draw(st.sampled_from(list(places(whole))))
    return _written(changed(whole, path, data.draw(WRITABLE)), content)


def damage_key(data: st.DataObject, content: bytes) -> bytes:
    """One key of a JSON or YAML file lost or misspelt."""
    whole = copy.deepcopy(yaml.safe_load(content))
    keys = [path for path in places(whole) if path and isinstance(path[-1], str)]
    *above, key = data.draw(st.sampled_from(keys))
    node: Any = whole
    for part in above:
        node = node[part]
    value = node.pop(key)
    if data.draw(st.booleans()):
        node[data.draw(st.text(max_size=12))] = value
    return _written(whole, content)


def damage_cell(data: st.DataObject, content: bytes) -> bytes:
    """One cell of a CSV file, its header included, with something else in it."""
    lines = content.decode().splitlines()
    row = data.draw(st.integers(0, len(lines) - 1))
    cells = lines[row].split(",")
    column = data.draw(st.integers(0, len(cells) - 1))
    odd = st.sampled_from(["", "x", "nan", "inf", "-1", "1e999", "1,2", '"', "True", "0x1"])
    cells[column] = data.draw(odd | st.text(max_size=6))
    lines[row] = ",".join(cells)
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def _written(whole: Any, before: bytes) -> bytes:
    """In the format that it had."""
    if before.lstrip().startswith(b"{"):
        return json.dumps(whole).encode()
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True).encode()


def first_lines(path: Path, number: int = 6) -> bytes:
    """The beginning of a table."""
    return b"".join(path.read_bytes().splitlines(keepends=True)[:number])


def of_one_claim(path: Path) -> bytes:
    """A ledger without its other claims."""
    whole = yaml.safe_load(path.read_text())
    return yaml.safe_dump(whole | {"claims": whole["claims"][:1]}, sort_keys=False).encode()


def refusals(
    path: Path,
    content: bytes,
    damage: Damage,
    read: Callable[[Path], Any],
    kind: type[EmergenceError],
    examples: int,
) -> int:
    """How many different damaged contents of a file a reader refuses, each as it should.

    Args:
        path: where the file is written.
        content: what stands in it when it is whole.
        read: reads the file, or raises.
        kind: of the refusals; anything else that is raised fails.
        examples: how many are tried.
    """
    refused = set()

    @settings(fuzz, max_examples=examples)
    @given(data=st.data())
    def one(data: st.DataObject) -> None:
        damaged = damage(data, content)
        path.write_bytes(damaged)
        try:
            read(path)
        except kind as error:
            one_sentence_and_a_remedy(error)
            assert path.name in str(error)
            if damaged != content:
                refused.add(damaged)

    one()
    return len(refused)
