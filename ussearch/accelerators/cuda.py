"""What only torch's CUDA and its driver can answer, as one object that tests supply."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

Device = torch.device | str


class Cuda:
    """What only torch's CUDA and its driver can answer; a ``device`` is one of their cards, with or without a number.

    What torch would do on the current card is told which one is meant: no context opens on card 0 by itself.
    """

    type = "cuda"

    def count(self) -> int:
        """Return how many cards this process sees."""
        return torch.cuda.device_count() if torch.cuda.is_available() else 0

    def name(self, device: Device) -> str:
        """Return the name of a card."""
        return torch.cuda.get_device_name(device)

    def capability(self, device: Device) -> tuple[int, int]:
        """Return the compute capability of a card."""
        return torch.cuda.get_device_capability(device)

    def synchronize(self, device: Device) -> None:
        """Wait until a card has done all that it was given."""
        torch.cuda.synchronize(device)

    def free_bytes(self, device: Device) -> int:
        """Return the memory of a card that nobody uses."""
        return int(torch.cuda.mem_get_info(device)[0])

    def empty_cache(self, device: Device) -> None:
        """Give memory that torch keeps for later to the card's other users."""
        with torch.cuda.device(device):
            torch.cuda.empty_cache()

    def random_state(self, device: Device) -> Tensor:
        """Return the state of a card's random numbers, on the CPU."""
        return torch.cuda.get_rng_state(device)

    def set_random_state(self, state: Tensor, device: Device) -> None:
        """Set the state of a card's random numbers."""
        torch.cuda.set_rng_state(state, device)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return a block in which what can be computed in bfloat16 is."""
        return torch.autocast(self.type, torch.bfloat16)

    def to_device(self, tensor: Tensor, device: Device) -> Tensor:
        """Return a tensor of the CPU on a card, without waiting for the copy."""
        with torch.cuda.device(device):
            return tensor.pin_memory().to(device, non_blocking=True)

    def to_host(self, tensor: Tensor) -> Tensor:
        """Return a tensor of a card on the CPU."""
        return tensor.cpu()


_backends = [Cuda()]


@contextmanager
def supplied(backend: Cuda) -> Iterator[None]:
    """Have another backend answer for the block."""
    _backends.append(backend)
    try:
        yield
    finally:
        _backends.remove(backend)


def backend() -> Cuda:
    """Return what answers now."""
    return _backends[-1]


def is_card(device: Device) -> bool:
    """Return whether a device is a card."""
    return torch.device(device).type == backend().type
