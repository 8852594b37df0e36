"""Every fault of a ledger file, from broken YAML to a wrong bound, told as one sentence."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from emergence.errors import LedgerError
from emergence.yaml_text import YamlFault, parse_yaml, show

CORRECT = "Correct it there; git checkout restores what is committed."


def read_yaml(path: str | Path) -> Any:
    """Return what a YAML file holds: mappings, lists, text, numbers, booleans and None.

    Raises:
        LedgerError: the file is missing, cannot be read, or is no YAML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise LedgerError(
            f"The ledger {path} is missing.", "Name an existing file or folder of claims."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise LedgerError(
            f"The ledger {path} cannot be read: {what}.",
            "Name a text file that this user may read; git checkout restores what is committed.",
        ) from error
    try:
        return parse_yaml(text)
    except YamlFault as error:
        raise LedgerError(
            f"{path}{error.line}: this is no valid YAML ({error}).", CORRECT
        ) from error


def sentence(
    path: str | Path,
    raw: Any,
    error: ValidationError,
    models: Mapping[str, type[BaseModel]],
    tags: Collection[str],
) -> str:
    """Return one sentence on the first fault: file, claim, key, value and what is allowed.

    Args:
        path: the ledger file.
        raw: what it holds.
        error: pydantic's findings on it.
        models: the model that each key and each tag of a union leads to; "" is the whole ledger.
        tags: the tags of unions, which pydantic puts between the keys of its locations.
    """
    faults = error.errors(include_url=False)
    # An unknown key is named before the missing one that it was meant to be.
    fault = min(faults, key=lambda fault: fault["type"] != "extra_forbidden")
    location = fault["loc"]
    key = _key(raw, location, tags)
    if location[:1] == ("claims",) and len(location) > 1:
        return f"{path}, {_claim(raw, location[1])}: {_statement(fault, key, models)}."
    return f"{path}: {_statement(fault, key, models)}."


def _statement(fault: Mapping[str, Any], key: str, models: Mapping[str, type[BaseModel]]) -> str:
    """Return what is wrong, as a clause without its full stop."""
    context = fault.get("ctx", {})
    match fault["type"]:
        case "value_error":
            return f"in {key}, {context['error']}" if key else str(context["error"])
        case "invalid_key":
            return f"{key} is no known key, which must be text"
        case "missing":
            return f"the key {key} is missing"
        case "extra_forbidden":
            names = [part for part in fault["loc"][:-1] if part in models]
            allowed = models[names[-1] if names else ""].model_fields
            return f"{key} is no known key; known are {', '.join(allowed)}"
        case "union_tag_not_found":
            must = "be a mapping with the key 'test'"
        case "union_tag_invalid":
            key, fault = f"{key}.test", {**fault, "input": context["tag"]}
            must = f"be one of {context['expected_tags']}"
        case "model_type" | "model_attributes_type" | "dict_type":
            must = "be a mapping of keys to values"
        case "list_type" | "tuple_type":
            must = "be a list"
        case "float_type" | "int_type":
            must = "be a number, without quotes"
        case "string_type":
            must = "be text, in quotes where it looks like a number"
        case "string_pattern_mismatch":
            must = f"match the pattern {context['pattern']}"
        case "string_too_short":
            must = "not be empty"
        case "string_too_long":
            must = f"have at most {context['max_length']} characters"
        case "too_short":
            must = "have at least one entry"
        case _:
            must = fault["msg"].removeprefix("Input should ")
    what = key or ("this claim" if fault["loc"] else "the file")
    return f"{what} is {show(fault['input'])}, but it must {must}"


def _key(raw: Any, location: tuple[int | str, ...], tags: Collection[str]) -> str:
    """Return the key of a fault within its claim, such as ``criteria[0].bound``."""
    parts: list[str] = []
    for part in location:
        if isinstance(raw, list) and isinstance(part, int):
            raw = raw[part]
            parts.append(f"[{part}]")
        elif isinstance(raw, dict) and (part in raw or part not in tags):
            raw = raw.get(part)
            plain = isinstance(part, str) and re.fullmatch(r"\w{1,40}", part)
            parts.append(f".{part if plain else show(part)}")
    if location[:1] == ("claims",) and len(location) > 1:
        parts = parts[2:]  # the claim is named by its id
    return "".join(parts).removeprefix(".")


def _claim(raw: Any, number: int) -> str:
    claim = raw["claims"][number]
    claim_id = claim.get("id") if isinstance(claim, dict) else None
    named = isinstance(claim_id, str) and re.fullmatch(r"[\w-]{1,40}", claim_id, re.ASCII)
    return f"claim {claim_id}" if named else f"claim number {number + 1}"
