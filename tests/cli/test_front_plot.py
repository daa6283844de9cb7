"""The front in letters: where points, names, limit and the line of the front lie."""

from __future__ import annotations

import pytest

from ussearch.cli.front_plot import front_plot
from ussearch.studies.front_picture import Point

LIMIT_MS = 40.0
POINTS = (
    Point(1, "lv-unet", 9.0, 0.42, "edge", True, False),
    Point(2, "", 12.0, 0.60, "edge", True, False),
    Point(3, "unext", 20.0, 0.30, "edge", False, False),
    Point(4, "", 80.0, 0.55, "cloud", False, True),
)


def lines(width: int = 78, height: int = 17) -> list[str]:
    return front_plot(POINTS, LIMIT_MS, {"empty": 0.0, "Otsu": 0.1}, width, height).plain.split("\n")


def place(text: list[str], letter: str) -> tuple[int, int]:
    (found,) = [(row, line.index(letter)) for row, line in enumerate(text) if letter in line]
    return found


@pytest.mark.parametrize(("width", "height"), [(40, 9), (78, 17), (120, 30)])
def test_it_keeps_to_its_size_and_loses_no_point(width: int, height: int) -> None:
    text = lines(width, height)
    assert len(text) == height and max(map(len, text)) <= width
    body = "\n".join(text)
    assert body.count("●") == 2 and body.count("○") == 1 and body.count("□") == 1


def test_better_is_higher_and_faster_is_further_left() -> None:
    text = lines()
    marks = [(row, line.index("●")) for row, line in enumerate(text) if "●" in line]
    (upper, right), (lower, left) = marks
    assert upper < lower and left < right
    beaten, cloud = place(text, "○"), place(text, "□")
    assert beaten[0] > lower and right < beaten[1] < cloud[1]
    limit = text[2].index("┊")
    assert beaten[1] < limit < cloud[1]


def test_presets_and_the_front_are_named_and_the_front_is_a_staircase() -> None:
    text = lines()
    body = "\n".join(text)
    assert all(name in body for name in ("lv-unet", "#2", "unext", "Otsu")) and "#4" not in body and "empty" not in body
    (lower,) = [line for line in text if "┘" in line]
    assert lower.index("●") < lower.index("─") < lower.index("┘")
    upper = next(line for line in text if "●" in line)
    assert upper.index("●") == lower.index("┘")


def test_figures_of_the_axes_lie_at_their_places() -> None:
    text = lines()
    ticks, figures = text[-2], text[-1]
    assert figures.split() == ["10", "20", "50", "ms"]
    for figure in ("10", "20", "50"):
        assert ticks[figures.index(figure) : figures.index(figure) + 2].count("┴") == 1


def test_a_short_axis_has_a_figure_too() -> None:
    point = Point(1, "unext", 30.0, 0.42, "edge", True, False)
    assert front_plot([point], 33.3, {}, 78, 17).plain.split("\n")[-1].split()[-1] == "ms"


def test_one_point_alone_can_be_drawn() -> None:
    only = front_plot(POINTS[:1], LIMIT_MS, {}, 60, 12).plain
    assert only.count("●") == 1 and "lv-unet" in only
