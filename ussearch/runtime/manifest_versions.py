"""Manifests of before: each version of ``bundle.yaml`` is brought to the next by one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from ussearch.errors import UserError

CURRENT: Literal[2] = 2
VERSION = "schema_version"


def upgraded(content: Any, origin: str) -> Any:
    """Return what a manifest of any known version holds in the words of the current one.

    What an older version did not record is null or empty; what is no manifest at all is left for the validation to
    refuse. Raises UserError for a version that is newer than this program.
    """
    version = content.get(VERSION, 1) if isinstance(content, dict) else None
    if type(version) is not int:
        return content
    if version > CURRENT:
        raise UserError(
            f"{origin} has the format {version} of a newer ussearch, formats up to {CURRENT} were expected: update "
            "ussearch, or export the bundle again with this one."
        )
    while version in UPGRADES:
        content = {**UPGRADES[version](content), VERSION: version + 1}
        version += 1
    return content


def _from_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Format 2 counts the data, judges by class, by size and beside baselines, and says how the pair came about."""
    return {
        **content,
        "data": _extended(content.get("data"), counts=None),
        "metrics": _extended(content.get("metrics"), baselines={}, strata=[]),
        "origin": None,
    }


def _extended(part: Any, **added: Any) -> Any:
    return {**part, **added} if isinstance(part, dict) else part


UPGRADES: Mapping[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = {1: _from_1}
