"""What errors of a card mean: too little memory, which may be there later, or a process that can use it no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ussearch.accelerators.computing import empty_cache, synchronize
from ussearch.accelerators.cuda import Device, is_card
from ussearch.errors import UserError

_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "status_not_initialized")
"""What torch says on CPUs and cards in lower case; cuBLAS and cuDNN have words of their own, NOT_INITIALIZED too."""
_STICKY = (
    *("device-side assert", "illegal memory access", "illegal instruction", "misaligned address", "launch failure"),
    *("launch timed out", "hardware stack error", "invalid program counter", "invalid address space"),
    *("uncorrectable ecc", "context is destroyed", "status_execution_failed", "status_mapping_error"),
)
"""Errors of CUDA after which every further call of the process fails, in lower case."""


class SpoiltProcess(UserError):
    """A card reported an error after which this process can use it no more; another process can."""


def lacks_memory(message: str) -> bool:
    """Return whether an error's message says that memory ran out, on a card or on the machine."""
    return any(words in message.lower() for words in _NO_MEMORY)


@contextmanager
def watched(device: Device) -> Iterator[None]:
    """Compute on ``device`` for the block; memory that it no longer needs goes to the card's other users.

    Raises:
        SpoiltProcess: in place of an error of a card after which nothing in this process can use it.
    """
    try:
        yield
    except RuntimeError as error:
        if is_card(device) and _is_sticky(error, device):
            raise SpoiltProcess(
                f"The accelerator {device} reported an error after which this process cannot use it any more "
                f"({' '.join(str(error).split())[:200]}): run the same command again, with --resume where there is one."
            ) from error
        raise
    empty_cache(device)


def _is_sticky(error: RuntimeError, device: Device) -> bool:
    """Return whether a card is lost to this process: by what is said, or because it answers no more."""
    if any(words in str(error).lower() for words in _STICKY):
        return True
    try:
        synchronize(device)
    except RuntimeError:
        return True
    return False
