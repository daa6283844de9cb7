"""Version numbers of files: how older ones are read, newer ones refused, and that every kind has one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import BaseModel

from ussearch import schema
from ussearch.compress.candidate import CompressionCandidate
from ussearch.errors import UserError
from ussearch.evaluators import Recipe
from ussearch.evaluators.training.checkpoints import Checkpoint
from ussearch.hardware_profiles import Profile, load_profile, parse_profile
from ussearch.runtime.manifest_versions import MANIFEST
from ussearch.schema import KEY, Schema
from ussearch.search_spaces import Architecture, load_preset
from ussearch.studies.database import existing_storage

PAGE = Path(__file__).resolve().parents[1] / "docs" / "files.md"
THREE = Schema(
    "three.json",
    "a third",
    version=3,
    upgrades={0: schema.unchanged, 1: lambda old: {**old, "b": old["a"] + 1}, 2: lambda old: {"c": old["b"] * 10}},
    otherwise=", or make it again",
)


@pytest.mark.parametrize(
    "old", [{"a": 1}, {KEY: 0, "a": 1}, {"a": 1, KEY: 1}, {KEY: 2, "a": 1, "b": 2}, {KEY: 3, "c": 20}]
)
def test_each_older_version_is_brought_to_the_next(old: dict[str, int]) -> None:
    assert THREE.current(old, "here") == {"c": 20}
    assert THREE.from_json(json.dumps(old), "here") == {"c": 20}


def test_what_is_written_is_read_back() -> None:
    class Point(BaseModel):
        name: str
        x: float

    text = THREE.to_json(Point(name="ö", x=float("nan")))
    assert text == '{"schema_version": 3, "name": "ö", "x": null}'
    assert THREE.from_json(text, "here") == {"name": "ö", "x": None}
    assert THREE.from_header(THREE.header({"c": "20"}), "here") == {"c": "20"}


def test_a_newer_version_is_refused_by_both_numbers_and_what_to_do() -> None:
    sentence = (
        r"^x\.json has the format 4 of a newer ussearch, formats up to 3 were expected: update ussearch, or .*\.$"
    )
    with pytest.raises(UserError, match=sentence):
        THREE.current({KEY: 4}, "x.json")
    with pytest.raises(UserError, match=sentence):
        THREE.from_header({KEY: "4"}, "x.json")


@pytest.mark.parametrize("version", ["two", -1, None, 1.0, True, [], {}])
def test_a_version_that_never_was_is_refused(version: object) -> None:
    with pytest.raises(UserError, match=r"x\.json is not a third: schema_version is .* a whole number from 0 to 3 was"):
        THREE.current({KEY: version}, "x.json")


@pytest.mark.parametrize("kind", schema.KINDS, ids=lambda kind: kind.file)
def test_every_version_of_every_kind_has_its_way_to_the_current_one(kind: Schema) -> None:
    assert kind.upgrades.keys() == set(range(kind.unnumbered, kind.version))


def test_the_page_lists_every_kind_and_its_version() -> None:
    rows = re.findall(r"^\| `?([^|`]*?)`? \| ([^|]*?) \| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted((kind.file, kind.what, str(kind.version)) for kind in (*schema.KINDS, MANIFEST))


def read_checkpoint(path: Path) -> object:
    return Checkpoint.read(path, {"seed": 1})


def write_checkpoint(path: Path) -> None:
    Checkpoint({"epoch": 2}, {"model": {"w": torch.ones(2)}}).write(path, {"seed": 1})


def test_headers_of_safetensors_have_a_number(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    write_checkpoint(path)
    assert header(path)[KEY] == "1"
    edit_header(path, lambda found: found.pop(KEY))  # as 0f14119 wrote it
    assert read_checkpoint(path) is not None
    edit_header(path, lambda found: found.update({KEY: "2"}))
    with pytest.raises(UserError, match=r"file\.safetensors has the format 2 of a newer ussearch, formats up to 1"):
        read_checkpoint(path)


def header(path: Path) -> dict[str, str]:
    content = path.read_bytes()
    found: dict[str, str] = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    return found


def edit_header(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    whole = json.loads(content[8:end])
    change(whole["__metadata__"])
    text = json.dumps(whole).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])


DOCUMENTS = {
    "architecture": (load_preset("unext").architecture, lambda text: Architecture.from_yaml(text, "mine.yaml")),
    "recipe": (Recipe(epochs=4), lambda text: Recipe.from_yaml(text, "mine.yaml")),
    "profile": (load_profile("jetson-nano"), lambda text: parse_profile(text, "mine.yaml")),
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_documents_that_users_write_have_a_number_and_need_none(kind: str) -> None:
    document, read = DOCUMENTS[kind]
    first, rest = document.to_yaml().split("\n", 1)
    assert first == "schema_version: 1"
    assert read(rest) == document == read(f"schema_version: 0\n{rest}")
    with pytest.raises(UserError, match=r"mine\.yaml has the format 2 of a newer ussearch, formats up to 1 were"):
        read(f"schema_version: 2\n{rest}")


def test_numbers_are_no_part_of_ids() -> None:
    assert load_preset("unext").architecture.id == "74cccf933299"
    profile = yaml.safe_load((OLD / "study.yaml").read_text(encoding="utf-8"))["edge"]
    assert Profile.model_validate(profile).digest == "b0e9987701ab643b"


OLD = Path(__file__).resolve().parent / "fixtures" / "0f14119" / "study"


def newer(folder: Path, name: str, content: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of a folder whose file ``name`` is of a version to come."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / name).write_text(json.dumps({**content, KEY: 2}))
    return copy


def test_a_newer_form_of_a_network_is_refused(tmp_path: Path) -> None:
    network = OLD / "compressed" / "0001" / "network"
    assert CompressionCandidate.load(network).architecture.id
    copy = newer(network, "form.json", json.loads((network / "form.json").read_text()), tmp_path)
    with pytest.raises(UserError, match=r"form\.json has the format 2 of a newer ussearch, formats up to 1 were"):
        CompressionCandidate.load(copy)


def test_a_newer_place_of_a_database_is_refused(tmp_path: Path) -> None:
    copy = newer(OLD, "storage.json", {"name": "search", "url": "sqlite:///x.db"}, tmp_path)
    with pytest.raises(UserError, match=r"storage\.json has the format 2 of a newer ussearch, formats up to 1 were"):
        existing_storage(copy)


def test_every_kind_is_written_and_read_by_its_schema() -> None:
    """A reader or writer that goes around the number would leave its kind out of one of these lists."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in Path(schema.__file__).parent.rglob("*.py"))
    names = {name for name, kind in vars(schema).items() if isinstance(kind, Schema)}
    assert {getattr(schema, name).file for name in names} == {kind.file for kind in schema.KINDS}
    written = set(re.findall(r"\b([A-Z_]+)\.(?:to_json|numbered|header)\(", code))
    read = set(re.findall(r"schema\.([A-Z_]+)\.(?:read|from_json|current|from_header)\(", code))
    read |= set(re.findall(r"parse_yaml\(.*schema\.([A-Z_]+)", code))
    assert names - written == set()
    assert names - read == {"FOLD", "POSTPROCESSING"}  # for people; the program does not read them
