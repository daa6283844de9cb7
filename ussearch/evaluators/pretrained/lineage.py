"""What a trained network itself began with, in the header of its file of weights: it goes where the file goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

KEY = "started_from"
"""In the header of a safetensors file: a JSON list of origins, the latest first, empty from scratch."""


OWN_LICENCE = "not known here"
"""Of files of the user's own, and of what began with them."""


class Origin(BaseModel):
    """Weights that a training began with. It names no file of the user's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = Field(max_length=200)
    part: Literal["encoder", "network"]
    source: str = Field(max_length=1000)
    licence: str = Field(max_length=200)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


_ORIGINS = TypeAdapter(tuple[Origin, ...])


def header(origins: Sequence[Origin]) -> dict[str, str]:
    """Return the header of a file whose network began with ``origins``, the latest first; with none from scratch."""
    return {KEY: _ORIGINS.dump_json(tuple(origins)).decode()}


def origins_in(path: Path) -> tuple[Origin, ...] | None:
    """Return what the network in a file began with, the latest first; None where the file does not tell."""
    try:
        with safe_open(path, "pt") as file:
            return _ORIGINS.validate_json((file.metadata() or {})[KEY])
    except (OSError, SafetensorError, KeyError, ValidationError):
        return None


def licence_and_digest(licence: str, sha256: str) -> str:
    """Return what stands in brackets behind the name of weights: ``Apache-2.0, SHA-256 579344248a93``."""
    return f"{'licence ' if licence == OWN_LICENCE else ''}{licence}, SHA-256 {sha256[:12]}"


def earlier_told(earlier: Sequence[Origin] | None) -> str:
    """Return in words what a network of the user's own began with."""
    if earlier is None:
        return "what that network itself began with, its file does not tell"
    if not earlier:
        return "that network itself began from scratch"
    told = (f"{each.weights} ({licence_and_digest(each.licence, each.sha256)})" for each in earlier)
    return f"that network itself began with {', which began with '.join(told)}"
