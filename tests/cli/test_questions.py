"""Questions on the command line: what was found, a complete command for each reading, and that these commands work."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import TINY_RUN, Command, write_data


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Phantoms whose masks hold 1, and in every other mask a smaller structure 2 inside."""
    root = write_data(tmp_path / "my scans", count=24)
    for number, path in enumerate(sorted((root / "masks").iterdir())):
        labels = (np.asarray(Image.open(path)) > 0).astype(np.uint8)
        rows, columns = np.nonzero(labels)
        if len(rows) and number % 2:
            middle = len(rows) // 2
            labels[rows[middle] - 2 : rows[middle] + 2, columns[middle] - 2 : columns[middle] + 2] = 2
        Image.fromarray(labels).save(path)
    return root


def commands_in(printed: str) -> list[list[str]]:
    """Return the commands that a question prints, as a shell would split them."""
    return [shlex.split(line)[1:] for line in re.findall(r"^ +(ussearch .*)$", printed, re.MULTILINE)]


def test_every_printed_command_answers_the_question(ussearch: Command, labelled: Path) -> None:
    asked = ussearch("data", "check", labelled)
    assert (asked.status, asked.out) == (2, "")
    assert "Traceback" not in asked.err and "2 labels besides the background 0" in asked.err
    commands = commands_in(asked.err)
    assert [command[-2:] for command in commands] == [["--lesion", each] for each in ("1", "2", "1,2")]
    shares = {}
    for command in commands:
        answered = ussearch(*command, "--json")
        assert answered.status == 0, answered.err
        report = json.loads(answered.out)
        shares[command[-1]] = sum(
            row["pixels"] for row in report["reading"]["masks"]["labels"] if row["meaning"] == "lesion"
        )
    pixels = [np.bincount(np.asarray(Image.open(p)).ravel(), minlength=3) for p in (labelled / "masks").iterdir()]
    _, ones, twos = np.sum(pixels, axis=0)
    assert shares == {"1": ones, "2": twos, "1,2": ones + twos}


def test_json_holds_the_same(ussearch: Command, labelled: Path) -> None:
    shown, encoded = ussearch("data", "check", labelled), ussearch("data", "check", labelled, "--json")
    question = json.loads(encoded.out)
    assert encoded.status == 2 and encoded.err == ""
    assert question["question"] in shown.err
    assert [row["label"] for row in question["found"]] == ["0", "1", "2"]
    without = [[part for part in shlex.split(each["command"])[1:] if part != "--json"] for each in question["readings"]]
    assert without == commands_in(shown.err)
    assert [each["options"] for each in question["readings"]] == [{"lesion": each} for each in ("1", "2", "1,2")]


def test_run_asks_the_same_and_takes_the_answer(ussearch: Command, labelled: Path, tmp_path: Path) -> None:
    run = ("run", "--profile", "jetson-nano", "--data", labelled, "--study", tmp_path / "study", *TINY_RUN)
    asked = ussearch(*run)
    assert asked.status == 2 and "2 labels besides the background 0" in asked.err
    assert not (tmp_path / "study").exists()
    first = commands_in(asked.err)[0]
    planned = ussearch(*first, "--dry-run", "--json")
    assert planned.status == 0, planned.err
    reading = json.loads(planned.out)["data"]["reading"]
    assert reading["masks"]["lesion"] == "1"
    configured = tmp_path / "run.yaml"
    configured.write_text("profile: jetson-nano\ndata:\n  lesion: '1,2'\n")
    given = list(map(str, run[3:]))
    planned = ussearch("run", "--config", configured, *given, "--dry-run", "--json")
    assert planned.status == 0, planned.err
    assert json.loads(planned.out)["data"]["reading"]["masks"]["lesion"] == "1,2"


def test_an_answer_that_was_no_answer_is_replaced_in_the_next_command(ussearch: Command, tmp_path: Path) -> None:
    """Folders of few images with names that say nothing: ``split`` does not fit them, and is asked again or refused."""
    root = write_data(tmp_path / "data", count=24)
    for folder in ("images", "masks"):
        for number, path in enumerate(sorted((root / folder).iterdir())):
            place = root / folder / "ABCD"[number % 4]
            place.mkdir(exist_ok=True)
            path.rename(place / path.name)
    asked = ussearch("data", "check", root)
    assert asked.status == 2
    meanings = {command[-1]: ussearch(*command, "--json") for command in commands_in(asked.err)}
    assert meanings.keys() >= {"classes", "patients"}
    reports = {name: json.loads(each.out) for name, each in meanings.items() if each.status in (0, 1)}
    assert reports["classes"]["classes"] == dict.fromkeys("ABCD", 6) and reports["classes"]["patients"] is None
    assert reports["patients"]["patients"] == 4 and reports["patients"]["classes"] == {"unknown": 24}


def test_a_name_that_the_masks_do_not_hold(ussearch: Command, labelled: Path) -> None:
    refused = ussearch("data", "check", labelled, "--lesion", "7")
    assert refused.status in (1, 2)
    assert "no mask holds a label '7', expected some of 0, 1, 2" in " ".join((refused.out + refused.err).split())


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--region", "foo", "--region foo is not possible: expected largest, whole or a number from 1."),
        ("--region", "0", "--region 0 is not possible"),
        ("--grey-scale", "9,1", "--grey-scale 9,1 is not possible: expected two numbers LOW,HIGH"),
        ("--folders", "people", "--folders people is not possible: expected"),
        ("--groups", "(", "Groups '(' are no pattern"),
    ],
)
def test_options_that_cannot_be_meant(
    ussearch: Command, tiny_data: Path, option: str, value: str, message: str
) -> None:
    for command in (
        ("data", "check", tiny_data),
        ("run", "--profile", "jetson-nano", "--data", tiny_data, "--dry-run"),
    ):
        refused = ussearch(*command, option, value)
        assert refused.status == 2 and message in refused.err, refused.err
        assert refused.out == "" and refused.err.count("\n") == 1


def test_the_plan_counts_what_is_not_read(ussearch: Command, tmp_path: Path) -> None:
    root = write_data(tmp_path / "data", count=24)
    Image.new("L", (64, 64)).save(root / "masks" / "of nobody.png")
    planned = ussearch("run", "--profile", "jetson-nano", "--data", root, "--image-size", 64, "--dry-run")
    assert planned.status == 0, planned.err
    assert f"to know: missing image 1 (ussearch data check {root} tells more)" in planned.out
