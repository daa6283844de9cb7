"""Where ``events`` was before 0.2.0; the old place works until the version that ``deprecations.py`` names."""

from __future__ import annotations

from typing import Any

from ussearch.deprecations import renamed, tell


def __getattr__(name: str) -> Any:
    """Return what ``events`` has under this name."""
    import ussearch.events

    if name.startswith("__"):
        raise AttributeError(name)
    tell(renamed("python", "ussearch.studies")["events"])
    return getattr(ussearch.events, name)
