"""The page in a real browser: it draws without complaint, without a network, and answers a click."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.chromium import Chromium, chromium
from tests.report.conftest import make_material, make_record
from ussearch.report import page

pytestmark = pytest.mark.slow
PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or ""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    records = [
        make_record(0, 0.6, 5.0, role="preset", name="unext"),
        make_record(1, 0.7, 20.0),
        make_record(2, 0.3, 9.0),
    ]
    path = folder / "report.html"
    path.write_text(page(make_material(folder / "s", records)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if not PROGRAM:
        pytest.skip("needs Debian's chromium: apt install chromium")
    with chromium(PROGRAM, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_without_complaint_and_without_network(browser: Chromium, report: Path, width: int) -> None:
    browser.open(report, width)
    browser.wait_for("document.querySelectorAll('.main-svg').length >= 4")
    assert browser.errors == []
    assert all(url.startswith(("file://", "data:", "blob:")) for url in browser.requests)
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing sticks out


@pytest.mark.parametrize("width", [1280, 390])
def test_a_click_on_a_point_shows_its_card(browser: Chromium, report: Path, width: int) -> None:
    browser.open(report, width)
    browser.wait_for("document.getElementById('card').dataset.trial === '1'")  # the best one, to begin with
    for trial_id in (2, 0):
        place = browser.evaluate(POINT.replace("SLOT", str(trial_id)))
        browser.click(*place)
        browser.wait_for(f"document.getElementById('card').dataset.trial === '{trial_id}'")
        heading = browser.evaluate("document.querySelector('#card h3').textContent")
        assert heading.startswith(f"Trial {trial_id}:")
        assert browser.evaluate("document.querySelectorAll('#card svg.blocks rect').length") > 3
    assert browser.errors == []


def test_the_browser_itself_would_stop_a_request(browser: Chromium, report: Path) -> None:
    browser.open(report, 1280)
    browser.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'})) ?? 0")
    browser.wait_for("true")
    browser.evaluate("new Promise((done) => setTimeout(done, 300)) && 0")
    assert any("Content Security Policy" in error for error in browser.errors)


POINT = """
(() => {
  const place = document.querySelector("[data-chart=front]");
  place.scrollIntoView({ behavior: "instant", block: "center" });
  for (const trace of place.data) {
    const number = (trace.customdata ?? []).indexOf(SLOT);
    if (number < 0 || trace.hoverinfo === "skip") continue;
    const { xaxis, yaxis } = place._fullLayout, box = place.getBoundingClientRect();
    const x = xaxis._offset + xaxis.d2p(trace.x[number]), y = yaxis._offset + yaxis.d2p(trace.y[number]);
    return [box.left + x, box.top + y];
  }
})()
"""
"""Where the point of a trial lies in the window."""
