"""SpaghettiNet-EdgeTPU: a searched graph of nodes that resample one another's outputs.

After tensorflow/models, research/object_detection/models/ssd_spaghettinet_feature_extractor.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from published.networks.tf.edgetpu_v2 import GroupConv
from published.networks.tf.layers import Block, Conv, inverted_residual

STEM_FILTERS = 24
OUTPUTS = ("c0n1", "c0n2", "c0n3", "c0n4", "c0n5")


@dataclass(frozen=True)
class Node:
    """A node: filters, level, layers, inputs; ``i`` kernel expansion, ``g`` the same and groups, ``s`` kernel.

    A layer's trailing stride is 2 for the first layer of what halves the size. First layers have no sum.
    """

    filters: int
    level: int
    layers: str
    inputs: tuple[str, ...]


def _nodes(rows: str) -> dict[str, Node]:
    nodes = {}
    for row in rows.strip().splitlines():
        name, filters, level, layers, inputs = row.split()
        nodes[name] = Node(int(filters), int(level), layers, tuple(inputs.split("+")))
    return nodes


NODES = {
    "s": _nodes(
        """
        n0 48 2 g38.3/2 s0
        n1 64 3 g34.4/2,g34.4,g34.4 n0
        n2 72 4 i38/2,g38.4,i38,i34 n1
        n3 88 5 i38/2,i38,i34,i34 n2
        n4 88 6 i38/2,s5,s5,s5 n3
        n5 88 7 s5/2,s3 n4
        c0n0 144 5 i34,i34,i34,i34 n3+n4
        c0n1 120 4 i38,i34,i34,i34 n2+c0n0
        c0n2 168 5 i34 c0n1+c0n0
        c0n3 136 6 i34,s3 n5+c0n0
        c0n4 136 7 i34 n5+c0n0
        c0n5 64 8 s3,s3 c0n4
        """
    ),
    "m": _nodes(
        """
        n0 48 2 g38.3/2 s0
        n1 64 3 g38.4/2,g34.4,g34.4,g34.4 n0
        n2 72 4 i38/2,g38.4,i38,i38 n1
        n3 96 5 i38/2,i38,i38,i34 n2
        n4 104 6 i38/2,i34,s5,i34 n3
        n5 56 7 s5/2,s3 n4
        c0n0 152 5 i38,i34,i34,i34 n3+n4
        c0n1 120 4 i38,i34,i34,i34 n2+c0n0
        c0n2 168 5 i34,s3 c0n1+c0n0
        c0n3 136 6 s3,s3,s3 n5+c0n0
        c0n4 136 7 i34,s5 n5+c0n0
        c0n5 64 8 s3,s3 c0n4
        """
    ),
    "l": _nodes(
        """
        n0 48 2 g38.3/2 s0
        n1 64 3 g38.4/2,g38.4,g38.4,g34.4 n0
        n2 80 4 i38/2,i38,i38,i34 n1
        n3 104 5 i38/2,i38,i38,i38 n2
        n4 88 6 i38/2,i54,i34,i38 n3
        n5 56 7 i54/2,s5 n4
        c0n0 160 5 i38,i34,i34,i34 n3+n4
        c0n1 120 4 i38,i34,i34,i38 n2+c0n0
        c0n2 168 5 i34,i34,i34,i34 c0n1+c0n0
        c0n3 112 6 i38,i34,s3 n5+c0n0
        c0n4 128 7 i34,i34 n5+c0n0
        c0n5 64 8 s5,s5 c0n4
        """
    ),
}


class SpaghettiNet(nn.Module):
    """The graph, from the image to five levels."""

    def __init__(self, size: str) -> None:
        super().__init__()
        self.spec = NODES[size]
        self.stem = Conv(3, STEM_FILTERS, 5, 2, "relu6")
        self.edges = nn.ModuleDict()
        self.nodes = nn.ModuleDict()
        widths = {"s0": STEM_FILTERS} | {name: node.filters for name, node in self.spec.items()}
        for name, node in self.spec.items():
            channels = widths[node.inputs[0]]
            if len(node.inputs) > 1:
                self.edges[name] = nn.ModuleList(Conv(widths[other], node.filters) for other in node.inputs)
                channels = node.filters
            layers = []
            for index, layer in enumerate(node.layers.split(",")):
                layers.append(_layer(layer, channels, node.filters, residual=index > 0))
                channels = node.filters
            self.nodes[name] = nn.Sequential(*layers)
        self.channels = tuple(self.spec[name].filters for name in OUTPUTS)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the levels."""
        outputs: dict[str, Tensor] = {"s0": self.stem(image)}
        for name, node in self.spec.items():
            if len(node.inputs) == 1:
                x = outputs[node.inputs[0]]
            else:
                edges = self.edges[name]
                assert isinstance(edges, nn.ModuleList)
                x = self._joined(node, edges, outputs)
            outputs[name] = self.nodes[name](x)
        return [outputs[name] for name in OUTPUTS]

    def _joined(self, node: Node, edges: nn.ModuleList, outputs: dict[str, Tensor]) -> Tensor:
        parts = [
            _resample(outputs[name], self.spec[name].level, node.level, edge)
            for name, edge in zip(node.inputs, edges, strict=True)
        ]
        # Odd sizes double to more than the finer input has: the source crops to that one.
        finest = min(range(len(parts)), key=lambda index: self.spec[node.inputs[index]].level)
        height, width = parts[finest].shape[2:]
        first, second = (part[:, :, :height, :width] for part in parts)
        return functional.relu6(first + second)


def _layer(layer: str, channels: int, filters: int, *, residual: bool) -> Block:
    body, _, stride = layer.partition("/")
    kind, kernel, step = body[0], int(body[1]), int(stride or 1)
    if kind == "s":
        first = nn.Conv2d(channels, channels, kernel, step, (kernel - 1) // 2, groups=channels)
        rest = nn.Sequential(first, Conv(channels, filters, act="relu6"))
        return Block(nn.Identity(), rest, residual)
    expansion = int(body[2])
    if kind == "i":
        hidden = filters * expansion
        return inverted_residual(channels, filters, hidden, kernel=kernel, stride=step, act="relu6", residual=residual)
    groups = int(body.partition(".")[2])
    expand = GroupConv(channels, channels * expansion, kernel, groups, stride=step, act="relu6")
    return Block(expand, Conv(channels * expansion, filters), residual)


def _resample(x: Tensor, old: int, new: int, conv: nn.Module) -> Tensor:
    if old < new:
        ratio = 2 ** (new - old)
        shrunk: Tensor = conv(functional.max_pool2d(x, ratio + 1, ratio, ratio // 2))
        return shrunk
    out: Tensor = conv(x)
    return functional.interpolate(out, scale_factor=2.0 ** (old - new)) if old > new else out
