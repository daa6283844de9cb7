"""Reading YAML that a user may have written: what is wrong is said in one sentence that names the field."""

from __future__ import annotations

from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ussearch.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def parse_yaml(model: type[Model], text: str, source: str, what: str, mend: str = "mend that field") -> Model:
    """Return ``text`` as a ``model``; raises UserError naming ``source``, the first wrong field and the ``mend``.

    ``what`` is what was expected, with its article: ``an architecture``.
    """
    try:
        return model.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{source} is no YAML ({reason}): expected {what}; {mend}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UserError(f"{source} is not {what}: {place}: {first['msg']}; {mend}.") from error
