"""LabelMe: a JSON file beside each image, with polygons, circles and small masks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ussearch.datasets.annotations import Ellipse, Piece, Polygon, Shape
from ussearch.datasets.readers.base import add_reader
from ussearch.datasets.readers.drawn import DrawnReader, Entries, Entry
from ussearch.datasets.readers.found_files import FoundFile, ends_of
from ussearch.datasets.readers.json_values import json_of, list_in, numbers_in, record_in, text_in, whole_in
from ussearch.errors import UserError

_LOOKED_AT = 5
"""Files that are looked at: where these are LabelMe's, the other JSON files beside images are."""
_NOT_AREAS = ("line", "linestrip", "point", "points")


@add_reader
class LabelMe(DrawnReader):
    """``a.json`` beside ``a.png``, or in a folder of its own. A file without shapes says that its image shows nothing.

    Lines and points have no area and are refused, as are rectangles, which do not outline anything.
    """

    name = "labelme"
    layout = "'a.json' with shapes and imagePath for each image 'a.png'"

    def annotation_files(self, files: Sequence[FoundFile]) -> list[FoundFile]:
        """Return the JSON files, where the first of them are LabelMe's."""
        texts = [file for file in files if file.path.suffix.lower() == ".json"]
        looked = texts[:_LOOKED_AT]
        if not looked or not all(_is_labelme(ends_of(file.path)) for file in looked):
            return []
        return texts

    def entries(self, root: Path, files: Sequence[FoundFile]) -> Entries:
        """Return what reads the one entry of a file: of the image that it names, or else of the one with its stem."""
        names = {file.path.name for file in files if file.is_image}
        stems = {file.stem: file.path.name for file in files if file.is_image}

        def read(file: FoundFile) -> Iterator[Entry]:
            content = json_of(file.path)
            said = text_in(content.get("imagePath"), f"imagePath of {file.path}").replace("\\", "/")
            if PurePosixPath(said).name not in names:  # renamed since, or converted to another type
                said = stems.get(file.stem, said)
            elif (beside := file.path.with_name(PurePosixPath(said).name)).is_file():
                said = beside.relative_to(root).as_posix()
            yield _entry(file, said, content)

        return read


def _entry(file: FoundFile, image: str, content: dict[str, Any]) -> Entry:
    shapes = [
        _shape(record_in(each, f"Shape {number} of {file.path}"), f"Shape {number} of {file.path}")
        for number, each in enumerate(list_in(content, "shapes", str(file.path)), start=1)
    ]
    size = None
    if content.get("imageHeight") and content.get("imageWidth"):
        height, width = (whole_in(content[side], f"{side} of {file.path}") for side in ("imageHeight", "imageWidth"))
        size = (height, width)
    drawn = tuple(shape for shape in shapes if shape is not None)
    return Entry(file.path, image, drawn, size, len(shapes) - len(drawn), file.part)


def _is_labelme(text: str) -> bool:
    return '"shapes"' in text and '"imagePath"' in text


def _shape(record: dict[str, Any], where: str) -> Shape | None:
    """Return what was drawn; None for a rectangle."""
    label = text_in(record.get("label"), f"{where}: its label")
    kind = record.get("shape_type") or "polygon"
    points = [numbers_in(each, f"{where}: a point") for each in list_in(record, "points", where)]
    if wrong := [len(point) for point in points if len(point) != 2]:
        raise UserError(f"{where} has a point with {wrong[0]} numbers, x and y were expected.")
    if kind == "polygon":
        return Polygon(label, (tuple(number for point in points for number in point),))
    if kind == "circle" and len(points) == 2:
        radius = math.dist(points[0], points[1])
        return Ellipse(label, (points[0][0], points[0][1]), (radius, radius))
    if kind == "mask" and points:
        corner = (round(points[0][0]), round(points[0][1]))
        return Piece(label, text_in(record.get("mask"), f"{where}: its mask"), corner)
    if kind == "rectangle":
        return None
    why = "has no area" if kind in _NOT_AREAS else "is of a kind that is not read"
    raise UserError(f"{where} ({label}) {why} ({kind}): draw a polygon, a circle or a mask.")
