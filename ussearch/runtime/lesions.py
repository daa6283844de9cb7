"""Lesions of a mask: its connected parts, found by runs of pixels with numpy alone, as fast as a board needs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ussearch.runtime.masks import Bools

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lesions:
    """The lesions of ``mask`` [H, W] in the order of their first pixels, row by row.

    ``number`` [R] tells the lesion of each run of pixels, ``lengths`` [R] its pixels and ``starts`` [R] where it begins
    in the mask with one more column; ``sizes`` has the pixels of each lesion.
    """

    mask: Bools
    starts: Integers
    lengths: Integers
    number: Integers
    sizes: Integers

    @classmethod
    def of(cls, mask: Bools, connectivity: int) -> Lesions:
        """Find the lesions of ``mask``, whose pixels touch by sides (4) or by corners, too (8)."""
        height, width = mask.shape
        padded = np.zeros((height, width + 1), bool)  # a column apart, so that no run goes on in the next row
        padded[:, :width] = mask
        flat = padded.ravel()
        changes = np.flatnonzero(np.concatenate([flat[:1], flat[1:] != flat[:-1]]))
        starts, ends = changes[0::2], changes[1::2]
        number = lesions_of_runs(starts, ends, width + 1, connectivity)
        lengths = ends - starts
        return cls(mask, starts, lengths, number, np.bincount(number, lengths).astype(np.int64))

    def of_pixels(self) -> Integers:
        """Return the lesion of each pixel of the mask, row by row, as ``values[mask]`` has them."""
        return np.repeat(self.number, self.lengths)

    def only(self, keeps: Bools) -> Bools:
        """Return the mask [H, W] with the lesions that stay."""
        if keeps.all():
            return self.mask
        height, width = self.mask.shape
        padded = np.zeros((height, width + 1), bool)
        stays = keeps[self.number]
        fewer = 2 * np.count_nonzero(stays) <= len(stays)  # runs to draw than to erase
        if not fewer:
            padded[:, :width] = self.mask
        flat = padded.ravel()
        runs = np.flatnonzero(stays if fewer else ~stays)
        for start, end in zip(self.starts[runs].tolist(), (self.starts + self.lengths)[runs].tolist(), strict=True):
            flat[start:end] = fewer
        return padded[:, :width]


def lesions_of_runs(starts: Integers, ends: Integers, stride: int, connectivity: int) -> Integers:
    """Return the number of the lesion, from 0 in the order of first pixels, that each of the runs [R] belongs to.

    Runs lie in rows of ``stride`` pixels. Each is tied to the first run above that it touches, which makes trees; only
    runs that touch several join trees, one by one.
    """
    reach = 1 if connectivity == 8 else 0
    first = np.searchsorted(ends, starts - stride - reach, side="right")
    behind = np.searchsorted(starts, ends - stride + reach, side="left")  # the first run beyond those that it touches
    root = np.where(first < behind, first, np.arange(len(starts)))
    while True:  # each run points to where its run above points: the depth halves
        above = root[root]
        if np.array_equal(above, root):
            break
        root = above
    tree = (np.cumsum(root == np.arange(len(root))) - 1)[root]  # numbered in the order of their first runs
    joined = list(range(int(tree.max(initial=-1)) + 1))
    for run in np.flatnonzero(behind - first > 1):
        for other in tree[first[run] + 1 : behind[run]]:
            one, two = _head(joined, int(tree[run])), _head(joined, int(other))
            joined[max(one, two)] = min(one, two)
    heads = np.array([_head(joined, each) for each in range(len(joined))], np.int64)
    return np.asarray(np.searchsorted(np.unique(heads), heads[tree]), np.int64)


def _head(joined: list[int], tree: int) -> int:
    """Return the tree that began first of those that are joined with one."""
    while joined[tree] != tree:
        joined[tree] = joined[joined[tree]]
        tree = joined[tree]
    return tree
