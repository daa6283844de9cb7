"""Memory of a training: maps stored channels-last, and freed memory that stays with the process."""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from itertools import chain
from typing import TypeVar

import torch
from torch import nn

MMAP_MAX, TRIM_THRESHOLD = -4, -1
"""``M_MMAP_MAX`` and ``M_TRIM_THRESHOLD`` of glibc's ``mallopt``."""
KEPT_BYTES = 2**31 - 1


def keep_freed_memory(device: torch.device | str) -> None:
    """Have blocks of the size of feature maps used again, where ``device`` is a processor and the library glibc's.

    Left to itself glibc gives every block beyond 32 MiB back to the kernel, which clears it page by page at the next
    step: a good part of the time of networks that move more than they compute. The peak stays as it is.
    """
    if torch.device(device).type == "cpu":
        _keep()


@cache
def _keep() -> None:
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_MAX, 0)
        library.mallopt(TRIM_THRESHOLD, KEPT_BYTES)


Module = TypeVar("Module", bound=nn.Module)


def to_channels_last(module: Module, device: torch.device | str | None = None) -> Module:
    """Move ``module`` to ``device``, if given, and store its tensors of four dimensions channels-last, in place.

    NOTE: ``module.to(memory_format=torch.channels_last)`` raises where a tensor has five, such as dynamic kernels.
    """
    if device is not None:
        module.to(device)
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return module
