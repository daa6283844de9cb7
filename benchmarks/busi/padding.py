"""TensorFlow's "same" padding in convolutions that halve: what it costs after training is measured, none is shipped."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from ussearch.search_spaces import Network


class SamePadded(nn.Conv2d):
    """A convolution of stride 2 that pads one pixel less above and on the left, for sides that halve without rest."""

    def forward(self, input: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H / 2, W / 2]."""
        missing = self.kernel_size[0] - 2
        small, large = missing // 2, missing - missing // 2
        padded = functional.pad(input, (small, large, small, large))
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def pad_as_published(network: Network) -> None:
    """Let every convolution of stride 2 in ``network`` pad as TensorFlow does, in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.__class__ = SamePadded
