"""Published splits: lists of names, or one file with a list a part."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ussearch.datasets.readers import READERS
from ussearch.errors import UserError

if TYPE_CHECKING:
    from ussearch.datasets.dataset import ImageSet

PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "calibration": ("calibration", "cal"),
    "test": ("test", "testing"),
}
_LIST_SUFFIXES = {".txt", ".lst", ".csv"}
_PART_OF = {name: part for part, names in PART_NAMES.items() for name in names}
_PART_IN_NAME = re.compile("|".join(sorted(_PART_OF, key=len, reverse=True)), re.IGNORECASE)


def read_split_file(file: Path, image_set: ImageSet) -> dict[str, tuple[int, ...]]:
    """Return the indices of each part that a published split gives; ``train`` is always among them.

    A text list names one image a line, by id, file name or stem; its siblings are found by name
    (``train1.txt``: ``val1.txt``, ``test1.txt``). A list without sibling leaves all other images for testing.
    YAML and JSON map parts to lists. Of two parts the second becomes the test part, whatever its name: a
    published validation list is what its paper reports on.

    Raises:
        UserError: unreadable file, no train part, unknown or ambiguous names, an image in two parts.
    """
    if not file.is_file():
        raise UserError(f"Split file {file} does not exist: give a list of names or a YAML/JSON file with parts.")
    named = _lists(file) if file.suffix.lower() in _LIST_SUFFIXES else _mapping(file)
    find = _Finder(file, image_set)
    translate = READERS[image_set.reader].names_in_split if image_set.reader in READERS else _as_written
    parts = {part: find.all(translate(part, entries)) for part, entries in named.items()}
    _refuse_overlap(file, parts, image_set)
    if not parts.get("train"):
        raise UserError(f"Split file {file} gives no train part: add a list named train (or train….txt beside it).")
    if len(parts) == 1:
        rest = set(range(len(image_set))) - set(parts["train"])
        if not rest:
            raise UserError(f"Split file {file} puts every image in train: add a list of test images.")
        parts["test"] = tuple(sorted(rest))
    elif len(parts) == 2 and "test" not in parts:
        parts["test"] = parts.pop(next(part for part in parts if part != "train"))
    return parts


def _as_written(part: str, entries: Sequence[object]) -> list[str]:
    del part
    return [str(entry) for entry in entries]


def _lists(file: Path) -> dict[str, list[object]]:
    """Return the entries of a text list and of its siblings by part."""
    matches = list(_PART_IN_NAME.finditer(file.stem))
    if not matches:
        return {"train": list(_entries(file))}
    place = matches[-1]
    found: dict[str, list[object]] = {}
    for name, part in _PART_OF.items():
        sibling = file.with_name(file.stem[: place.start()] + name + file.stem[place.end() :] + file.suffix)
        own = file if _PART_OF[place.group().lower()] == part else sibling
        if part not in found and own.is_file():
            found[part] = list(_entries(own))
    return found


def _entries(file: Path) -> Iterator[str]:
    for line in _text(file).splitlines():
        name = line.strip().strip('"').rstrip(",")
        if name and not name.startswith("#"):
            yield name


def _mapping(file: Path) -> dict[str, list[object]]:
    try:
        content = json.loads(_text(file)) if file.suffix.lower() == ".json" else yaml.safe_load(_text(file))
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"Split file {file} is neither JSON nor YAML: correct it or give a list of names.") from error
    if not isinstance(content, Mapping):
        raise UserError(f"Split file {file} has no parts: expected 'train: [names]', 'test: [names]'.")
    found: dict[str, list[object]] = {}
    for key, entries in content.items():
        part = _PART_OF.get(str(key).lower())
        if part is not None:
            if not isinstance(entries, list):
                raise UserError(f"Split file {file} gives {key} as {type(entries).__name__}: expected a list of names.")
            found[part] = entries
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Split file {file} cannot be read as text: give a text list, YAML or JSON.") from error


def _refuse_overlap(file: Path, parts: Mapping[str, tuple[int, ...]], image_set: ImageSet) -> None:
    seen: dict[int, str] = {}
    for part, indices in parts.items():
        for index in indices:
            if seen.setdefault(index, part) != part:
                raise UserError(
                    f"Split file {file} puts {image_set.ids[index]} in {seen[index]} and in {part}: keep it in one."
                )


class _Finder:
    """Finds images by id, id without suffix, file name or stem."""

    def __init__(self, file: Path, image_set: ImageSet) -> None:
        self._file = file
        self._by_name: dict[str, set[int]] = {}
        for index, identity in enumerate(image_set.ids):
            path = Path(identity)
            for name in {identity, path.with_suffix("").as_posix(), path.name, path.stem}:
                self._by_name.setdefault(name, set()).add(index)

    def all(self, names: list[str]) -> tuple[int, ...]:
        return tuple(sorted({self._one(name) for name in names}))

    def _one(self, name: str) -> int:
        found = self._by_name.get(name, set())
        if not found:
            raise UserError(f"Split file {self._file} names {name!r}, which is not in the data set: correct the name.")
        if len(found) > 1:
            raise UserError(
                f"Split file {self._file} names {name!r}, fitting {len(found)} images: give paths within the data set."
            )
        return next(iter(found))
