"""Steps of the compression chain as they are typed."""

from __future__ import annotations


def steps_from(text: str | None) -> tuple[str, ...] | None:
    """Return the names in ``fuse,prune``; None, all steps, for None. Raises UserError for an unknown one."""
    from ussearch.compress import steps_named

    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    steps_named(names)
    return names
