"""How many images there are of what, part by part: counts alone, no name of a file or a patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

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


def counts_of(images: ImageSet, split: Split) -> DataCounts:
    """Count a prepared data set."""
    groups = Counter(images.groups.tolist())
    return DataCounts(
        split=split.source,
        groups=len(groups),
        together=sum(size for size in groups.values() if size > 1),
        largest_group=max(groups.values()),
        torn=len(split.leaking_groups),
        parts={part: _part(images, indices) for part, indices in split.parts().items()},
    )


def _part(images: ImageSet, indices: Sequence[int]) -> PartCounts:
    chosen = list(indices)
    return PartCounts(
        images=len(chosen),
        lesions=int(images.has_lesion[chosen].sum()),
        groups=len(set(images.groups[chosen].tolist())),
        labels=dict(sorted(Counter(images.labels[index] or NO_LABEL for index in chosen).items())),
    )
