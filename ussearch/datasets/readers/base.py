"""What a reader of a published folder layout offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import ClassVar

from ussearch.datasets.dataset import Problem, ProblemKind, Sample
from ussearch.registry import Registry
from ussearch.runtime.raster_files import raster_files


@dataclass
class Listing:
    """What a reader found: samples, and files that do not fit together.

    Attributes:
        samples: images with their masks.
        problems: what does not fit; ``all_problems`` adds the images without masks.
        folders: by id, the sub-folders that the reader does not know the meaning of, the outermost first.
        columns: by id, what a table says of an image, by the columns' names.
        unused_columns: names of those that mean nothing to the reader.
        noted: files that a problem speaks of.
        label_names: what the labels of masks are called, by labels as they are written.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    unused_columns: list[str] = field(default_factory=list)
    noted: set[Path] = field(default_factory=set)
    label_names: dict[str, str] = field(default_factory=dict)
    _without_mask: list[tuple[str, Path, str]] = field(default_factory=list)

    def missing_mask(self, root: Path, image: Path, expected: str) -> None:
        """Note an image whose mask is not there; ``expected`` names where it was looked for."""
        self.noted.add(image)
        self._without_mask.append((image.relative_to(root).as_posix(), image, expected))

    def all_problems(self) -> tuple[Problem, ...]:
        """Return every problem, images without masks among them.

        An all-black mask is only proposed where it cannot spoil anything: most other images have masks, and no mask
        is left over that may belong to the image under another name.
        """
        left_over = [problem.file for problem in self.problems if problem.kind == "missing image"]
        if left_over:
            hint = f"rename its mask so, if it is among those without an image (such as {left_over[0]}), "
            hint += "add it, or name the pairs in an images.csv"
        elif len(self.samples) >= len(self._without_mask):
            hint = "add the mask (an all-black one where the image shows no lesion) or remove the image"
        else:
            hint = "add the mask or remove the image, or name the pairs in an images.csv"
        missing = (
            Problem("missing mask", place, f"Image {image} has no mask: expected {expected}; {hint}.")
            for place, image, expected in self._without_mask
        )
        return (*self.problems, *missing)

    def note(self, kind: ProblemKind, file: str, sentence: str, fatal: bool = True) -> None:
        """Note any other problem."""
        self.problems.append(Problem(kind, file, sentence, fatal))

    def missing_image(self, root: Path, mask: Path) -> None:
        """Note a mask that belongs to no image; training goes on without it."""
        self.noted.add(mask)
        self.problems.append(
            Problem(
                "missing image",
                mask.relative_to(root).as_posix(),
                f"Mask {mask} belongs to no image: rename it after its image, add the image, or remove the mask.",
                fatal=False,
            )
        )

    def equal_names(self, root: Path, files: Sequence[Path]) -> None:
        """Note files that differ in their suffixes alone: which mask belongs to which image cannot be told."""
        self.noted.update(files)
        names = " and ".join(path.relative_to(root).as_posix() for path in files)
        what = "differ in their suffixes alone" if len({path.parent for path in files}) == 1 else "have one name"
        self.problems.append(
            Problem(
                "equal names",
                files[0].relative_to(root).as_posix(),
                f"{names} in {root} {what}, a name for each image was expected: rename all but one, and the masks "
                "alike (a mask beside its image is called 'x_mask'), or remove what is a copy.",
            )
        )

    def unclear_name(self, root: Path, file: Path, expected: str) -> None:
        """Note a file whose name does not follow the layout; training goes on without it."""
        self.noted.add(file)
        self.problems.append(
            Problem(
                "unclear name",
                file.relative_to(root).as_posix(),
                f"File {file} is left out: expected a name such as {expected}; rename or remove it.",
                fatal=False,
            )
        )


class Rank(IntEnum):
    """How much a layout says; where several fit a folder, the readers of the highest rank are taken."""

    GENERAL = 0
    """Reads what no other layout fits, anywhere below the folder."""
    PUBLISHED = 1
    MANIFEST = 2
    """Says everything itself."""


class Reader(ABC):
    """One published folder layout.

    Attributes:
        name: what ``--reader`` takes.
        layout: one line that says what the reader looks for.
        outlines: whether masks may be drawn as outlines, to be filled.
        patients: whether names tell patients.
        rank: which reader is taken where several fit a folder.
    """

    name: ClassVar[str]
    layout: ClassVar[str]
    outlines: ClassVar[bool] = False
    patients: ClassVar[bool] = False
    rank: ClassVar[Rank] = Rank.PUBLISHED

    @abstractmethod
    def matches(self, root: Path) -> bool:
        """Tell whether the folder ``root`` has this layout, from names alone."""

    def gives_way(self, root: Path) -> bool:
        """Tell whether what fits is likelier meant otherwise, so that it is taken only where the user names it."""
        del root
        return False

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
