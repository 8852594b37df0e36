"""Nested mappings changed in one place."""

import copy
from collections.abc import Iterator
from typing import Any


def places(node: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths to a nested mapping or list itself and to everything inside it."""
    yield path
    if isinstance(node, dict):
        for key, value in node.items():
            yield from places(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from places(value, (*path, index))


def changed(content: Any, path: tuple, value: Any) -> Any:
    """A copy with the entry at ``path`` set; another content altogether for the path ()."""
    if not path:
        return value
    content = copy.deepcopy(content)
    node = content
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return content
