"""What the labels of masks are called, where a file says it: nnU-Net's dataset.json, CVAT's labelmap.txt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ussearch.datasets.readers.drawn import text_of
from ussearch.errors import UserError

_COLOURS = re.compile(r"(?P<name>[^:#]+):(?P<red>\d+),(?P<green>\d+),(?P<blue>\d+):")


def label_names_in(root: Path) -> dict[str, str]:
    """Return names of labels, by labels as they are written, that files in the folder of a data set tell; often none.

    A file that is damaged says nothing: the labels are there without it.
    """
    for name, names_of in (("dataset.json", _nnunet), ("labelmap.txt", _labelmap)):
        path = root / name
        if path.is_file():
            try:
                return dict(names_of(text_of(path)))
            except (UserError, ValueError, RecursionError):
                return {}
    return {}


def _nnunet(text: str) -> Iterator[tuple[str, str]]:
    """Yield label and name of ``labels``: names with numbers, or the other way round as older versions wrote them."""
    content = json.loads(text)
    labels: Any = content.get("labels") if isinstance(content, dict) else None
    for one, other in labels.items() if isinstance(labels, dict) else ():
        if isinstance(other, int) and not isinstance(other, bool):
            yield str(other), str(one)
        elif one.isdecimal() and isinstance(other, str):
            yield one, other


def _labelmap(text: str) -> Iterator[tuple[str, str]]:
    """Yield label and name of lines such as ``cyst:255,0,0::``."""
    for line in text.splitlines():
        if match := _COLOURS.match(line.strip()):
            red, green, blue = (int(match[colour]) for colour in ("red", "green", "blue"))
            if max(red, green, blue) < 256:
                yield str(red) if red == green == blue else f"#{red:02x}{green:02x}{blue:02x}", match["name"].strip()
