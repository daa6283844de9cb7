"""HTML from data: the few shapes that every section uses. Whatever comes in is escaped here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any


def text(value: object) -> str:
    """Return any value as escaped text."""
    return escape(str(value), quote=True)


def json_script(identity: str, value: Any) -> str:
    """Return ``value`` as JSON in a script element that no content can close or comment out."""
    content = json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{text(identity)}">{content}</script>'


def section(identity: str, title: str, *parts: str, lead: str = "") -> str:
    """Return a section of the page; ``parts`` are HTML, the rest is text."""
    opening = f'<p class="lead">{text(lead)}</p>' if lead else ""
    return f'<section id="{text(identity)}"><h2>{text(title)}</h2>{opening}{"".join(parts)}</section>'


def paragraph(content: object, kind: str = "") -> str:
    """Return a paragraph of text."""
    return f'<p class="{text(kind)}">{text(content)}</p>' if kind else f"<p>{text(content)}</p>"


def table(head: Sequence[object], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()) -> str:
    """Return a table of text; columns in ``numbers`` are set right."""
    heads = "".join(_cell("th", number in numbers, value) for number, value in enumerate(head))
    lines = (
        "<tr>" + "".join(_cell("td", number in numbers, value) for number, value in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def facts(pairs: Iterable[tuple[object, object]]) -> str:
    """Return names with their values."""
    lines = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs)
    return f"<dl>{lines}</dl>"


def chart(identity: str, figure: dict[str, Any], height: int, label: str) -> str:
    """Return the place of a plotly figure with its data; ``label`` tells what it shows to those who cannot see it."""
    place = f'<div class="chart" data-chart="{text(identity)}" style="height:{height}px" role="img"'
    return f'{place} aria-label="{text(label)}"></div>{json_script(f"chart-{identity}", figure)}'


def _cell(tag: str, number: bool, value: object) -> str:
    return f'<{tag} class="number">{text(value)}</{tag}>' if number else f"<{tag}>{text(value)}</{tag}>"


def figure_of(value: float | None, digits: int = 3) -> str:
    """Return a figure for readers, a dash where there is none."""
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: there is no -0.00


def percent(value: float | None) -> str:
    """Return a share in per cent, a dash where there is none."""
    return "–" if value is None else f"{value:.0%}"


def compact(value: float | None) -> str:
    """Return a figure in few letters: 12.3, 0.456, 1.2 M."""
    if value is None:
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.1f} {letter}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 2 else f"{value:.3f}"


POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""What the browser itself enforces: nothing is fetched, whatever the file holds."""


def document(
    title: str,
    summary: str,
    contents: Mapping[str, str],
    sections: Sequence[str],
    *,
    footer: str,
    scripts: Sequence[str] = (),
) -> str:
    """Return the whole page.

    Args:
        title: text.
        summary: HTML below the title.
        contents: what the links to the sections say, by the sections' names.
        sections: HTML, in order.
        footer: text.
        scripts: JavaScript, run in order at the end.
    """
    links = "".join(f'<a href="#{name}">{text(words)}</a>' for name, words in contents.items())
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{text(title)}</title>'
        f"<style>{asset('report.css')}</style></head><body>"
        f"<header><h1>{text(title)}</h1>{summary}<nav>{links}</nav></header>"
        f"<main>{''.join(sections)}</main><footer>{text(footer)}</footer>"
        f"{''.join(f'<script>{script}</script>' for script in scripts)}</body></html>\n"
    )


def asset(name: str) -> str:
    """Return the text of a file of ``assets/``."""
    return (resources.files("ussearch.report") / "assets" / name).read_text(encoding="utf-8")
