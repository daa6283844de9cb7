"""How far a training went, as the fidelity of a record: figures of different fidelity are never compared."""

from __future__ import annotations

import re
from collections.abc import Iterable

TRAINED = "trained"
_PART = re.compile(r"trained (\d+) of (\d+) epochs")


def trained_part(epochs: int, of: int) -> str:
    """Return the fidelity of a training that was stopped after ``epochs`` of its full course."""
    return f"{TRAINED} {epochs} of {of} epochs"


def standing(fidelity: str) -> float:
    """Return how much of a training on its own a fidelity stands for: 1 for all of it, 0 where there was none."""
    if fidelity == TRAINED:
        return 1.0
    part = _PART.fullmatch(fidelity)
    return int(part[1]) / int(part[2]) if part else 0.0


def highest(fidelities: Iterable[str]) -> str | None:
    """Return the fidelity that stands for most training; None where there is none."""
    return max(set(fidelities), key=lambda each: (standing(each), each), default=None)
