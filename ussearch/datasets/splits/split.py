"""Splits: which images train, select, calibrate and judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch import schema
from ussearch.datasets.dataset import ImageSet
from ussearch.datasets.grouping import members
from ussearch.datasets.splits.files import GivenParts, parts_of, read_split_file
from ussearch.datasets.splits.stratified import allocate
from ussearch.errors import UserError

PARTS = ("train", "validation", "calibration", "test")
DEFAULT_FRACTIONS = (0.55, 0.10, 0.20, 0.15)
_DIVIDED = ", divided further with seed "


@dataclass(frozen=True)
class Split:
    """Indices into an ``ImageSet``, ascending; no image is in two parts.

    ``leaking_groups`` lists, by ids, the groups (near-duplicates or one patient) that a published split tears
    apart: empty for every split made here. ``source`` tells how the split came about. ``unused`` are the images that a
    published split puts in no part: they neither train nor judge.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    calibration: tuple[int, ...]
    test: tuple[int, ...]
    source: str = ""
    fingerprint: str = ""
    leaking_groups: tuple[tuple[str, ...], ...] = ()
    unused: tuple[int, ...] = ()

    @classmethod
    def of(cls, parts: Mapping[str, Sequence[int]], source: str, fingerprint: str) -> Split:
        """Return the split with these parts; a part that is not named is empty."""
        train, validation, calibration, test = (tuple(sorted(parts.get(part, ()))) for part in PARTS)
        return cls(train, validation, calibration, test, source, fingerprint)

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Return the four parts by name."""
        return {part: getattr(self, part) for part in PARTS}

    @property
    def unused_told(self) -> str | None:
        """What people are told of the images in no part, such as 133 of BUSI's published lists; None without any."""
        given = self.source.partition(_DIVIDED)[0]
        counted = "1 image is" if len(self.unused) == 1 else f"{len(self.unused)} images are"
        not_used = "is not used" if len(self.unused) == 1 else "are not used"
        return f"{counted} in no part of {given} and {not_used}" if self.unused else None

    def to_record(self, image_set: ImageSet | None = None) -> dict[str, Any]:
        """Return JSON-ready data; with ``image_set`` it also names the ids, which makes it a split file."""
        record: dict[str, Any] = {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "indices": {part: list(indices) for part, indices in self.parts().items()},
            "straddling": [list(group) for group in self.leaking_groups],
            "unused": list(self.unused),
        }
        if image_set is not None:
            record |= {part: [image_set.ids[index] for index in indices] for part, indices in self.parts().items()}
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Split:
        """Rebuild what ``to_record`` gave; UserError where the record is damaged."""
        try:
            parts = {part: [int(index) for index in record["indices"][part]] for part in PARTS}
            made = cls.of(parts, record["source"], record["fingerprint"])
            torn = tuple(tuple(map(str, group)) for group in record["straddling"])
            return replace(made, leaking_groups=torn, unused=tuple(map(int, record.get("unused", ()))))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"The record of a split is damaged at {error}: expected what this program wrote; split again."
            ) from error


def split(
    image_set: ImageSet,
    fractions: Sequence[float] = DEFAULT_FRACTIONS,
    seed: int = 0,
    split_file: Path | None = None,
) -> Split:
    """Divide a data set into train, validation, calibration and test parts.

    Groups (near-duplicates, one patient) stay together; classes and empty images are represented alike. Parts that the
    data set itself tells are kept, and so are those of a split file, which counts more: what such a split lacks is
    taken out of its train part, groups together, and of two parts the second is the test part. Groups that it tears
    apart are told in ``leaking_groups``, not moved, and images that it leaves out in ``unused``.

    Args:
        image_set: what to divide.
        fractions: wanted shares of the four parts, summing to one.
        seed: of the random order.
        split_file: a published split, as ``read_split_file`` takes it.

    Raises:
        UserError: fractions that do not sum to one, fewer independent groups than parts, a split file that
            cannot be read or names images that are not there, images without a part among others with one.
    """
    _check_fractions(fractions)
    if split_file is not None:
        file = Path(split_file)
        return _completed(image_set, fractions, seed, _numbered(file, image_set) or read_split_file(file, image_set))
    if any(image_set.parts):
        return _completed(image_set, fractions, seed, parts_of(image_set))
    dealt = _deal(image_set, range(len(image_set)), dict(zip(PARTS, fractions, strict=True)), seed)
    return Split.of(dealt, f"{_written(fractions)}, seed {seed}", image_set.fingerprint)


def k_folds(
    image_set: ImageSet,
    k: int,
    seed: int = 0,
    *,
    within: Sequence[int] | None = None,
    fractions: Sequence[float] = DEFAULT_FRACTIONS[:3],
) -> tuple[Split, ...]:
    """Return ``k`` splits whose test parts are disjoint and together hold every image, or every one of ``within``.

    The rest of each fold is divided in the proportions ``fractions`` of train, validation and calibration.
    """
    if k < 2:
        raise UserError(f"{k} folds are not possible: expected at least 2.")
    whole = range(len(image_set)) if within is None else sorted(within)
    folds = _deal(image_set, whole, {f"fold {fold}": 1.0 / k for fold in range(k)}, seed)
    shares = dict(zip(PARTS[:3], fractions, strict=True))
    splits = []
    for number, test in enumerate(folds.values(), start=1):
        rest = sorted(set(whole) - set(test))
        parts = _deal(image_set, rest, shares, seed)
        splits.append(Split.of({**parts, "test": test}, f"fold {number} of {k}, seed {seed}", image_set.fingerprint))
    return tuple(splits)


def leaking_groups_of(groups: npt.NDArray[np.int64], parts: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Return the groups, as indices of those images that are in a part, that have images in several parts."""
    part_of = {index: number for number, part in enumerate(parts) for index in part}
    present = (tuple(index for index in group if index in part_of) for group in members(groups))
    return tuple(group for group in present if len({part_of[index] for index in group}) > 1)


def _deal(
    image_set: ImageSet, indices: Sequence[int], shares: Mapping[str, float], seed: int
) -> dict[str, tuple[int, ...]]:
    """Allocate ``indices`` to the named parts in proportion to ``shares``."""
    chosen = np.asarray(indices, np.int64)
    wanted = {name: share for name, share in shares.items() if share > 0}
    total = sum(wanted.values())
    lesion = image_set.has_lesion
    strata = [(image_set.labels[index] or "", bool(lesion[index])) for index in chosen]
    try:
        parts = allocate(image_set.groups[chosen], strata, [share / total for share in wanted.values()], seed)
    except ValueError as error:
        raise UserError(
            f"{image_set.name} cannot be split: {error} (images of one patient and near-duplicates stay together); "
            "add images of further patients."
        ) from error
    dealt = {name: tuple(int(index) for index in chosen[parts == number]) for number, name in enumerate(wanted)}
    return {name: dealt.get(name, ()) for name in shares}


def _completed(image_set: ImageSet, fractions: Sequence[float], seed: int, given: GivenParts) -> Split:
    """Return the split of what was given, parts that lack being carved from the training part by groups."""
    dealt = dict(given.parts)
    missing = {part: share for part, share in zip(PARTS, fractions, strict=True) if part not in dealt and share > 0}
    if missing:
        dealt |= _deal(image_set, given.parts["train"], {"train": fractions[0], **missing}, seed)
    source = f"{given.source}{_DIVIDED}{seed}" if missing else given.source
    made = Split.of(dealt, source, image_set.fingerprint)
    torn = leaking_groups_of(image_set.groups, list(made.parts().values()))
    return replace(
        made,
        leaking_groups=tuple(tuple(image_set.ids[index] for index in group) for group in torn),
        unused=tuple(sorted(set(range(len(image_set))).difference(*dealt.values()))),
    )


def _numbered(file: Path, image_set: ImageSet) -> GivenParts | None:
    """Return the parts of a bundle's ``split.json``, which has numbers alone; None where ``file`` is another."""
    try:
        record = schema.SPLIT.read(file)
    except (OSError, ValueError):
        return None
    if not isinstance(record, Mapping) or "indices" not in record or set(PARTS) & set(record):
        return None
    made = Split.from_record(record)
    if made.fingerprint != image_set.fingerprint:
        raise UserError(
            f"Split file {file} has numbers of images of another data set (fingerprint {made.fingerprint[:12]}, here "
            f"{image_set.fingerprint[:12]}): give the one that it was made from, or a list of names."
        )
    return GivenParts(made.parts(), file.name)


def _check_fractions(fractions: Sequence[float]) -> None:
    usable = len(fractions) == len(PARTS) and all(0 <= share <= 1 for share in fractions)
    if not usable or abs(sum(fractions) - 1) > 1e-6 or fractions[0] == 0:
        raise UserError(
            f"Fractions {_written(fractions)} are not possible: expected four numbers (train, validation, calibration, "
            "test) from 0 to 1, train above 0, that sum to 1."
        )


def _written(fractions: Sequence[float]) -> str:
    return "/".join(f"{100 * share:g}" for share in fractions) + " %"
