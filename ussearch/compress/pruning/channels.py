"""Which channels of which layers are one: torch-pruning's dependency graph, read once and kept as plain numbers.

Every layer has an axis of outputs and, where these are not its inputs, one of inputs. A *channel* is a set of positions
on such axes that can only be removed together. Channels are numbered; an axis is the list of its channels' numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ussearch.compress.pruning.layers import DynamicConvPruner, Side
from ussearch.compress.pruning.tracing import PruningTrace
from ussearch.search_spaces import Network
from ussearch.search_spaces.blocks.dynconv import DynamicConv

Axis = tuple[str, Side]
"""(dotted name of a layer in the network, side); norms and depthwise convolutions have the side ``out`` only."""
IMAGE: Axis = ("(image)", "out")
"""The channels of the image, as the first blocks see them."""


@dataclass(frozen=True)
class Channels:
    """``axes[name, side][i]`` is the channel at position i; ``number`` of channels there are."""

    axes: Mapping[Axis, np.ndarray[Any, np.dtype[np.int64]]]
    number: int


def read_channels(network: Network, image_size: int) -> Channels:
    """Return the channels of ``network``; ``image_size`` pixels a side is what the tracing runs at."""
    graph, names = _dependency_graph(network, image_size)
    first, edges = _axes_and_edges(graph, names)
    return _united(first, edges)


def _dependency_graph(network: Network, image_size: int) -> tuple[Any, dict[nn.Module, str]]:
    """Return torch-pruning's graph of a traced copy of the network, and the names of the layers in it."""
    import torch_pruning

    traced = PruningTrace(network)
    image = torch.zeros(1, network.architecture.input_channels, image_size, image_size)
    with torch.enable_grad():
        graph = torch_pruning.DependencyGraph().build_dependency(
            traced, image, customized_pruners={DynamicConv: DynamicConvPruner()}, verbose=False
        )
    names = {module: name for name, module in traced.network.named_modules()}
    return graph, names | {traced.image: IMAGE[0]}


def _axes_and_edges(
    graph: Any, names: Mapping[nn.Module, str]
) -> tuple[dict[Axis, int], list[tuple[Axis, list[int], Axis, list[int]]]]:
    """Return the length of every axis, and which positions of which two axes are the same channel."""
    from torch_pruning.ops import OPTYPE

    lengths: dict[Axis, int] = {}
    edges = []
    covered: set[tuple[Axis, int]] = set()
    for module in list(graph.module2node):
        root: Axis = (names.get(module, ""), "out")
        if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, DynamicConv)):
            continue
        pruner = graph.get_pruner_of_module(module)
        length = pruner.get_out_channels(module)
        if all((root, position) in covered for position in range(length)):
            continue
        group = graph.get_pruning_group(module, pruner.prune_out_channels, list(range(length)))
        for item in group:
            node, handler = item.dep.target, item.dep.handler
            if node.module not in names or node.type == OPTYPE.ELEMENTWISE:
                continue
            side: Side = "in" if handler.__name__ == "prune_in_channels" else "out"
            axis: Axis = (names[node.module], side)
            lengths[axis] = _length(graph.get_pruner_of_module(node.module), node.module, side)
            pairs = [pair for pair in zip(item.root_idxs, item.idxs, strict=True) if pair[1] < lengths[axis]]
            edges.append((root, [first for first, _ in pairs], axis, [second for _, second in pairs]))
            covered.update((axis, position) for _, position in pairs)
    return lengths, edges


def _length(pruner: Any, module: nn.Module, side: Side) -> int:
    """Return the positions of an axis; torch-pruning takes a convolution of 32 to 16 in 16 groups for depthwise."""
    inputs, outputs = int(pruner.get_in_channels(module)), int(pruner.get_out_channels(module))
    if isinstance(module, nn.Conv2d) and module.groups == outputs > 1:
        return max(inputs, outputs)
    return inputs if side == "in" else outputs


def _united(lengths: Mapping[Axis, int], edges: list[tuple[Axis, list[int], Axis, list[int]]]) -> Channels:
    """Number the connected positions."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts = dict(zip(lengths, np.cumsum([0, *lengths.values()]), strict=False))
    total = sum(lengths.values())
    rows = np.concatenate([starts[axis] + np.asarray(positions) for axis, positions, _, _ in edges])
    columns = np.concatenate([starts[axis] + np.asarray(positions) for _, _, axis, positions in edges])
    number, labels = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(total, total)))
    axes = {axis: labels[starts[axis] : starts[axis] + length].astype(np.int64) for axis, length in lengths.items()}
    return Channels(axes, int(number))
