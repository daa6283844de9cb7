"""Cards for machines without one: torch's meta device, which computes shapes and refuses to hand out numbers.

What a training brings back to the CPU other than by ``accelerators.to_host`` raises, as do tensors of two devices that
meet. What CUDA alone decides (numbers, memory, streams, several processes) is not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from ussearch.accelerators import Cuda, Device

META = torch.device("meta")
_KERNELS = torch.library.Library("aten", "IMPL", "Meta")
"""What torch has no kernel for on the meta device."""


def _rounded(values: Tensor, scale: Tensor, zero: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    """Return shapes alone; zero points of channels are looked at on the CPU where they are integers, as torch does."""
    if zero.dim() and not zero.is_floating_point():
        zero.min().item()
    return torch.empty_like(values), torch.empty_like(values, dtype=torch.bool)


_KERNELS.impl("_fake_quantize_per_tensor_affine_cachemask_tensor_qparams", _rounded)
_KERNELS.impl("fake_quantize_per_channel_affine_cachemask", _rounded)


class MetaCards(Cuda):
    """``count`` cards of a capability; counts what is asked of them. A broken one answers no more."""

    type = "meta"

    def __init__(self, count: int = 1, capability: tuple[int, int] = (8, 0), free_bytes: int = 1 << 40) -> None:
        self.cards, self.sm, self.free, self.asked = count, capability, free_bytes, Counter[str]()
        self.broken = False

    def count(self) -> int:
        return self.cards

    def name(self, device: Device) -> str:
        return "a card of tensors without numbers"

    def capability(self, device: Device) -> tuple[int, int]:
        return self.sm

    def synchronize(self, device: Device) -> None:
        self.asked["synchronize"] += 1
        if self.broken:
            raise RuntimeError("CUDA error: unknown error")

    def free_bytes(self, device: Device) -> int:
        return self.free

    def empty_cache(self, device: Device) -> None:
        self.asked["empty_cache"] += 1

    def random_state(self, device: Device) -> Tensor:
        return torch.zeros(16, dtype=torch.uint8)

    def set_random_state(self, state: Tensor, device: Device) -> None:
        self.asked["set_random_state"] += 1

    @contextmanager
    def _bfloat16(self) -> Iterator[None]:
        self.asked["autocast"] += 1
        yield

    def autocast(self) -> AbstractContextManager[Any]:
        return self._bfloat16()

    def to_device(self, tensor: Tensor, device: Device) -> Tensor:
        self.asked["to_device"] += 1
        return tensor.to(device)

    def to_host(self, tensor: Tensor) -> Tensor:
        self.asked["to_host"] += 1
        return torch.zeros_like(tensor, device="cpu")
