"""Published pairs of folders, images in one and masks of the same name in another: Kvasir-SEG, CVC-ClinicDB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from ussearch.datasets.dicom import patients_in
from ussearch.datasets.readers.base import Listing, Reader, add_reader, by_key, pair_by_name
from ussearch.runtime.frames import is_raster

_KVASIR_FILES = ("kavsir_bboxes.json", "kvasir_bboxes.json", "bounding-boxes.json")


def _is_dicom(path: Path) -> bool:
    return path.suffix.lower() in {".dcm", ".dicom"} and not path.name.startswith(".") and path.is_file()


class PairedFolders(Reader):
    """Pairs by the path below the two folders without suffix; a sub-folder of the images names the class.

    DICOM files tell the patient.
    """

    image_folder: ClassVar[str]
    mask_folder: ClassVar[str]

    def matches(self, root: Path) -> bool:
        """Tell whether both folders are there."""
        return (root / self.image_folder).is_dir() and (root / self.mask_folder).is_dir()

    def read(self, root: Path) -> Listing:
        """List the pairs below the two folders."""
        images, masks = root / self.image_folder, root / self.mask_folder
        found = _by_path(images, lambda path: is_raster(path) or _is_dicom(path))
        patients = patients_in(path for files in found.values() for path in files if _is_dicom(path))
        return pair_by_name(
            root,
            found,
            _by_path(masks, is_raster),
            expected=lambda image: f"a PNG or another raster image named '{image.stem}' in {masks.name}/",
            label=lambda image: None if image.parent == images else image.parent.relative_to(images).as_posix(),
            patient=patients.get,
        )


def _by_path(folder: Path, wanted: Callable[[Path], bool]) -> dict[str, list[Path]]:
    """Return the wanted files below ``folder`` by their paths in it, without suffix."""
    files = filter(wanted, sorted(folder.rglob("*")))
    return by_key(files, lambda path: path.relative_to(folder).with_suffix("").as_posix())


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
