"""What a reader of a published folder layout offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ussearch.datasets.dataset import Problem, Sample
from ussearch.datasets.decoding import raster_files
from ussearch.registry import Registry


@dataclass
class Listing:
    """What a reader found: samples, and files that do not fit together."""

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def missing_mask(self, root: Path, image: Path, expected: str) -> None:
        """Note an image whose mask is not there; ``expected`` names where it was looked for."""
        self.problems.append(
            Problem(
                "missing mask",
                image.relative_to(root).as_posix(),
                f"Image {image} has no mask: expected {expected}; add the mask (an all-black one where the image "
                "shows no lesion) or remove the image.",
            )
        )

    def missing_image(self, root: Path, mask: Path) -> None:
        """Note a mask that belongs to no image; training goes on without it."""
        self.problems.append(
            Problem(
                "missing image",
                mask.relative_to(root).as_posix(),
                f"Mask {mask} belongs to no image: add the image or remove the mask.",
                fatal=False,
            )
        )

    def equal_names(self, root: Path, files: Sequence[Path]) -> None:
        """Note files that differ in their suffixes alone: which mask belongs to which image cannot be told."""
        names = " and ".join(path.relative_to(root).as_posix() for path in files)
        self.problems.append(
            Problem(
                "equal names",
                files[0].relative_to(root).as_posix(),
                f"{names} in {root} differ in their suffixes alone, a name for each image was expected: rename all but "
                "one, and the masks alike, or remove what is a copy.",
            )
        )

    def unclear_name(self, root: Path, file: Path, expected: str) -> None:
        """Note a file whose name does not follow the layout; training goes on without it."""
        self.problems.append(
            Problem(
                "unclear name",
                file.relative_to(root).as_posix(),
                f"File {file} is left out: expected a name such as {expected}; rename or remove it.",
                fatal=False,
            )
        )


class Reader(ABC):
    """One published folder layout.

    Attributes:
        name: what ``--reader`` takes.
        layout: one line that says what the reader looks for.
        outlines: whether masks may be drawn as outlines, to be filled.
    """

    name: ClassVar[str]
    layout: ClassVar[str]
    outlines: ClassVar[bool] = False

    @abstractmethod
    def matches(self, root: Path) -> bool:
        """Tell whether the folder ``root`` has this layout, from names alone."""

    @abstractmethod
    def read(self, root: Path) -> Listing:
        """List the samples under ``root`` and what does not fit; decodes nothing and never stops early."""

    def names_in_split(self, part: str, entries: Sequence[object]) -> list[str]:
        """Translate the entries of a published split list into ids, file names or stems."""
        del part
        return [str(entry) for entry in entries]


READERS: Registry[Reader] = Registry("reader")


def add_reader(reader: type[Reader]) -> type[Reader]:
    """Register a reader class under its name."""
    READERS.register(reader.name)(reader())
    return reader


def pair_by_name(
    root: Path,
    images: Mapping[str, Sequence[Path]],
    masks: Mapping[str, Sequence[Path]],
    expected: Callable[[Path], str],
    *,
    label: Callable[[Path], str | None] = lambda _: None,
    patient: Callable[[Path], str | None] = lambda _: None,
) -> Listing:
    """Pair images and masks that have the same key; what is left over, or there twice, becomes a problem.

    ``expected`` says for an image where its mask should be; ``label`` and ``patient`` read an image's path.
    """
    listing = Listing()
    for files in (*images.values(), *masks.values()):
        if len(files) > 1:
            listing.equal_names(root, files)
    for key, (image, *_) in sorted(images.items()):
        if key in masks:
            identity = image.relative_to(root).as_posix()
            listing.samples.append(Sample(identity, image, (masks[key][0],), label(image), patient(image)))
        else:
            listing.missing_mask(root, image, expected(image))
    for key in sorted(masks.keys() - images.keys()):
        listing.missing_image(root, masks[key][0])
    listing.samples.sort(key=lambda sample: sample.id)
    return listing


def by_key(files: Iterable[Path], key: Callable[[Path], str]) -> dict[str, list[Path]]:
    """Return ``files`` by their keys, in order."""
    found: dict[str, list[Path]] = {}
    for path in files:
        found.setdefault(key(path), []).append(path)
    return found


def by_stem(folder: Path, prefix: str = "") -> dict[str, list[Path]]:
    """Return the raster images directly inside ``folder`` by ``prefix`` + stem."""
    return by_key(raster_files(folder), lambda path: prefix + path.stem)
