"""The runner that a bundle carries to the board: one file, copied as it is."""

from __future__ import annotations

from importlib.resources import files


def run_edge_source() -> str:
    """Return the text of ``run_edge.py``."""
    return (files(__name__) / "run_edge.py").read_text(encoding="utf-8")
