"""Dealing groups of images out to parts of wanted sizes, stratified."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def allocate(
    groups: npt.NDArray[np.int64],
    strata: Sequence[object],
    shares: Sequence[float],
    seed: int,
) -> npt.NDArray[np.int64]:
    """Return the part, int64 [N], of each of N images: whole groups only, each part near its share of each stratum.

    Groups are dealt in random order, large ones first, each to the part that lacks most of what the group
    holds; small groups come last and even out what large ones left. Deterministic in ``seed``.

    Args:
        groups: int64 [N]; images of equal number stay together.
        strata: [N] values such as (class, has lesion), to be represented alike in every part.
        shares: wanted fractions of the parts, positive, summing to one.
        seed: of the order.

    Raises:
        ValueError: fewer groups than parts.
    """
    contents = _contents(groups, strata)
    if len(contents) < len(shares):
        raise ValueError(f"{len(contents)} independent groups cannot fill {len(shares)} parts")
    totals = contents.sum(axis=0)
    lacking = np.outer(shares, totals)
    order = np.random.default_rng(seed).permutation(len(contents))
    order = order[np.argsort(-contents[order].sum(axis=1), kind="stable")]
    part_of_group = np.empty(len(contents), np.int64)
    for group in order:
        content = contents[group]
        # by stratum, rare ones weighing as much as common ones; then by the sheer number of images
        need = lacking @ (content / totals) + lacking.sum(axis=1) * (content.sum() / totals.sum())
        part = int(np.argmax(need))
        part_of_group[group] = part
        lacking[part] -= content
    _fill_empty_parts(part_of_group, contents, len(shares))
    return part_of_group[np.unique(groups, return_inverse=True)[1]]


def _contents(groups: npt.NDArray[np.int64], strata: Sequence[object]) -> npt.NDArray[np.float64]:
    """Return how many images of each stratum each group holds, float64 [groups, strata]."""
    rows = np.unique(groups, return_inverse=True)[1]
    numbers = {stratum: column for column, stratum in enumerate(sorted(set(strata), key=repr))}
    columns = np.array([numbers[stratum] for stratum in strata])
    contents = np.zeros((int(rows.max()) + 1, len(numbers)))
    np.add.at(contents, (rows, columns), 1.0)
    return contents


def _fill_empty_parts(part_of_group: npt.NDArray[np.int64], contents: npt.NDArray[np.float64], parts: int) -> None:
    """Give every empty part the smallest group of the part that has most groups (in place)."""
    for part in range(parts):
        counts = np.bincount(part_of_group, minlength=parts)
        if counts[part] == 0:
            candidates = np.flatnonzero(part_of_group == counts.argmax())
            part_of_group[candidates[contents[candidates].sum(axis=1).argmin()]] = part
