"""The picture of a front, drawn by matplotlib, with names beside its points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

from ussearch.errors import UserError
from ussearch.files import unwritable
from ussearch.studies.front_picture import Fit, FrontPicture, Point, staircase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
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


GREY_SHARE = 0.16
"""The least share of the width that lies beyond the limit: room for the arrow."""
_MUTED, _FRONT = "#7b8794", "#0b7285"
_STYLES: dict[Fit, tuple[str, str, str]] = {
    "edge": ("#1098ad", "o", "fits the device"),
    "cloud": ("#e8590c", "s", "fits the cloud only"),
    "neither": ("#adb5bd", "X", "fits neither"),
}
"""Colour, marker and meaning: shape and colour both tell, for readers who see no colours."""


def save_front(picture: FrontPicture, path: Path) -> None:
    """Draw the picture into a file; its ending chooses the format (png, svg, pdf).

    Raises UserError for an ending that cannot be drawn and for a path that cannot be written.
    """
    figure = draw_front(picture)
    supported = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.lstrip(".").lower() not in supported:
        raise UserError(f"{path} has no known picture ending: expected one of {', '.join(supported)}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=160)
    except OSError as error:
        raise unwritable(path, error) from error


def draw_front(picture: FrontPicture) -> Figure:
    """Return the figure: Dice over latency, the front, the limit, presets by name, trivial baselines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.add_subplot()
    _frame(axes, picture)
    _limit(axes, picture)
    _baselines(axes, picture)
    _candidates(axes, picture)
    name_points(axes, picture, _better(axes, picture))
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.012, 0.995),
        ncols=6,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        columnspacing=1.2,
        handletextpad=0.4,
    )
    return figure


def _frame(axes: Axes, picture: FrontPicture) -> None:
    axes.set_xscale("log")
    axes.set_xlabel(picture.latency_title, color=INK)
    axes.set_ylabel("Dice on lesions − share × rate of false positives", color=INK)
    axes.set_title(picture.title, loc="left", color=INK, fontweight="bold", pad=40)
    axes.text(0, 1.07, picture.subtitle, transform=axes.transAxes, color=_MUTED, fontsize=9)
    axes.grid(which="major", color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    latencies = [point.latency_ms for point in picture.points]
    low, high = min(latencies) / 1.35, max(*latencies, picture.limit_ms) * 1.5
    room = (picture.limit_ms / low) ** (GREY_SHARE / (1 - GREY_SHARE)) if picture.limit_ms > low else 1.0
    axes.set_xlim(low, max(high, picture.limit_ms * room))
    values = [point.dice for point in picture.points] + list(picture.baselines.values())
    span = max(max(values) - min(values), 0.1)
    axes.set_ylim(min(values) - 0.08 * span, max(values) + 0.2 * span)
    ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])


def _better(axes: Axes, picture: FrontPicture) -> Text:
    """Point to the upper left from beyond the limit, above the highest point, where no candidate can lie."""
    low, high = axes.get_xlim()
    limit = log(picture.limit_ms / low) / log(high / low)
    return axes.annotate(
        "better",
        xy=(max(limit + 0.015, 0.88), 0.975),
        xytext=(0.99, 0.9),
        xycoords="axes fraction",
        horizontalalignment="right",
        color=_MUTED,
        fontsize=10,
        arrowprops={"arrowstyle": "-|>", "color": _MUTED, "linewidth": 1.4},
    )


def _limit(axes: Axes, picture: FrontPicture) -> None:
    axes.axvspan(picture.limit_ms, axes.get_xlim()[1], color="#f1f3f5", zorder=0)
    axes.axvline(picture.limit_ms, color=_MUTED, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.text(
        picture.limit_ms * 1.02,
        0.02,
        f"limit {picture.limit_ms:.1f} ms\n{picture.limit_title}",
        transform=axes.get_xaxis_transform(),
        color=_MUTED,
        fontsize=8,
        rotation=90,
        verticalalignment="bottom",
    )


def _baselines(axes: Axes, picture: FrontPicture) -> None:
    """Draw what needs no network as lines: every candidate should lie above them. Labels stand side by side."""
    for number, (name, value) in enumerate(picture.baselines.items()):
        axes.axhline(value, color="#ced4da", linewidth=1.0)
        axes.text(
            0.005 + 0.09 * number,
            value,
            name,
            transform=axes.get_yaxis_transform(),
            color=_MUTED,
            fontsize=8,
            verticalalignment="bottom",
        )


def _candidates(axes: Axes, picture: FrontPicture) -> None:
    for fit, (colour, marker, meaning) in _STYLES.items():
        chosen = [point for point in picture.points if point.fit == fit]
        if chosen:
            axes.scatter(
                [point.latency_ms for point in chosen],
                [point.dice for point in chosen],
                s=[62 if point.on_front else 34 for point in chosen],
                c=["white" if point.extrapolated else colour for point in chosen],
                marker=marker,
                edgecolors=[colour if point.extrapolated else "white" for point in chosen],
                linewidths=[1.4 if point.extrapolated else 0.8 for point in chosen],
                zorder=3,
            )
            axes.scatter([], [], s=62, c=colour, marker=marker, edgecolors="white", linewidths=0.8, label=meaning)
    if any(point.extrapolated for point in picture.points):
        axes.scatter([], [], s=48, c="white", edgecolors=_MUTED, linewidths=1.4, label="hollow: extrapolated")
    if any(not point.on_front for point in picture.points):
        axes.scatter([], [], s=34, c=_MUTED, edgecolors="white", linewidths=0.8, label="small: beaten")
    stairs = staircase([point for point in picture.points if point.on_front])
    if len(stairs) > 1:
        axes.step(*zip(*stairs, strict=True), where="post", color=_FRONT, linewidth=1.6, zorder=2, label="front")
