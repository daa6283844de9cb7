"""ResNet-50 v1 as the object detection API has it: ReLU6; the first 1x1 strides or, in slim, a pool before it does.

After tensorflow/models, research/object_detection/models/keras_models/resnet_v1.py and, with
``store_non_strided_activations``, research/slim/nets/resnet_utils.py.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from published.networks.tf.layers import Backbone, Conv

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""Width, blocks, first stride."""


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a sum; a strided 1x1 on the other way where the sizes differ."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        filters = 4 * width
        self.shortcut = Conv(channels, filters, 1, stride) if channels != filters else nn.Identity()
        self.body = nn.Sequential(
            Conv(channels, width, 1, stride, "relu6"), Conv(width, width, 3, 1, "relu6"), Conv(width, filters)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return functional.hardtanh_(self.shortcut(x) + self.body(x), 0.0, 6.0)


def resnet50(*, slim: bool = False) -> tuple[Backbone, tuple[int, ...]]:
    """The features of stride 8, 16 and 32, for a pyramid, and their channels."""
    blocks: list[nn.Module] = [nn.Sequential(Conv(3, 64, 7, 2, "relu6"), nn.MaxPool2d(3, 2, 1))]
    channels = 64
    for width, number, first_stride in STAGES:
        for index in range(number):
            stride = first_stride if index == 0 else 1
            if slim and stride > 1:
                blocks.append(nn.Sequential(nn.MaxPool2d(1, stride), Bottleneck(channels, width, 1)))
            else:
                blocks.append(Bottleneck(channels, width, stride))
            channels = 4 * width
    return Backbone(blocks, (7, 13, 16)), (512, 1024, 2048)
