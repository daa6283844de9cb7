"""Rows of a committed table: a dataclass a line, added as they are measured, so that nothing is lost to a kill."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any


def append(path: Path, *rows: Any) -> None:
    """Add rows, dataclasses of one kind, to the table at ``path``; a new one begins with their fields' names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(rows[0])], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(map(asdict, rows))


def lines(path: Path) -> Sequence[dict[str, str]]:
    """Return the lines of a table as text by column; none where there is no table yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
