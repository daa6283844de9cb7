"""The picture of a front: what its labels must not cover."""

from __future__ import annotations

from itertools import pairwise

import pytest
from matplotlib.path import Path
from matplotlib.text import Annotation

from ussearch.studies.front_picture import FrontPicture, Point
from ussearch.studies.plots import draw_front


def picture(*front: tuple[str, float, float]) -> FrontPicture:
    points = tuple(
        Point(number, name, latency_ms, dice, "edge", True, False)
        for number, (name, latency_ms, dice) in enumerate(front)
    )
    return FrontPicture("title", "subtitle", "latency in ms", 41.7, "24 frames a second", points, {"empty": 0.0})


@pytest.mark.parametrize(
    "front",
    [
        [("lv-unet", 9.0, 0.42), ("", 11.0, 0.43), ("unext", 12.0, 0.5), ("", 12.2, 0.6)],
        [("lv-unet", 9.0, 0.42), ("", 9.4, 0.5), ("", 12.0, 0.52), ("", 12.2, 0.6)],
    ],
)
def test_no_label_lies_on_the_line_of_the_front(front: list[tuple[str, float, float]]) -> None:
    figure = draw_front(picture(*front))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    (line,) = (each for each in axes.lines if each.get_label() == "front")
    corners = [*zip(line.get_xdata(), line.get_ydata(), strict=True)]  # the line goes right first, then up
    steps = [point for (x1, y1), (x2, y2) in pairwise(corners) for point in ((x1, y1), (x2, y1), (x2, y2))]
    path = Path(steps).transformed(axes.transData)
    labels = [each for each in axes.texts if isinstance(each, Annotation) and each.get_text() != "better"]
    assert [label.get_text() for label in labels if label.get_text() == front[0][0]]
    assert not [label.get_text() for label in labels if path.intersects_bbox(label.get_window_extent(), filled=False)]
