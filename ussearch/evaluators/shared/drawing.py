"""What an architecture draws from shared weights: for each of its parameters a role and the size of a slice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from ussearch.evaluators.shared.axes import Segments, channel_dimensions, parameter_axes
from ussearch.evaluators.shared.roles import role_of, role_prefixes
from ussearch.search_spaces import Architecture, Network, build


@dataclass(frozen=True)
class Share:
    """One parameter of a network: its role, the segments of each channel dimension, its kernel and its start.

    ``fill`` is the value of a fresh norm or bias; None for weights that start at random.
    """

    role: str
    segments: tuple[Segments, ...]
    kernel: tuple[int, ...]
    fill: float | None


@dataclass(frozen=True)
class Drawing:
    """Every parameter of one architecture's network, by name, and how its other tensors start."""

    architecture: Architecture
    network: Network
    """On the meta device: what is called with drawn weights."""
    shares: dict[str, Share]
    buffers: dict[str, tuple[tuple[int, ...], torch.dtype, float]]
    """(shape, type, value) of running statistics and of λ of deep training."""

    def fresh_buffers(self, device: torch.device, slope: float = 1.0) -> dict[str, Tensor]:
        """Return running statistics as if nothing had been seen yet; λ of deep training is ``slope``."""
        return {
            name: torch.full(shape, slope if name.endswith("slope") else value, dtype=kind, device=device)
            for name, (shape, kind, value) in self.buffers.items()
        }


@lru_cache(maxsize=64)
def drawing_of(architecture: Architecture) -> Drawing:
    """Return what ``architecture`` draws; raises ValueError where its parameters have no role to share."""
    network = build(architecture, device="meta").eval()
    side = max(8 * architecture.size_divisor, 32)
    axes = parameter_axes(AllOutputs(network), (1, architecture.image_channels, side, side))
    prefixes = role_prefixes(architecture)
    shares = {
        name: _share(name, value, axes[f"network.{name}"], prefixes) for name, value in network.named_parameters()
    }
    if len({share.role for share in shares.values()}) != len(shares):
        raise ValueError(f"two parameters of {architecture.id} have one role: its weights cannot be shared")
    buffers = {
        name: (tuple(value.shape), value.dtype, float(name.endswith("running_var")))
        for name, value in network.named_buffers()
    }
    return Drawing(architecture, network, shares, buffers)


class AllOutputs(nn.Module):
    """A network called for all its outputs, those of deep supervision too."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return every output."""
        return self.network.forward_all(images)


def _share(name: str, value: Tensor, segments: tuple[Segments, ...], prefixes: dict[str, str]) -> Share:
    kernel = tuple(value.shape[channel_dimensions(value.shape) :])
    is_norm = name.endswith("norm.weight")
    fill = None if value.ndim > 1 else 1.0 if is_norm else 0.0
    return Share(role_of(name, prefixes), segments, kernel, fill)
