"""All figures of every candidate side by side: parallel coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any

from ussearch.report.markup import compact
from ussearch.report.plotting import MUTED, STYLES, base_layout

AXES = (
    ("latency", "latency_ms", "ms"),
    ("memory", "memory_mib", "MiB"),
    ("param-<br>eters", "parameters", ""),
    ("MACs", "macs", ""),
    ("lesion<br>Dice", "lesion_dice", ""),
    ("false<br>positives", "false_positive_rate", ""),
)
"""Of the parallel coordinates: title, key of a row of the report, unit."""


def parallel_figure(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return parallel coordinates of the rows of a report: one line a candidate, each axis from its least to its most.

    Latency, memory, parameters and MACs are on logarithmic scales.
    """
    known = [row for row in rows if not row["failure"]]
    axes = [(title, key, unit, [row[key] for row in known]) for title, key, unit in AXES]
    axes = [each for each in axes if any(value is not None for value in each[3])]
    traces = []
    for number, row in sorted(enumerate(known), key=lambda item: item[1]["on_front"]):
        heights = [_height(key, values, number) for _, key, _, values in axes]
        traces.append(_line(row, [title for title, *_ in axes], heights, _described(row)))
    notes = [note for number, each in enumerate(axes) for note in _ends(number, *each)]
    layout = {
        **base_layout(),
        "showlegend": False,
        "xaxis": {
            "type": "category",
            "gridcolor": "#9aa5b1",
            "tickfont": {"size": 11},
            "tickangle": 0,
            "fixedrange": True,
        },
        "yaxis": {"visible": False, "range": [-0.12, 1.12], "fixedrange": True},
        "annotations": notes,
        "margin": {"l": 34, "r": 34, "t": 8, "b": 44},
    }
    return {"data": traces, "layout": layout}


def _height(key: str, values: Sequence[float | None], number: int) -> float | None:
    """Return the place of one value on its axis, 0 to 1."""
    scaled = [_scaled(key, value) for value in values]
    known = [value for value in scaled if value is not None]
    value, low, high = scaled[number], min(known), max(known)
    return None if value is None else 0.5 if high == low else (value - low) / (high - low)


def _scaled(key: str, value: float | None) -> float | None:
    logarithmic = key in ("latency_ms", "memory_mib", "parameters", "macs")
    return value if value is None or not logarithmic else log10(max(value, 1e-9))


def _line(row: dict[str, Any], titles: list[str], heights: list[float | None], described: str) -> dict[str, Any]:
    front = row["on_front"]
    colour = (STYLES["edge"] if row["feasible"]["edge"] else STYLES["cloud"])[0] if front else "#9aa5b1"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": titles,
        "y": heights,
        "customdata": [row["trial"]] * len(titles),
        "text": [described] * len(titles),
        "hovertemplate": "%{text}<extra></extra>",
        "opacity": 0.95 if front else 0.35,
        "line": {"color": colour, "width": 2 if front else 1},
        "marker": {"size": 6 if front else 4, "color": colour},
    }


def _described(row: dict[str, Any]) -> str:
    shown = [f"{title} {compact(row[key])}{f' {unit}' if unit else ''}" for title, key, unit in AXES]
    return "<br>".join([f"trial {row['trial']} {row['name'] or ''}", *shown])


def _ends(number: int, title: str, key: str, unit: str, values: Sequence[float | None]) -> list[dict[str, Any]]:
    known = [value for value in values if value is not None]
    small = {"x": number, "showarrow": False, "font": {"size": 11, "color": MUTED}}
    ends = [{**small, "y": 1, "yshift": 11, "text": compact(max(known))}]
    if max(known) > min(known):
        ends.append({**small, "y": 0, "yshift": -11, "text": compact(min(known))})
    return ends
