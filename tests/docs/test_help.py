"""What help texts and pages show can be typed: every command has an example, and every example is one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.docs.run_tutorials import fenced
from ussearch.cli.app import app
from ussearch.cli.threshold import FEW
from ussearch.datasets import DEFAULT_FRACTIONS, PARTS
from ussearch.pairs.postprocessing.choose import FEWEST_EMPTY, FEWEST_FOUND, FEWEST_LESIONS, FOLDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_EXAMPLE = re.compile(r"^\s*Example: (.+)$", re.MULTILINE)


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command with its name, such as ``profile kit``."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def example_of(name: str) -> list[str]:
    """Return the words of a command's example after ``ussearch``."""
    (found,) = _EXAMPLE.findall(COMMANDS[name].help or "")
    words = shlex.split(found)
    assert words[0] == "ussearch"
    return without_redirection(words[1:])


def without_redirection(words: list[str]) -> list[str]:
    """Return the words that the program is given, without where its output goes."""
    return words[: words.index(">")] if ">" in words else words


def parse(words: list[str]) -> None:
    """Parse a command line without the leading ``ussearch``; raises where command, option or value are unknown."""
    name = next((name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), None)
    assert name, f"there is no command {words[0]}"
    COMMANDS[name].make_context(name, words[len(name.split()) :])


def lines_of(page: Path) -> Iterator[list[str]]:
    """Yield the words of each line of a page's code blocks that runs ``ussearch``."""
    for language, block in fenced(page):
        if language in ("", "sh", "bash", "console"):
            for line in block.replace("\\\n", " ").splitlines():
                words = (
                    without_redirection(shlex.split(line, comments=True)[1:]) if line.startswith("ussearch ") else []
                )
                if words and not words[0].startswith("-"):
                    yield words


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_parses(name: str) -> None:
    words = example_of(name)
    assert words[: len(name.split())] == name.split()
    parse(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_on_pages_parse(page: Path) -> None:
    for words in lines_of(page):
        try:
            parse(words)
        except Exception as error:
            raise AssertionError(f"{page.name}: ussearch {shlex.join(words)}: {error}") from error


def test_the_first_page_names_every_command_and_every_extra() -> None:
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    named = {word for cell in re.findall(r"`([a-z][a-z -]*)`", page) for word in (cell, cell.split()[-1])}
    assert {name.split()[-1] for name in COMMANDS} - named == set()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = project.split("[project.optional-dependencies]\n")[1].split("\n[")[0]
    assert set(re.findall(r"^(\w+) = \[", extras, re.MULTILINE)) - named == {"dev", "docs"}


def test_the_page_on_data_tells_how_many_images_post_processing_needs() -> None:
    page = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
    share = DEFAULT_FRACTIONS[PARTS.index("calibration")]
    whole = {count: round(count / share) for count in (FEWEST_LESIONS, FEWEST_FOUND, FEWEST_EMPTY, FEW)}
    for row in (
        f"| {FEWEST_LESIONS} with a lesion, in {2 * FOLDS} groups | {whole[FEWEST_LESIONS]} with a lesion |",
        f"| {FEWEST_FOUND} whose lesion the network finds | {whole[FEWEST_FOUND]}, and more",
        f"| {FEWEST_EMPTY} without a lesion | {whole[FEWEST_EMPTY]} without a lesion | presence",
        f"| {FEW} without a lesion | {whole[FEW]} without a lesion | a rate",
    ):
        assert row in page
