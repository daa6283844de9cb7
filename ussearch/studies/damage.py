"""Files of a study that a full disk, a copy that stopped or an editor left damaged: one sentence names file and hint.

The program replaces its files in one step, so it leaves none in part; what it finds damaged, something else has done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError

from ussearch.documents import first_wrong
from ussearch.errors import UserError

DAMAGE = (ValueError, KeyError, TypeError, RuntimeError, EOFError, SafetensorError)
"""What reading a file raises that holds something else than was written."""


@contextmanager
def intact(path: Path, hint: str) -> Iterator[None]:
    """Say in one sentence that ``path``, which the block reads, is damaged, and the ``hint``."""
    try:
        yield
    except DAMAGE as error:
        raise UserError(f"{path} is damaged ({_reason(error)}): {hint}.") from error


def _reason(error: Exception) -> str:
    """Return what is wrong, and where, in one line."""
    if isinstance(error, ValidationError):
        return first_wrong(error, "the whole")
    missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return f"the whole: {missing.splitlines()[0] if missing else type(error).__name__}"
