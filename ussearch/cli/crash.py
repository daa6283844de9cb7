"""Unexpected errors: one line for the user, the whole traceback in a file, a status of their own."""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
import traceback
from contextvars import ContextVar
from datetime import datetime, timezone
from pathlib import Path

import typer
from typer.core import TyperCommand

UNEXPECTED = 70
"""EX_SOFTWARE of sysexits.h: a defect of the program, not of what it was given."""
LOG = "error.log"
_study: ContextVar[Path | None] = ContextVar("study", default=None)


class StudyCommand(TyperCommand):
    """A command that remembers the study that it is given."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer's context is click's own
        """Run the command."""
        study = ctx.params.get("study")
        remember_study(None if study is None else Path(study))
        return super().invoke(ctx)


def remember_study(folder: Path | None) -> None:
    """Note the folder of the study that the command works on: its error log belongs there."""
    _study.set(folder)


def report(error: Exception) -> int:
    """Write the traceback of an unexpected error to a file, tell in one line where, and return the status."""
    reason = " ".join(str(error).split())[:300] or "no message"
    path = _written("".join(traceback.format_exception(error)))
    typer.echo(
        f"ussearch: unexpected {type(error).__name__} ({_without_passwords(reason)}): this is a defect of ussearch; "
        f"its traceback is in {path}, please report it; read it first, it may name your files.",
        err=True,
    )
    return UNEXPECTED


def _written(trace: str) -> Path:
    """Add a traceback to the log of the study, else of the user, else of this moment; return its path."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    entry = _without_passwords(f"{now} {shlex.join(sys.argv)}\n{trace}\n")
    for folder in _folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / LOG).open("a", encoding="utf-8") as file:
                file.write(entry)
        except OSError:
            continue
        return folder / LOG
    handle, name = tempfile.mkstemp(prefix="ussearch-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(entry)
    return Path(name)


def _folders() -> list[Path]:
    """Return where the log may lie, the best place first."""
    import platformdirs

    study = _study.get()
    known = [study] if study is not None and (study / "study.yaml").is_file() else []
    return [*known, platformdirs.user_state_path("ussearch")]


def _without_passwords(text: str) -> str:
    try:
        from ussearch.storage_url import hide_passwords
    except Exception:  # what failed may be this very import
        return re.sub(r"\w+://\S+", "***", text)
    return hide_passwords(text)
