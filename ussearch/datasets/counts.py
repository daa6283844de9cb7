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


class Losses(_Counts):
    """What the way from the files to the network's input lost; counts over the whole data set."""

    lesions: int = Field(description="separate lesions in all masks, in their own size")
    lesions_lost: int = Field(description="of them, those that have no pixel at the network's size")
    images_without: int = Field(description="images that lose every lesion so, and count as images without one")
    clipped_values: int = Field(description="values of images beyond the grey scale")
    clipped_images: int = Field(description="images that hold such values")


def losses_of(images: ImageSet) -> Losses | None:
    """Count what preparation lost; None where nobody counted."""
    if images.lesions is None or images.clipped is None:
        return None
    found, lost = images.lesions[:, 0], images.lesions[:, 1]
    return Losses(
        lesions=int(found.sum()),
        lesions_lost=int(lost.sum()),
        images_without=int(((found > 0) & (found == lost)).sum()),
        clipped_values=int(images.clipped.sum()),
        clipped_images=int((images.clipped > 0).sum()),
    )


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
