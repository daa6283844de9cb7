"""Which weights there are: where they come from, under which licence, and how their tensors are to be read."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ussearch.errors import UserError
from ussearch.registry import nearest_names

KeyScheme = Literal["efficientnet", "mobilenetv2", "mobilenetv3"]
"""How the tensors of a file are called: as in efficientnet_pytorch, or in one of torchvision's networks."""


class WeightsSource(BaseModel):
    """One file of weights that others trained. ``mean`` and ``std`` are of colours 0..1, as it was trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    source: str
    """Who trained them, and who wrote the file."""
    licence: str
    file: str
    sha256: str = Field(pattern="^[0-9a-f]{8}([0-9a-f]{56})?$")
    """Of the file, or its first eight digits, which its publisher put into the file's name."""
    package: str | None = None
    """Distribution on PyPI that brings the file, with its version."""
    member: str | None = None
    """The file's place inside that distribution."""
    url: str | None = None
    """Where its publisher offers the file."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    padding: Literal["symmetric", "same"]
    """``same`` is TensorFlow's: at stride 2 one pixel less above and on the left than below and on the right."""
    keys: KeyScheme
    """How its tensors are called."""
    presets: tuple[str, ...] = ()
    """Whose encoder it is."""
    checked: Literal["values", "keys"]
    """What tests have seen of it: the values, or only names and shapes, where the file was not at hand."""

    def has_digest(self, sha256: str) -> bool:
        """Return whether a file with this SHA-256 is the one that is meant."""
        return sha256.startswith(self.sha256)


@cache
def known_weights() -> tuple[WeightsSource, ...]:
    """Return every entry of the catalogue."""
    text = (resources.files("ussearch.weights") / "catalogue.yaml").read_text(encoding="utf-8")
    return tuple(WeightsSource.model_validate(entry) for entry in yaml.safe_load(text))


def weights_named(name: str) -> WeightsSource:
    """Return the entry of this name; raises UserError offering the nearest names."""
    by_name = {source.name: source for source in known_weights()}
    if name not in by_name:
        raise UserError(f"Unknown weights {name!r}: {nearest_names(name, list(by_name))}")
    return by_name[name]
