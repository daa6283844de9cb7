"""Computing on a device: precision, layout, copies, memory, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ussearch.accelerators.cuda import Device, backend, is_card

Module = TypeVar("Module", bound=nn.Module)
FIRST_WITH_BF16 = (8, 0)
"""Compute capability. Older cards emulate bfloat16: their convolutions leave cuDNN and are slower than in float32."""
DATA_SHARE = 0.5
"""Of a card's free memory that training data may take; the rest is for what a step of training needs."""


def autocast(device: Device, *, wanted: bool = True) -> AbstractContextManager[Any]:
    """Return a block that computes in bfloat16 where that is ``wanted`` and ``device`` is a card that has it."""
    if wanted and is_card(device) and backend().capability(device) >= FIRST_WITH_BF16:
        return backend().autocast()
    return nullcontext()


def has_fused_optimisers(device: Device) -> bool:
    """Return whether torch's optimisers have a fused form on a device."""
    return torch.device(device).type in ("cpu", "cuda")


def to_channels_last(module: Module, device: Device | None = None) -> Module:
    """Move ``module`` to ``device``, if given, and store its tensors of four dimensions channels-last, in place.

    NOTE: ``module.to(memory_format=torch.channels_last)`` raises where a tensor has five, such as dynamic kernels.
    """
    if device is not None:
        module.to(device)
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return module


def to_device(tensor: Tensor, device: Device) -> Tensor:
    """Return a tensor on ``device``; one that a card gets from the CPU is not waited for."""
    new = is_card(device) and not is_card(tensor.device)
    return backend().to_device(tensor, device) if new else tensor.to(device)


def to_host(tensor: Tensor) -> Tensor:
    """Return a tensor on the CPU, without its gradients: the only way back from a card, and one that waits for it."""
    return backend().to_host(tensor.detach()) if is_card(tensor.device) else tensor.detach().cpu()


def state_on_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return named tensors on the CPU, each in the order of its axes."""
    return {name: to_host(value).contiguous() for name, value in tensors.items()}


def kept_on(device: Device, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return tensors of the CPU on ``device``, or as they are where a card has no room for them."""
    if is_card(device):
        size = sum(tensor.nbytes for tensor in tensors)
        if size > DATA_SHARE * backend().free_bytes(device):
            return tuple(tensors)
    return tuple(to_device(tensor, device) for tensor in tensors)


def synchronize(device: Device) -> None:
    """Wait until a card has done all that it was given: whoever reads a clock must."""
    if is_card(device):
        backend().synchronize(device)


def empty_cache(device: Device) -> None:
    """Give memory that nothing uses any more to the other users of a card."""
    if is_card(device):
        backend().empty_cache(device)


def random_state(device: Device) -> dict[str, Tensor]:
    """Return the state of a card's random numbers by the name of its kind; nothing for a CPU."""
    return {backend().type: backend().random_state(device)} if is_card(device) else {}


def set_random_state(states: Mapping[str, Tensor], device: Device) -> None:
    """Set the state that ``random_state`` returned, where it is that of such a device."""
    if is_card(device) and backend().type in states:
        backend().set_random_state(states[backend().type], device)
