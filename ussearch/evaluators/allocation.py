"""Freed memory stays with the process while it trains on a processor."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

import torch

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
