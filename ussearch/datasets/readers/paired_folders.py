"""Published pairs of folders, images in one and masks of the same name in another: Kvasir-SEG, CVC-ClinicDB."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ussearch.datasets.readers.base import Listing, Reader, add_reader
from ussearch.datasets.readers.found_files import files_below
from ussearch.datasets.readers.plain import listing_of

_KVASIR_FILES = ("kavsir_bboxes.json", "kvasir_bboxes.json", "bounding-boxes.json")


class PairedFolders(Reader):
    """Two folders of one set; what else lies beside them is not part of it."""

    image_folder: ClassVar[str]
    mask_folder: ClassVar[str]

    def matches(self, root: Path) -> bool:
        """Tell whether both folders are there."""
        return (root / self.image_folder).is_dir() and (root / self.mask_folder).is_dir()

    def read(self, root: Path) -> Listing:
        """List the pairs below the two folders."""
        folders = (self.image_folder, self.mask_folder)
        return listing_of(root, [file for file in files_below(root) if file.place.partition("/")[0] in folders])


@add_reader
class KvasirSeg(PairedFolders):
    """Kvasir-SEG: polyps, Jha et al. 2020; told from other pairs by its file of bounding boxes."""

    name = "kvasir-seg"
    layout = "images/ masks/ with equal file names beside kavsir_bboxes.json"
    image_folder, mask_folder = "images", "masks"

    def matches(self, root: Path) -> bool:
        """Tell whether both folders and the bounding boxes are there."""
        return super().matches(root) and any((root / name).is_file() for name in _KVASIR_FILES)


@add_reader
class CvcClinicDb(PairedFolders):
    """CVC-ClinicDB: polyps, Bernal et al. 2015."""

    name = "cvc-clinicdb"
    layout = "Original/ 'Ground Truth'/ with equal file names"
    image_folder, mask_folder = "Original", "Ground Truth"
