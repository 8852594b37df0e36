"""The YAML of settings and ledgers: plain, and strict where a slip would go unnoticed."""

from __future__ import annotations

import re
import reprlib
from typing import Any, ClassVar

import yaml

_PREFIX = "tag:yaml.org,2002:"
_CORE = {_PREFIX + name for name in ("null", "bool", "int", "float", "str", "seq", "map")}
_FLOAT = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
# PyYAML lets these escape for text such as "!!bool x", "!!int ''" or "\UFFFFFFFF".
_YAML_FAULTS = (
    yaml.YAMLError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


class YamlFault(Exception):
    """Text that is no valid YAML; ``str()`` says what is wrong, ``line`` where (", line 3")."""

    def __init__(self, problem: str, line: str) -> None:
        super().__init__(problem)
        self.line = line


class _Loader(yaml.SafeLoader):
    """YAML of mappings, lists, text and numbers, as in YAML 1.2.

    A key may not stand twice, ``1e-3`` is a number, and a date is text.
    """

    # The constructor of None is the one that refuses unknown tags.
    yaml_constructors: ClassVar = {
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag in _CORE
    }
    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _PREFIX + "timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key {show(key.value)} stands twice"
                    raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return node


_Loader.add_implicit_resolver(_PREFIX + "float", _FLOAT, list("-+.0123456789"))


def show(value: Any) -> str:
    """Return a value as the reader wrote it, shortened, on one line."""
    if isinstance(value, str) and len(value) <= _short.maxstring:
        return repr(value)
    try:
        return _short.repr(value)
    except ValueError:  # Python refuses to print an integer of thousands of digits
        return "a value too long to show"


def parse_yaml(text: str) -> Any:
    """Return what the text holds: mappings, lists, text, numbers, booleans and None.

    Raises:
        YamlFault: it is no YAML, or a key stands twice.
    """
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except _YAML_FAULTS as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise YamlFault(problem, line) from error
