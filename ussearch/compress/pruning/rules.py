"""What the vocabulary of architectures asks of widths, and what may not be pruned at all.

torch-pruning knows which channels are one; that the four convolutions of an asymmetric block share one ``width``, or
that a convolution left out at equal widths must not become equal, it cannot know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from ussearch.compress.pruning.channels import IMAGE, Axis, Channels
from ussearch.compress.pruning.layers import is_depthwise, is_grouped
from ussearch.search_spaces import Network
from ussearch.search_spaces.blocks.asym import Asymmetric
from ussearch.search_spaces.blocks.fusible import Fusible
from ussearch.search_spaces.blocks.mbconv import InvertedResidual
from ussearch.search_spaces.blocks.rep import Reparametrised
from ussearch.search_spaces.blocks.shifted_mlp import ShiftedMlp
from ussearch.search_spaces.bottlenecks import DualAffinity, NonLocal, inner_width
from ussearch.search_spaces.skips import Add, AttentionGate

Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass
class Rules:
    """The rules of one network."""

    frozen: list[Axis] = field(default_factory=lambda: [IMAGE])
    """Keep all their channels."""
    tied: list[Numbers] = field(default_factory=list)
    """Channels [rows, n]: the rows keep equal numbers of channels."""
    distinct: list[tuple[Axis, Axis]] = field(default_factory=list)
    """Differ in width, or ``build`` would leave out (or add) what stands between them."""
    derived: list[tuple[Axis, Axis, Callable[[int], int]]] = field(default_factory=list)
    """(axis, base, width of the axis by that of the base)."""


def rules_of(network: Network, channels: Channels) -> Rules:
    """Return the rules for the widths of ``network``."""
    rules = Rules()
    for name, module in network.named_modules():
        rules.frozen += _frozen(name, module)
        rules.tied += [np.stack(rows) for rows in _tied(name, module, channels)]
        rules.distinct += _distinct(name, module)
        rules.derived += _derived(name, module, network)
    rules.frozen = [axis for axis in rules.frozen if axis in channels.axes]
    return rules


def _frozen(name: str, module: nn.Module) -> list[Axis]:
    """Logits; features whose position in five groups matters; depthwise convolutions that widen or narrow."""
    if name == "head.layer" or name.startswith("auxiliary_heads."):
        return [(name, "out")]
    if isinstance(module, ShiftedMlp):
        return [(f"{name}.{layer}", "out") for layer in ("norm", "first", "depthwise", "second", "last_norm")]
    if isinstance(module, nn.Conv2d) and module.groups == module.out_channels > 1 and not is_depthwise(module):
        return [(name, "in"), (name, "out")]
    return []


def _tied(name: str, module: nn.Module, channels: Channels) -> list[list[Numbers]]:
    axes = channels.axes
    if isinstance(module, Asymmetric):
        return [[axes[f"{name}.{layer}.conv", "out"] for layer in ("first", "second", "third", "fourth")]]
    if isinstance(module, Fusible):
        return [[axes[f"{name}.first.conv", side] for side in ("in", "out")]]
    if is_grouped(module) and (name, "in") in axes:
        return [np.split(axes[name, side], module.groups) for side in ("in", "out")]  # type: ignore[arg-type]
    return []


def _distinct(name: str, module: nn.Module) -> list[tuple[Axis, Axis]]:
    if isinstance(module, InvertedResidual) and not isinstance(module.expand, nn.Identity):
        return [((f"{name}.expand.conv", "in"), (f"{name}.expand.conv", "out"))]
    if isinstance(module, Add) and isinstance(module.project, nn.Conv2d):
        return [((f"{name}.project", "in"), (f"{name}.project", "out"))]
    if isinstance(module, Reparametrised) and module.identity is None:
        conv = module.branches[0].conv
        if isinstance(conv, nn.Conv2d) and conv.stride == (1, 1):
            return [((f"{name}.branches.0.conv", "in"), (f"{name}.branches.0.conv", "out"))]
    return []


def _derived(name: str, module: nn.Module, network: Network) -> list[tuple[Axis, Axis, Callable[[int], int]]]:
    if isinstance(module, AttentionGate):
        return [((f"{name}.query", "out"), (f"{name}.key", "in"), module.inner_width)]
    bottleneck = network.architecture.bottleneck
    if isinstance(module, (NonLocal, DualAffinity)) and bottleneck:
        inside = ".conv" if isinstance(module, DualAffinity) else ""
        width = partial(inner_width, ratio=bottleneck.ratio)
        return [((f"{name}.query{inside}", "out"), (f"{name}.query{inside}", "in"), width)]
    return []
