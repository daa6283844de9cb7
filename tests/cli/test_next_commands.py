"""What commands tell people to type next can be typed as it stands, also where data was moved and names have spaces."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Outcome
from ussearch.studies import Study


def next_words(outcome: Outcome) -> list[str]:
    """Return the words of the command behind ``Next:``, without the program."""
    assert outcome.status == 0, outcome.err
    (found,) = re.findall(r"^Next: ussearch (.+)$", outcome.out, re.MULTILINE)
    return shlex.split(found)


@pytest.fixture
def moved(tiny_study: Path, tiny_data: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A study in a folder with a space, whose data no longer lies where it found it, and where that lies now."""
    study = shutil.copytree(tiny_study, tmp_path / "my study")
    root = Study.open(study).config.data.root
    text = (study / "study.yaml").read_text(encoding="utf-8")
    assert root in text
    (study / "study.yaml").write_text(text.replace(root, str(tmp_path / "gone")), encoding="utf-8")
    return study, Path(shutil.copytree(tiny_data, tmp_path / "my data"))


@pytest.mark.slow
def test_after_route(ussearch: Command, moved: tuple[Path, Path]) -> None:
    study, data = moved
    routed = ussearch("route", study, "--no-learn", "--data", data)
    words = next_words(routed)
    assert words == ["route-report", str(study), "--data", str(data)]
    assert ussearch(*words).status == 0


@pytest.mark.slow
def test_after_route_of_a_bundle_elsewhere(
    ussearch: Command, tiny_study: Path, tiny_data: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(tiny_study / "bundle", tmp_path / "my bundle")
    words = next_words(ussearch("route", tiny_study, "--bundle", bundle, "--no-learn"))
    assert words == ["route-report", str(bundle), "--data", str(tiny_data)]
    assert ussearch(*words).status == 0


@pytest.mark.slow
def test_after_threshold(ussearch: Command, moved: tuple[Path, Path], tmp_path: Path) -> None:
    study, data = moved
    out = tmp_path / "a new one"
    words = next_words(ussearch("threshold", study, "--false-positives", "10%", "--data", data, "--out", out))
    assert words == ["verify", str(out)]
    assert ussearch(*words).status == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("threshold", "STUDY", "--false-positives", "10%", "--out", "NEW"),
        ("route", "STUDY", "--no-learn"),
        ("route-report", "STUDY"),
        ("export", "STUDY"),
        ("compress", "STUDY", "--trial", "0"),
        ("run", "--study", "STUDY", "--resume"),
    ],
)
def test_data_that_was_moved_is_asked_for_by_the_option(
    ussearch: Command, moved: tuple[Path, Path], tmp_path: Path, command: tuple[str, ...]
) -> None:
    study, _ = moved
    words = [{"STUDY": str(study), "NEW": str(tmp_path / "new")}.get(word, word) for word in command]
    refused = ussearch(*words)
    assert refused.status == 2
    gone = tmp_path / "gone"
    assert (
        refused.err
        == f"ussearch: {gone} does not exist, where the study's data lay: say where it lies now with --data.\n"
    )


@pytest.mark.slow
def test_the_plan_names_a_check_that_reads_the_data_as_the_run_does(
    ussearch: Command, tiny_data: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(tiny_data, tmp_path / "my data")
    shutil.copy(data / "masks" / "p000.png", data / "masks" / "of nothing.png")
    asked = ("--groups", r"p(\d\d)", "--grey-scale", "0,250")
    planned = ussearch("run", "--profile", "jetson-nano", "--data", data, "--image-size", 64, *asked, "--dry-run")
    (command,) = re.findall(r"\(ussearch (data check .+) tells more\)", planned.out)
    words = shlex.split(command)
    assert words == ["data", "check", str(data), *asked]
    assert "of nothing.png" in ussearch(*words).out
