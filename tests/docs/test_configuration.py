"""The page about the configuration names every key that there is."""

from __future__ import annotations

import re
from pathlib import Path

from ussearch.run_options import run_options

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_names_every_key() -> None:
    rows = re.findall(r"^\| (?:`(\w+)`|–) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {f"{section}.{key}" if section else key for section, keys in rows for key in re.findall(r"`(\w+)`", keys)}
    wanted = {option.dotted.replace("search.sampler.", "search.") for option in run_options()} - {"output.resume"}
    assert named - {"search.sampler"} == wanted
