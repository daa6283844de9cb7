"""How all figures look: colours, letters, axes, and names where they cover no point."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import Any

from ussearch.studies.front_picture import Fit, FrontPicture, Point

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


LETTER = 6.2
"""Width of a letter of a name, in pixels."""
PLACES = ((1, 0), (-1, 0), (0, 14), (0, -14), (1, 14), (-1, 14), (1, -14), (-1, -14), (1, 26), (1, -26))
"""Where a name may stand beside its point: to its left or right, and pixels above."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    right: float
    low: float
    high: float

    def overlaps(self, other: Box) -> bool:
        """Return whether two rectangles share anything."""
        apart = self.right < other.left or other.right < self.left or self.high < other.low or other.high < self.low
        return not apart


@dataclass(frozen=True)
class PlotFrame:
    """The part of the plane that is drawn, and its size on a rather narrow page, where names are most in each other's
    way."""

    left: float
    right: float
    low: float
    high: float
    width: float = 460.0
    height: float = 330.0

    def around(self, point: Point, right: float, up: float, width: float, height: float) -> Box:
        """Return the box of that size in pixels whose middle lies so far from a point."""
        x = (log10(point.latency_ms) - self.left) / (self.right - self.left) * self.width + right
        y = (point.dice - self.low) / (self.high - self.low) * self.height + up
        return Box(x - width / 2, x + width / 2, y - height / 2, y + height / 2)


def names(picture: FrontPicture, frame: PlotFrame) -> list[dict[str, Any]]:
    """Name presets, and trials of the front, each where it covers no other name and no point."""
    taken = [frame.around(point, 0, 0, 8, 8) for point in picture.points]
    notes = []
    for point in sorted((point for point in picture.points if point.label), key=lambda each: -each.dice):
        width = LETTER * len(point.label)
        places = [(right * (9 + width / 2), up) for right, up in PLACES]
        boxes = [frame.around(point, right, up, width, 12) for right, up in places]
        best = next((number for number, box in enumerate(boxes) if not any(map(box.overlaps, taken))), 0)
        taken.append(boxes[best])
        notes.append(
            {
                "x": log10(point.latency_ms),
                "y": point.dice,
                "text": point.label,
                "showarrow": False,
                "font": {"size": 11, "color": INK if point.on_front else MUTED},
                "xshift": places[best][0],
                "yshift": places[best][1],
            }
        )
    return notes
