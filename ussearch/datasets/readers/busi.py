"""BUSI: breast ultrasound, Al-Dhabyani et al. 2020, Data in Brief 28."""

from __future__ import annotations

import re
from pathlib import Path

from ussearch.datasets.dataset import Sample
from ussearch.datasets.readers.base import Listing, Reader, add_reader
from ussearch.runtime.raster_files import raster_files

CLASSES = ("benign", "malignant", "normal")
_MASK = re.compile(r"^(?P<image>.+)_mask(_\d+)?$")


@add_reader
class Busi(Reader):
    """Folders by class; each further lesion of an image has a mask of its own, and the masks are united."""

    name = "busi"
    layout = "benign/ malignant/ normal/ with 'benign (1).png', 'benign (1)_mask.png', 'benign (1)_mask_1.png'"

    def matches(self, root: Path) -> bool:
        """Tell whether any class folder holds a mask named the BUSI way."""
        return any(_MASK.match(path.stem) for name in CLASSES for path in raster_files(root / name))

    def read(self, root: Path) -> Listing:
        """List all three classes; an image of ``normal/`` needs no mask file."""
        listing = Listing()
        for label in CLASSES:
            self._read_class(root, label, listing)
        listing.samples.sort(key=lambda sample: sample.id)
        return listing

    @staticmethod
    def _read_class(root: Path, label: str, listing: Listing) -> None:
        images, masks = [], dict[str, list[Path]]()
        for path in raster_files(root / label):
            if match := _MASK.match(path.stem):
                masks.setdefault(match["image"], []).append(path)
            else:
                images.append(path)
        for image in images:
            own = tuple(masks.pop(image.stem, ()))
            if own or label == "normal":
                identity = image.relative_to(root).as_posix()
                listing.samples.append(Sample(identity, image, own, label))
            else:
                listing.missing_mask(root, image, f"'{image.stem}_mask.png' beside it")
        for orphans in masks.values():
            for path in orphans:
                listing.missing_image(root, path)
