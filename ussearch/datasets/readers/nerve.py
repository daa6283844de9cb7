"""Ultrasound nerve segmentation (brachial plexus, "BP"), Kaggle 2016."""

from __future__ import annotations

import re
from pathlib import Path

from ussearch.datasets.readers.base import Listing, Reader, add_reader, by_key, pair_by_name
from ussearch.runtime.raster_files import raster_files

_IMAGE = re.compile(r"^(?P<patient>\d+)_\d+$")
_SUFFIX = "_mask"


@add_reader
class Nerve(Reader):
    """One folder of ``patient_frame.tif``; many masks are empty."""

    name = "nerve"
    layout = "'1_1.tif' beside '1_1_mask.tif' (patient_frame)"
    patients = True

    def matches(self, root: Path) -> bool:
        """Tell whether ``root`` itself holds a mask with a patient_frame name."""
        return any(
            path.stem.endswith(_SUFFIX) and _IMAGE.match(path.stem.removesuffix(_SUFFIX)) for path in raster_files(root)
        )

    def read(self, root: Path) -> Listing:
        """List the frames; the patient is the first number."""
        files = raster_files(root)
        others = [path for path in files if not _is_mask(path)]
        listing = pair_by_name(
            root,
            by_key((path for path in others if _IMAGE.match(path.stem)), lambda path: path.stem),
            by_key(filter(_is_mask, files), lambda path: path.stem.removesuffix(_SUFFIX)),
            expected=lambda image: f"'{image.stem}{_SUFFIX}{image.suffix}' beside it",
            patient=lambda image: image.stem.split("_")[0],
        )
        for path in others:
            if not _IMAGE.match(path.stem):
                listing.unclear_name(root, path, "'1_1.tif'")
        return listing


def _is_mask(path: Path) -> bool:
    return path.stem.endswith(_SUFFIX)
