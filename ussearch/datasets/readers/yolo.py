"""YOLO's segmentation labels: a text file for each image, a line for each outline, in shares of width and height."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import yaml

from ussearch.datasets.annotations import Polygon
from ussearch.datasets.readers.base import add_reader
from ussearch.datasets.readers.drawn import DrawnReader, Entries, Entry, text_of
from ussearch.datasets.readers.found_files import FoundFile, ends_of
from ussearch.errors import UserError

_LINE = re.compile(r"\d+(?:\s+-?\d*\.?\d+(?:e-?\d+)?){4,}")
_LOOKED_AT = 20
"""Text files, and lines of one, that are looked at to recognise labels; empty ones say nothing."""
_NUMBERS_OF_A_BOX = 4
_NAME_LISTS = ("classes.txt", "obj.names", "predefined_classes.txt")


@add_reader
class Yolo(DrawnReader):
    """``labels/train/a.txt`` for ``images/train/a.png``; names are those of ``data.yaml``, or of ``classes.txt``.

    An empty file says that its image shows nothing. Lines of four numbers are boxes, which are refused.
    """

    name = "yolo"
    layout = "'labels/a.txt' with 'class x y x y x y …' in shares of the image for each 'images/a.png'"

    def annotation_files(self, files: Sequence[FoundFile]) -> list[FoundFile]:
        """Return the text files named as images are, where the first of them hold labels."""
        stems = {file.stem for file in files if file.is_image}
        texts = [file for file in files if file.path.suffix.lower() == ".txt" and file.stem in stems]
        looked = [text for file in texts[:_LOOKED_AT] if (text := ends_of(file.path)).strip()]
        return texts if looked and all(map(_are_labels, looked)) else []

    def entries(self, root: Path, files: Sequence[FoundFile]) -> Entries:
        """Return what reads the one entry of a text file."""
        images: defaultdict[str, list[FoundFile]] = defaultdict(list)
        for file in files:
            if file.is_image:
                images[file.stem].append(file)
        names = cache(partial(_names, files))  # a damaged list of names is told with each file, and stops none

        def read(file: FoundFile) -> Iterator[Entry]:
            beside, same = file.folder.replace("labels", "images"), images[file.stem]
            image = next((each for each in same if each.folder in (file.folder, beside)), same[0])
            outlines, boxes = _outlines(file.path, names())
            yield Entry(file.path, image.place, outlines, None, boxes, file.part)

        return read


def _are_labels(text: str) -> bool:
    lines = [line.strip() for line in text.splitlines()[:_LOOKED_AT] if line.strip()]
    return bool(lines) and all(_LINE.fullmatch(line) for line in lines)


def _outlines(file: Path, names: Mapping[int, str]) -> tuple[tuple[Polygon, ...], int]:
    """Return the outlines of one image, and how many boxes there are beside them."""
    found, boxes = [], 0
    for number, line in enumerate(text_of(file).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            label, values = int(words[0]), tuple(map(float, words[1:]))
        except ValueError as error:
            raise UserError(f"Line {number} of {file} is no class with numbers: export it again.") from error
        if len(values) == _NUMBERS_OF_A_BOX:
            boxes += 1
        elif names and label not in names:
            raise UserError(f"Line {number} of {file} has the class {label}, which has no name: export it again.")
        else:
            found.append(Polygon(names.get(label, f"class {label}"), (values,), relative=True))
    return tuple(found), boxes


def _names(files: Sequence[FoundFile]) -> dict[int, str]:
    """Return the classes by their numbers, as the first file that names them does; nothing where none does."""
    for file in files:
        if file.path.name in ("data.yaml", "dataset.yaml", "data.yml"):
            try:
                said = yaml.safe_load(text_of(file.path))
            except yaml.YAMLError as error:
                raise UserError(f"{file.path} is no YAML file: export it again.") from error
            names = said.get("names") if isinstance(said, dict) else None
            if isinstance(names, list):
                return {number: str(name) for number, name in enumerate(names)}
            if isinstance(names, dict) and all(isinstance(number, int) for number in names):
                return {number: str(name) for number, name in names.items()}
        if file.path.name in _NAME_LISTS:
            lines = [line.strip() for line in text_of(file.path).splitlines() if line.strip()]
            return dict(enumerate(lines))
    return {}
