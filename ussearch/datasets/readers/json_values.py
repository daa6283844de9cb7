"""Values of annotation files in JSON, each of the type that was expected or a sentence that says where it is not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ussearch.datasets.readers.drawn import text_of
from ussearch.errors import UserError


def json_of(file: Path) -> dict[str, Any]:
    """Return what a file holds; UserError where it is no JSON with names and values."""
    try:
        found = json.loads(text_of(file))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is no whole JSON file ({error}): export it again.") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} holds {_kind(found)} where names with values were expected: export it again.")
    return found


def list_in(record: Mapping[str, Any], name: str, where: str) -> list[Any]:
    """Return the list that a record holds under a name; an empty one where it has no such name."""
    found = record.get(name) or []
    if not isinstance(found, list):
        raise UserError(f"{where}: {name} is {_kind(found)} where a list was expected; export it again.")
    return found


def record_in(found: Any, where: str) -> dict[str, Any]:
    """Return a value that has to be a record."""
    if not isinstance(found, dict):
        raise UserError(f"{where} is {_kind(found)} where names with values were expected; export it again.")
    return found


def numbers_in(found: Any, where: str) -> tuple[float, ...]:
    """Return a flat list of numbers."""
    if not isinstance(found, list) or not all(_is_number(each) for each in found):
        raise UserError(f"{where} is {_kind(found)} where a list of numbers was expected; export it again.")
    return tuple(map(float, found))


def whole_in(found: Any, where: str) -> int:
    """Return a whole number from 0."""
    if not _is_number(found) or found != int(found) or found < 0:
        raise UserError(f"{where} is {found!r} where a whole number from 0 was expected; export it again.")
    return int(found)


def text_in(found: Any, where: str) -> str:
    """Return a text that is not empty."""
    if not isinstance(found, str) or not found.strip():
        raise UserError(f"{where} is {found!r} where a text was expected; export it again.")
    return found.strip()


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)


def _kind(found: Any) -> str:
    names = {dict: "a record", list: "a list", str: "a text", type(None): "nothing", bool: "true or false"}
    return names.get(type(found), f"{found!r}"[:40])
