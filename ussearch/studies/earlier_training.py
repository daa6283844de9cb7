"""Whether weights of the user's own were trained on images that a split now keeps to judge with."""

from __future__ import annotations

from pathlib import Path

from ussearch import schema
from ussearch.datasets import ImageSet, Split
from ussearch.datasets.fingerprint import DIGESTS, told_digests
from ussearch.errors import UserError
from ussearch.studies.study import SPLIT

DEPTH = 3
"""Folders above a file of weights where its split may lie: ``STUDY/finalists/0004/weights.safetensors``."""


def split_beside(weights: Path) -> Path | None:
    """Return the split of the study or bundle that a file of weights lies in; None where there is none."""
    folders = weights.resolve().parents[:DEPTH]
    return next((folder / SPLIT for folder in folders if (folder / SPLIT).is_file()), None)


def judged_and_trained(weights: Path, images: ImageSet, split: Split) -> int:
    """Return how many test images of ``split`` trained or selected the network in a file of weights.

    They are known by their grey levels where the earlier split tells them, else by their numbers where the data set
    was read alike. 0 where nothing is known.
    """
    file = split_beside(weights)
    if file is None:
        return 0
    try:
        record = schema.SPLIT.read(file)
        earlier = Split.from_record(record)
    except (OSError, ValueError, UserError):
        return 0
    taught = {*earlier.train, *earlier.validation}
    told = record.get(DIGESTS)
    if told is not None and images.digests is not None:
        known = {told[index] for index in taught}
        now = told_digests(images.digests, earlier.fingerprint)
        return sum(now[index] in known for index in split.test)
    return len(taught & set(split.test)) if earlier.fingerprint == split.fingerprint else 0


def keeps_apart(weights: Path, split: Split) -> Path | None:
    """Return the earlier split where it is of the very data set of ``split``, so that a run can go by it again."""
    file = split_beside(weights)
    if file is None or Split.from_record(schema.SPLIT.read(file)).fingerprint != split.fingerprint:
        return None
    return file
