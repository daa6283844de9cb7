"""Settings of a whole process: threads, the C library's memory, the garbage collector.

They belong to whoever owns the process. Programs of this package call ``settle`` once they have their imports; library
functions change nothing but the number of threads around their own work (``intra_op_threads``), and give it back.
"""

from __future__ import annotations

import ctypes
import gc
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

MMAP_MAX, TRIM_THRESHOLD = -4, -1
"""``M_MMAP_MAX`` and ``M_TRIM_THRESHOLD`` of glibc's ``mallopt``."""
KEPT_BYTES = 2**31 - 1


@cache
def settle() -> None:
    """Set up the process for searching and training; results do not depend on it, their time does."""
    keep_freed_memory()
    freeze_imports()


def keep_freed_memory() -> None:
    """Have blocks of the size of feature maps used again, where the C library is glibc.

    Left to itself glibc gives every block beyond 32 MiB back to the kernel, which clears it page by page at the next
    step: a good part of the time of networks that move more than they compute. The peak stays as it is.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_MAX, 0)
        library.mallopt(TRIM_THRESHOLD, KEPT_BYTES)


def freeze_imports() -> None:
    """Take what is alive, mostly imported modules, out of the garbage collector's sight for good.

    A walk through all of torch takes longer than tracing a network.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def intra_op_threads(number: int) -> Iterator[None]:
    """Have torch compute with this number of threads for the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
