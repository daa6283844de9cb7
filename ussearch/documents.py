"""Reading YAML that a user may have written: what is wrong is said in one sentence that names the field."""

from __future__ import annotations

from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ussearch.errors import UserError
from ussearch.schema import Schema

Model = TypeVar("Model", bound=BaseModel)


def parse_yaml(model: type[Model], text: str, source: str, schema: Schema, hint: str = "mend that field") -> Model:
    """Return ``text`` as a ``model``; raises UserError naming ``source``, the first wrong field and the ``hint``.

    ``schema`` is the kind of document that was expected, of any version. An empty text gives the defaults.
    """
    data = schema.current(load_yaml(text, source, schema.what, hint), source)
    return validated(model, {} if data is None else data, source, schema.what, hint)


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it: profiles hold hundreds of prices, and it reads them ten times as fast."""


def load_yaml(text: str, source: str, what: str, hint: str) -> Any:
    """Return what the YAML ``text`` holds; raises UserError naming ``source`` where it is none."""
    try:
        return yaml.load(text, LOADER)
    except yaml.YAMLError as error:
        raise UserError(f"{source} is not YAML ({_reason(error)}): expected {what}; {hint}.") from error


def validated(model: type[Model], data: Any, source: str, what: str, hint: str) -> Model:
    """Return ``data`` as a ``model``; raises UserError naming ``source`` and the first wrong field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{source} is not {what}: {first_wrong(error, 'content')}; {hint}.") from error


def first_wrong(error: ValidationError, whole: str) -> str:
    """Return the first wrong field, ``whole`` where it is none of them, and what is wrong with it."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or whole}: {first['msg']}"


def _reason(error: yaml.YAMLError) -> str:
    """Return what is wrong with a text, with the line where that is known."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]
