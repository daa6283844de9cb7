"""Pixels from files, annotations drawn as closed curves included, and the hashes of their content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ussearch.datasets.annotations import Drawing
from ussearch.datasets.cache import cache_folder
from ussearch.datasets.dataset import Pixels, Sample
from ussearch.datasets.reading import Reading
from ussearch.datasets.reading.masks import united_mask
from ussearch.datasets.reading.raw_images import is_dicom_sample, open_image_file
from ussearch.errors import UserError
from ussearch.files import sha256_of, write_atomically

SOLID = 0.6  # share of its convex hull that a filled region covers at least; a drawn curve covers far less


def filled(mask: Pixels) -> Pixels:
    """Return ``mask`` with its outlines filled, uint8 {0, 1} of the same shape; filled regions stay.

    Holes are filled first. What still covers little of its convex hull is a curve with gaps, or one cut by
    the border of the image; it is replaced by the hull, which is exact for the ellipses of HC18.
    """
    if not mask.any():
        return mask
    closed = without_holes(mask)
    hull = convex_hull(closed)
    return closed if closed.sum() >= SOLID * hull.sum() else hull


def without_holes(mask: Pixels) -> Pixels:
    """Return ``mask`` with every background region filled that does not reach the border of the image."""
    from scipy import ndimage

    regions, count = ndimage.label(mask == 0)
    is_hole = np.ones(count + 1, bool)
    for edge in (regions[0], regions[-1], regions[:, 0], regions[:, -1]):
        is_hole[edge] = False
    is_hole[0] = True  # the mask itself
    filled: Pixels = is_hole[regions].astype(np.uint8)
    return filled


def convex_hull(mask: Pixels) -> Pixels:
    """Return the filled convex hull of the marked pixels, uint8 {0, 1} of the same shape."""
    from scipy.spatial import ConvexHull, QhullError

    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    points = np.unique(np.concatenate([np.stack([first, rows], 1), np.stack([last, rows], 1)]), axis=0)
    try:
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):  # all points on one line: its own hull
        return mask
    canvas = Image.new("L", (mask.shape[1], mask.shape[0]))
    ImageDraw.Draw(canvas).polygon([(int(x), int(y)) for x, y in corners], fill=1, outline=1)
    return np.array(canvas, np.uint8) | mask


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

    def __init__(self, root: Path, outlines: bool = False, reading: Reading | None = None) -> None:
        """``root`` is the folder of the data set, ``reading`` says how its files are read: without one as 8-bit images
        with masks of 0 and 255.
        """
        self._root = root
        self._hashes = HashIndex(root)
        self._reading = reading or Reading()
        self._outlines = outlines

    @property
    def outlines(self) -> bool:
        """Whether outlines are filled."""
        return self._outlines or self._reading.fill_outlines

    def read_by(self, reading: Reading) -> FileSource:
        """Return the source of the same files that reads them as ``reading`` says."""
        return FileSource(self._root, self._outlines, reading)

    def content_hash(self, sample: Sample) -> str:
        """Return the SHA-256 of the content of the image and of each mask, and of how they are read."""
        masks = (each.sha256 if isinstance(each, Drawing) else self._hashes.sha256(each) for each in sample.masks)
        parts = [self._hashes.sha256(sample.image), *masks]
        cropped = ["cropped"] if is_dicom_sample(sample.image) else []
        return hashlib.sha256(" ".join([*parts, str(sample.frame), *cropped]).encode()).hexdigest()

    def decode(self, sample: Sample) -> tuple[Pixels, Pixels]:
        """Return grey image and united mask, uint8 [H, W]; of a DICOM file the tissue region, as in inference."""
        file = open_image_file(sample)
        left, top, right, bottom = file.box(self._reading.region)
        mask = united_mask(sample.image, file.size, sample.masks, self._reading.masks)
        if self.outlines:
            mask = filled(mask)
        return self._reading.grey_scale.levels(file.raw)[top:bottom, left:right], mask[top:bottom, left:right]

    def clipped(self, sample: Sample) -> int:
        """Return how many values of the image lie beyond the grey scale."""
        return self._reading.grey_scale.clipped(open_image_file(sample).raw)

    def close(self) -> None:
        """Save the hashes learnt."""
        self._hashes.save()
