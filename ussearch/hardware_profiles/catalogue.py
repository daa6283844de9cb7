"""The profiles that ship with the package, and those in a user's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from ussearch.documents import load_yaml, validated
from ussearch.errors import UserError
from ussearch.hardware_profiles.profile import Profile
from ussearch.registry import nearest_names

_PACKAGE = files("ussearch.hardware_profiles")


def profile_names(extra_dirs: Sequence[Path] = ()) -> list[str]:
    """Return the names of all profiles, sorted."""
    return sorted(_sources(extra_dirs))


def load_profile(name: str, extra_dirs: Sequence[Path] = ()) -> Profile:
    """Return the profile called ``name``; a file in ``extra_dirs`` hides a shipped one of the same name.

    Raises UserError for an unknown name (the nearest ones are offered) and for a file that is not a valid
    profile.
    """
    sources = _sources(extra_dirs)
    if name not in sources:
        raise UserError(f"Unknown profile {name!r}: {nearest_names(name, sorted(sources))}")
    return parse_profile(sources[name].read_text(encoding="utf-8"), str(sources[name]))


def parse_profile(text: str, origin: str) -> Profile:
    """Return the profile written in the YAML ``text``; errors name ``origin``, the field and what was
    expected.
    """
    data = load_yaml(text, f"Profile {origin}", "a profile", "mend the file")
    if not isinstance(data, dict):
        raise UserError(f"Profile {origin} holds {type(data).__name__}, expected a mapping of fields: mend the file.")
    return validated(Profile, _with_operator_list(data), f"Profile {origin}", "a profile", "mend this field")


def _with_operator_list(data: Mapping[str, Any]) -> dict[str, Any]:
    """Replace ``export.operator_list`` (and ``extra_operators``) by the operators that it names."""
    export = data.get("export")
    if not isinstance(export, dict) or "operator_list" not in export:
        return dict(data)
    rest = {key: value for key, value in export.items() if key not in {"operator_list", "extra_operators"}}
    operators = operator_list(str(export["operator_list"])) | set(export.get("extra_operators", ()))
    return {**data, "export": {**rest, "allowed_operators": sorted(operators)}}


def operator_list(name: str) -> frozenset[str]:
    """Return the ONNX operators of a shipped list such as ``tensorrt-8.2``."""
    known = {entry.name.removesuffix(".yaml"): entry for entry in (_PACKAGE / "operator_lists").iterdir()}
    if name not in known:
        raise UserError(f"Unknown operator list {name!r}: {nearest_names(name, sorted(known))}")
    return frozenset(yaml.safe_load(known[name].read_text(encoding="utf-8"))["operators"])


def _sources(extra_dirs: Sequence[Path]) -> dict[str, Traversable]:
    folders: list[Traversable] = [
        _PACKAGE / "profiles",
        *(folder for folder in extra_dirs if folder.is_dir()),
    ]
    entries = [entry for folder in folders for entry in folder.iterdir()]
    return {entry.name.removesuffix(".yaml"): entry for entry in entries if entry.name.endswith(".yaml")}
