"""The examples of the docstrings and of docs/python.md, run as they stand."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import ussearch
from ussearch.run_config import RunConfig

MODULES = ("ussearch", "ussearch.api.bundle", "ussearch.api.study", "ussearch.api.running")
PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.mark.parametrize("name", MODULES)
def test_examples_say_what_happens(name: str, there: Path) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 1
    assert found.failed == 0


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_says_what_happens(there: Path) -> None:
    session = doctest.DocTestParser().get_doctest("".join(blocks("pycon")), {}, "python.md", str(PAGE), 0)
    found = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session)
    assert found.attempted > 15
    assert found.failed == 0


def test_the_pages_runs_ask_for_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(config: RunConfig, on_event: object) -> None:
        asked.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("ussearch.pipeline.run", run)
    runs = [block for block in blocks("python") if "ussearch.run(" in block]
    for block in runs:
        with pytest.raises(KeyboardInterrupt):
            exec(block, {"ussearch": ussearch, "tell": print})
    assert [config.search.trials for config in asked] == [20, None]
    assert asked[0].budget == 3600
