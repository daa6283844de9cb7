"""One HTML file that asks nothing of the network: head, style, contents, sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

from ussearch.report.markup import text

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
