"""Near-duplicates, and the groups of images that must stay on one side of a split.

Two images are *near-duplicates* when their thumbnails (means over a 32 x 32 grid) correlate above 0.98:
on BUSI this gives the known 163 or so pairs. Groups for splitting link images already above 0.94, because
the count of pairs hardly changes below that (the duplicates end there), while re-exports of one scan that
differ in crop or overlay fall between the two values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from ussearch.datasets.dataset import Pixels

THUMBNAIL_SIDE = 32
DUPLICATE_CORRELATION = 0.98
GROUPING_CORRELATION = 0.94
_BLOCK = 1024


def thumbnail(image: Pixels) -> npt.NDArray[np.float32]:
    """Return the perceptual hash of a grey image: its thumbnail, centred and of unit length, float32 [1024].

    A uniform image gives zeros: it correlates with nothing.
    """
    small = Image.fromarray(image).resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    values = np.asarray(small, np.float64).ravel()
    values -= values.mean()
    length = np.linalg.norm(values)
    return (values / length if length > 1e-6 else np.zeros_like(values)).astype(np.float32)


def similar_pairs(thumbnails: npt.NDArray[np.float32], correlation: float) -> npt.NDArray[np.int64]:
    """Return the index pairs (i < j), int64 [P, 2], of thumbnails [N, 1024] that correlate above the limit."""
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(thumbnails), _BLOCK):
        block = thumbnails[start : start + _BLOCK] @ thumbnails[start:].T
        rows, columns = np.nonzero(np.triu(block, k=1) > correlation)
        found.append(np.stack([rows, columns], axis=1) + start)
    return np.concatenate(found)


def joined(count: int, pairs: Iterable[Sequence[int]]) -> npt.NDArray[np.int64]:
    """Return group numbers, int64 [count], of ``count`` items linked by ``pairs`` (union-find).

    Groups are numbered from 0 in the order of their first members.
    """
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for first, second in pairs:
        low, high = sorted((root(int(first)), root(int(second))))
        parent[high] = low
    return np.unique([root(item) for item in range(count)], return_inverse=True)[1].astype(np.int64)


def groups_of(thumbnails: npt.NDArray[np.float32], patients: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Return the groups, int64 [N], made by near-duplicates together with known patients."""
    links: list[tuple[int, int]] = [(int(i), int(j)) for i, j in similar_pairs(thumbnails, GROUPING_CORRELATION)]
    first_of: dict[str, int] = {}
    for index, patient in enumerate(patients):
        if patient is not None:
            links.append((first_of.setdefault(patient, index), index))
    return joined(len(patients), links)


def members(groups: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    """Return the indices of each group of two or more, in the order of their first members."""
    lists: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        lists.setdefault(int(group), []).append(index)
    return tuple(tuple(indices) for indices in lists.values() if len(indices) > 1)
