"""Decoding and resizing a data set once, into memory-mapped arrays."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from ussearch.datasets.cache import Arrays, cache_folder, cached_arrays
from ussearch.datasets.dataset import Dataset, ImageSet
from ussearch.datasets.fingerprint import fingerprint_of, pixels_digest
from ussearch.datasets.grouping import THUMBNAIL_SIDE, groups_of, thumbnail
from ussearch.datasets.reading.decide import settled
from ussearch.datasets.reading.survey import FileProgress
from ussearch.datasets.small_lesions import lesions_lost
from ussearch.datasets.spacing import spacing_of, with_tables
from ussearch.errors import UserError
from ussearch.runtime.geometry import resize_image, resize_mask

CACHE_VERSION = 5  # raise it whenever the arrays made from the same files change
LARGEST_SIZE = 4096


def prepare(
    dataset: Dataset,
    image_size: int,
    cache_dir: Path | None = None,
    *,
    progress: FileProgress | None = None,
    unmarked: bool = False,
) -> ImageSet:
    """Return ``dataset`` decoded, checked and stretched to ``image_size`` x ``image_size``.

    The arrays come from a cache keyed by the content of the files and the size; they are memory-mapped.

    Args:
        dataset: what ``open_dataset``, ``settled`` or ``phantom_dataset`` gave; where it is not decided yet how its
            files are read, that is decided without further options.
        image_size: side in pixels, 8 to 4096.
        cache_dir: folder of the caches instead of ``cache_folder()``.
        progress: called with how many images were decoded, and of how many.
        unmarked: take a data set without any lesion too, from which nothing can be learnt.

    Raises:
        Question: files that admit several readings.
        UserError: no sample; a file that is missing, truncated, too large or of another size than its
            image (named); no lesion in any mask; a cache that cannot be written.
    """
    if not 8 <= image_size <= LARGEST_SIZE:
        raise UserError(f"Image size {image_size} is not possible: expected 8 to {LARGEST_SIZE} pixels a side.")
    if not dataset.samples:
        raise UserError(f"{dataset.root} holds no image with a mask: give the folder of a data set.")
    dataset = settled(dataset, progress=progress)
    fingerprint = fingerprint_of(dataset)
    key = hashlib.sha256(f"{CACHE_VERSION} {fingerprint} {image_size}".encode()).hexdigest()[:32]
    folder = (cache_dir or cache_folder()) / "prepared" / key
    names = ("images", "masks", "thumbnails", "lesions", "clipped", "sizes", "digests", "spacings")
    arrays = cached_arrays(folder, names, lambda: _decoded(dataset, image_size, progress))
    if not unmarked and not arrays["masks"].any():
        raise UserError(nothing_marked(dataset))
    patients = tuple(sample.patient for sample in dataset.samples)
    parts = tuple(sample.part for sample in dataset.samples)
    return ImageSet(
        images=arrays["images"].astype(np.uint8, copy=False),
        masks=arrays["masks"].astype(np.uint8, copy=False),
        ids=tuple(sample.id for sample in dataset.samples),
        labels=tuple(sample.label for sample in dataset.samples),
        patients=patients,
        groups=groups_of(arrays["thumbnails"].astype(np.float32, copy=False), patients),
        fingerprint=fingerprint,
        name=dataset.name,
        reader=dataset.reader,
        image_size=image_size,
        parts=parts if any(parts) else (),
        reading=dataset.reading,
        lesions=arrays["lesions"].astype(np.int64, copy=False),
        clipped=arrays["clipped"].astype(np.int64, copy=False),
        sizes=arrays["sizes"].astype(np.int64, copy=False),
        digests=arrays["digests"].astype(np.uint8, copy=False),
        spacing_mm=with_tables(arrays["spacings"].astype(np.float64, copy=False), dataset.samples),
    )


def _decoded(dataset: Dataset, image_size: int, progress: FileProgress | None) -> Arrays:
    count = len(dataset.samples)
    images = np.empty((count, 1, image_size, image_size), np.uint8)
    masks = np.empty_like(images)
    thumbnails = np.empty((count, THUMBNAIL_SIDE**2), np.float32)
    lesions, clipped = np.zeros((count, 2), np.int64), np.zeros(count, np.int64)
    sizes, digests = np.zeros((count, 2), np.int64), np.zeros((count, 32), np.uint8)
    spacings = np.full((count, 2), np.nan)
    scaled = dataset.reading is not None and not dataset.reading.grey_scale.is_plain
    for index, sample in enumerate(dataset.samples):
        image, mask = dataset.source.decode(sample)
        images[index, 0] = resize_image(image, image_size, image_size)
        masks[index, 0] = resize_mask(mask, image_size, image_size)
        thumbnails[index] = thumbnail(image)
        sizes[index], digests[index] = image.shape, pixels_digest(image)
        spacings[index] = spacing_of(dataset, replace(sample, spacing_mm=None)) or np.nan
        lesions[index] = lesions_lost(mask, masks[index, 0])
        if progress is not None:
            progress(index + 1, count)
        clipped[index] = dataset.source.clipped(sample) if scaled else 0
    return {
        "images": images,
        "masks": masks,
        "thumbnails": thumbnails,
        "lesions": lesions,
        "clipped": clipped,
        "sizes": sizes,
        "digests": digests,
        "spacings": spacings,
    }


def nothing_marked(dataset: Dataset) -> str:
    """Return the sentence that tells of masks that are all empty."""
    return (
        f"All {len(dataset)} masks of {dataset.root} are empty (first: {dataset.samples[0].id}): nothing can be "
        "learnt; give masks that mark lesions."
    )
