"""Published networks by name: one YAML file each under ``presets/``, with paper, source and what is inferred."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from ussearch.errors import UserError
from ussearch.registry import nearest_names
from ussearch.search_spaces.architecture import Architecture


class Preset(BaseModel):
    """A published network: its architecture at its own channels and classes, and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    paper: str
    year: int
    source: str
    input_size: int
    """Side in pixels at which the published figures were taken."""
    inferred: tuple[str, ...] = ()
    """What the paper leaves open and this file decides."""
    unknown: tuple[str, ...] = ()
    """What nobody outside the authors knows."""
    also_input_channels: tuple[int, ...] = ()
    """Other numbers of input channels for which figures are published."""
    published: dict[str, Any] = {}
    """Figures as printed, for comparison."""
    architecture: Architecture

    def with_input_channels(self, channels: int) -> Architecture:
        """Return the architecture for images of another number of channels."""
        data = self.architecture.model_dump() | {"input_channels": channels, "image_channels": channels}
        return Architecture.model_validate(data)


def preset_names() -> list[str]:
    """Return the names of all presets, sorted."""
    folder = resources.files("ussearch.search_spaces") / "presets"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


@cache
def load_preset(name: str) -> Preset:
    """Return a preset; raises UserError offering the nearest names."""
    names = preset_names()
    if name not in names:
        raise UserError(f"Unknown preset {name!r}: {nearest_names(name, names)}")
    text = (resources.files("ussearch.search_spaces") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    data["architecture"]["name"] = name
    return Preset.model_validate(data | {"name": name})
