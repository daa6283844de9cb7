"""The convolution with its norm and activation, from which all blocks are made, and what folds it.

A module that can be simplified exactly for inference has a method ``fold_()``; ``deploy`` calls it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ussearch.search_spaces.architecture import Activation, Norm, Resample

KernelSize = int | tuple[int, int]


@runtime_checkable
class Foldable(Protocol):
    """A module with a smaller form that gives the same output in evaluation mode."""

    def fold_(self) -> None:
        """Replace own parts by their merged form, in place."""


_BUILDS_FOLDED: ContextVar[bool] = ContextVar("builds_folded", default=False)


@contextmanager
def building_folded() -> Iterator[None]:
    """Within the block, layers are built as if their norms had been merged already.

    For networks without values, of which only the shapes matter: there is nothing to merge.
    """
    token = _BUILDS_FOLDED.set(True)
    try:
        yield
    finally:
        _BUILDS_FOLDED.reset(token)


def builds_folded() -> bool:
    """Return whether layers are built in their merged form (see ``building_folded``)."""
    return _BUILDS_FOLDED.get()


def activation_layer(name: Activation) -> nn.Module:
    """Return the activation; never in place, so that pruning and feature hooks see every tensor."""
    layers: dict[str, Callable[[], nn.Module]] = {
        "none": nn.Identity,
        "relu": nn.ReLU,
        "relu6": nn.ReLU6,
        "leaky": lambda: nn.LeakyReLU(0.01),
        "swish": nn.SiLU,
        "hswish": nn.Hardswish,
        "gelu": nn.GELU,
    }
    return layers[name]()


class Bilinear(nn.Module):
    """Enlarge by an integer factor, half-pixel centres (``align_corners=False``)."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H·factor, W·factor]."""
        return functional.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)


@contextmanager
def in_float32(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the tensors in float32 for a block without autocast; as they are where there is no autocast anyway."""
    kind = tensors[0].device.type
    if kind not in ("cpu", "cuda") or not torch.is_autocast_enabled(kind):
        yield tensors
        return
    with torch.autocast(kind, enabled=False):
        yield tuple(tensor.float() for tensor in tensors)


def resample_layer(name: Resample) -> nn.Module:
    """Return the layer that halves or doubles the resolution."""
    layers: dict[str, Callable[[], nn.Module]] = {
        "none": nn.Identity,
        "maxpool": lambda: nn.MaxPool2d(2),
        "bilinear": lambda: Bilinear(2),
        "nearest": lambda: nn.Upsample(scale_factor=2, mode="nearest"),
    }
    return layers[name]()


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each position of [B, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise channels last, then restore the layout."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def norm_layer(name: Norm, channels: int, eps: float) -> nn.Module:
    """Return the normalisation over ``channels``."""
    if name == "batch":
        return nn.BatchNorm2d(channels, eps=eps)
    return LayerNorm2d(channels, eps=eps) if name == "layer" else nn.Identity()


def batch_norm_affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return (scale, shift) in float64 with which the norm acts on each channel in evaluation mode."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    scale = norm.weight.double() / torch.sqrt(variance.double() + norm.eps)
    return scale, norm.bias.double() - mean.double() * scale


@torch.no_grad()
def folded_conv(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return one convolution (with bias) that equals ``norm(conv(x))`` in evaluation mode."""
    if conv.weight.is_meta:
        return _with_bias(conv)
    scale, shift = batch_norm_affine(norm)
    merged = copy.deepcopy(conv)
    bias = torch.zeros_like(shift) if conv.bias is None else conv.bias.double()
    merged.weight = nn.Parameter((conv.weight.double() * scale.reshape(-1, 1, 1, 1)).to(conv.weight))
    merged.bias = nn.Parameter((bias * scale + shift).to(conv.weight))
    return merged


def _with_bias(conv: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution on the meta device with a bias: without values, all that folding changes."""
    result = copy.copy(conv)
    result._parameters = dict(conv._parameters)  # a shallow copy shares them with the original
    result.bias = nn.Parameter(conv.weight.new_empty(conv.out_channels))
    return result


class _MadeOnce(type):
    """Makes each network part without values once, and copies of it for every further call with the same arguments.

    Architectures of a space share nearly all of their layers, and a copy takes a tenth of the time.
    """

    _blanks: ClassVar[dict[tuple[Any, ...], nn.Module]] = {}

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if not builds_folded():
            return super().__call__(*args, **kwargs)
        key = (cls, args, tuple(sorted(kwargs.items())))
        blank = cls._blanks.get(key)
        if blank is None:
            blank = cls._blanks[key] = super().__call__(*args, **kwargs)
        return _copied(blank)


def _copied(module: nn.Module) -> nn.Module:
    """Return a module with the same tensors and copies of the modules inside."""
    copied = object.__new__(type(module))
    copied.__dict__.update(module.__dict__)
    copied.__dict__["_modules"] = {name: child and _copied(child) for name, child in module._modules.items()}
    copied.__dict__["_parameters"] = dict(module._parameters)
    return copied


class Conv2d(nn.Conv2d, metaclass=_MadeOnce):
    """PyTorch's convolution, which finds no random start where there are no values: half of the time of building."""

    def reset_parameters(self) -> None:
        """Draw PyTorch's own random start, except on the meta device."""
        if not self.weight.is_meta:
            super().reset_parameters()


class ConvNorm(nn.Module, metaclass=_MadeOnce):
    """Convolution, norm, resampling, activation; or, with ``norm_last``, the norm after the activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: KernelSize = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        norm: Norm = "batch",
        eps: float = 1e-5,
        activation: Activation = "none",
        resample: Resample = "none",
        norm_last: bool = False,
    ) -> None:
        super().__init__()
        if norm == "batch" and not norm_last and builds_folded():
            norm, bias = "none", True
        size = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (dilation * (size[0] - 1) // 2, dilation * (size[1] - 1) // 2)
        self.conv: nn.Conv2d = Conv2d(in_channels, out_channels, size, stride, padding, dilation, groups, bias)
        self.norm = norm_layer(norm, out_channels, eps)
        self.resample = resample_layer(resample)
        self.activation = activation_layer(activation)
        self.norm_last = norm_last
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H', W']."""
        x = self.conv(x)
        if self.norm_last:
            out: Tensor = self.norm(self.activation(self.resample(x)))
        else:
            out = self.activation(self.resample(self.norm(x)))
        return out

    def fold_(self) -> None:
        """Merge the batch norm into the convolution; one that follows the activation has to stay."""
        if isinstance(self.norm, nn.BatchNorm2d) and not self.norm_last:
            self.conv = folded_conv(self.conv, self.norm)
            self.norm = nn.Identity()
