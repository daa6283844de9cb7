"""Old names of what users see, and the two tables of them: options, JSON keys, keys of files, names in Python.

Every old name works until ``REMOVED_IN``, with one line a process on standard error that says the new word, or what
happens now where there is none. ``docs/migration.md`` is these tables as a page; a test compares the two.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar

REMOVED_IN = "0.4.0"
P = ParamSpec("P")
R = TypeVar("R")
Kind = Literal["option", "json", "file", "python"]


@dataclass(frozen=True)
class Renamed:
    """One name that users may have written: ``place`` is a command, a file or a module; empty stands for all."""

    kind: Kind
    place: str
    old: str
    new: str


RENAMED: tuple[Renamed, ...] = (
    Renamed("option", "run", "--seed-presets", "--warm-start"),
    Renamed("option", "run", "--final-seeds", "--final-restarts"),
    Renamed("option", "run", "--device", "--accelerator"),
    Renamed("option", "export", "--device", "--accelerator"),
    Renamed("option", "compress", "--device", "--accelerator"),
    Renamed("option", "route", "--device", "--accelerator"),
    Renamed("option", "specialise", "--device", "--accelerator"),
    Renamed("option", "show", "--end", "--tier"),
    Renamed("json", "", "selection", "objective"),
    Renamed("json", "", "slot", "trial_id"),
    Renamed("json", "", "end", "tier"),
    Renamed("json", "", "strata", "subgroups"),
    Renamed("json", "", "mend", "hint"),
    Renamed("json", "", "worth", "routing_gain"),
    Renamed("json", "", "contest", "router_comparison"),
    Renamed("json", "", "seed_presets", "initial_architectures"),
    Renamed("json", "", "final_seeds", "final_restarts"),
    Renamed("file", "study.yaml", "seeds", "initial_architectures"),
    Renamed("file", "study.yaml", "final_seeds", "final_restarts"),
    Renamed("file", "bundle.yaml", "origin", "provenance"),
    Renamed("file", "bundle.yaml", "final_seeds", "final_restarts"),
    Renamed("file", "bundle.yaml", "strata", "subgroups"),
    Renamed("file", "bundle.yaml", "worth", "routing_gain"),
    Renamed("file", "bundle.yaml", "contest", "router_comparison"),
    Renamed("file", "bundle.yaml", "selection", "objective"),
    Renamed("file", "record.json", "slot", "trial_id"),
    Renamed("file", "record.json", "selection", "objective"),
    Renamed("file", "record.json", "device", "accelerator"),
    Renamed("python", "ussearch", "CloudWish", "CloudOptions"),
    Renamed("python", "ussearch", "Prediction", "PredictionResult"),
    Renamed("python", "ussearch.run", "seed_presets", "warm_start"),
    Renamed("python", "ussearch.run", "final_seeds", "final_restarts"),
    Renamed("python", "ussearch.run", "device", "accelerator"),
    Renamed("python", "ussearch.run", "budget_seconds", "budget"),
    Renamed("python", "ussearch.run", "trial_timeout_seconds", "trial_timeout"),
    Renamed("python", "ussearch.Study.export", "device", "accelerator"),
    Renamed("python", "ussearch.Study.show", "end", "tier"),
    Renamed("python", "ussearch.serving.client.EdgeClient", "answer", "predict"),
    Renamed("python", "ussearch.studies.TrialRecord", "slot", "trial_id"),
    Renamed("python", "ussearch.studies.TrialRecord", "dice", "objective"),
    Renamed("python", "ussearch.evaluators.Evaluation", "dice", "objective"),
    Renamed("python", "ussearch.events.TrialStarted", "slot", "trial_id"),
    Renamed("python", "ussearch.events.TrialRepeated", "slot", "trial_id"),
    Renamed("python", "ussearch.events", "StepJudged", "StepEvaluated"),
    Renamed("python", "ussearch.events", "UniformJudged", "WidthMultiplierEvaluated"),
    Renamed("python", "ussearch.studies", "events", "ussearch.events"),
    Renamed("python", "ussearch.pairs", "client", "ussearch.serving.client"),
    Renamed("python", "ussearch.pairs", "server", "ussearch.serving.server"),
)


@dataclass(frozen=True)
class Removed:
    """A name that has no effect any more, and what happens ``instead``; ``place`` as in ``Renamed``.

    ``has_value`` tells options of the command line from flags.
    """

    kind: Kind
    place: str
    old: str
    instead: str
    has_value: bool = True


_TRAINED = "every candidate is trained"
_ROUNDS = "candidates are trained in rounds, and the best go on"
REMOVED: tuple[Removed, ...] = (
    Removed("option", "run", "--evaluator", _TRAINED),
    Removed("option", "config", "--evaluator", _TRAINED),
    Removed("json", "run --dry-run", "evaluator", _TRAINED),
    Removed("json", "run --dry-run", "shared_epochs", _TRAINED),
    Removed("json", "config", "search.evaluator", _TRAINED),
    Removed("file", "run.yaml", "search.evaluator", _TRAINED),
    Removed("file", "study.yaml", "shared_epochs", _TRAINED),
    Removed("python", "ussearch.run", "evaluator", _TRAINED),
    Removed("option", "run", "--halving", _ROUNDS, has_value=False),
    Removed("option", "run", "--no-halving", _ROUNDS, has_value=False),
    Removed("option", "config", "--halving", _ROUNDS, has_value=False),
    Removed("json", "run --dry-run", "halving", _ROUNDS),
    Removed("json", "config", "search.halving", _ROUNDS),
    Removed("file", "run.yaml", "search.halving", _ROUNDS),
    Removed("python", "ussearch.run", "halving", _ROUNDS),
)
_told: set[Renamed | Removed] = set()


def renamed(kind: Kind, place: str) -> dict[str, Renamed]:
    """Return the old names of a ``kind`` at a ``place``, those of all places included, each with its entry."""
    return {each.old: each for each in RENAMED if each.kind == kind and each.place in {"", place}}


def removed(kind: Kind, place: str) -> dict[str, Removed]:
    """Return the names without effect of a ``kind`` at a ``place``, each with its entry."""
    return {each.old: each for each in REMOVED if (each.kind, each.place) == (kind, place)}


def tell(entry: Renamed | Removed) -> None:
    """Write one line that says the new word, or what happens now, once a process, to standard error."""
    if entry in _told:
        return
    _told.add(entry)
    if isinstance(entry, Removed):
        _say(f"{entry.instead}; {entry.old} has no effect any more and is refused from {REMOVED_IN} on.")
    else:
        where = f" of {entry.place}" if entry.place else ""
        _say(f"{entry.old}{where} is now {entry.new}; the old name works until {REMOVED_IN}.")


def _say(sentence: str) -> None:
    sys.stderr.write(f"ussearch: {sentence}\n")


def with_new_names(kind: Kind, place: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``content`` with old keys under their new names, and without those that have no effect any more.

    A key that is there in both spellings keeps the new.
    """
    old, gone = renamed(kind, place), removed(kind, place)
    found = {}
    for name, value in content.items():
        entry = old.get(name)
        if name in gone:
            tell(gone[name])
        elif entry is None:
            found[name] = value
        elif entry.new not in content:
            tell(entry)
            found[entry.new] = value
    return found


def with_old_json_keys(content: Any) -> Any:
    """Return JSON-ready data in which every renamed key stands under its old name, too; one line says so."""
    old = {each.new: each for each in RENAMED if each.kind == "json"}
    doubled: set[Renamed] = set()
    found = _doubled(content, old, doubled)
    if doubled and not _told & doubled:
        _told.update(doubled)
        words = ", ".join(f"{each.old} ({each.new})" for each in sorted(doubled, key=lambda each: each.old))
        _say(f"JSON keys with new names stand under their old ones, too, until {REMOVED_IN}: {words}.")
    return found


def _doubled(content: Any, old: Mapping[str, Renamed], doubled: set[Renamed]) -> Any:
    if isinstance(content, Mapping):
        found = {name: _doubled(value, old, doubled) for name, value in content.items()}
        for name in [name for name in found if name in old and old[name].old not in found]:
            doubled.add(old[name])
            found[old[name].old] = found[name]
        return found
    if isinstance(content, Collection) and not isinstance(content, (str, bytes)):
        return [_doubled(each, old, doubled) for each in content]
    return content


def python_name(place: str, name: str) -> str:
    """Return the new name of something that is imported by its old one; for a module's ``__getattr__``."""
    entry = renamed("python", place).get(name)
    if entry is None:
        return name
    tell(entry)
    return entry.new


def old_attribute(place: str, name: str) -> property:
    """Return what a class has under the old name of one of its attributes."""
    entry = renamed("python", place)[name]

    def value(owner: object) -> Any:
        tell(entry)
        return getattr(owner, entry.new)

    return property(value)


def renamed_arguments(place: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take arguments by their old names, too."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*arguments: P.args, **options: P.kwargs) -> R:
            return function(*arguments, **with_new_names("python", place, options))

        return call

    return decorate
