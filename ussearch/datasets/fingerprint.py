"""What a data set is known by: the content of its files, what is told about them, and how they are read."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ussearch.datasets.dataset import Dataset
from ussearch.datasets.reading import Reading


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
