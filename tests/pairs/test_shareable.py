"""Commands and sentences travel without names of files, folders and machines, and keep their numbers."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.cli.export import export
from ussearch.cli.route import route
from ussearch.cli.run import run
from ussearch.pairs.bundles.shareable import record_without_places, shareable, without_places

COMMANDS: dict[str, Callable[..., Any]] = {"run": run, "export": export, "route": route}
MACHINES = ("--ray", "--storage", "--groups")
"""Texts that may name a machine or a person."""
SECRET = "smith"


def options(kinds: set[type], *, without: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Return commands with their options whose values are of these kinds."""
    for name, command in COMMANDS.items():
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            flag = f"--{parameter.name.replace('_', '-')}"
            taken = set(get_args(parameter.annotation)[:1])
            taken |= {each for kind in taken for each in get_args(kind)}
            if taken & kinds and flag not in without and (flag != "--study" or name == "run"):
                yield name, flag


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ussearch run --data /home/ann/scans --trials 4", "ussearch run --data DATA --trials 4"),
        ("/opt/env/bin/ussearch run --study=/data/x/busi --resume", "ussearch run --study=STUDY --resume"),
        ("/opt/env/ussearch/__main__.py export --no-compress smith", "ussearch export --no-compress STUDY"),
        ("ussearch -v route smith --policy calls --calls 5/10", "ussearch -v route STUDY --policy calls --calls 5/10"),
        (".venv/bin/ussearch run --data 'my scans' --lesion '#ff0000'", "ussearch run --data DATA --lesion '#ff0000'"),
        ("ussearch run --profile /home/smith/own.yaml", "ussearch run --profile PROFILE"),
        (
            "ussearch run --set training.epochs=20 --set data.path=smith",
            "ussearch run --set training.epochs=20 --set KEY=VALUE",
        ),
        ("/home/ann/smith.py --data scans", "python SCRIPT"),
        ("", "python SCRIPT"),
    ],
)
def test_commands_travel_without_the_names_of_a_user(command: str, expected: str) -> None:
    assert shareable(command) == expected
    assert shareable(expected) == expected  # also where it travels on


names = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=8).map(
    lambda text: f"{text}{SECRET}{text[::-1]}".lstrip("-")
)


@given(st.data())
def test_no_name_travels_whatever_it_is(data: st.DataObject) -> None:
    chosen = data.draw(
        st.sampled_from(sorted([*options({Path}), *((name, flag) for name in COMMANDS for flag in MACHINES)]))
    )
    command, flag = chosen
    value, study = data.draw(names), data.draw(names)
    apart = [flag, value] if data.draw(st.booleans()) else [f"{flag}={value}"]
    place = [] if command == "run" else [study]
    words = [*place, *apart] if data.draw(st.booleans()) else [*apart, *place]
    told = shareable(shlex.join(["ussearch", command, *words]))
    assert SECRET not in told and told.startswith(f"ussearch {command} ") and flag in told


@pytest.mark.parametrize(("command", "flag"), sorted(options({int, float})))
def test_numbers_travel(command: str, flag: str) -> None:
    assert shareable(f"ussearch {command} {flag} 7") == f"ussearch {command} {flag} 7"


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (
            "later: ussearch compress /home/ann/studies/busi --trial 4; and/or at 1/4 of it",
            "later: ussearch compress STUDY --trial 4; and/or at 1/4 of it",
        ),
        ("later: ussearch route my smith", "later: ussearch route STUDY"),
        ("cannot read /home/smith/x.onnx, sorry", "cannot read …, sorry"),
        ("cannot read smith_0001.PNG: truncated", "cannot read …: truncated"),
        ("[Errno 2] no such file: '/home/Mrs Smith/x'", "[Errno 2] no such file: …"),
        (r"C:\Users\smith\scans is gone", "… is gone"),
    ],
)
def test_sentences_travel_without_them_either(sentence: str, expected: str) -> None:
    assert without_places(sentence) == expected


def test_a_record_keeps_everything_but_the_places_in_its_sentences() -> None:
    record = {
        "records": [
            {"step": "/up/Conv", "reason": "failed: /home/smith/x", "speed": {"source": "~/smith", "ratio": 1.0}}
        ],
        "skipped": {"distil": "later: ussearch compress smith --trial 1"},
        "dice": [0.5, None],
    }
    assert record_without_places(record) == {
        "records": [{"step": "/up/Conv", "reason": "failed: …", "speed": {"source": "…", "ratio": 1.0}}],
        "skipped": {"distil": "later: ussearch compress STUDY --trial 1"},
        "dice": [0.5, None],
    }


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ussearch run --pretrained mobilenetv2", "ussearch run --pretrained mobilenetv2"),
        ("ussearch run --pretrained smith.pth", "ussearch run --pretrained PRETRAINED"),
        ("ussearch run --pretrained smith", "ussearch run --pretrained PRETRAINED"),
        ("ussearch run --warm-start lv-unet,unext", "ussearch run --warm-start lv-unet,unext"),
        ("ussearch run --warm-start lv-unet,smith.yaml", "ussearch run --warm-start WARM_START"),
        ("ussearch run --set training.pretrained=smith.pth", "ussearch run --set KEY=VALUE"),
    ],
)
def test_names_of_the_program_travel_where_files_might_stand(command: str, expected: str) -> None:
    assert shareable(command) == expected
