"""The text of a profile's file: YAML in which every price and every class of kernels has a line of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

MAP, SEQUENCE, WIDTH = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", 130
ONE_LINE_EACH = frozenset({"prices", "coverage"})
"""Fields whose entries take one line each, so that a profile can be read and compared line by line."""


class _Line(dict[str, Any]):
    """A mapping that is written on one line."""


class _Counts(list[int]):
    """A list that is written on one line."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Line, lambda dumper, data: dumper.represent_mapping(MAP, data.items(), flow_style=True))
_Dumper.add_representer(_Counts, lambda dumper, data: dumper.represent_sequence(SEQUENCE, data, flow_style=True))


def profile_yaml(data: Mapping[str, Any]) -> str:
    """Return the text of a profile's file, or of one that holds profiles."""
    return yaml.dump(_lined(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)


def _lined(data: Any, key: str = "") -> Any:
    """Return nested mappings with the entries of ``ONE_LINE_EACH`` marked."""
    if not isinstance(data, Mapping):
        return data
    if key in ONE_LINE_EACH:
        return {name: _on_one_line(each) for name, each in data.items()}
    return {name: _lined(each, name) for name, each in data.items()}


def _on_one_line(entry: Any) -> Any:
    if isinstance(entry, Mapping):
        return _Line(entry)
    return _Counts(entry) if isinstance(entry, (list, tuple)) else entry


def digested_yaml(data: Mapping[str, Any]) -> str:
    """Return the text that digests are made of; it stays as it was, or every stored digest would change."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
