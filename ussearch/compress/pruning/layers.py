"""Which numbers of a layer belong to a position of its axes, and how positions are cut off.

Cutting is torch-pruning's; added are dynamic convolutions, whose experts are one five-dimensional parameter, and
convolutions in groups, from which torch-pruning removes the same inputs in every group, needed or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ussearch.search_spaces.blocks.dynconv import DynamicConv

Side = Literal["in", "out"]
"""Of a layer: the channels that it reads, or those that it writes."""


def is_grouped(module: nn.Module) -> bool:
    """Return whether inputs fall into groups of more than one channel; a depthwise convolution's do not."""
    return isinstance(module, nn.Conv2d) and module.groups > 1 and not is_depthwise(module)


def is_depthwise(module: nn.Module) -> bool:
    """Return whether every channel has a kernel of its own."""
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels == module.out_channels > 1


def cells(module: nn.Module, side: Side) -> dict[str, Tensor]:
    """Return, by parameter, the flat indices [positions, n] of the numbers that belong to each position of an axis."""
    if isinstance(module, DynamicConv):
        return _dynamic_cells(module, side)
    weight, bias = module.weight, module.bias
    assert isinstance(weight, Tensor)
    indices = torch.arange(weight.numel()).reshape(weight.shape)
    if side == "in" and is_grouped(module):
        assert isinstance(module, nn.Conv2d)
        indices = indices.reshape(module.groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)
    elif (side == "in") != isinstance(module, nn.ConvTranspose2d):
        indices = indices.transpose(0, 1)
    found = {"weight": indices.reshape(indices.shape[0], -1)}
    if side == "out" and isinstance(bias, Tensor):
        found["bias"] = torch.arange(len(bias))[:, None]
    return found


def _dynamic_cells(module: DynamicConv, side: Side) -> dict[str, Tensor]:
    experts = torch.arange(module.experts.numel()).reshape(module.experts.shape)
    if side == "in":
        routing = torch.arange(module.routing.weight.numel()).reshape(module.routing.weight.shape)
        return {"experts": experts.transpose(0, 2).flatten(1), "routing.weight": routing.transpose(0, 1).flatten(1)}
    norm = torch.arange(module.out_channels)[:, None]
    return {"experts": experts.transpose(0, 1).flatten(1), "norm.weight": norm, "norm.bias": norm}


def cut(module: nn.Module, side: Side, removed: Sequence[int]) -> None:
    """Remove positions from an axis of a layer, in place."""
    if side == "in" and is_grouped(module):
        assert isinstance(module, nn.Conv2d)
        _cut_grouped_inputs(module, removed)
        return
    pruner = _pruner_of(module)
    (pruner.prune_in_channels if side == "in" else pruner.prune_out_channels)(module, list(removed))


def _pruner_of(module: nn.Module) -> Any:
    from torch_pruning import ops
    from torch_pruning.pruner.function import PrunerBox

    return DynamicConvPruner() if isinstance(module, DynamicConv) else PrunerBox[ops.module2type(module)]


def _cut_grouped_inputs(conv: nn.Conv2d, removed: Sequence[int]) -> None:
    """Remove the same number of inputs from each group."""
    kept = [position for position in range(conv.in_channels) if position not in set(removed)]
    width = conv.in_channels // conv.groups
    columns = (torch.tensor(kept) % width).reshape(conv.groups, 1, -1, 1, 1)
    weight = conv.weight.detach().reshape(conv.groups, -1, *conv.weight.shape[1:])
    weight = weight.gather(2, columns.expand(-1, weight.shape[1], -1, *weight.shape[3:]))
    conv.weight = nn.Parameter(weight.flatten(0, 1))
    conv.in_channels = len(kept)


class DynamicConvPruner:
    """What torch-pruning asks of a customised pruner, for dynamic convolutions with their norm and routing."""

    pruning_dim = 1

    def prune_out_channels(self, layer: DynamicConv, idxs: Sequence[int]) -> DynamicConv:
        """Remove outputs from every expert and from the norm."""
        layer.experts = _without(layer.experts, 1, idxs)
        layer.out_channels -= len(idxs)
        cut(layer.norm, "out", idxs)
        return layer

    def prune_in_channels(self, layer: DynamicConv, idxs: Sequence[int]) -> DynamicConv:
        """Remove inputs from every expert and from the routing."""
        layer.experts = _without(layer.experts, 2, idxs)
        cut(layer.routing, "in", idxs)
        return layer

    def get_out_channels(self, layer: DynamicConv) -> int:
        """Return the number of outputs."""
        return layer.experts.shape[1]

    def get_in_channels(self, layer: DynamicConv) -> int:
        """Return the number of inputs."""
        return layer.experts.shape[2]

    def get_in_channel_groups(self, layer: DynamicConv) -> int:
        """Return one: its groups are the images of a batch."""
        return 1

    get_out_channel_groups = get_in_channel_groups


def _without(parameter: Tensor, dimension: int, removed: Sequence[int]) -> nn.Parameter:
    gone = set(removed)
    kept = [position for position in range(parameter.shape[dimension]) if position not in gone]
    return nn.Parameter(parameter.detach().index_select(dimension, torch.tensor(kept)))
