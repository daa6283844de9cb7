"""One folder for each patient, with numbered frames and the masks beside them."""

from __future__ import annotations

from pathlib import Path

from ussearch.datasets.readers.base import Listing, Reader, add_reader, pair_by_name
from ussearch.runtime.raster_files import raster_files

_SUFFIX = "-lesion"


@add_reader
class Cases(Reader):
    """Folders named ``case-…``; every folder is one patient, so that its frames stay on one side of a split."""

    name = "cases"
    layout = "'case-007/1.png' beside 'case-007/1-lesion.png'"

    def matches(self, root: Path) -> bool:
        """Tell whether any folder named so holds a mask named so."""
        return any(path.stem.endswith(_SUFFIX) for folder in root.glob("case-*") for path in raster_files(folder))

    def read(self, root: Path) -> Listing:
        """List the frames of all cases."""
        files = [path for folder in sorted(root.glob("case-*")) for path in raster_files(folder)]
        masks = [path for path in files if path.stem.endswith(_SUFFIX)]
        return pair_by_name(
            root,
            {str(path): [path] for path in files if path not in masks},
            {str(path.with_stem(path.stem.removesuffix(_SUFFIX))): [path] for path in masks},
            expected=lambda image: f"'{image.stem}{_SUFFIX}{image.suffix}' beside it",
            patient=lambda image: image.parent.name,
        )
