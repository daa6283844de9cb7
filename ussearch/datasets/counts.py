"""How many images there are of what, part by part: counts alone, no name of a file or a patient unless asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from ussearch.datasets.anonymous import class_names, split_source
from ussearch.datasets.dataset import ImageSet
from ussearch.datasets.splits import Split

NO_LABEL = "without a label"


class _Counts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartCounts(_Counts):
    """Images of one part of a split."""

    images: int
    lesions: int = Field(description="images with a lesion")
    groups: int = Field(description="patients, and near-duplicates, counted once")
    labels: dict[str, int] = Field(description="images by class")


class DataCounts(_Counts):
    """A data set and its split; ``together`` images share a group with another one, groups ``torn`` lie in several
    parts of a given split.
    """

    split: str = Field(description="how the parts came about")
    groups: int
    together: int
    largest_group: int
    torn: int
    parts: dict[str, PartCounts]


def counts_of(images: ImageSet, split: Split, *, names: bool = False) -> DataCounts:
    """Count a prepared data set; with ``names`` classes and a split's file are called as they are."""
    called = {} if names else class_names(images.labels)
    labels = [called.get(label, label) if label else NO_LABEL for label in images.labels]
    groups = Counter(images.groups.tolist())
    return DataCounts(
        split=split.source if names else split_source(split.source),
        groups=len(groups),
        together=sum(size for size in groups.values() if size > 1),
        largest_group=max(groups.values()),
        torn=len(split.leaking_groups),
        parts={part: _part(images, labels, indices) for part, indices in split.parts().items()},
    )


def _part(images: ImageSet, labels: Sequence[str], indices: Sequence[int]) -> PartCounts:
    chosen = list(indices)
    return PartCounts(
        images=len(chosen),
        lesions=int(images.has_lesion[chosen].sum()),
        groups=len(set(images.groups[chosen].tolist())),
        labels=dict(sorted(Counter(labels[index] for index in chosen).items())),
    )
