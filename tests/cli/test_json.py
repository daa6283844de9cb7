"""What commands print as JSON is what docs/json.md says: the same keys, of the same types."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from ussearch.cli.app import app
from ussearch.deprecations import RENAMED

from .conftest import TINY_RUN, Command

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
ROW = re.compile(r"\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")
PYTHON = {"text": str, "integer": int, "number": (int, float), "flag": bool}
Keys = dict[str, str]
OLD = {each.old: each.new for each in RENAMED if each.kind == "json"}


@cache
def documented() -> dict[str, Keys]:
    """Return types by key, by command."""
    found: dict[str, Keys] = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        name, _, body = part.partition("\n")
        found[name] = {key: kind.strip() for key, kind, _, _ in ROW.findall(body)}
    return found


def below(keys: Keys, step: str) -> Keys:
    """Return what is documented under a key, a ``*`` or a ``[]``, with the keys shortened by it."""
    return {
        key[len(step) :].lstrip("."): kind
        for key, kind in keys.items()
        if key == step or key.startswith((f"{step}.", f"{step}["))
    }


def faults(value: Any, keys: Keys, place: str = "") -> list[str]:
    """Return how a value differs from what is documented for it; the empty key is the value itself."""
    if "" in keys:
        return [] if fits(value, keys[""]) else [f"{place} is {value!r}, documented as {keys['']}"]
    if isinstance(value, list):
        inner = below(keys, "[]")
        return [fault for each in value for fault in faults(each, inner, f"{place}[]")] if inner else [f"{place}[]"]
    if not isinstance(value, dict):
        return [f"{place} is {value!r}, documented as {sorted(keys)}"]
    if everyone := below(keys, "*"):
        return [fault for name, each in value.items() for fault in faults(each, everyone, f"{place}.{name}")]
    value = {name: each for name, each in value.items() if OLD.get(name) not in value}
    heads = {re.split(r"[.\[]", key)[0] for key in keys}
    optional = {key for key, kind in keys.items() if "may be absent" in kind}
    wrong = [f"{place}.{name} is not documented" for name in value.keys() - heads]
    wrong += [f"{place}.{name} is not printed" for name in heads - value.keys() - optional]
    for name in heads & value.keys():
        wrong += faults(value[name], below(keys, name), f"{place}.{name}")
    return wrong


def fits(value: Any, kind: str) -> bool:
    """Tell whether a value has a documented type."""
    names = re.split(r" or |, ", kind)
    if "any" in names or (value is None and "null" in names):
        return True
    if isinstance(value, bool):
        return "flag" in names
    return any(name in PYTHON and isinstance(value, PYTHON[name]) for name in names)


def commands_with_json() -> set[str]:
    group = typer.main.get_command(app)

    def walk(command: Any, name: str) -> set[str]:
        if hasattr(command, "commands"):
            return {found for key, each in command.commands.items() for found in walk(each, f"{name} {key}".strip())}
        return {name} if any("--json" in option.opts for option in command.params) else set()

    return walk(group, "")


def test_every_command_with_json_is_documented() -> None:
    assert commands_with_json() == documented().keys() - {"run --dry-run"}
    assert all(documented().values())


def test_a_difference_is_found() -> None:
    keys = {"a": "integer", "b[].c": "text or null", "d.*": "number", "e": "any, may be absent"}
    assert faults({"a": 1, "b": [{"c": None}], "d": {"x": 0.5}}, keys) == []
    wrong = {"a": "1", "b": [{"c": "", "z": 1}], "d": {"x": True}, "f": 1}
    assert len(faults(wrong, keys)) == 4
    assert faults({"b": [], "d": {}}, keys) == [".a is not printed"]


def test_listing_commands(ussearch: Command, tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        Image.new("L", (16, 12), 255).save(tmp_path / name / "a.png")
    Image.new("L", (16, 12)).save(tmp_path / "images" / "b.png")
    for name, arguments in {
        "profiles": ("profiles",),
        "data check": ("data", "check", tmp_path),
        "config": ("config", "--data", tmp_path, "--budget", "2h"),
        "weights list": ("weights", "list"),
        "weights get": ("weights", "get", "efficientnet-lite0"),
    }.items():
        assert faults(json.loads(ussearch(*arguments, "--json").out), documented()[name]) == [], name


@pytest.mark.slow
def test_commands_about_models(ussearch: Command, tiny_study: Path) -> None:
    model = tiny_study / "bundle" / "edge" / "model.onnx"
    for name, arguments in {
        "presets": ("presets",),
        "check": ("check", model, "--profile", "coral-edge-tpu"),
        "bench": ("bench", model),
    }.items():
        printed = json.loads(ussearch(*arguments, "--json").out)
        assert printed and faults(printed, documented()[name]) == [], name


@pytest.mark.slow
def test_commands_about_a_study(ussearch: Command, study: Path, tiny_data: Path, tmp_path: Path) -> None:
    image = min((tiny_data / "images").iterdir())
    bundle, data = study / "bundle", ("--data", tiny_data)
    for name, arguments in {
        "pareto": ("pareto", study),
        "show": ("show", study, 0),
        "report": ("report", study, "--out", tmp_path / "report.html"),
        "specialise": ("specialise", study, "--profile", "raspberry-pi-4"),
        "verify": ("verify", bundle),
        "infer": ("infer", bundle, image, "--out", tmp_path / "masks"),
        "route-report": ("route-report", bundle, *data),
        "compress": ("compress", study, "--trial", 0, "--steps", "fuse", "--no-uniform"),
        "route": ("route", study, "--no-learn"),
        "export": ("export", study, "--out", tmp_path / "bundle", "--no-compress"),
        "run --dry-run": ("run", "--profile", "jetson-nano", *data, "--dry-run", *TINY_RUN),
    }.items():
        outcome = ussearch(*arguments, "--json")
        assert outcome.status == 0, (name, outcome.err)
        assert faults(json.loads(outcome.out), documented()[name]) == [], name


@pytest.mark.slow
def test_a_run(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    arguments = ("run", "--profile", "jetson-nano", "--data", tiny_data, "--study", tmp_path / "s", *TINY_RUN)
    printed = json.loads(ussearch(*arguments, "--trials", 2, "--json").out)
    assert faults(printed, documented()["run"]) == []
