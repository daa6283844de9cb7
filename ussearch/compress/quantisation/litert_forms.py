"""Networks in operations that LiteRT's converter knows: what it refuses is written otherwise and computes the same."""

from __future__ import annotations

import copy

from torch import Tensor, nn


class Cropped(nn.Module):
    """A square transposed convolution with output padding as one without any padding, cut to size."""

    def __init__(self, conv: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.start = int(conv.padding[0])
        self.lost = 2 * self.start - conv.output_padding[0]
        self.conv = copy.deepcopy(conv)
        self.conv.padding, self.conv.output_padding = (0, 0), (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, stride H, stride W]."""
        whole: Tensor = self.conv(x)
        height, width = (side - self.lost for side in whole.shape[2:])
        return whole[:, :, self.start : self.start + height, self.start : self.start + width]


def expressible(network: nn.Module) -> nn.Module:
    """Return a copy of ``network`` that computes the same in what LiteRT can express; what else it lacks stays."""
    network = copy.deepcopy(network)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.ConvTranspose2d) and any(module.output_padding):
            network.set_submodule(name, Cropped(module))
    return network
