"""What is in a folder, and what is wrong with it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.datasets.dataset import Dataset, ImageSet, Pixels, Problem, ProblemKind, Sample, SizeMismatchError
from ussearch.datasets.grouping import (
    DUPLICATE_CORRELATION,
    THUMBNAIL_SIDE,
    groups_of,
    joined,
    members,
    similar_pairs,
    thumbnail,
)
from ussearch.datasets.splits import leaking_groups_of, split
from ussearch.errors import UserError

NO_CLASS = "unknown"


@dataclass(frozen=True)
class Leakage:
    """How a split file tears apart what belongs together; groups are lists of ids."""

    split_file: str
    parts: dict[str, int]
    leaking_groups: tuple[tuple[str, ...], ...]
    test_images_concerned: int


@dataclass(frozen=True)
class DataReport:
    """Findings about a data set; sizes are (width, height) in pixels, groups are lists of ids.

    ``near_duplicates`` are joined pairs of thumbnails that correlate above 0.98 and
    ``near_duplicate_pairs`` counts those pairs; ``contradicting`` are groups of them that carry several
    classes. ``without_lesion`` are the images with an empty mask, whose classes ``empty_by_class`` counts.
    ``split_groups`` is the number of independent groups (wider near-duplicates, patients) there
    are to be split.
    """

    name: str
    reader: str
    root: str
    images: int
    readable: int
    classes: dict[str, int]
    patients: int | None
    sizes: dict[str, int]
    empty_masks: int
    empty_by_class: dict[str, int]
    without_lesion: tuple[str, ...]
    several_masks: int
    lesion_share: dict[str, float]
    near_duplicate_pairs: int
    near_duplicates: tuple[tuple[str, ...], ...]
    contradicting: tuple[tuple[str, ...], ...]
    split_groups: int
    problems: tuple[Problem, ...]
    leakage: Leakage | None = None

    @property
    def sound(self) -> bool:
        """Whether training could start: images with lesions, and no fatal problem."""
        return self.readable > self.empty_masks and not any(problem.fatal for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready data."""
        return {**dataclasses.asdict(self), "sound": self.sound}


def check(dataset: Dataset, split_file: Path | None = None) -> DataReport:
    """Decode every image and mask of ``dataset`` and report; a broken file never stops it.

    Args:
        dataset: best opened with ``strict=False``, so that its layout faults are reported as well.
        split_file: a published split to examine for leakage; one that cannot be used becomes a problem.
    """
    found = _Findings(dataset)
    for sample in dataset.samples:
        found.examine(sample)
    return found.report(split_file)


class _Findings:
    """Collects what is seen while images pass by; unreadable ones keep their place with NaN and zeros."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._problems = list(dataset.problems)
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._shares: list[float] = []
        self._thumbnails: list[npt.NDArray[np.float32]] = []

    def examine(self, sample: Sample) -> None:
        try:
            image, mask = self._dataset.source.decode(sample)
        except UserError as error:
            kind: ProblemKind = "size mismatch" if isinstance(error, SizeMismatchError) else "unreadable file"
            self._problems.append(Problem(kind, sample.id, str(error)))
            self._shares.append(np.nan)
            self._thumbnails.append(np.zeros(THUMBNAIL_SIDE**2, np.float32))
            return
        self._sizes[image.shape[1], image.shape[0]] += 1
        self._shares.append(float(mask.mean()))
        self._thumbnails.append(thumbnail(image))

    def report(self, split_file: Path | None) -> DataReport:
        samples, shares = self._dataset.samples, np.array(self._shares)
        thumbnails = np.array(self._thumbnails, np.float32).reshape(-1, THUMBNAIL_SIDE**2)
        pairs = similar_pairs(thumbnails, DUPLICATE_CORRELATION)
        duplicates = members(joined(len(samples), pairs.tolist()))
        contradicting = [group for group in duplicates if len({samples[index].label for index in group}) > 1]
        patients = {sample.patient for sample in samples if sample.patient is not None}
        groups = groups_of(thumbnails, [sample.patient for sample in samples])
        leakage = self._leakage(split_file, groups) if split_file is not None else None
        empty = np.flatnonzero(shares == 0).tolist()
        return DataReport(
            name=self._dataset.name,
            reader=self._dataset.reader,
            root=str(self._dataset.root),
            images=len(samples) + sum(problem.kind == "missing mask" for problem in self._problems),
            readable=int(np.isfinite(shares).sum()),
            classes=_by_class(samples),
            patients=len(patients) or None,
            sizes={f"{width} x {height}": count for (width, height), count in self._sizes.most_common()},
            empty_masks=len(empty),
            empty_by_class=_by_class(samples[index] for index in empty),
            without_lesion=tuple(samples[index].id for index in empty),
            several_masks=sum(len(sample.masks) > 1 for sample in samples),
            lesion_share=_distribution(shares[shares > 0]),
            near_duplicate_pairs=len(pairs),
            near_duplicates=self._ids(duplicates),
            contradicting=self._ids(contradicting),
            split_groups=len(np.unique(groups)),
            problems=(*self._problems, *self._nothing_marked(), *self._indivisible(split_file, groups)),
            leakage=leakage,
        )

    def _nothing_marked(self) -> list[Problem]:
        """Return the fatal problem, in the words of ``prepare``, of masks that are all empty."""
        shares = np.array(self._shares)
        if not (shares == 0).any() or (shares > 0).any():
            return []
        root, samples = self._dataset.root, self._dataset.samples
        sentence = (
            f"All {len(samples)} masks of {root} are empty (first: {samples[0].id}): nothing can be learnt; "
            "give masks that mark lesions."
        )
        return [Problem("empty masks", str(root), sentence)]

    def _indivisible(self, split_file: Path | None, groups: npt.NDArray[np.int64]) -> list[Problem]:
        """Return the fatal problem, in the words of ``split``, of images that a run could not divide."""
        if split_file is not None or not self._shares:
            return []
        try:
            split(self._image_set(groups))
        except UserError as error:
            return [Problem("unusable split", str(self._dataset.root), str(error))]
        return []

    def _ids(self, groups: Iterable[Iterable[int]]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(self._dataset.samples[index].id for index in group) for group in groups)

    def _leakage(self, file: Path, groups: npt.NDArray[np.int64]) -> Leakage | None:
        try:
            made = split(self._image_set(groups), split_file=file)
        except UserError as error:
            self._problems.append(Problem("unusable split", file.name, str(error)))
            return None
        torn = leaking_groups_of(groups, [(*made.train, *made.validation, *made.calibration), made.test])
        return Leakage(
            split_file=str(file),
            parts={part: len(indices) for part, indices in made.parts().items()},
            leaking_groups=self._ids(torn),
            test_images_concerned=len(set(made.test) & {index for group in torn for index in group}),
        )

    def _image_set(self, groups: npt.NDArray[np.int64]) -> ImageSet:
        """Return all samples with one-pixel masks: enough to be split."""
        samples = self._dataset.samples
        masks: Pixels = (np.array(self._shares) > 0).astype(np.uint8).reshape(-1, 1, 1, 1)
        return ImageSet(
            images=masks,
            masks=masks,
            ids=tuple(sample.id for sample in samples),
            labels=tuple(sample.label for sample in samples),
            patients=tuple(sample.patient for sample in samples),
            groups=groups,
            fingerprint="",
            name=self._dataset.name,
            reader=self._dataset.reader,
            image_size=1,
        )


def _by_class(samples: Iterable[Sample]) -> dict[str, int]:
    return dict(sorted(Counter(sample.label or NO_CLASS for sample in samples).items()))


def _distribution(shares: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return percentiles of the share of the image that lesions cover; empty where there is none."""
    if not shares.size:
        return {}
    return {f"p{level}": round(float(np.percentile(shares, level)), 5) for level in (0, 10, 50, 90, 100)}
