"""Pixels from files, and the hashes of their content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ussearch.datasets.cache import cache_folder
from ussearch.datasets.dataset import Pixels, Sample
from ussearch.datasets.decoding import read_raster, united_mask
from ussearch.datasets.outlines import filled
from ussearch.errors import UserError
from ussearch.files import sha256_of, write_atomically

if TYPE_CHECKING:
    from ussearch.datasets.dicom import Box


class HashIndex:
    """Remembers the SHA-256 of files by path, size and times, so that unchanged files are not read again.

    Nothing depends on the index: a missing, damaged or unwritable one only costs time.
    """

    def __init__(self, root: Path) -> None:
        """``root`` is the folder whose files are remembered."""
        self._root = root
        place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:32]
        self._store = cache_folder() / "hashes" / f"{place}.json"
        self._known: dict[str, list[object]] | None = None
        self._changed = False

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of the content of ``path``; UserError where it cannot be read."""
        known = self._load()
        try:
            status = path.stat()
            key = path.relative_to(self._root).as_posix()
            stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
            remembered = known.get(key)
            if remembered is not None and remembered[:-1] == stamp:
                return str(remembered[-1])
            digest = sha256_of(path)
        except OSError as error:
            raise UserError(
                f"{path} cannot be read ({error.strerror}): restore the file or the right to it."
            ) from error
        known[key] = [*stamp, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        """Write what was learnt, if anything."""
        if self._changed:
            try:
                write_atomically(self._store, json.dumps(self._known))
            except UserError:
                return
            self._changed = False

    def _load(self) -> dict[str, list[object]]:
        if self._known is None:
            try:
                content = json.loads(self._store.read_text())
                self._known = {str(key): list(value) for key, value in content.items()}
            except (OSError, ValueError, AttributeError, TypeError):
                self._known = {}
        return self._known


class FileSource:
    """Decodes the image and mask files of samples; outlines are filled where the reader says that there may be any."""

    def __init__(self, root: Path, outlines: bool = False) -> None:
        """``root`` is the folder of the data set."""
        self._hashes = HashIndex(root)
        self._outlines = outlines

    def content_hash(self, sample: Sample) -> str:
        """Return the SHA-256 of the content of the image and of each mask, and of how they are read."""
        parts = [self._hashes.sha256(path) for path in (sample.image, *sample.masks)]
        cropped = ["cropped"] if _is_dicom(sample.image) else []
        return hashlib.sha256(" ".join([*parts, str(sample.frame), *cropped]).encode()).hexdigest()

    def decode(self, sample: Sample) -> tuple[Pixels, Pixels]:
        """Return grey image and united mask, uint8 [H, W]; of a DICOM file the tissue region, as in inference."""
        if _is_dicom(sample.image):
            image, (left, top, right, bottom) = _dicom(sample)
        else:
            image = read_raster(sample.image)
            left, top, (bottom, right) = 0, 0, image.shape
        mask = united_mask(sample.image, (image.shape[0], image.shape[1]), sample.masks)
        if self._outlines:
            mask = filled(mask)
        return image[top:bottom, left:right], mask[top:bottom, left:right]

    def close(self) -> None:
        """Save the hashes learnt."""
        self._hashes.save()


def _is_dicom(path: Path) -> bool:
    return path.suffix.lower() in {".dcm", ".dicom"}  # as readers list them; the files are not opened for it


def _dicom(sample: Sample) -> tuple[Pixels, Box]:
    """Return the whole frame of a sample, which masks are drawn on, and the box of its tissue region."""
    from ussearch.datasets.dicom import open_dicom, read_dicom_frame

    image = open_dicom(sample.image)
    if image.frames > 1:
        raise UserError(
            f"{sample.image} holds {image.frames} frames beside masks for one: expected a single-frame file; export "
            "the frame that the masks were drawn on."
        )
    return read_dicom_frame(sample.image, sample.frame), image.box
