"""HC18: fetal head circumference, van den Heuvel et al. 2018, PLoS ONE 13(8)."""

from __future__ import annotations

import re
from pathlib import Path

from ussearch.datasets.readers.base import Listing, Reader, add_reader, by_key, pair_by_name
from ussearch.runtime.raster_files import raster_files

_IMAGE = re.compile(r"^(?P<fetus>\d+)_\d*HC$")
_SUFFIX = "_Annotation"


@add_reader
class Hc18(Reader):
    """One folder; the number before the first underscore is the fetus, so ``010_HC`` and ``010_2HC`` belong together.

    The published annotation is the outline of an ellipse; copies with the ellipse filled are read as well.
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
        for path in others:
            if not _IMAGE.match(path.stem):
                listing.unclear_name(root, path, "'000_HC.png' or '000_2HC.png'")
        return listing
