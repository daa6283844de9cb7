"""What a data set is known by: the content of its files, what is told about them, how they are read; and each image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from ussearch.datasets.dataset import Dataset, Pixels
from ussearch.datasets.reading import Reading

DIGESTS = "digests"
"""Key of ``told_digests`` in the record of a split that tells its images one by one."""


def fingerprint_of(dataset: Dataset) -> str:
    """Return the SHA-256 of everything that a study learns from: content, ids, classes, patients, and the reading."""
    digest = hashlib.sha256(dataset.reader.encode() + b"\n")
    try:
        for sample in dataset.samples:
            entry = [sample.id, sample.label, sample.patient, dataset.source.content_hash(sample)]
            entry += [] if sample.part is None else [sample.part]
            digest.update(json.dumps(entry).encode() + b"\n")
    finally:
        dataset.source.close()
    if dataset.reading is not None and (told := _unusual(dataset.reading)):
        digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()


def pixels_digest(image: Pixels) -> Pixels:
    """Return the SHA-256, uint8 [32], of the grey levels uint8 [H, W] of an image: whatever format its file has."""
    digest = hashlib.sha256(f"{image.shape[0]} {image.shape[1]} ".encode() + image.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def told_digests(digests: Iterable[Pixels], salt: str) -> list[str]:
    """Return ``pixels_digest`` of images as it may be told to those who must not see them: salted and cut to 64 bits.

    Who holds an image can tell whether it is among them. Nothing leads back to one that is not at hand, and equal
    images of two data sets, whose fingerprints are the salts, do not show.
    """
    return [hashlib.sha256(salt.encode() + each.tobytes()).hexdigest()[:16] for each in digests]


def _unusual(reading: Reading) -> dict[str, Any]:
    """Return what of a reading differs from 8 bits, a lesion that is not zero and the largest region.

    Nothing else is hashed, so that studies of older versions know their data again.
    """
    found: dict[str, Any] = {}
    if not reading.grey_scale.is_plain:
        found["grey_scale"] = [reading.grey_scale.low, reading.grey_scale.high, reading.grey_scale.basis]
    if not reading.masks.is_plain:
        found["labels"] = {row.label: row.meaning for row in reading.masks.labels}
        found["alpha"] = reading.masks.alpha
    if reading.fill_outlines:
        found["fill_outlines"] = True
    if reading.region != "largest":
        found["region"] = reading.region
    return found
