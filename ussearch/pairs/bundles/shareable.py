"""Commands and sentences as they may travel with a bundle: without names of files, folders and machines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from ussearch.run_options import run_options
from ussearch.search_spaces import preset_names
from ussearch.weights import known_weights
from ussearch.weights.asked import AUTO, OFF

COMMANDS = ("run", "export", "route", "threshold")
"""What writes or changes a bundle."""
_PRIVATE_WORDS = ("groups", "ray", "storage")
"""Options of a run that are no paths and may name somebody, or a machine."""
_TOLD = (
    *("--edge", "--cloud", "--steps", "--policy", "--share", "--calls", "--mean-ms", "--cloud-ms", "--edge-ms"),
    *("--risk", "--bound", "--folds", "--false-positives", "--sensitivity"),
)
"""Options of the other commands that take numbers or words of the program; those of ``run`` say it themselves."""
_FLAGS = ("--learn", "--json", "--timings", "--dry-run", "--verbose", "--quiet", "-v", "-vv", "-q")
_PLAIN = re.compile(r"[^/\\~]*|\d+/\d+")
_COMMAND = re.compile(r"(ussearch (?:compress|route|export)) (?!STUDY\b).+?(?= --|;|$)")
_PLACES = re.compile(
    r"'[^'\n]*[/\\][^'\n]*'|\"[^\"\n]*[/\\][^\"\n]*\""
    r"|(?<![\w./~])(?:~|[A-Za-z]:)?[/\\][^\s,;)]+"
    r"|[^\s'\"]+\.(?:png|jpe?g|tiff?|bmp|gif|webp|pgm|dcm|dicom|nii|gz)\b",
    re.IGNORECASE,
)
HIDDEN = "…"
_SENTENCES = ("reason", "source", "skipped")


def shareable(command: str) -> str:
    """Return a command as it may travel: ``--data DATA``, ``export STUDY`` for what names files, folders or machines.

    What is no command of the package, such as a script that uses it, travels as ``python SCRIPT``.
    """
    program, *words = shlex.split(command) or [""]
    place = PurePath(program)
    if "ussearch" not in (place.stem, place.parent.name if place.name == "__main__.py" else ""):
        return "python SCRIPT"
    return " ".join(["ussearch", *_shared(words)])


def _shared(words: list[str]) -> Iterator[str]:
    option, commanded = "", False
    for word in words:
        if re.fullmatch(r"--?[a-z][a-z-]*", word):
            option = "" if _is_flag(word) else word
            yield word
        elif word.startswith("--") and "=" in word:
            name, _, value = word.partition("=")
            yield f"{name}={_value(name, value)}"
        elif option:
            yield _value(option, word)
            option = ""
        else:
            yield "STUDY" if commanded or word not in COMMANDS else word
            commanded = True


def _value(option: str, value: str) -> str:
    """Return what may be told of an option's value."""
    if option == "--set":
        key, _, value = value.partition("=")
        return shlex.quote(f"{key}={value}") if _may_be_told(key, value) else "KEY=VALUE"
    return shlex.quote(value) if _may_be_told(option, value) else option.strip("-").replace("-", "_").upper()


def _may_be_told(option: str, value: str) -> bool:
    """Return whether the value of an option, or of a key, names nothing of the user's."""
    names = _names_or_files().get(option)
    if names is not None:
        return all(part.strip() in names for part in value.split(","))
    return option in _told() and _PLAIN.fullmatch(value) is not None


@cache
def _names_or_files() -> Mapping[str, frozenset[str]]:
    """Return the options, and keys, that take names of the program or files of the user, with those names."""
    weights = frozenset({AUTO, OFF, *(source.name for source in known_weights())})
    presets = frozenset(preset_names())
    known = {"pretrained": weights, "warm_start": presets, "base": presets}
    options = [option for option in run_options() if option.keyword in known]
    return {key: known[option.keyword] for option in options for key in (option.flag, option.dotted)}


@cache
def _told() -> frozenset[str]:
    """Return the options, and the keys of a configuration, whose values are numbers or words of the program."""
    found = set(_TOLD)
    for option in run_options():
        kinds = {option.annotation, *getattr(option.annotation, "__args__", ())}
        if not kinds & {Path, bool} and option.keyword not in _PRIVATE_WORDS:
            found |= {option.flag, option.dotted}
    return frozenset(found)


def _is_flag(word: str) -> bool:
    """Tell whether an option takes no value."""
    own = (option.flag for option in run_options() if option.annotation is bool)
    return word.startswith("--no-") or word in _FLAGS or word in own


def without_places(text: str) -> str:
    """Return a sentence without paths and names of files; the study of a command in it becomes ``STUDY``."""
    return _PLACES.sub(HIDDEN, _COMMAND.sub(r"\1 STUDY", text))


def record_without_places(content: Any, *, sentence: bool = False) -> Any:
    """Return the record of a chain with its sentences (``reason``, ``source``, ``skipped``) as they may travel."""
    if isinstance(content, Mapping):
        return {
            name: record_without_places(value, sentence=sentence or name in _SENTENCES)
            for name, value in content.items()
        }
    if isinstance(content, list):
        return [record_without_places(each, sentence=sentence) for each in content]
    return without_places(content) if sentence and isinstance(content, str) else content
