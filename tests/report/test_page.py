"""The page as a browser reads it: one file, nothing from elsewhere, nothing unescaped."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.report.conftest import make_material, make_record
from ussearch.report import ReportData, page

EVIL = '</script><img src=x onerror="alert(1)">'


class Page(HTMLParser):
    """What a page holds: ids, the addresses that elements name, and the text of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.data: dict[str, object] = {}
        self._script: dict[str, str | None] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.tags.append(tag)
        self.ids += [named["id"] or ""] if "id" in named else []
        self.addresses += [named[name] or "" for name in ("src", "href", "action", "data", "poster") if name in named]
        self._script = named if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._script is None:
            return
        if self._script.get("type") == "application/json":
            self.data[self._script["id"] or ""] = json.loads(data)
        elif data.strip():
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._script = None


@pytest.fixture(scope="module")
def report_data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    records = [make_record(0, 0.6, role="preset", name=EVIL), make_record(1, 0.7), make_record(2, 0.5, 99.0)]
    return make_material(tmp_path_factory.mktemp("page") / "s", records)


@pytest.fixture(scope="module")
def parsed(report_data: ReportData) -> Page:
    return Page(page(report_data))


def test_nothing_comes_from_elsewhere(parsed: Page) -> None:
    assert all(each.startswith(("#", "data:")) for each in parsed.addresses)
    assert not {"link", "iframe", "object", "embed"} & set(parsed.tags)


def test_plotly_is_there_once(parsed: Page) -> None:
    assert sum("plotly.js v" in each[:200] for each in parsed.scripts) == 1
    assert len(parsed.scripts) == 2  # and our own


def test_every_link_has_its_section(parsed: Page) -> None:
    assert {each[1:] for each in parsed.addresses if each.startswith("#")} <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))


def test_every_good_trial_has_a_card(parsed: Page) -> None:
    cards = parsed.data["cards"]
    assert isinstance(cards, dict) and set(cards) == {"0", "1", "2"}
    assert {"title", "facts", "parts", "drawing", "curve"} <= set(cards["1"])
    assert any("tie with" in role or "best" in role for role in cards["1"]["roles"])


def test_names_cannot_become_markup(parsed: Page) -> None:
    assert "img" not in parsed.tags
    cards = parsed.data["cards"]
    assert isinstance(cards, dict) and EVIL in cards["0"]["title"] and "<img" not in cards["0"]["drawing"]


def test_what_is_missing_says_how_to_get_it(report_data: ReportData) -> None:
    html = page(report_data)
    assert "ussearch compress" in html and "ussearch export" in html and "too few" in html


def test_a_study_that_has_only_begun_has_a_page(tmp_path: Path) -> None:
    begun = Page(page(make_material(tmp_path / "s", [])))
    assert "front" in begun.ids and "cards" not in begun.data
    failed = make_record(0, 0.0, metrics={}, failure="the loss became nan")
    assert "nan" in page(make_material(tmp_path / "f", [failed]))
