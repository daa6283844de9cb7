"""Published splits: which images of a data set their names mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ussearch.datasets.readers import READERS
from ussearch.datasets.readers.folder_names import channel
from ussearch.datasets.splits.formats import LIST_SUFFIXES, file_and_fold, named_parts
from ussearch.datasets.tables import cells_in
from ussearch.errors import UserError

if TYPE_CHECKING:
    from ussearch.datasets.dataset import ImageSet

_ANCHOR = re.compile(r"\A(?:[A-Za-z]:)?[\\/]+")


@dataclass(frozen=True)
class GivenParts:
    """The indices of each part that was given, ``train`` always among them, and where they come from."""

    parts: dict[str, tuple[int, ...]]
    source: str


def read_split_file(given: Path, image_set: ImageSet) -> GivenParts:
    """Return the parts that a published split gives.

    A text list names one image a line, by id, file name or stem; its siblings are found by name
    (``train1.txt``: ``val1.txt``, ``test1.txt``). A list without sibling leaves all other images for testing.
    A table has a column of images and one of parts or folds, or a column for each part. YAML and JSON map parts to
    lists, of names or of MONAI's records; nnU-Net's ``splits_final.json`` is a list of folds. ``FILE#2`` means the
    fold 2, as the file counts them; the first one is the default. Of two parts the second becomes the test part,
    whatever its name: a published validation list is what its paper reports on. A test part that the data set itself
    tells, as ``imagesTs`` does, stays where the file names none of its images.

    Raises:
        UserError: unreadable file, no train part, unknown or ambiguous names, an image in two parts.
    """
    file, fold = file_and_fold(given)
    named = named_parts(file, fold)
    find = _Finder(file, image_set)
    translate = READERS[image_set.reader].names_in_split if image_set.reader in READERS else _as_written
    parts = {part: find.all(translate(part, entries)) for part, entries in named.names.items()}
    _refuse_overlap(file, parts, image_set)
    if not parts.get("train"):
        raise UserError(f"Split file {file} gives no train part: add a list named train (or train….txt beside it).")
    own_test = {index for index, part in enumerate(image_set.parts) if part == "test"}
    if own_test and "test" not in parts and own_test.isdisjoint(chain(*parts.values())):
        parts["test"] = tuple(sorted(own_test))
        return GivenParts(parts, f"{named.source(file)}, test part of {image_set.name} itself")
    if len(parts) == 1:
        rest = set(range(len(image_set))) - set(parts["train"])
        if not rest:
            raise UserError(f"Split file {file} puts every image in train: add a list of test images.")
        parts["test"] = tuple(sorted(rest))
    return GivenParts(with_a_judge(parts), named.source(file))


def parts_of(image_set: ImageSet) -> GivenParts:
    """Return the parts that the data set itself tells.

    Raises UserError where it tells none of some images, or no train part.
    """
    parts: dict[str, tuple[int, ...]] = {}
    for name in dict.fromkeys(image_set.parts):
        if name is not None:
            parts[name] = tuple(index for index, part in enumerate(image_set.parts) if part == name)
    astray = [identity for identity, part in zip(image_set.ids, image_set.parts, strict=True) if part is None]
    if astray:
        raise UserError(
            f"{len(astray)} images of {image_set.name} are in no part of its split (such as {astray[0]}), while others "
            f"are in {' and '.join(sorted(parts))}: move them into a part, or give a split file."
        )
    if "train" not in parts:
        raise UserError(
            f"{image_set.name} is split into {' and '.join(sorted(parts))} alone: add a part train, or give the folder "
            "that holds all parts."
        )
    return GivenParts(with_a_judge(parts), f"the parts of {image_set.name} itself ({', '.join(sorted(parts))})")


def with_a_judge(parts: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the parts with the second of two as the test part: what a paper reports on, whatever its name."""
    second = [part for part in parts if part != "train"]
    if len(second) == 1:
        return {"train": parts["train"], "test": parts[second[0]]}
    return dict(parts)


def _as_written(part: str, entries: Sequence[object]) -> list[str]:
    del part
    return [str(entry) for entry in entries]


def _refuse_overlap(file: Path, parts: Mapping[str, tuple[int, ...]], image_set: ImageSet) -> None:
    seen: dict[int, str] = {}
    for part, indices in parts.items():
        for index in indices:
            if seen.setdefault(index, part) != part:
                raise UserError(
                    f"Split file {file} puts {image_set.ids[index]} in {seen[index]} and in {part}: keep it in one."
                )


def _unknown(file: Path, name: str) -> str:
    """Return what is wrong with a name that no image has; a line of several cells is a table's."""
    cells = [cell.strip() for cell in cells_in(name)] if file.suffix.lower() in LIST_SUFFIXES else []
    if len(cells) > 1:
        return f"has no column of images: found {', '.join(cells)}; call it image, and the one of the parts split"
    return f"names {name!r}, which is not in the data set: correct the name"


class _Finder:
    """Finds images by id, id without suffix, file name or stem; by the end of a path from elsewhere if it tells."""

    def __init__(self, file: Path, image_set: ImageSet) -> None:
        self._file = file
        self._by_name: dict[str, set[int]] = {}
        for index, identity in enumerate(image_set.ids):
            path = PurePosixPath(identity)
            names = {identity, path.with_suffix("").as_posix(), path.name, path.stem}
            if case := channel(path.stem):
                names |= {case[0], path.with_name(case[0]).as_posix()}  # nnU-Net's lists name the case alone
            for name in names:
                self._by_name.setdefault(name, set()).add(index)
        self._is_flat = len({PurePosixPath(identity).parent for identity in image_set.ids}) == 1

    def all(self, names: list[str]) -> tuple[int, ...]:
        return tuple(sorted({self._one(name) for name in names}))

    def _one(self, name: str) -> int:
        found = next((self._by_name[each] for each in self._readings(name) if each in self._by_name), set[int]())
        if not found:
            raise UserError(f"Split file {self._file} {_unknown(self._file, name)}.")
        if len(found) > 1:
            raise UserError(
                f"Split file {self._file} names {name!r}, fitting {len(found)} images: give paths within the data set."
            )
        return next(iter(found))

    def _readings(self, name: str) -> Iterator[str]:
        """Yield what a name may mean: as it is, with other separators, and the ends of a path from elsewhere."""
        yield name
        path = PurePosixPath(_ANCHOR.sub("", name).replace("\\", "/"))
        shortest = 1 if self._is_flat else 2  # names that folders use anew tell nothing alone
        for length in range(len(path.parts), 0, -1):
            end = PurePosixPath(*path.parts[-length:])
            if length >= shortest or length == len(path.parts):
                yield end.as_posix()
