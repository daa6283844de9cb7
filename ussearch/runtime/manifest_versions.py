"""Manifests of before: each version of ``bundle.yaml`` is brought to the next by one function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ussearch.schema import RESULT_NAMES, Schema, renamed_keys


def _from_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Format 2 counts the data, judges by class, by size and beside baselines, and says how the pair came about."""
    return {
        **content,
        "data": _extended(content.get("data"), counts=None),
        "metrics": _extended(content.get("metrics"), baselines={}, strata=[]),
        "origin": None,
    }


def _from_2(content: Mapping[str, Any]) -> dict[str, Any]:
    """Format 3 says ``provenance``, ``subgroups``, ``routing_gain``, ``router_comparison``, and ``objective``."""
    found = dict(content)
    found["provenance"] = renamed_keys(found.pop("origin", None), {"final_seeds": "final_restarts"})
    found["metrics"] = renamed_keys(found.get("metrics"), {**RESULT_NAMES, "strata": "subgroups"})
    found["router"] = renamed_keys(found.get("router"), {"worth": "routing_gain", "contest": "router_comparison"})
    return found


def _from_3(content: Mapping[str, Any]) -> dict[str, Any]:
    """Format 4 says which values are black and white, which region counts, and how the files were read."""
    return {
        **content,
        "preprocessing": _extended(content.get("preprocessing"), grey_scale=None, region="largest"),
        "data": _extended(content.get("data"), reading=None),
    }


def _from_4(content: Mapping[str, Any]) -> dict[str, Any]:
    """Format 5 says what becomes of each network's probabilities, its threshold included, and why."""
    kept = {key: value for key, value in content.items() if key != "mask_threshold"}
    found = {**kept, "postprocessing": None, "postprocessing_choice": None, "parent": None}
    return {
        **found,
        "metrics": _extended(content.get("metrics"), presence=None),
        "data": _extended(content.get("data"), statistics=None),
    }


def _extended(part: Any, **added: Any) -> Any:
    return {**part, **added} if isinstance(part, dict) else part


MANIFEST = Schema(
    "bundle.yaml",
    "the manifest of a bundle",
    version=5,
    upgrades={1: _from_1, 2: _from_2, 3: _from_3, 4: _from_4},
    unnumbered=1,
    otherwise=", or export the bundle again with this one",
)
"""What an older version did not record is null or empty."""
