"""Training with the rounding of INT8 in the forward pass, for networks that post-training quantisation spoils.

Rounding is simulated on the deploy form (Krishnamoorthi 2018, "Quantizing deep convolutional networks for efficient
inference", section 3.2), gradients pass straight through inside the range. Where a tensor is rounded follows the
quantised file: once, where the first quantised operator reads it. The tuned network is exported in float and quantised
like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from ussearch.compress.quantisation.settings import Scheme, Settings
from ussearch.errors import UserError
from ussearch.search_spaces import Network, build
from ussearch.search_spaces.deploy import merge_
from ussearch.search_spaces.layers import in_float32

MOMENTUM = 0.05
"""Of the moving average by which a range shrinks during training; it widens at once, as the file's will.

One that also widens by the average lags behind the weights: what it clips in training, the file does not.
"""
CHANNEL_AXIS: dict[Any, int] = {torch.conv2d: 0, torch.conv_transpose2d: 1, functional.linear: 0}
"""Operators with weights, and the axis of the weight that has a scale for each entry."""
SUMS = frozenset({Tensor.add, torch.add})
READERS: dict[Scheme, frozenset[Any]] = {
    "u8s8": SUMS
    | {Tensor.mul, torch.mul, torch.cat, functional.interpolate, functional.max_pool2d, functional.leaky_relu}
    | {functional.adaptive_avg_pool2d, functional.avg_pool2d, torch.sigmoid, Tensor.sigmoid}
    | {functional.hardswish, functional.silu, functional.gelu, functional.batch_norm},
    "s8s8": SUMS,
}
"""Operators without weights before which the file rounds: their own inputs, or what a convolution has rounded."""
SHARING = frozenset({functional.interpolate, functional.max_pool2d, functional.avg_pool2d})
"""Readers whose output has the range of their input."""
Rounding = Callable[[int, Tensor, bool], Tensor]
"""From the number of a range, a tensor, and whether the range is the tensor's own, to the rounded tensor."""
LayerRounding = Callable[[int, Tensor, Tensor | None, int], tuple[Tensor, Tensor | None]]
"""From the number of the range of a layer's input, weight, bias and the axis of channels to rounded weight and bias."""


class QuantisationAware(Network):
    """The deploy form of a network, trainable, every forward pass of which rounds as the quantised file does."""

    low: Tensor
    high: Tensor

    def __init__(self, network: Network, scheme: Scheme, largest_weight: int, *, image_layers: bool) -> None:
        """``network`` is in either form; it is copied. ``largest_weight`` is that of ``Settings``.

        ``image_layers``: whether layers that read the image are rounded as others are.
        """
        super().__init__(network.architecture)
        _load_merged(self, network)
        self.scheme: Scheme = scheme
        self.largest_weight = largest_weight
        self.image_layers = image_layers
        self._grids: dict[int, tuple[Tensor, Tensor]] = {}
        self.register_buffer("low", torch.zeros(0))
        self.register_buffer("high", torch.zeros(0))

    @torch.no_grad()
    def calibrate_(self, images: Tensor) -> None:
        """Set the range of every activation to its extremes over normalised ``images`` [N, C, H, W]."""
        seen: list[list[Tensor]] = []

        def observe(site: int, x: Tensor, own: bool) -> Tensor:
            if site == len(seen):
                seen.append([])
            if own:
                seen[site].append(torch.stack(torch.aminmax(x)))
            return x

        training = self.training
        self.eval()
        for image in torch.split(images, 1):
            with self._reading(image, observe, lambda _site, weight, bias, _axis: (weight, bias)):
                super().forward(image)
        self.train(training)
        extremes = torch.stack([torch.stack(site) for site in seen])  # [sites, images, 2]
        self.low, self.high = extremes[..., 0].amin(1), extremes[..., 1].amax(1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, image_channels, H, W] -> logits [B, classes, H, W]."""
        x = x.float()
        with self._rounding(x):
            return super().forward(x)

    def forward_all(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits alone: the deploy form has no deep supervision."""
        x = x.float()
        with self._rounding(x):
            return super().forward_all(x)

    @contextmanager
    def _rounding(self, image: Tensor) -> Iterator[None]:
        self._grids.clear()
        # bfloat16 has fewer digits than the grids
        with (
            in_float32(image),
            self._reading(image, self._rounded, self._rounded_layer),
        ):
            yield

    def _reading(self, image: Tensor, activation: Rounding, layer: LayerRounding) -> _Reading:
        return _Reading(self.scheme, activation, layer, in_float=None if self.image_layers else image)

    def _grid(self, site: int) -> tuple[Tensor, Tensor]:
        """Return scale and zero point of a range, computed once a pass: after its own tensor it moves no more."""
        if site not in self._grids:
            self._grids[site] = self._computed_grid(site)
        return self._grids[site]

    def _computed_grid(self, site: int) -> tuple[Tensor, Tensor]:
        low, high = self.low[site].clamp(max=0.0), self.high[site].clamp(min=0.0)
        if self.scheme == "s8s8":
            scale = _usable(torch.maximum(-low, high) / 127)
            return scale, torch.zeros_like(scale, dtype=torch.int32)
        scale = _usable((high - low) / 255)
        return scale, torch.round(-low / scale).int()

    def _rounded(self, site: int, x: Tensor, own: bool) -> Tensor:
        """Return activations on the grid of a range, which their own moves a little during training."""
        if self.training and own:
            with torch.no_grad():
                low, high = torch.aminmax(x)
                self.low[site] = torch.minimum(low, self.low[site].lerp(low, MOMENTUM))
                self.high[site] = torch.maximum(high, self.high[site].lerp(high, MOMENTUM))
        scale, zero = self._grid(site)
        smallest, largest = (-127, 127) if self.scheme == "s8s8" else (0, 255)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, smallest, largest)

    def _rounded_layer(self, site: int, weight: Tensor, bias: Tensor | None, axis: int) -> tuple[Tensor, Tensor | None]:
        """Return a weight on the grid of each channel, whose largest magnitude becomes ``largest_weight``, and the bias
        on that of the products.
        """
        others = [dimension for dimension in range(weight.dim()) if dimension != axis]
        limit = self.largest_weight
        scale = _usable(weight.detach().abs().amax(others) / limit)
        zero = torch.zeros_like(scale)  # of an integer torch would have the card tell whether it is within the grid
        weight = torch.fake_quantize_per_channel_affine(weight, scale, zero, axis, -limit, limit)
        if bias is not None and self.scheme == "u8s8":
            step = scale * self._grid(site)[0]
            bias = bias + (torch.round(bias / step) * step - bias).detach()
        return weight, bias


def _usable(scale: Tensor) -> Tensor:
    """Return scales without zeros, which stand for tensors that are zero throughout."""
    return torch.where(scale > 0, scale, 1.0)


class _Reading(TorchFunctionMode):
    """Passes every tensor through ``activation`` where a quantised operator first reads it, and every weight with its
    bias through ``layer``, but for layers that read the tensor ``in_float``.

    The sites are numbered in order of execution, which is the same in every pass of a network.
    """

    def __init__(
        self,
        scheme: Scheme,
        activation: Rounding,
        layer: LayerRounding,
        in_float: Tensor | None,
    ) -> None:
        super().__init__()
        self._in_float = [] if in_float is None else [in_float]
        self._readers = READERS[scheme]
        self._activation, self._layer = activation, layer
        self._known: dict[int, tuple[Tensor, Tensor, int]] = {}
        self._sites = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.cat and all(self._stays(part) for part in args[0]):
            self._in_float.append(func(*args, **(kwargs or {})))  # a grey image, repeated for layers that want colours
            return self._in_float[-1]
        if func in CHANNEL_AXIS and isinstance(args[1], nn.Parameter) and not self._stays(args[0]):
            x, weight, bias, *rest = args
            site = self._site(x)
            args = (self._read(x), *self._layer(site, weight, bias, CHANNEL_AXIS[func]), *rest)
        elif func in self._readers:
            shared = self._site(args[0]) if func in SHARING else None
            result = func(*tree_map(self._read, args), **(kwargs or {}))
            if shared is not None:
                self._round(result, shared, own=False)
            return result
        return func(*args, **(kwargs or {}))

    def _stays(self, value: Tensor) -> bool:
        """Return whether a tensor is what layers read in float."""
        return any(value is each for each in self._in_float)

    def _site(self, value: Tensor) -> int:
        """Return the number of the range of a tensor, which is read now if it was not before."""
        self._read(value)
        return self._known[id(value)][2]

    def _read(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or isinstance(value, nn.Parameter) or not value.is_floating_point():
            return value
        if id(value) not in self._known:
            self._round(value, self._sites, own=True)
            self._sites += 1
        return self._known[id(value)][1]

    def _round(self, value: Tensor, site: int, own: bool) -> None:
        # the tensor is kept, so that no other gets its id
        self._known[id(value)] = (value, self._activation(site, value, own), site)


def prepare(
    network: Network,
    scheme: Scheme,
    images: Tensor,
    *,
    largest_weight: int | None = None,
    image_layers: bool | None = None,
) -> QuantisationAware:
    """Return a trainable copy of ``network`` in its deploy form that computes as its quantised file will.

    Ranges start at the extremes over ``images`` (float32 [N, C, H, W], normalised as in training); in training mode
    they widen at once and shrink by a moving average. An ordinary training loop takes it, ``forward_all`` included.
    ``image_layers``: whether layers that read the image are rounded; None: as ``quantise`` does.
    Raises UserError without images, ValueError while deep training has not ended.
    """
    if images.ndim != 4 or len(images) == 0:
        raise UserError(f"Calibration images have the shape {tuple(images.shape)}, expected [N, C, H, W] with N >= 1.")
    limit = Settings(scheme, "minmax").largest_weight if largest_weight is None else largest_weight
    rounded = scheme != "u8s8" if image_layers is None else image_layers
    prepared = QuantisationAware(network, scheme, limit, image_layers=rounded).to(images.device)
    prepared.calibrate_(images)
    return prepared


def converted(prepared: QuantisationAware) -> Network:
    """Return the deploy-form network with the tuned float weights, to be exported and quantised."""
    return _load_merged(build(prepared.architecture), prepared).eval().requires_grad_(False)


def _load_merged(target: Network, source: Network) -> Network:
    """Give ``target`` the merged form of ``source`` and its weights, in place."""
    target.set_schedule(1.0)  # merging asks for the end of deep training; the source must have reached it
    merge_(target)
    weights = merge_(copy.deepcopy(source)).state_dict()
    target.load_state_dict({name: value for name, value in weights.items() if name not in ("low", "high")})
    return target
