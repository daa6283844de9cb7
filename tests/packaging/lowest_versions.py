"""Print the lowest version that ``pyproject.toml`` allows of each dependency, as constraints for pip.

    python tests/packaging/lowest_versions.py > constraints-lowest.txt

Of tools for development and of extras that have an environment of their own, any version serves.
"""
# ruff: noqa: T201  (a program: it prints)

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("postgresql", "serve", "seg", "dicom", "dashboard")
HEAD = "# Made by tests/packaging/lowest_versions.py: the lowest versions that pyproject.toml allows."
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?>=(?P<version>[0-9.]+)")


def project() -> dict[str, Any]:
    """Return the table ``project`` of ``pyproject.toml``."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def lowest() -> Iterator[str]:
    """Yield ``NAME==VERSION`` of every dependency; raises ValueError for one without a lower bound."""
    table = project()
    extras = (each for extra in EXTRAS for each in table["optional-dependencies"][extra])
    for requirement in (*table["dependencies"], *extras):
        found = _REQUIREMENT.match(requirement)
        if found is None:
            raise ValueError(f"{requirement!r} has no lower bound")
        yield f"{found['name']}=={found['version']}"


if __name__ == "__main__":
    print(HEAD, *sorted(lowest(), key=str.lower), sep="\n")
