"""The names that published split files hold: text lists, tables, YAML, JSON, and what nnU-Net and MONAI write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from ussearch.datasets.readers.folder_names import PART_NAMES, PART_OF
from ussearch.datasets.readers.part_columns import part_columns, part_named
from ussearch.datasets.tables import cell_of, column, rows_of, spelling, text_of
from ussearch.errors import UserError

Names = dict[str, list[object]]

LIST_SUFFIXES = {".txt", ".lst", ".csv", ".tsv"}
_SPELLED = {name: part for part, names in PART_NAMES.items() for name in names}
_PART_IN_NAME = re.compile("|".join(sorted(_SPELLED, key=len, reverse=True)), re.IGNORECASE)
_WORD_BEGINS = r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
_IS_PART = re.compile(rf"{_WORD_BEGINS}(?i:{_PART_IN_NAME.pattern})")  # not strain or contest
_WHAT = "Split file"


@dataclass(frozen=True)
class NamedParts:
    """The names of each part.

    Attributes:
        names: entries by part.
        folds: the folds that the file has, ascending; empty where it has none.
        fold: the one that was taken, None without folds.
    """

    names: Names
    folds: tuple[int, ...] = ()
    fold: int | None = None

    def source(self, file: Path) -> str:
        """Return what the split is called where it is told to people."""
        folds = f", fold {self.fold} (of {self.folds[0]} to {self.folds[-1]})" if self.folds else ""
        return f"{file.name}{folds}"


def named_parts(file: Path, fold: int | None = None) -> NamedParts:
    """Return what a split file says of ``fold``, its first one where None is given.

    Raises UserError where the file cannot be read, has no parts or not that fold.
    """
    found = _of_lists(file, fold) if file.suffix.lower() in LIST_SUFFIXES else _of_mapping(file, fold)
    if fold is not None and fold not in found.folds:
        known = f"it has the folds {found.folds[0]} to {found.folds[-1]}" if found.folds else "it has no folds"
        raise UserError(f"Split file {file} has no fold {fold}: {known}; correct the number behind #.")
    return found


def file_and_fold(given: Path) -> tuple[Path, int | None]:
    """Return the file and the fold that ``FILE#2`` means; UserError where the file is not there."""
    if given.is_file():
        return given, None
    name, mark, fold = given.name.rpartition("#")
    if mark and fold.isdigit() and given.with_name(name).is_file():
        return given.with_name(name), int(fold)
    raise UserError(f"Split file {given} does not exist: give a list of names or a YAML/JSON file with parts.")


def part_in_name(file: Path) -> str | None:
    """Return the part that the name of a list tells (``train1.txt``), its last word counting; None without any."""
    found = _PART_IN_NAME.findall(file.stem)
    return _SPELLED[found[-1].lower()] if found else None


def _of_lists(file: Path, fold: int | None) -> NamedParts:
    """Return the entries of a table, or of a list and its siblings."""
    table = _of_table(file, fold)
    if table is not None:
        return table
    matches = list(_PART_IN_NAME.finditer(file.stem))
    if not matches:
        return NamedParts({"train": list(_entries(file))})
    place = matches[-1]
    found: Names = {}
    for name, part in _SPELLED.items():
        sibling = file.with_name(file.stem[: place.start()] + name + file.stem[place.end() :] + file.suffix)
        own = file if _SPELLED[place.group().lower()] == part else sibling
        if part not in found and own.is_file():
            found[part] = list(_entries(own))
    return NamedParts(found)


def _of_table(file: Path, fold: int | None) -> NamedParts | None:
    """Return the entries of a table that tells parts itself; None of a list, which its name may tell the part of.

    Raises UserError where a table has no column of parts, or several.
    """
    (_, head), *rows = rows_of(file, _WHAT) or [(1, [])]
    image = column(head, "image")
    own = {place: PART_OF[spelling(name)] for place, name in enumerate(head) if spelling(name) in PART_OF}
    if image is None and len(own) > 1:  # a column for each part
        return NamedParts(
            {part: [name for _, row in rows if (name := cell_of(row, place))] for place, part in own.items()}
        )
    if image is None:
        return None
    named = part_in_name(file) if _IS_PART.search(file.stem) else None
    told = _column_of_parts(file, head, [row for _, row in rows])
    if told is None and (named or len(head) == 1):
        return None
    if told is None:
        raise UserError(
            f"Split file {file} has no column of parts: found {', '.join(map(str.strip, head))}; add a column split "
            "with train, val or test, or give a list of names alone."
        )
    entries = [(line, cell_of(row, image), cell_of(row, told)) for line, row in rows]
    if entries and all(value.isdigit() for _, _, value in entries):
        return _of_folds([(name, int(value)) for _, name, value in entries], fold)
    found: Names = {}
    for line, name, value in entries:
        part = part_named(value)
        if value and part is None:
            raise UserError(f"Split file {file} puts {name!r} in {value!r} (line {line}): expected train, val or test.")
        if part is not None:
            found.setdefault(part, []).append(name)
    is_list = list(found) == [named] and sum(map(len, found.values())) == len(entries)  # train.csv beside test.csv
    return None if is_list else NamedParts(found)


def _column_of_parts(file: Path, head: Sequence[str], rows: Sequence[Sequence[str]]) -> int | None:
    """Return the place of the column of parts, or else of folds; UserError where several tell different parts."""
    places = part_columns(head, rows)
    if len(places) > 1:
        names = " and ".join(head[place].strip() for place in places)
        raise UserError(f"Split file {file} has several columns of parts, {names}: keep the one that is meant.")
    return places[0] if places else column(head, "fold")


def _of_folds(entries: Sequence[tuple[object, int]], fold: int | None) -> NamedParts:
    """Return the parts where each name has the number of the fold that it is judged in."""
    folds = tuple(sorted({own for _, own in entries}))
    chosen = folds[0] if fold is None else fold
    names: Names = {"train": [name for name, own in entries if own != chosen]}
    names["validation"] = [name for name, own in entries if own == chosen]
    return NamedParts(names, folds, chosen)


def _entries(file: Path) -> Iterator[str]:
    """Yield the names of a list, or of a table's column of images."""
    (_, head), *rows = rows_of(file, _WHAT) or [(1, [])]
    image = column(head, "image")
    if image is not None:
        yield from (name for _, row in rows if (name := cell_of(row, image)))
        return
    for line in text_of(file, _WHAT).splitlines():
        name = line.strip().strip('"').rstrip(",")
        if name and not name.startswith("#"):
            yield name


def _of_mapping(file: Path, fold: int | None) -> NamedParts:
    text = text_of(file, _WHAT)
    try:
        content = json.loads(text) if file.suffix.lower() == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"Split file {file} is neither JSON nor YAML: correct it or give a list of names.") from error
    if isinstance(content, list) and content and all(isinstance(each, Mapping) for each in content):
        chosen = min(fold or 0, len(content) - 1)  # nnU-Net's splits_final.json
        return NamedParts(_parts(file, content[chosen]), tuple(range(len(content))), chosen)
    if not isinstance(content, Mapping):
        raise UserError(f"Split file {file} has no parts: expected 'train: [names]', 'test: [names]'.")
    found = _parts(file, content)
    records = found.get("train", [])
    folds = [
        (each, each["fold"]) for each in records if isinstance(each, Mapping) and isinstance(each.get("fold"), int)
    ]
    if not folds or "validation" in found:
        return NamedParts(_named(file, found))
    if len(folds) < len(records):
        raise UserError(f"Split file {file} gives no number as fold for some images of its training part: correct it.")
    divided = _of_folds(folds, fold)
    return replace(divided, names=_named(file, {**found, **divided.names}))


def _parts(file: Path, content: Mapping[object, object]) -> Names:
    """Return the lists of a mapping whose keys name parts."""
    found: Names = {}
    for key, entries in content.items():
        part = PART_OF.get(str(key).lower())
        if part is not None:
            if not isinstance(entries, list):
                raise UserError(f"Split file {file} gives {key} as {type(entries).__name__}: expected a list of names.")
            found[part] = found.get(part, []) + entries
    return found


def _named(file: Path, parts: Names) -> Names:
    """Return names in place of MONAI's records; those of a test part without labels have no masks, and are left out."""
    found: Names = {}
    for part, entries in parts.items():
        labelled = [each for each in entries if part != "test" or not isinstance(each, Mapping) or "label" in each]
        if labelled or not entries:
            found[part] = [_image(file, each) for each in labelled]
    return found


def _image(file: Path, entry: object) -> object:
    if not isinstance(entry, Mapping):
        return entry
    if isinstance(entry.get("image"), str):
        return entry["image"]
    raise UserError(f"Split file {file} has a record without one image ({dict(entry)}): name one image in each.")
