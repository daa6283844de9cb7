"""The options of a run, or those of them that say how files are read, as parameters of a command."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ussearch.run_config import Names
from ussearch.run_options import PATHS_ONLY, RunOption, run_options

if TYPE_CHECKING:
    from ussearch.datasets import ReadingOptions

READING = ("reader", "lesion", "fill_outlines", "folders", "groups", "grey_scale", "region")
"""Options of a run that say how the files of a data set are read."""


def with_run_options(command: Any) -> Any:
    """Give a command the options of ``RunConfig`` beside its own, each None where it is not given."""
    return _with(command, before=run_options())


def with_reading_options(command: Any) -> Any:
    """Give a command those options of a run that ``reading_options`` takes, each None where it is not given."""
    return _with(command, after=filter(is_of_reading, run_options()))


def is_of_reading(option: RunOption) -> bool:
    """Return whether an option of a run says how files are read."""
    return option.path[0] == "data" and option.path[-1] in READING


def reading_options(given: Mapping[str, Any]) -> ReadingOptions:
    """Return what was said of the files; raises UserError for what sub-folders cannot mean."""
    from ussearch.datasets import ReadingOptions
    from ussearch.errors import UserError

    folders = given["folders"]
    if folders not in (None, "split", "classes", "patients"):
        raise UserError(f"--folders {folders} is not possible: expected split, classes or patients.")
    return ReadingOptions(**{**given, "fill_outlines": bool(given["fill_outlines"])})


def _with(command: Any, before: Iterable[RunOption] = (), after: Iterable[RunOption] = ()) -> Any:
    own = [
        each.replace(kind=each.KEYWORD_ONLY)
        for each in inspect.signature(command, eval_str=True).parameters.values()
        if each.kind != each.VAR_KEYWORD
    ]
    first, last = ([_parameter(each) for each in part if each.dotted not in PATHS_ONLY] for part in (before, after))
    command.__signature__ = inspect.Signature([*first, *own, *last], return_annotation=None)
    command.__annotations__ = {each.name: each.annotation for each in (*first, *own, *last)}
    return command


def _parameter(option: RunOption) -> inspect.Parameter:
    """Return the parameter of one option; flags have a ``--no-`` twin, times and lists are text."""
    kind, flags = _kind(option), (option.flag,)
    if kind is bool:
        flags = (f"{option.flag}/--no-{option.keyword.replace('_', '-')}",) if option.default else (option.flag,)
    shown = "" if option.default is None or kind is bool else f"  [default: {option.default}]"
    info = typer.Option(*flags, help=f"{option.description}{shown}", show_default=False)
    annotation = Annotated[kind | None, info]  # type: ignore[valid-type]  # made while the program runs
    return inspect.Parameter(option.keyword, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _kind(option: RunOption) -> type:
    """Return the type that the command line parses; ranges and names are checked by ``RunConfig``."""
    parts = {option.annotation, *getattr(option.annotation, "__args__", ())}
    field = option.dotted
    if field in {"budget", "execution.trial_timeout"} or Names in parts:
        return str
    return next((kind for kind in (bool, int, float, Path) if kind in parts), str)
