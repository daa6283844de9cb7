"""The options of a run, read off ``RunConfig``: flags and their help, files, ``--set``, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ussearch import schema
from ussearch.deprecations import removed, tell, with_new_names
from ussearch.documents import load_yaml
from ussearch.errors import UserError
from ussearch.registry import nearest_names
from ussearch.run_config import RunConfig

KEYWORDS = {
    "data.path": "data",
    "data.phantoms": "phantoms",
    "search.sampler.name": "sampler",
    "compression.enabled": "compress",
}
"""Options that are not called as the last part of their path; the sampler's others have none."""
IN_SIGHT = (
    *("profile", "data", "budget", "study", "resume", "out", "image_size", "seed", "accelerator", "workers"),
    *("config", "set", "dry_run", "json", "help"),
)
"""What ``run --help`` shows first."""
FILE = "run.yaml"
"""What ``deprecations`` calls the file for --config."""
PATHS_ONLY = ("search.sampler.population", "search.sampler.startup")


@dataclass(frozen=True)
class RunOption:
    """One option: where it stands in the configuration, its keyword in Python, and what it takes."""

    path: tuple[str, ...]
    keyword: str
    annotation: Any
    default: Any
    description: str

    @property
    def dotted(self) -> str:
        """The path as it is written: ``training.epochs``."""
        return ".".join(self.path)

    @property
    def flag(self) -> str:
        """The option of the command line: ``--image-size``."""
        return f"--{self.keyword.replace('_', '-')}"


def run_options() -> tuple[RunOption, ...]:
    """Return every option of a run, in the order of the configuration."""
    return tuple(_options(RunConfig, ()))


def _options(model: type[BaseModel], place: tuple[str, ...]) -> Iterator[RunOption]:
    for name, field in model.model_fields.items():
        path = (*place, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _options(field.annotation, path)
            continue
        keyword = KEYWORDS.get(".".join(path), name)
        default = None if field.is_required() else field.default
        yield RunOption(path, keyword, field.annotation, default, field.description or "")


def config_from(
    options: Mapping[str, Any],
    file: Path | None = None,
    settings: Iterable[str] = (),
    *,
    base: Mapping[str, Any] | None = None,
    place: str = "--",
) -> RunConfig:
    """Return the configuration of ``file``, then of ``settings`` (``a.b=c``), then of ``options`` by keyword.

    ``base`` is what stands for a file's content. ``place`` is how options are written where they were given: ``--``
    before them, or nothing in Python. Raises UserError for what there is not, and for the first value that cannot be
    meant.
    """
    known = {option.keyword: option for option in run_options() if option.dotted not in PATHS_ONLY}
    content = dict(base or {}) if file is None else _read(file)
    names: dict[tuple[str, ...], str] = {}
    for setting in settings:
        path, value = _setting(setting)
        _put(content, path, value)
        names[path] = f"--set {'.'.join(path)}"
    for name, value in options.items():
        if name in known:
            path = known[name].path
            names[path] = known[name].flag if place else name
        elif name in RunConfig.model_fields:
            path = (name,)
        else:
            raise UserError(f"run has no option {name!r}: {nearest_names(name, list(known))}")
        _put(content, path, value)
    _drop_removed(content)
    return _validated(content, names, f"{file}: " if file else "")


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read the configuration {file}: expected a YAML file; check --config.") from error
    what = schema.RUN_CONFIG.what
    content = schema.RUN_CONFIG.current(load_yaml(text, str(file), what, "see: ussearch config"), str(file))
    if not isinstance(content, dict):
        raise UserError(f"{file} is not {what}: expected keys with values; see: ussearch config.")
    return content


def _setting(text: str) -> tuple[tuple[str, ...], Any]:
    """Return the path and the value of ``a.b=c``; raises UserError for a path that there is not."""
    dotted, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text} is not possible: expected a key and a value, such as training.epochs=20.")
    if dotted not in (*_keys(), *removed("file", FILE)):
        raise UserError(f"--set {text}: there is no key {dotted!r}: {_nearest_key(dotted)}")
    return tuple(dotted.split(".")), load_yaml(value, f"--set {text}", "a value", "write it as in YAML")


def _keys() -> list[str]:
    return [option.dotted for option in run_options()]


def _nearest_key(dotted: str) -> str:
    close = nearest_names(dotted, _keys())
    return close if close.startswith("did you mean") else "see: ussearch config."


def _put(content: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        inner = content.get(part)
        content[part] = dict(inner) if isinstance(inner, dict) else {}
        content = content[part]
    last = path[-1]
    if isinstance(value, dict) and isinstance(content.get(last), dict):
        content[last] = {**content[last], **value}
    else:
        content[last] = value


def _drop_removed(content: dict[str, Any]) -> None:
    """Take out the keys that have no effect any more, wherever they came from."""
    for dotted, entry in removed("file", FILE).items():
        section, _, key = dotted.partition(".")
        inner = content.get(section)
        if isinstance(inner, dict) and key in inner:
            tell(entry)
            content[section] = {name: value for name, value in inner.items() if name != key}


def _validated(content: Mapping[str, Any], names: Mapping[tuple[str, ...], str], where: str) -> RunConfig:
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        first = min(error.errors(), key=lambda each: each["type"] == "missing")  # a misspelt key says more
        raise UserError(where + _sentence(first, names)) from error


def _sentence(error: ErrorDetails, names: Mapping[tuple[str, ...], str]) -> str:
    """Return what is wrong with the first value that cannot be meant, by the name that it was given under."""
    path = tuple(str(part) for part in error["loc"])
    name = next((names[path[:end]] for end in range(len(path), 0, -1) if path[:end] in names), ".".join(path))
    value, limits = error.get("input"), error.get("ctx", {})
    if error["type"] == "missing":
        return f"{name} is missing: give --profile, a name such as jetson-nano (see: ussearch profiles)."
    if error["type"] == "extra_forbidden":
        return f"There is no key {'.'.join(path)!r} in a run: {_nearest_key('.'.join(path))}"
    if not path:
        return f"{error['msg'].removeprefix('Value error, ')}."
    expected = {
        "greater_than_equal": f"expected at least {limits.get('ge')}",
        "less_than_equal": f"expected at most {limits.get('le')}",
        "literal_error": f"expected {limits.get('expected')}",
    }.get(error["type"], error["msg"].removeprefix("Value error, ").rstrip("."))
    return f"{name} {value} is not possible: {expected}."


def commented_yaml(config: RunConfig | None = None) -> str:
    """Return a configuration as YAML with what each key means; without one, what there is, nothing decided."""
    values = {} if config is None else config.model_dump(mode="json")
    lines = ["# A run of ussearch: ussearch run --config THIS_FILE. What is null is left to the program."]
    lines += [f"{key}: {number}  # the format of this file" for key, number in schema.RUN_CONFIG.numbered({}).items()]
    return "\n".join([*lines, *_commented(RunConfig, values, 0)]) + "\n"


def _commented(model: type[BaseModel], values: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            summary = (field.annotation.__doc__ or "").strip().splitlines()[0]
            yield from ("", f"{indent}# {summary}") if depth == 0 else (f"{indent}# {summary}",)
            yield f"{indent}{name}:"
            yield from _commented(field.annotation, values.get(name, {}), depth + 1)
            continue
        default = "jetson-nano" if field.is_required() else field.default
        value = values.get(name, default)
        scalar = yaml.safe_dump(list(value) if isinstance(value, tuple) else value, default_flow_style=True)
        yield f"{indent}{name}: {scalar.removesuffix('...' + chr(10)).strip()}  # {field.description}"


def renamed_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords of ``ussearch.run`` by their names of today."""
    return with_new_names("python", "ussearch.run", options)
