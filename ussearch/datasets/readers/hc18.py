"""HC18: fetal head circumference, van den Heuvel et al. 2018, PLoS ONE 13(8)."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

from ussearch.datasets.readers.base import Listing, Reader, add_reader, by_key, pair_by_name
from ussearch.datasets.tables import cell_of, column, rows_of
from ussearch.runtime.raster_files import raster_files

_IMAGE = re.compile(r"^(?P<fetus>\d+)_\d*HC$")
_SUFFIX = "_Annotation"
_TABLE = "*pixel_size*.csv"
"""Published as ``training_set_pixel_size_and_HC.csv`` beside the folder."""


@add_reader
class Hc18(Reader):
    """One folder; the number before the first underscore is the fetus, so ``010_HC`` and ``010_2HC`` belong together.

    The published annotation is the outline of an ellipse; copies with the ellipse filled are read as well. The sizes of
    pixels are those of the published table, in the folder or beside it.
    """

    name = "hc18"
    layout = "'000_HC.png', '010_2HC.png' beside '000_HC_Annotation.png', '010_2HC_Annotation.png'"
    outlines = True
    patients = True

    def matches(self, root: Path) -> bool:
        """Tell whether ``root`` itself holds an image or annotation with an HC18 name."""
        return any(_IMAGE.match(path.stem.removesuffix(_SUFFIX)) for path in raster_files(root))

    def read(self, root: Path) -> Listing:
        """List the annotated images; the patient is the fetus."""
        files = raster_files(root)
        annotations = [path for path in files if path.stem.endswith(_SUFFIX)]
        masks = by_key(annotations, lambda path: path.stem.removesuffix(_SUFFIX))
        others = [path for path in files if not path.stem.endswith(_SUFFIX)]
        listing = pair_by_name(
            root,
            by_key((path for path in others if _IMAGE.match(path.stem)), lambda path: path.stem),
            masks,
            expected=lambda image: f"'{image.stem}{_SUFFIX}.png' beside it",
            patient=lambda image: image.stem.split("_")[0],
        )
        sizes = _pixel_sizes(root)
        listing.samples[:] = [replace(each, spacing_mm=sizes.get(each.image.name)) for each in listing.samples]
        for path in others:
            if not _IMAGE.match(path.stem):
                listing.unclear_name(root, path, "'000_HC.png' or '000_2HC.png'")
        return listing


def _pixel_sizes(root: Path) -> dict[str, tuple[float, float]]:
    """Return the sides of a pixel in mm by the names of images; nothing without the table, or where it says none."""
    tables = sorted([*root.glob(_TABLE), *root.parent.glob(_TABLE)])
    if not tables:
        return {}
    (_, head), *rows = rows_of(tables[0], "Table") or [(1, [])]
    image, size = column(head, "image"), column(head, "spacing")
    if image is None or size is None:
        return {}
    found = {}
    for _, row in rows:
        try:
            side = float(cell_of(row, size))
        except ValueError:
            continue
        if 0 < side < math.inf:
            found[cell_of(row, image)] = (side, side)
    return found
