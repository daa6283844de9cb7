"""Which channels of a parameter correspond to which features, found by watching a forward pass on the meta device.

What is handed on must be whole features: where a skip is concatenated, the first channels of a wide network are not
those of a narrow one. Every channel axis of a tensor is an ``Axis``; concatenation makes one of parts, depthwise
convolutions and norms hand theirs on, what is added or multiplied has one in common. No block says so itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ussearch.hardware_profiles.kernels.shapes import quick_result
from ussearch.hardware_profiles.kernels.trace import tensors_in
from ussearch.search_spaces import Architecture, Network, build

Segments = tuple[int, ...]
"""Lengths of the parts of an axis, in order."""


class Axis:
    """Channels that belong together, of features and of the parameters that make or use them."""

    def __init__(self, length: int, parts: Sequence[Axis] = ()) -> None:
        self.length, self.parts = length, tuple(parts)
        self._same: Axis | None = None

    def root(self) -> Axis:
        """Return the axis that stands for all that were found to be the same."""
        axis = self
        while axis._same is not None:
            axis = axis._same
        return axis

    @property
    def segments(self) -> Segments:
        """The lengths of what was concatenated, or the one length."""
        axis = self.root()
        return tuple(chain.from_iterable(part.segments for part in axis.parts)) if axis.parts else (axis.length,)

    @property
    def leaves(self) -> tuple[Axis, ...]:
        """The axes that were concatenated, or itself; equal ones are the same object."""
        axis = self.root()
        return tuple(chain.from_iterable(part.leaves for part in axis.parts)) if axis.parts else (axis,)

    def unite(self, other: Axis) -> None:
        """Note that ``other`` is the same axis; raises ValueError where their parts contradict each other."""
        first, second = self.root(), other.root()
        if first is second:
            return
        if first.parts and second.parts:
            if [part.length for part in first.parts] != [part.length for part in second.parts]:
                raise ValueError(f"features of segments {first.segments} and {second.segments} meet")
            for mine, others in zip(first.parts, second.parts, strict=True):
                mine.unite(others)
        if second.parts and not first.parts:
            first, second = second, first
        second._same = first


@dataclass(frozen=True)
class ParameterLayout:
    """The segments of each channel dimension of a parameter, and the sides of its kernel."""

    segments: tuple[Segments, ...]
    kernel: tuple[int, ...]
    leaves: tuple[tuple[int, ...], ...] = ()
    """Of each segment a number: where two have the same, their channels are the same."""


@lru_cache(maxsize=64)
def parameter_layouts(architecture: Architecture) -> Mapping[str, ParameterLayout]:
    """Return the layout of every parameter of an architecture's network, by name."""
    network = build(architecture, device="meta").eval()
    side = max(8 * architecture.size_divisor, 32)
    axes = _traced(_AllOutputs(network), (1, architecture.image_channels, side, side))
    numbers: dict[int, int] = {}
    layouts = {}
    for name, value in network.named_parameters():
        found = axes[f"network.{name}"]
        layouts[name] = ParameterLayout(
            tuple(axis.segments for axis in found),
            tuple(value.shape[channel_dimensions(value.shape) :]),
            tuple(tuple(numbers.setdefault(id(leaf), len(numbers)) for leaf in axis.leaves) for axis in found),
        )
    return layouts


class _AllOutputs(nn.Module):
    """A network called for all its outputs, those of deep supervision too."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.network.forward_all(images)


def parameter_axes(network: nn.Module, input_shape: Sequence[int]) -> dict[str, tuple[Segments, ...]]:
    """Return the segments of the channel dimensions of each parameter of ``network`` (on the meta device).

    One entry a dimension up to the kernel: the last two dimensions of a parameter with four or more are its kernel.
    ``network`` is called with an image of ``input_shape`` [1, C, H, W], in evaluation mode and without gradients.
    """
    axes = _traced(network, input_shape)
    return {name: tuple(axis.segments for axis in each) for name, each in axes.items()}


def _traced(network: nn.Module, input_shape: Sequence[int]) -> Mapping[str, Sequence[Axis]]:
    tracer = _Tracer(network)
    image = torch.empty(tuple(input_shape), device="meta")
    tracer.features[id(image)] = Axis(int(input_shape[1]))
    with torch.no_grad(), tracer:
        network(image)
    return tracer.axes


def channel_dimensions(shape: Sequence[int]) -> int:
    """Return how many leading dimensions of a parameter are channels (or experts)."""
    return len(shape) - 2 if len(shape) >= 4 else len(shape)


class _Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its base unannotated
    """Follows the channel axis of every tensor that is made from the image."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        parameters = dict(network.named_parameters())
        self.axes = {
            name: [Axis(int(size)) for size in value.shape[: channel_dimensions(value.shape)]]
            for name, value in parameters.items()
        }
        self.features: dict[int, Axis] = {}
        self._made_of = {id(value): name for name, value in parameters.items()}
        self._alive: list[Any] = [parameters]  # NOTE: keeps every tensor alive, so that no id is used twice

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and keeping the compiler out costs a call for every operator

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        result = quick_result(name, args)
        if result is None:
            result = func(*args, **(kwargs or {}))
        outputs, inputs = tensors_in((result,)), tensors_in(args)
        self._alive += outputs
        if any(id(each) in self.features for each in inputs):
            axis = self._axis_after(name, args, inputs, outputs[0])
            if axis is not None:
                self.features[id(outputs[0])] = axis
        self._note_weights(inputs, outputs)
        return result

    def _axis_after(self, name: str, args: Sequence[Any], inputs: list[Tensor], output: Tensor) -> Axis | None:
        """Return the channel axis of ``output``; parameters that took part get theirs."""
        if name == "convolution":
            return self._convolved(args)
        if output.ndim != 4:
            return None
        if name == "cat":
            return Axis(output.shape[1], [self._axis_of(each) for each in inputs])
        channels = int(output.shape[1])
        axis = Axis(channels)
        for each in inputs:
            if id(each) in self.features and each.ndim == 4 and each.shape[1] == channels:
                axis.unite(self._axis_of(each))
            elif id(each) in self._made_of and each.numel() == channels:
                self.axes[self._made_of[id(each)]][0].unite(axis)
        return axis

    def _convolved(self, args: Sequence[Any]) -> Axis:
        """Return the axis of what a convolution makes; grouped ones keep that of their input where it is as long."""
        image, weight, bias, *_, transposed, _, groups = args
        before, made = self._axis_of(image), int(weight.shape[1] * groups if transposed else weight.shape[0])
        if groups == 1:
            after = Axis(made)
        else:  # else each group makes a part of its own
            after = before if made == before.length else Axis(made, [Axis(made // groups) for _ in range(groups)])
        name = self._made_of.get(id(weight))
        if name is not None:
            out, into = self.axes[name][-2:]
            if transposed:
                out, into = into, out
            out.unite(after)
            if groups == 1:
                into.unite(before)
        if bias is not None and id(bias) in self._made_of:
            self.axes[self._made_of[id(bias)]][0].unite(after)
        return after

    def _axis_of(self, tensor: Tensor) -> Axis:
        return self.features.setdefault(id(tensor), Axis(int(tensor.shape[1])))

    def _note_weights(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        """Remember which tensors are views or mixtures of one parameter, such as experts that are mixed."""
        sources = {self._made_of[id(each)] for each in inputs if id(each) in self._made_of}
        if len(sources) == 1:
            (source,) = sources
            for each in outputs:
                if id(each) not in self.features:
                    self._made_of[id(each)] = source
