"""The front: latency against the objective, and all figures of every candidate side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any

from ussearch.report.markup import chart, paragraph, section
from ussearch.report.parallel import parallel_figure
from ussearch.report.plotting import LINE, MUTED, STYLES, PlotFrame, axis, base_layout, names
from ussearch.report.report_data import ReportData
from ussearch.report.significance import METHODS, CandidateComparison
from ussearch.studies.front_picture import Fit, FrontPicture, Point, front_picture


def front_figure(picture: FrontPicture, ties: Sequence[int]) -> dict[str, Any]:
    """Return the plotly figure of a picture; ``ties`` are trials to be ringed. Points carry their trial."""
    traces = [_stairs(picture), _rings(picture, ties)]
    traces += [_points(picture, fit, front) for fit in STYLES for front in (False, True)]
    right = log10(max(*(point.latency_ms for point in picture.points), picture.limit_ms) * 1.7)
    left = log10(min(point.latency_ms for point in picture.points) / 1.35)
    values = [point.dice for point in picture.points] + list(picture.baselines.values())
    span = max(max(values) - min(values), 0.1)
    low, high = min(values) - 0.1 * span, max(values) + 0.2 * span
    layout = {
        **base_layout(),
        "xaxis": {
            **axis(picture.latency_title.replace(" (", "<br>(", 1)),
            "type": "log",
            "range": [left, right],
            "tickvals": [tick for tick in TICKS if left <= log10(tick) <= right],
        },
        "yaxis": {**axis("objective"), "range": [low, high]},
        "shapes": _shapes(picture, right),
        "annotations": [*_notes(picture), *names(picture, PlotFrame(left, right, low, high))],
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
        "margin": {"l": 56, "r": 12, "t": 62, "b": 62},
    }
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


def _points(picture: FrontPicture, fit: Fit, front: bool) -> dict[str, Any]:
    colour, symbol, meaning = STYLES[fit]
    chosen = [point for point in picture.points if point.fit == fit and point.on_front == front]
    marker = {
        "color": colour,
        "symbol": [_hollow(symbol) if point.extrapolated else symbol for point in chosen],
        "size": 11 if front else 8,
        "opacity": 1.0 if front else 0.6,
        "line": {"width": 1.6 if fit == "neither" else 1.2, "color": colour},
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{meaning}, {'front' if front else 'dominated'}",
        "x": [point.latency_ms for point in chosen],
        "y": [point.dice for point in chosen],
        "customdata": [point.trial_id for point in chosen],
        "text": [_hover(point) for point in chosen],
        "hovertemplate": "%{text}<br>%{x:.1f} ms, objective %{y:.3f}<extra></extra>",
        "marker": marker,
    }


def _hollow(symbol: str) -> str:
    return "x-thin" if symbol == "x" else f"{symbol}-open"


def _hover(point: Point) -> str:
    doubt = ", extrapolated latency" if point.extrapolated else ""
    return f"trial {point.trial_id}{f' ({point.name})' if point.name else ''}{doubt}"


def _rings(picture: FrontPicture, ties: Sequence[int]) -> dict[str, Any]:
    chosen = [point for point in picture.points if point.trial_id in ties]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "tie with the best",
        "x": [point.latency_ms for point in chosen],
        "y": [point.dice for point in chosen],
        "customdata": [point.trial_id for point in chosen],
        "hoverinfo": "skip",
        "marker": {"symbol": "circle-open", "size": 19, "color": "#f08c00", "line": {"width": 1.6}},
    }


def _stairs(picture: FrontPicture) -> dict[str, Any]:
    """Return the line of the best objective that a latency buys; memory, the third objective, is not in the picture."""
    corners: list[Point] = []
    for point in sorted(picture.points, key=lambda each: (each.latency_ms, -each.dice)):
        if point.on_front and (not corners or point.dice > corners[-1].dice):
            corners.append(point)
    shown = corners if len(corners) > 1 else []
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "front",
        "x": [point.latency_ms for point in shown],
        "y": [point.dice for point in shown],
        "hoverinfo": "skip",
        "line": {"shape": "hv", "color": LINE, "width": 1.5},
    }


def _shapes(picture: FrontPicture, right: float) -> list[dict[str, Any]]:
    limit = picture.limit_ms
    beyond = {"type": "rect", "x0": limit, "x1": 10**right, "y0": 0, "y1": 1, "yref": "paper", "layer": "below"}
    edge = {"type": "line", "x0": limit, "x1": limit, "y0": 0, "y1": 1, "yref": "paper"}
    baselines = [
        {
            "type": "line",
            "x0": 0,
            "x1": 1,
            "xref": "paper",
            "y0": value,
            "y1": value,
            "line": {"color": "#cbd2d9", "width": 1},
            "layer": "below",
        }
        for value in picture.baselines.values()
    ]
    return [
        {**beyond, "fillcolor": "#f1f3f5", "line": {"width": 0}},
        {**edge, "line": {"color": MUTED, "width": 1.2, "dash": "dash"}},
        *baselines,
    ]


def _notes(picture: FrontPicture) -> list[dict[str, Any]]:
    """Return what is written into the picture besides names: the limit, where better lies, the baselines."""
    small = {"font": {"size": 11, "color": MUTED}, "showarrow": False}
    limit = {
        **small,
        "x": log10(picture.limit_ms),
        "y": 0.98,
        "yref": "paper",
        "text": f"limit {picture.limit_ms:.1f} ms, {picture.limit_title}",
        "textangle": -90,
        "xanchor": "left",
        "yanchor": "top",
    }
    better = {
        "x": 0.9,
        "y": 0.985,
        "ax": 20,
        "ay": 22,
        "xref": "paper",
        "yref": "paper",
        "text": "better",
        "font": {"size": 12, "color": MUTED},
        "showarrow": True,
        "arrowhead": 2,
        "arrowwidth": 1.4,
        "arrowcolor": MUTED,
    }
    lines = sorted(picture.baselines.items(), key=lambda item: item[1])
    at_left = {**small, "x": 0, "xref": "paper", "xanchor": "left", "yanchor": "bottom"}
    baselines = [
        {**at_left, "y": value, "text": name, "xshift": 4 + 70 * (number % 3)}
        for number, (name, value) in enumerate(lines)
    ]
    return [limit, better, *baselines]


def front_section(report_data: ReportData, comparison: CandidateComparison | None) -> str:
    """Return the section with both pictures."""
    if not report_data.good:
        return section("front", "Front", paragraph("No trial has finished well yet; nothing can be drawn."))
    picture = front_picture(report_data.report, report_data.data_name)
    ties = () if comparison is None else comparison.ties
    both = chart("front", front_figure(picture, ties), 460, f"{picture.title}: objective over latency")
    rows = [report_data.report.row(record) for record in report_data.report.ordered]
    words = (
        "Selection is lesion Dice less the rate of false positives on empty images, weighted by their share. Hollow: "
        "the latency is extrapolated. Shaded: beyond the device's limit. The front also weighs memory, which is not in "
        "this picture. Click a point to see its card."
    )
    return section(
        "front",
        "Front",
        both,
        paragraph(words, "note"),
        paragraph(tie_sentence(comparison), "note"),
        "<h3>All figures side by side</h3>",
        chart("parallel", parallel_figure(rows), 300, "every candidate's figures side by side"),
        lead=f"{picture.title}; {picture.subtitle}.",
    )


def tie_sentence(comparison: CandidateComparison | None) -> str:
    """Return which candidates cannot be told apart, and how that was judged."""
    if comparison is None:
        return "Fewer than two candidates can be compared; there are no ties to mark."
    ties = ", ".join(str(trial_id) for trial_id in comparison.ties)
    found = f"cannot tell it from {ties} (ringed)" if ties else "tell it from all that were compared"
    return (
        f"Best by the objective: trial {comparison.best}. {comparison.images} validation images {found}; judged by "
        f"{METHODS[comparison.method]}, 95 %, among the {len(comparison.differences) + 1} best and the front."
    )
