"""COCO: images, annotations and categories in one JSON file, as CVAT, Label Studio and Roboflow export it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ussearch.datasets.annotations import Polygon, RunLengths, Shape
from ussearch.datasets.readers.base import add_reader
from ussearch.datasets.readers.drawn import DrawnReader, Entries, Entry, part_of
from ussearch.datasets.readers.found_files import FoundFile, ends_of
from ussearch.datasets.readers.json_values import json_of, list_in, numbers_in, record_in, text_in, whole_in
from ussearch.errors import UserError

_KEYS = ("images", "annotations", "categories")


@add_reader
class Coco(DrawnReader):
    """Polygons of several parts, and runs (RLE), whose holes are holes; a file for each part of a split, or one in all.

    An image without annotations shows nothing. Parts of a split are told by the file's name or folder
    (``instances_train.json``, ``valid/_annotations.coco.json``).
    """

    name = "coco"
    layout = "a JSON file with images, annotations and categories, as 'annotations/instances_default.json'"

    def annotation_files(self, files: Sequence[FoundFile]) -> list[FoundFile]:
        """Return the JSON files whose ends show COCO's names."""
        images = {file.stem for file in files if file.is_image}  # a file for each image is another tool's
        texts = [file for file in files if file.path.suffix.lower() == ".json" and file.stem not in images]
        return [file for file in texts if _is_coco(ends_of(file.path))]

    def entries(self, root: Path, files: Sequence[FoundFile]) -> Entries:
        """Return what reads the images of a file with their annotations."""
        return lambda file: _entries(file.path, part_of(file))


def _is_coco(text: str) -> bool:
    """Tell whether a text has at least two of the three names of a COCO file."""
    return sum(f'"{key}"' in text for key in _KEYS) > 1


def _entries(file: Path, part: str | None) -> Iterator[Entry]:
    content = json_of(file)
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise UserError(f"{file} has no {' and no '.join(missing)} as COCO files have: export it again.")
    names = _names(file, content)
    drawn: defaultdict[int, list[Shape]] = defaultdict(list)
    boxes: defaultdict[int, int] = defaultdict(int)
    known = {
        whole_in(record_in(each, f"An image of {file}").get("id"), f"The id of an image of {file}"): each
        for each in list_in(content, "images", str(file))
    }
    for number, each in enumerate(list_in(content, "annotations", str(file)), start=1):
        where = f"Annotation {number} of {file}"
        annotation = record_in(each, where)
        image = whole_in(annotation.get("image_id"), f"The image_id of annotation {number} of {file}")
        category = whole_in(annotation.get("category_id"), f"The category_id of annotation {number} of {file}")
        if image not in known or category not in names:
            what = f"image {image}" if image not in known else f"category {category}"
            raise UserError(f"{where} speaks of {what}, which the file does not have: export it again.")
        shape = _shape(names[category], annotation.get("segmentation"), where)
        if shape is None:
            boxes[image] += 1
        else:
            drawn[image].append(shape)
    for identity, image in known.items():
        where = f"image {identity} of {file}"
        size = None
        if "height" in image and "width" in image:
            size = (
                whole_in(image["height"], f"The height of {where}"),
                whole_in(image["width"], f"The width of {where}"),
            )
        path = text_in(image.get("file_name"), f"The file_name of {where}")
        yield Entry(file, path, tuple(drawn[identity]), size, boxes[identity], part)


def _names(file: Path, content: Mapping[str, Any]) -> dict[int, str]:
    """Return the categories by their ids."""
    found = {}
    for each in list_in(content, "categories", str(file)):
        category = record_in(each, f"A category of {file}")
        number = whole_in(category.get("id"), f"The id of a category of {file}")
        found[number] = text_in(category.get("name"), f"The name of category {number} of {file}")
    return found


def _shape(label: str, segmentation: Any, where: str) -> Shape | None:
    """Return what was drawn; None of an annotation that is a box alone."""
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        outlines = [segmentation] if not isinstance(segmentation[0], list) else segmentation
        return Polygon(label, tuple(numbers_in(each, f"{where}: an outline") for each in outlines))
    runs = record_in(segmentation, f"{where}: segmentation")
    size = numbers_in(runs.get("size"), f"{where}: the size of its runs")
    if len(size) != 2:
        raise UserError(f"{where}: the size of its runs has {len(size)} numbers, height and width were expected.")
    counts = runs.get("counts")
    if not isinstance(counts, str):
        whole = list_in(runs, "counts", where)
        counts = tuple(whole_in(each, f"{where}: a run") for each in whole)
    return RunLengths(label, counts, (int(size[0]), int(size[1])))
