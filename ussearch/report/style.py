"""How all figures look: colours, letters, axes."""

from __future__ import annotations

from typing import Any

from ussearch.studies.front_picture import Fit

INK, MUTED, LINE = "#1f2933", "#616e7c", "#0b7285"
STYLES: dict[Fit, tuple[str, str, str]] = {
    "edge": ("#0b7285", "circle", "fits the device"),
    "cloud": ("#d9480f", "square", "fits the cloud only"),
    "neither": ("#868e96", "x", "fits neither"),
}
"""Colour, marker, meaning: shape and colour both tell."""
FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif", "size": 13, "color": INK}
CLEAR = "rgba(0,0,0,0)"


def base_layout() -> dict[str, Any]:
    """Return what all figures share."""
    return {
        "font": FONT,
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "hoverlabel": {"bgcolor": "white", "font": {"size": 12, "color": INK}},
        "dragmode": False,
    }


def axis(title: str) -> dict[str, Any]:
    """Return an axis with a title and a light grid."""
    return {
        "title": {"text": title, "font": {"size": 12, "color": MUTED}},
        "gridcolor": "#e4e7eb",
        "linecolor": "#cbd2d9",
        "zeroline": False,
        "tickfont": {"size": 12, "color": MUTED},
    }
