"""One network of the tables: where it comes from, how it is built, and what others published about its size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recorder import Row
from torch import nn

Count = Callable[[nn.Module, list[Row]], tuple[int, int]]
"""How a publisher counts: from a network and its rows to parameters and operations."""


def plain_count(network: nn.Module, rows: list[Row]) -> tuple[int, int]:
    """Count learnable parameters and the multiply-accumulates of convolutions and matrix products."""
    return sum(parameter.numel() for parameter in network.parameters()), sum(row.macs for row in rows)


@dataclass(frozen=True)
class Entry:
    """A network whose latency others measured.

    Attributes:
        key: unique name in the tables, ``collection/network@size``.
        family: line of architectures, to hold out together when a model is judged.
        published_name: what the measurements call it.
        source: library with its version, or repository, that defines the network.
        size: height and width of the picture it is given.
        build: makes the network that was measured.
        build_published: makes the network whose size was published, where that one differs (1,000 classes, say).
        published_parameters: as the source prints them, with the unit (``4.25M``); empty where none are.
        published_gmacs: as the source prints them, in thousand millions; empty where none are.
        published_source: who prints the two.
        count: how that source counts.
        remark: what differs from the network that was measured; empty where nothing does.
    """

    key: str
    family: str
    published_name: str
    source: str
    size: tuple[int, int]
    build: Callable[[], nn.Module]
    published_parameters: str = ""
    published_gmacs: str = ""
    published_source: str = ""
    build_published: Callable[[], nn.Module] | None = None
    count: Count = plain_count
    remark: str = ""
