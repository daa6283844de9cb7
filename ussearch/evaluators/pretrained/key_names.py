"""How published files call the tensors of an encoder, and what a block of this package calls them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ussearch.weights import KeyScheme

Parts = Mapping[str, str]
"""Layers of a published block, by what its file calls them, with their paths in a block of this package."""

_STEM = re.compile(r"(?:_conv_stem|_bn0|features\.0\.[01])$")
_STEM_PARTS: Parts = {
    "_conv_stem": "body.conv",
    "_bn0": "body.norm",
    "features.0.0": "body.conv",
    "features.0.1": "body.norm",
}


def _torchvision(expand: bool, gate: bool, style: Literal["v2", "v3"]) -> Parts:
    """Return the layers of one of torchvision's blocks, which are numbered in their order."""
    parts: dict[str, str] = {}
    layers = ["expand"] * expand + ["depthwise"] + ["attention"] * gate + ["project"]
    for number, layer in enumerate(layers):
        if layer == "attention":
            parts |= {f"{number}.fc1": "attention.reduce", f"{number}.fc2": "attention.expand"}
        elif layer == "project" and style == "v2":  # its convolution and norm lie side by side with the other layers
            parts |= {f"{number}": "project.conv", f"{number + 1}": "project.norm"}
        else:
            parts |= {f"{number}.0": f"{layer}.conv", f"{number}.1": f"{layer}.norm"}
    return parts


_EFFICIENTNET: Parts = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_se_reduce": "attention.reduce",
    "_se_expand": "attention.expand",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}
_SCHEMES: Mapping[KeyScheme, tuple[re.Pattern[str], tuple[Parts, ...]]] = {
    "efficientnet": (re.compile(r"_blocks\.(\d+)\.(\w+)$"), (_EFFICIENTNET,)),
    "mobilenetv2": (
        re.compile(r"features\.(\d+)\.conv\.([\d.]+)$"),
        tuple(_torchvision(expand, gate=False, style="v2") for expand in (True, False)),
    ),
    "mobilenetv3": (
        re.compile(r"features\.(\d+)\.block\.([\d.]+(?:\.fc[12])?)$"),
        tuple(_torchvision(expand, gate, "v3") for expand in (True, False) for gate in (True, False)),
    ),
}
"""What the path of a layer looks like (block and layer), and which layers a block may have."""


@dataclass(frozen=True)
class PublishedTensor:
    """A tensor of a file: its key there, and its path in a block of this package (``depthwise.conv.weight``)."""

    key: str
    path: str
    values: Tensor


def published_blocks(state: Mapping[str, Tensor], scheme: KeyScheme) -> list[list[PublishedTensor]]:
    """Return the encoder of a file block by block, the stem first; what belongs to no block is left out.

    Raises ValueError where the keys are not those of the scheme.
    """
    pattern, tables = _SCHEMES[scheme]
    blocks: dict[int, dict[str, list[tuple[str, str]]]] = {}
    stem = []
    for key, values in state.items():
        layer, _, name = key.rpartition(".")
        if _STEM.match(layer):
            stem.append(PublishedTensor(key, f"{_STEM_PARTS[layer]}.{name}", values))
        elif found := pattern.match(layer):
            blocks.setdefault(int(found[1]), {}).setdefault(found[2], []).append((key, name))
    if not stem or not blocks:
        raise ValueError(f"its tensors are not called as those of {scheme}")
    return [stem, *(list(_block(state, blocks[number], tables, number)) for number in sorted(blocks))]


def _block(
    state: Mapping[str, Tensor], layers: Mapping[str, list[tuple[str, str]]], tables: tuple[Parts, ...], number: int
) -> Iterator[PublishedTensor]:
    """Yield the tensors of one block, by the table that has exactly its layers, or else all of them."""
    exact = [table for table in tables if table.keys() == layers.keys()]
    fitting = exact or [table for table in tables if table.keys() >= layers.keys()]
    if not fitting:
        raise ValueError(f"block {number} has the layers {', '.join(sorted(layers))}, which no known block has")
    for layer, tensors in layers.items():
        yield from (PublishedTensor(key, f"{fitting[0][layer]}.{name}", state[key]) for key, name in tensors)
