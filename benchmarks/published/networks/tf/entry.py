"""What the catalogue says about one network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Entry:
    """A network, its input, its source, and the published figures in millions and 1e9."""

    key: str
    family: str
    published_name: str
    source: str
    build: Callable[[], nn.Module]
    height: int
    width: int
    exact: str
    convolutions_in_log: int | None = None
    published_parameters: float | None = None
    published_gmacs: float | None = None
    published_source: str = ""
