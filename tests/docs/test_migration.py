"""What users of 0.1 wrote still works, and the page of new names is the table in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from ussearch import deprecations
from ussearch.cli.app import app
from ussearch.cli.command import with_new_options
from ussearch.deprecations import REMOVED, REMOVED_IN, RENAMED, Removed, Renamed, with_old_json_keys

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
JSON_PAGE = PAGE.with_name("json.md")
OLD = Path(__file__).parents[1] / "fixtures" / "0f14119"
KINDS = {"option": "Options", "json": "JSON keys", "file": "Keys of files", "python": "Python"}


def tables(text: str) -> dict[str, set[tuple[str, str, str]]]:
    """Return the rows (where, old, new) of the page by section."""
    found: dict[str, set[tuple[str, str, str]]] = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        rows = re.findall(r"^\| (.*?) \| `(.*?)` \| `(.*?)` \|$", section, re.MULTILINE)
        found[section.splitlines()[0]] = {(where.strip("`"), old, new) for where, old, new in rows}
    return found


def test_the_page_is_the_table() -> None:
    found = tables(PAGE.read_text(encoding="utf-8"))
    for kind, title in KINDS.items():
        wanted = {(each.place or "all commands", each.old, each.new) for each in RENAMED if each.kind == kind}
        assert found[title] == wanted
    left = re.findall(r"^\| (\w+) \| `(.*?)` \| `(.*?)` \| (.*?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert left == [(each.kind, each.place, each.old, each.instead) for each in REMOVED]
    assert REMOVED_IN in PAGE.read_text(encoding="utf-8")


def options_of(command: str) -> set[str]:
    """Return every option that a command of today takes."""
    group: object = typer.main.get_command(app)
    for part in command.split("-", 1) if command.startswith(("profile-", "data-")) else [command]:
        group = group.commands[part]  # type: ignore[attr-defined]  # a click group
    parameters = group.params  # type: ignore[attr-defined]  # a click command
    return {name for each in parameters for name in (*each.opts, *each.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("dump", sorted((OLD / "help").glob("*.txt")), ids=lambda path: path.stem)
def test_every_option_of_before_is_still_taken(dump: Path) -> None:
    _, _, listed = dump.read_text(encoding="utf-8").partition("\nOptions:\n")
    before = {
        name
        for line in re.findall(r"^  (-.*?)(?:  |$)", listed, re.MULTILINE)
        for name in re.findall(r"--[\w-]+", line)
    }
    assert len(before) > 1
    taken = with_new_options(dump.stem, [f"{name}=x" for name in sorted(before)])
    assert {word.removesuffix("=x") for word in taken} <= options_of(dump.stem)


def keys_of(page: str) -> dict[str, set[str]]:
    """Return the keys that a page of JSON lists, by command."""
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    return {part.splitlines()[0]: set(re.findall(r"^\| `(.*?)` \|", part, re.MULTILINE)) for part in sections}


def test_every_json_key_of_before_is_still_printed() -> None:
    before, today = (keys_of(path.read_text(encoding="utf-8")) for path in (OLD / "json.md", JSON_PAGE))
    new = {each.old: each.new for each in RENAMED if each.kind == "json"}
    left = {(each.place, each.old) for each in REMOVED if each.kind == "json"}
    assert not [key for command, key in left if key in today[command]]
    for command, keys in before.items():
        for key in (key for key in keys if (command, key) not in left):
            renamed = ".".join(
                new.get(part.removesuffix("[]"), part.removesuffix("[]")) + ("[]" if part.endswith("[]") else "")
                for part in key.split(".")
            )
            assert {key, renamed} & today[command], f"{command}: {key}"


def test_renamed_keys_are_printed_under_both_names(capsys: pytest.CaptureFixture[str]) -> None:
    deprecations._told.clear()
    found = with_old_json_keys({"trials": [{"objective": 0.5, "trial_id": 3}], "tier": "edge"})
    assert found == {
        "trials": [{"objective": 0.5, "trial_id": 3, "selection": 0.5, "slot": 3}],
        "tier": "edge",
        "end": "edge",
    }
    assert with_old_json_keys({"objective": 1.0}) == {"objective": 1.0, "selection": 1.0}
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1 and "selection (objective)" in said.err


@pytest.mark.parametrize("entry", [each for each in RENAMED if each.kind == "option"], ids=str)
def test_old_options_say_the_new_word_once(entry: Renamed, capsys: pytest.CaptureFixture[str]) -> None:
    deprecations._told.clear()
    assert with_new_options(entry.place, [entry.old, "x"]) == [entry.new, "x"]
    assert with_new_options(entry.place, [f"{entry.old}=x", "--", entry.old]) == [f"{entry.new}=x", "--", entry.old]
    assert capsys.readouterr().err.count(entry.new) == 1


@pytest.mark.parametrize("entry", [each for each in REMOVED if each.kind == "option"], ids=str)
def test_options_without_effect_are_taken_and_say_what_happens_once(
    entry: Removed, capsys: pytest.CaptureFixture[str]
) -> None:
    deprecations._told.clear()
    value = ["x"] if entry.has_value else []
    assert with_new_options(entry.place, ["a", entry.old, *value, "b"]) == ["a", "b"]
    assert with_new_options(entry.place, [f"{entry.old}=x", "--", entry.old]) == ["--", entry.old]
    assert with_new_options(entry.place, [entry.old]) == []
    said = f"ussearch: {entry.instead}; {entry.old} has no effect any more and is refused from {REMOVED_IN} on.\n"
    assert capsys.readouterr().err == said


def test_old_names_in_python_still_work(capsys: pytest.CaptureFixture[str]) -> None:
    import ussearch
    from ussearch import events
    from ussearch.pairs import client
    from ussearch.runtime.prediction import PredictionResult
    from ussearch.serving.client import AsyncEdgeClient, CloudOptions, EdgeClient
    from ussearch.studies import events as old_events

    deprecations._told.clear()
    assert ussearch.Prediction is PredictionResult
    assert ussearch.CloudWish is CloudOptions
    assert client.EdgeClient is EdgeClient
    assert capsys.readouterr().err.count("the old name works until") == 3
    for kind in (EdgeClient, AsyncEdgeClient):
        one = kind.__new__(kind)
        assert one.answer == one.predict
    assert capsys.readouterr().err.count("answer of ussearch.serving.client.EdgeClient is now predict") == 1
    assert old_events.TrialFinished is events.TrialFinished
    assert events.StepJudged is events.StepEvaluated
    assert events.TrialRepeated(3, "lost").slot == 3
    assert capsys.readouterr().err.count("the old name works until") == 3
    with pytest.raises(AttributeError, match="no attribute 'Predictoin'"):
        _ = ussearch.Predictoin


def test_a_trials_old_names_in_python_still_work(capsys: pytest.CaptureFixture[str]) -> None:
    from ussearch.studies import Study

    deprecations._told.clear()
    record = Study.open(OLD / "study").trials()[0]
    assert (record.slot, record.dice, record.evaluation.dice) == (record.trial_id, record.objective, record.objective)
    assert capsys.readouterr().err.count("the old name works until") == 3
