"""Where the names of points stand in the picture of a front."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ussearch.studies.front_picture import FrontPicture, Point, staircase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation, Text
    from matplotlib.transforms import Bbox

INK = "#1f2933"
OFFSETS = ((7, 5), (7, -12), (-7, 8), (-7, -14), (10, 16), (10, -24), (-10, 18), (-10, -26))
"""Where a label may stand beside its point, in points, best first."""


def name_points(axes: Axes, picture: FrontPicture, better: Text) -> None:
    """Name the points that have a label, each where it covers no other label, no point and no line of the front."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    points = sorted(picture.points, key=lambda each: -each.dice)
    taken = [better.get_window_extent(), *(_point_box(axes, point) for point in points), *_line_boxes(axes, picture)]
    for point in points:
        if point.label:
            taken.append(_name(axes, point, taken))


def _name(axes: Axes, point: Point, taken: Sequence[Bbox]) -> Bbox:
    """Write the label of a point at the first place around it that covers least; return what the label covers."""
    label = axes.annotate(
        point.label,
        (point.latency_ms, point.dice),
        xytext=OFFSETS[0],
        textcoords="offset points",
        color=INK,
        fontsize=8.5,
    )
    _, place = min((_covered(_moved(label, offset), taken), number) for number, offset in enumerate(OFFSETS))
    return _moved(label, OFFSETS[place])


def _moved(label: Annotation, offset: tuple[int, int]) -> Bbox:
    """Set a label beside its point, ``offset`` (right, up) in points, and return what it covers on the canvas."""
    label.set_position(offset)
    label.set_horizontalalignment("left" if offset[0] > 0 else "right")
    return label.get_window_extent()


def _covered(box: Bbox, taken: Sequence[Bbox]) -> float:
    """Return how many square pixels of the ``taken`` boxes lie under ``box``."""
    from matplotlib.transforms import Bbox

    shared = (Bbox.intersection(box, other) for other in taken)
    return sum(each.width * each.height for each in shared if each is not None)


def _line_boxes(axes: Axes, picture: FrontPicture) -> list[Bbox]:
    """Return the boxes that the front's line covers on the canvas: one for each step to the right, one for each up."""
    from matplotlib.transforms import Bbox

    corners = axes.transData.transform(staircase([point for point in picture.points if point.on_front]) or [(1, 0)])
    half = axes.figure.dpi / 72
    return [
        Bbox.from_extents(left - half, low - half, right + half, high + half)
        for (x1, y1), (x2, y2) in pairwise(corners)
        for left, low, right, high in ((x1, y1, x2, y1), (x2, y1, x2, y2))
    ]


def _point_box(axes: Axes, point: Point) -> Bbox:
    """Return the square that a point covers on the canvas."""
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((point.latency_ms, point.dice))
    radius = (4.0 if point.on_front else 3.0) * axes.figure.dpi / 72
    return Bbox.from_extents(x - radius, y - radius, x + radius, y + radius)
