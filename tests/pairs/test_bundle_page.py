"""docs/bundle.md names every key of bundle.yaml, and none that is not written."""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ussearch.evaluators import Costs
from ussearch.pairs import Bundle, Manifest
from ussearch.runtime.integrity import MANIFEST
from ussearch.runtime.manifest_versions import MANIFEST as SCHEMA

PAGE = Path(__file__).parents[2] / "docs" / "bundle.md"
ALIKE = (
    (r"^(postprocessing|postprocessing_choice)\.cloud(\.|$)", r"\1.edge\2"),
    (r"^metrics\.presence\.(edge|cloud)$", r"metrics.presence"),
    (r"^data\.statistics\.(brightness|contrast|lesion_share|height|width)\.", r"data.statistics.*."),
    (r"^cloud(\.|$)", r"edge\1"),
    (r"^metrics\.(cloud|routed)(\.|$)", r"metrics.edge\2"),
    (r"^metrics\.subgroups\[\]\.(cloud|routed)(\.|$)", r"metrics.subgroups[].edge\2"),
)
"""What the page describes once: both ends, both networks and the pair."""


def documented() -> set[str]:
    """Return the keys in the first column of the tables below the heading of keys."""
    text = PAGE.read_text(encoding="utf-8").split("\n## Keys\n")[1]
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def once(key: str) -> str:
    for pattern, replacement in ALIKE:
        key = re.sub(pattern, replacement, key)
    return re.sub(r"_(sd|p\d+)$", "", key)


def parts_of(annotation: Any, mark: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the models in a type with how they are held: ``[]`` for several, ``.*`` by name."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield mark, annotation
    elif origin in (typing.Union, types.UnionType, typing.Annotated):
        for each in arguments:
            yield from parts_of(each, mark)
    elif origin is tuple:
        yield from parts_of(arguments[0], f"{mark}[]")
    elif origin is dict:
        yield from parts_of(arguments[1], f"{mark}.*")


def declared(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name in model.model_fields:
        yield f"{prefix}{name}"
        for mark, part in parts_of(typing.get_type_hints(model)[name]):
            yield from declared(part, f"{prefix}{name}{mark}.")


def named(content: dict[str, Any]) -> set[str]:
    """Return the keys whose names are data of the program: figures and costs."""
    found = {f"metrics.edge.{name}" for name in content["metrics"]["edge"]}
    found |= {f"edge.parity.{name}" for name in content["edge"]["parity"]}
    for subgroup in content["metrics"]["subgroups"]:
        for name, estimate in subgroup["edge"].items():
            found |= {f"metrics.subgroups[].edge.*.{part}" for part in estimate or ()} | {
                f"metrics.subgroups[].edge.{name}"
            }
    return found | {f"edge.costs.{name}" for name in Costs.model_fields if name not in ("excess", "refused")}


def test_every_key_is_documented_and_every_documented_key_exists(measured: Bundle) -> None:
    content = json.loads((measured.folder / MANIFEST).read_text())
    there = {once(key) for key in declared(Manifest)} | {once(key) for key in named(content)}
    assert sorted(there - documented()) == [], "bundle.yaml has keys that docs/bundle.md does not explain"
    assert sorted(documented() - there) == [], "docs/bundle.md explains keys that bundle.yaml does not have"


def test_every_written_key_is_declared(finished: Bundle) -> None:
    """The page is held against types; this holds the types against a file."""

    def written(value: Any, prefix: str = "") -> Iterator[str]:
        for name, each in value.items() if isinstance(value, dict) else ():
            yield f"{prefix}{name}"
            yield from written(each, f"{prefix}{name}.")

    top = {key for key in written(json.loads((finished.folder / MANIFEST).read_text())) if key.count(".") < 2}
    free = ("versions.", "files.", "edge.operators.", "cloud.operators.")
    assert {once(key) for key in top if not key.startswith(free)} <= documented()


def test_the_page_names_the_version_that_is_written() -> None:
    assert f"version {SCHEMA.version}" in PAGE.read_text(encoding="utf-8")
