"""A forward pass that torch-pruning can follow: the network's dependencies between channels, and nothing else.

torch-pruning reads dependencies off the autograd graph, where it takes every operation between layers for an
element-wise one. That is wrong where channels are averaged (CBAM), permuted (ECA), multiplied as matrices
(bottlenecks), shifted or broadcast (spatial gates). While a network is traced, such modules compute a *stand-in*,
which couples the same channels by additions and products alone. Only outputs differ, and nobody reads them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ussearch.search_spaces import Network
from ussearch.search_spaces.attention import (
    ChannelThenSpatial,
    EfficientChannelAttention,
    SpatialGate,
    SpatialGateConcat,
    SqueezeExcitation,
)
from ussearch.search_spaces.blocks.dynconv import DynamicConv
from ussearch.search_spaces.blocks.shifted_mlp import ShiftedMlp
from ussearch.search_spaces.bottlenecks import DualAffinity, NonLocal
from ussearch.search_spaces.skips import AttentionGate

Ends = list[Tensor]
"""Tensors that no logits depend on in the stand-in's graph, such as the map of a spatial gate: further outputs."""


class PruningTrace(nn.Module):
    """A copy of ``network`` whose forward pass is made of stand-ins.

    The image passes a 1×1 convolution first, ``image``: what is coupled with its outputs belongs to the image.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        channels = network.architecture.input_channels
        self.image = nn.Conv2d(channels, channels, 1)
        self.network = copy.deepcopy(network).eval().requires_grad_(True)
        self._ends: Ends = []
        self.network._adapt = partial(self.image)  # type: ignore[method-assign]
        for module in self.network.modules():
            stand_in = _STAND_INS.get(type(module))
            if stand_in:
                module.forward = partial(stand_in, module, self._ends)

    def forward(self, image: Tensor) -> list[Tensor]:
        """[1, input_channels, H, W] -> every output that the graph has to be read from."""
        self._ends.clear()
        return [*self.network.forward_all(image), *self._ends]


def _squeeze_excitation(module: SqueezeExcitation, ends: Ends, x: Tensor) -> Tensor:
    pooled = module.pool(x)
    if module.linear:
        hidden = module.activation(module.reduce(pooled.permute(0, 2, 3, 1)))
        return torch.mul(x, module.expand(hidden).permute(0, 3, 1, 2))
    return torch.mul(x, module.expand(module.activation(module.reduce(pooled))))


def _no_dependency(module: EfficientChannelAttention, ends: Ends, x: Tensor) -> Tensor:
    """ECA has one kernel for all channels: none of its parameters belongs to one of them."""
    return x


def _channel_attention(module: ChannelThenSpatial, ends: Ends, x: Tensor) -> Tensor:
    return torch.mul(x, module.mlp(module.average(x)))


def _spatial_gate(module: SpatialGate, ends: Ends, x: Tensor) -> Tensor:
    ends.append(module.conv(x))
    return x


def _spatial_gate_concat(module: SpatialGateConcat, ends: Ends, x: Tensor) -> Tensor:
    ends.append(module.conv(x))
    return torch.cat([x * 1.0, x * 2.0], 1)


def _attention_gate(module: AttentionGate, ends: Ends, x: Tensor, skip: Tensor) -> Tensor:
    ends.append(module.score(module.activation(module.query(x) + module.key(skip))))
    return torch.cat([x, skip], 1)


def _affinity(module: NonLocal | DualAffinity, ends: Ends, x: Tensor) -> Tensor:
    """The product of queries and keys runs over their channels: these go in pairs, as in a sum."""
    ends.append(module.query(x) + module.key(x))
    return torch.add(x, module.value(x))


def _dynamic_conv(module: DynamicConv, ends: Ends, x: Tensor) -> Tensor:
    return functional.conv2d(x, module.experts[0], padding=module.kernel // 2)


def _shifted_mlp(module: ShiftedMlp, ends: Ends, x: Tensor) -> Tensor:
    out: Tensor = module.last_norm(x + module.second(module.activation(module.depthwise(module.first(module.norm(x))))))
    return out


_STAND_INS: dict[type[nn.Module], Callable[..., Any]] = {
    SqueezeExcitation: _squeeze_excitation,
    EfficientChannelAttention: _no_dependency,
    ChannelThenSpatial: _channel_attention,
    SpatialGate: _spatial_gate,
    SpatialGateConcat: _spatial_gate_concat,
    AttentionGate: _attention_gate,
    NonLocal: _affinity,
    DualAffinity: _affinity,
    DynamicConv: _dynamic_conv,
    ShiftedMlp: _shifted_mlp,
}
