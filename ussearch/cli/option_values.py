"""Values as people type them: times such as 90s, 30m, 2h, and steps of the compression chain."""

from __future__ import annotations


def spoken(seconds: float) -> str:
    """Return a time to read: ``48 s``, ``6.2 min``, ``3.1 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def steps_from(text: str | None) -> tuple[str, ...] | None:
    """Return the names in ``fuse,prune``; None, all steps, for None. Raises UserError for an unknown one."""
    from ussearch.compress import steps_named

    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    steps_named(names)
    return names
