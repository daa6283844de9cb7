"""CVAT: one XML file ("CVAT for images") with polygons, masks and ellipses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from ussearch.datasets.annotations import Ellipse, Polygon, RunLengths, Shape
from ussearch.datasets.readers.base import add_reader
from ussearch.datasets.readers.drawn import DrawnReader, Entries, Entry, text_of
from ussearch.datasets.readers.folder_names import PART_OF
from ussearch.datasets.readers.found_files import FoundFile, ends_of
from ussearch.errors import UserError

_BOX = "box"
_NOT_AREAS = ("polyline", "points", "cuboid", "skeleton")
_SHAPES = ("polygon", "mask", "ellipse", _BOX, *_NOT_AREAS)


@add_reader
class Cvat(DrawnReader):
    """``annotations.xml`` beside ``images/``. An image element without shapes says that the image shows nothing.

    The subset of an image is its part of a split. Lines and points have no area and are refused, as are boxes.
    """

    name = "cvat"
    layout = "'annotations.xml' of 'CVAT for images'"

    def annotation_files(self, files: Sequence[FoundFile]) -> list[FoundFile]:
        """Return the XML files whose beginning is CVAT's."""
        texts = [file for file in files if file.path.suffix.lower() == ".xml"]
        return [file for file in texts if "<annotations" in ends_of(file.path)]

    def entries(self, root: Path, files: Sequence[FoundFile]) -> Entries:
        """Return what reads the image elements of a file."""
        return lambda file: _entries(file.path)


def _entries(file: Path) -> Iterator[Entry]:
    tree = _tree(file)
    if tree.find("track") is not None:
        raise UserError(f"{file} holds tracks of a video, images were expected: export it as 'CVAT for images'.")
    for number, image in enumerate(tree.findall("image"), start=1):
        where = f"image {number} of {file}"
        name = image.get("name") or ""
        if not name:
            raise UserError(f"The name of {where} is missing: export it again.")
        elements = [each for each in image if each.tag in _SHAPES]
        elements.sort(key=lambda each: int(_number(each, "z_order", where, 0)))
        drawn = tuple(_shape(each, f"A {each.tag} on {where}") for each in elements if each.tag != _BOX)
        size = (int(_number(image, "height", where)), int(_number(image, "width", where)))
        boxes = sum(each.tag == _BOX for each in elements)
        yield Entry(file, name, drawn, size, boxes, PART_OF.get((image.get("subset") or "").lower()))


def _tree(file: Path) -> ElementTree.Element:
    text = text_of(file)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UserError(f"{file} defines entities, which annotations do not: export it from CVAT again.")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise UserError(f"{file} is no whole XML file ({error}): export it again.") from error


def _shape(element: ElementTree.Element, where: str) -> Shape:
    label = element.get("label") or ""
    if not label:
        raise UserError(f"{where} has no label: export it again.")
    if element.tag == "polygon":
        return Polygon(label, (_points(element, where),))
    if element.tag == "ellipse":
        values = {name: _number(element, name, where) for name in ("cx", "cy", "rx", "ry")}
        turn = _number(element, "rotation", where, 0.0)
        return Ellipse(label, (values["cx"], values["cy"]), (values["rx"], values["ry"]), turn)
    if element.tag == "mask":
        left, top, width, height = (int(_number(element, name, where)) for name in ("left", "top", "width", "height"))
        try:
            runs = tuple(int(run) for run in (element.get("rle") or "").split(","))
        except ValueError as error:
            raise UserError(f"{where}: its runs are no whole numbers; export it again.") from error
        return RunLengths(label, runs, (0, 0), (left, top, width, height))
    raise UserError(f"{where} ({label}) has no area ({element.tag}): draw a polygon, an ellipse or a mask.")


def _points(element: ElementTree.Element, where: str) -> tuple[float, ...]:
    try:
        pairs = [pair.split(",") for pair in (element.get("points") or "").split(";")]
        return tuple(float(number) for x, y in pairs for number in (x, y))
    except ValueError as error:
        raise UserError(f"{where}: its points are no pairs of numbers; export it again.") from error


def _number(element: ElementTree.Element, name: str, where: str, default: float | None = None) -> float:
    text = element.get(name)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {name} is {text!r} where a number was expected; export it again.")
    return value
