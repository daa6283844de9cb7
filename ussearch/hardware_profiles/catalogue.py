"""The profiles that ship with the package, and those in a user's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import yaml

from ussearch import schema
from ussearch.documents import load_yaml, validated
from ussearch.errors import UserError
from ussearch.hardware_profiles.profile import Profile
from ussearch.registry import nearest_names

if TYPE_CHECKING:
    from importlib.abc import Traversable  # in importlib.resources.abc since Python 3.11

_PACKAGE = files("ussearch.hardware_profiles")


def profile_names(extra_dirs: Sequence[Path] = ()) -> list[str]:
    """Return the names of all profiles, sorted."""
    return sorted(_sources(extra_dirs))


def load_profile(name: str, extra_dirs: Sequence[Path] = ()) -> Profile:
    """Return the profile called ``name``, or ``name@variant`` for another runtime of the device than the default.

    A file in ``extra_dirs`` hides one of the same name in the user's folder, which hides a shipped one. Raises
    UserError for an unknown name (the nearest ones are offered) and for a file that is not a valid profile.
    """
    device, _, variant = name.partition("@")
    sources = _sources(extra_dirs)
    if device not in sources:
        raise UserError(f"Unknown profile {name!r}: {nearest_names(device, sorted(sources))}")
    return parse_profile(sources[device].read_text(encoding="utf-8"), str(sources[device]), variant)


def is_shipped(name: str, extra_dirs: Sequence[Path] = ()) -> bool:
    """Return whether ``name`` is a profile of the package, not hidden by a file of the user."""
    device = name.partition("@")[0]
    return _sources(extra_dirs).get(device) == _PACKAGE / "profiles" / f"{device}.yaml"


def user_profiles_dir() -> Path:
    """Return the folder of the user's own profiles, such as ``~/.config/ussearch/profiles``; it may not exist."""
    return platformdirs.user_config_path("ussearch") / "profiles"


def parse_profile(text: str, origin: str, variant: str = "") -> Profile:
    """Return the profile written in the YAML ``text``, for the runtime ``variant`` (default: the file's first).

    Errors name ``origin``, the field and what was expected.
    """
    data = load_yaml(text, f"Profile {origin}", "a profile", "mend the file")
    if not isinstance(data, dict):
        raise UserError(f"Profile {origin} holds {type(data).__name__}, expected a mapping of fields: mend the file.")
    data = schema.PROFILE.current(data, f"Profile {origin}")
    chosen = _with_operator_list(_with_variant(data, variant, origin))
    return validated(Profile, chosen, f"Profile {origin}", "a profile", "mend this field")


def _with_variant(data: Mapping[str, Any], variant: str, origin: str) -> dict[str, Any]:
    """Return ``data`` with what one of its ``runtimes`` adds or replaces; mappings of both are merged."""
    if "runtimes" not in data:
        if variant and variant != data.get("variant", ""):
            raise UserError(f"Profile {origin} has a single runtime, not {variant!r}: leave the @{variant} out.")
        return dict(data)
    runtimes = data["runtimes"]
    if not isinstance(runtimes, dict) or not all(isinstance(each, dict) and each for each in runtimes.values()):
        raise UserError(f"Profile {origin}: runtimes holds no mapping from names to fields: mend this field.")
    names = [str(name) for name in runtimes]
    chosen = variant or names[0]
    if chosen not in names:
        raise UserError(f"Profile {origin} has no runtime {variant!r}: {nearest_names(variant, names)}")
    merged = {key: value for key, value in data.items() if key != "runtimes"}
    for key, value in runtimes[chosen].items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    name = merged.get("name", "") if chosen == names[0] else f"{merged.get('name', '')}@{chosen}"
    return {**merged, "name": name, "variant": chosen, "variants": names}


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
        *(folder for folder in (user_profiles_dir(), *extra_dirs) if folder.is_dir()),
    ]
    entries = [entry for folder in folders for entry in folder.iterdir()]
    return {entry.name.removesuffix(".yaml"): entry for entry in entries if entry.name.endswith(".yaml")}
