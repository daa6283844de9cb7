"""What TensorFlow's networks are made of: convolutions with batch norm, blocks with a residual, separable ones.

Paddings are (kernel - 1) / 2 on both sides. TensorFlow's 'SAME' pads unevenly at stride 2, but every size comes out the
same, and runtimes fuse the padding into the convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "hswish": lambda: nn.Hardswish(inplace=True),
    "hsigmoid": nn.Hardsigmoid,
    "sigmoid": nn.Sigmoid,
}


class Conv(nn.Sequential):
    """A convolution, then a batch norm unless ``norm`` is false (it has a bias then), then an activation if named."""

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int = 1,
        stride: int = 1,
        act: str | None = None,
        *,
        groups: int = 1,
        dilation: int = 1,
        norm: bool = True,
    ) -> None:
        padding = dilation * (kernel - 1) // 2
        layers: list[nn.Module] = [
            nn.Conv2d(channels, filters, kernel, stride, padding, dilation, groups, bias=not norm)
        ]
        if norm:
            layers.append(nn.BatchNorm2d(filters))
        if act is not None:
            layers.append(ACTIVATIONS[act]())
        super().__init__(*layers)


def depthwise(channels: int, kernel: int, stride: int = 1, act: str | None = None, *, norm: bool = True) -> nn.Module:
    """A depthwise convolution; without ``norm`` it has no bias either, as within Keras' separable convolutions."""
    if norm:
        return Conv(channels, channels, kernel, stride, act, groups=channels)
    return nn.Conv2d(channels, channels, kernel, stride, (kernel - 1) // 2, groups=channels, bias=False)


def separable(
    channels: int, filters: int, kernel: int = 3, stride: int = 1, act: str | None = None, *, norm: bool = True
) -> nn.Sequential:
    """Keras' SeparableConv2D: nothing between the depthwise and the pointwise convolution."""
    return nn.Sequential(
        depthwise(channels, kernel, stride, norm=False),
        Conv(channels, filters, act=act, norm=norm),
    )


class Block(nn.Module):
    """An expansion, the rest, and the sum with the input if there is a ``residual``."""

    def __init__(self, expand: nn.Module, rest: nn.Module, residual: bool) -> None:
        super().__init__()
        self.expand = expand
        self.rest = rest
        self.residual = residual

    def finish(self, expanded: Tensor, x: Tensor) -> Tensor:
        """Return the output from what ``expand`` gave: detectors also read that."""
        out: Tensor = self.rest(expanded)
        return x + out if self.residual else out

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return self.finish(self.expand(x), x)


class SqueezeExcite(nn.Module):
    """Channels scaled by what two 1x1 convolutions of their means say."""

    def __init__(self, channels: int, hidden: int, act: str, gate: str) -> None:
        super().__init__()
        self.scale = nn.Sequential(
            Conv(channels, hidden, act=act, norm=False), Conv(hidden, channels, act=gate, norm=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of ``x``."""
        scale: Tensor = self.scale(x.mean((2, 3), keepdim=True))
        return x * scale


def inverted_residual(
    channels: int,
    filters: int,
    hidden: int,
    *,
    kernel: int,
    stride: int,
    act: str,
    excite: nn.Module | None = None,
    residual: bool | None = None,
) -> Block:
    """1x1 expansion (none if it would not widen), depthwise, squeeze and excite if given, linear 1x1 projection."""
    fits = stride == 1 and channels == filters
    rest: list[nn.Module] = [depthwise(hidden, kernel, stride, act)]
    if excite is not None:
        rest.append(excite)
    rest.append(Conv(hidden, filters))
    expand = Conv(channels, hidden, act=act) if hidden > channels else nn.Identity()
    return Block(expand, nn.Sequential(*rest), fits if residual is None else residual)


def fused_block(
    channels: int, filters: int, hidden: int, *, kernel: int, stride: int, act: str, residual: bool | None = None
) -> Block:
    """A full convolution that expands, and a linear 1x1 projection; only the projection where nothing expands."""
    fits = stride == 1 and channels == filters
    expand = Conv(channels, hidden, kernel, stride, act) if hidden > channels else nn.Identity()
    return Block(expand, Conv(hidden, filters), fits if residual is None else residual)


class Backbone(nn.Module):
    """Blocks in a row; returns the outputs of those in ``outputs`` and the expansions of those in ``expansions``."""

    def __init__(self, blocks: Sequence[nn.Module], outputs: Sequence[int], expansions: Sequence[int] = ()) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.outputs = frozenset(outputs)
        self.expansions = frozenset(expansions)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features, in the order in which they appear."""
        features = []
        for index, block in enumerate(self.blocks):
            if index in self.expansions and isinstance(block, Block):
                expanded: Tensor = block.expand(x)
                features.append(expanded)
                x = block.finish(expanded, x)
            else:
                x = block(x)
            if index in self.outputs:
                features.append(x)
        return features


def divisible(value: float, divisor: int = 8) -> int:
    """Round a number of channels to a multiple of ``divisor``, down by at most 10 %."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
