"""Published encoders computed straight from their files with PyTorch's functions: nothing of ussearch is used here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

State = Mapping[str, Tensor]


def same_padded(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow's "same" padding: what is missing, the smaller half above and on the left."""
    missing = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:]]
    (top, left), (bottom, right) = [each // 2 for each in missing], [each - each // 2 for each in missing]
    return functional.pad(x, (left, right, top, bottom))


def normed(x: Tensor, state: State, name: str, eps: float) -> Tensor:
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return functional.batch_norm(x, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"], eps=eps)


def lite_features(state: State, image: Tensor, strides: list[int]) -> Iterator[Tensor]:
    """Yield the output of the stem and of every block of an EfficientNet-Lite for image [1, 3, H, W], normalised."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        groups = x.shape[1] // weight.shape[1]
        return functional.conv2d(same_padded(x, weight.shape[2], stride), weight, stride=stride, groups=groups)

    x = functional.relu6(normed(conv(image, "_conv_stem", 2), state, "_bn0", 1e-3))
    yield x
    for number, stride in enumerate(strides):
        block, before = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in state:
            x = functional.relu6(normed(conv(x, f"{block}._expand_conv"), state, f"{block}._bn0", 1e-3))
        x = functional.relu6(normed(conv(x, f"{block}._depthwise_conv", stride), state, f"{block}._bn1", 1e-3))
        x = normed(conv(x, f"{block}._project_conv"), state, f"{block}._bn2", 1e-3)
        if stride == 1 and before.shape == x.shape:
            x = x + before
        yield x


def mobilenetv2_features(state: State, image: Tensor, strides: list[int], pad: Tensor) -> Iterator[Tensor]:
    """Yield the same of torchvision's MobileNetV2; the image is padded with the colour ``pad`` [3]."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        groups = x.shape[1] // weight.shape[1]
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2, groups=groups)

    framed = pad.view(1, 3, 1, 1).repeat(1, 1, image.shape[2] + 2, image.shape[3] + 2)
    framed[:, :, 1:-1, 1:-1] = image
    stem = functional.conv2d(framed, state["features.0.0.weight"], stride=2)
    x = functional.relu6(normed(stem, state, "features.0.1", 1e-5))
    yield x
    for number, stride in enumerate(strides, 1):
        path, before = f"features.{number}.conv", x
        names = ["0", "1"] if f"{path}.1.0.weight" in state else ["0"]
        for name in names:
            step = stride if name == names[-1] else 1
            x = functional.relu6(normed(conv(x, f"{path}.{name}.0", step), state, f"{path}.{name}.1", 1e-5))
        last = len(names)
        x = normed(conv(x, f"{path}.{last}"), state, f"{path}.{last + 1}", 1e-5)
        if stride == 1 and before.shape == x.shape:
            x = x + before
        yield x


def recorded(network: Any, image: Tensor, blocks: list[Any], run: Callable[[Tensor], Any]) -> list[Tensor]:
    """Return what each of ``blocks`` gives while ``run`` works on the image."""
    found: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda _module, _inputs, output: found.append(output)) for block in blocks]
    with torch.no_grad():
        run(image)
    for hook in hooks:
        hook.remove()
    return found
