"""The check of a data set: every file is looked at, and what training would refuse is found with its own words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ussearch.datasets.checking.report import DataReport, ImageFormats, Leakage, Spacing
from ussearch.datasets.checking.shares import clipped_values, lesion_shares, masks_that_differ, vanished_at
from ussearch.datasets.dataset import Dataset, ImageSet, Pixels, Problem, Sample
from ussearch.datasets.files import FileSource
from ussearch.datasets.grouping import (
    DUPLICATE_CORRELATION,
    THUMBNAIL_SIDE,
    groups_of,
    joined,
    members,
    similar_pairs,
)
from ussearch.datasets.preparation import nothing_marked
from ussearch.datasets.reading import Reading, ReadingOptions
from ussearch.datasets.reading.decide import decide, surveyed
from ussearch.datasets.reading.region_decision import crop_loss
from ussearch.datasets.reading.survey import FileProgress, SampleFacts, facts_of_arrays
from ussearch.datasets.spacing import spacing_of
from ussearch.datasets.splits import leaking_groups_of, split
from ussearch.errors import Question, UserError

NO_CLASS = "unknown"
SPLIT_NOT_USED = "split not used"  # a problem only where none is given


def check(
    dataset: Dataset,
    split_file: Path | None = None,
    options: ReadingOptions | None = None,
    image_size: int | None = None,
    progress: FileProgress | None = None,
) -> DataReport:
    """Decode every image and mask of ``dataset`` and report; a broken file never stops it.

    Args:
        dataset: best opened with ``strict=False``, so that its layout faults are reported as well.
        split_file: a published split to examine for leakage; one that cannot be used becomes a problem.
        options: what the user says of the files.
        image_size: side of a network's input at which lesions may vanish; not looked at without.
        progress: called with how many files were read, and of how many.

    Raises:
        Question: files that admit several readings, as a run would ask.
    """
    asked = options or ReadingOptions()
    if isinstance(dataset.source, FileSource):
        facts = surveyed(dataset, asked, progress)
    else:
        facts = [facts_of_arrays(*dataset.source.decode(sample)) for sample in dataset.samples]
    given = [each for each in dataset.problems if split_file is None or each.kind != SPLIT_NOT_USED]
    problems = [*given, *(each.problem for each in facts if each.problem is not None)]
    try:
        reading = decide(dataset, facts, asked)
    except Question:
        raise
    except UserError as error:
        reading = None
        problems.append(Problem("unclear masks", str(dataset.root), str(error)))
    return _Check(dataset, facts, reading, problems, split_file).report(image_size)


@dataclass
class _Check:
    """What was seen of a data set; unreadable samples keep their place with NaN and zeros."""

    dataset: Dataset
    facts: Sequence[SampleFacts]
    reading: Reading | None
    problems: list[Problem]
    split_file: Path | None

    def report(self, image_size: int | None) -> DataReport:
        samples, decided = self.dataset.samples, self.dataset
        if self.reading is not None:
            decided = self.dataset.read_by(self.reading)
        shares = lesion_shares(decided, self.facts)
        blank = np.zeros(THUMBNAIL_SIDE**2, np.float32)
        thumbnails = np.array([blank if each.image is None else each.image.thumbnail for each in self.facts])
        thumbnails = thumbnails.astype(np.float32).reshape(-1, THUMBNAIL_SIDE**2)
        pairs = similar_pairs(thumbnails, DUPLICATE_CORRELATION)
        duplicates = members(joined(len(samples), pairs.tolist()))
        patients = {sample.patient for sample in samples if sample.patient is not None}
        groups = groups_of(thumbnails, [sample.patient for sample in samples])
        images = self._image_set(groups, shares)
        empty = np.flatnonzero(shares == 0).tolist()
        vanished = vanished_at(decided, shares, image_size) if image_size is not None else None
        self.problems += [*self._blank(), *self._cropped()]
        values, images_beyond = (0, 0) if self.reading is None else clipped_values(decided, self.facts)
        gone = 0 if vanished is None else len(vanished.images)
        if np.isfinite(shares).any() and (shares > 0).sum() == gone:
            self.problems.append(Problem("empty masks", str(decided.root), nothing_marked(decided)))
        leakage = self._leakage(images)
        sizes = Counter((each.image.size[1], each.image.size[0]) for each in self.facts if each.image is not None)
        return DataReport(
            name=decided.name,
            reader=decided.reader,
            root=str(decided.root),
            images=len(samples) + sum(problem.kind == "missing mask" for problem in self.problems),
            readable=int(np.isfinite(shares).sum()),
            classes=_by_class(samples),
            patients=len(patients) or None,
            sizes={f"{width} x {height}": count for (width, height), count in sizes.most_common()},
            formats=_formats(self.facts),
            reading=self.reading,
            empty_masks=len(empty),
            empty_by_class=_by_class(samples[index] for index in empty),
            without_lesion=tuple(samples[index].id for index in empty),
            several_masks=sum(len(sample.masks) > 1 for sample in samples),
            lesion_share=_distribution(shares[shares > 0]),
            near_duplicate_pairs=len(pairs),
            near_duplicates=self._ids(duplicates),
            differing_masks=masks_that_differ(decided, pairs.tolist()),
            contradicting=self._ids(g for g in duplicates if len({samples[index].label for index in g}) > 1),
            split_groups=len(np.unique(groups)),
            problems=tuple(self.problems),
            clipped_values=values,
            clipped_images=images_beyond,
            folders=decided.folders,
            parts=dict(Counter(sample.part for sample in samples if sample.part is not None)),
            leakage=leakage,
            spacing=self._spacing(),
            vanished=vanished,
        )

    def _spacing(self) -> Spacing | None:
        """Return how large pixels are, as far as files tell."""
        dataset = self.dataset if self.reading is None else self.dataset.read_by(self.reading)
        readable = [s for s, each in zip(dataset.samples, self.facts, strict=True) if each.image is not None]
        found = [spacing for sample in readable if (spacing := spacing_of(dataset, sample)) is not None]
        sides = [side for spacing in found for side in spacing]
        return Spacing(min(sides), max(sides), len(found)) if found else None

    def _blank(self) -> list[Problem]:
        """Return the images that show nothing; training goes on with them where others do."""
        return [
            Problem("blank image", sample.id, f"{sample.id} holds one grey level: export it again or remove it.", False)
            for sample, each in zip(self.dataset.samples, self.facts, strict=True)
            if each.image is not None and each.image.is_blank
        ]

    def _cropped(self) -> list[Problem]:
        """Return what the crop to an ultrasound region removes; training goes on."""
        if self.reading is None:
            return []
        loss = crop_loss(self.facts, self.reading.masks, self.reading.region)
        sentence = f"Of the ultrasound region that is used ({self.reading.region}), {loss.sentence}: see --region."
        return [Problem("lost annotation", str(self.dataset.root), sentence, fatal=False)] if loss.pixels else []

    def _leakage(self, images: ImageSet) -> Leakage | None:
        """Split as a run would; what it would refuse becomes a problem in its words.

        Returns how a split that was given, by a file or by folders, tears groups apart.
        """
        if not len(images):
            return None
        try:
            made = split(images, split_file=self.split_file)
        except UserError as error:
            place = str(self.dataset.root) if self.split_file is None else self.split_file.name
            self.problems.append(Problem("unusable split", place, str(error)))
            return None
        if self.split_file is None and not images.parts:
            return None
        torn = leaking_groups_of(images.groups, [(*made.train, *made.validation, *made.calibration), made.test])
        return Leakage(
            split_file="" if self.split_file is None else str(self.split_file),
            source=made.source,
            unused=made.unused_told,
            parts={part: len(indices) for part, indices in made.parts().items()},
            leaking_groups=self._ids(torn),
            test_images_concerned=len(set(made.test) & {index for group in torn for index in group}),
        )

    def _ids(self, groups: Iterable[Iterable[int]]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(self.dataset.samples[index].id for index in group) for group in groups)

    def _image_set(self, groups: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> ImageSet:
        """Return all samples with one-pixel masks: enough to be split."""
        samples = self.dataset.samples
        masks: Pixels = (shares > 0).astype(np.uint8).reshape(-1, 1, 1, 1)
        parts = tuple(sample.part for sample in samples)
        return ImageSet(
            images=masks,
            masks=masks,
            ids=tuple(sample.id for sample in samples),
            labels=tuple(sample.label for sample in samples),
            patients=tuple(sample.patient for sample in samples),
            groups=groups,
            fingerprint="",
            name=self.dataset.name,
            reader=self.dataset.reader,
            image_size=1,
            parts=parts if any(parts) else (),
        )


def _formats(facts: Sequence[SampleFacts]) -> ImageFormats:
    images = [each.image for each in facts if each.image is not None]
    return ImageFormats(
        kinds=dict(Counter(image.kind for image in images).most_common()),
        low=min((image.low for image in images), default=0.0),
        high=max((image.high for image in images), default=0.0),
        turned=sum(image.turned for image in images),
        with_alpha=sum(image.with_alpha for image in images),
    )


def _by_class(samples: Iterable[Sample]) -> dict[str, int]:
    return dict(sorted(Counter(sample.label or NO_CLASS for sample in samples).items()))


def _distribution(shares: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return percentiles of the share of the image that lesions cover; empty where there is none."""
    if not shares.size:
        return {}
    return {f"p{level}": round(float(np.percentile(shares, level)), 5) for level in (0, 10, 50, 90, 100)}
