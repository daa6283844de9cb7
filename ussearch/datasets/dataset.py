"""A data set as found, files that belong together, and as prepared: every image decoded, resized and grouped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ussearch.datasets.annotations import Drawing
from ussearch.datasets.reading import Folders, Reading
from ussearch.errors import UserError

ProblemKind = Literal[
    "missing mask",
    "empty masks",
    "missing image",
    "size mismatch",
    "unreadable file",
    "unclear name",
    "unclear patients",
    "equal names",
    "several masks",
    "several channels",
    "unlabelled images",
    "left out",
    "manifest",
    "unusable split",
    "split not used",
    "lost annotation",
    "unclear masks",
    "blank image",
]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One image and the masks drawn on it.

    ``id`` is the POSIX path of the image relative to the root of the data set. ``masks``, files or what a tool keeps as
    shapes, are united; an empty tuple means that the image is known to show nothing. ``label`` and ``patient`` are None
    where the source does not tell. ``frame`` counts from 0 inside a file of several frames. ``part`` is the part of a
    split that the source itself puts the image in (``train``, ``validation``, ``calibration`` or ``test``), None where
    it does not split. ``spacing_mm`` are the height and width of a pixel.
    """

    id: str
    image: Path
    masks: tuple[Path | Drawing, ...] = ()
    label: str | None = None
    patient: str | None = None
    frame: int = 0
    part: str | None = None
    spacing_mm: tuple[float, float] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it was read from."""
        return (self.image, *(mask.file if isinstance(mask, Drawing) else mask for mask in self.masks))


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file: ``message`` is one sentence that names the file and the hint.

    A ``fatal`` problem stops training on the data set; any other is only shown by ``check``.
    """

    kind: ProblemKind
    file: str
    message: str
    fatal: bool = True


class SizeMismatchError(UserError):
    """A mask has another size than its image."""


class Source(Protocol):
    """Where the pixels of a data set come from."""

    def content_hash(self, sample: Sample) -> str:
        """Return the SHA-256 (hexadecimal) of everything that ``decode`` depends on."""

    def decode(self, sample: Sample) -> tuple[Pixels, Pixels]:
        """Return image (0..255) and mask ({0, 1}), both uint8 [H, W]; raises UserError naming the file."""

    def clipped(self, sample: Sample) -> int:
        """Return how many values of the image lie beyond the grey scale."""

    def read_by(self, reading: Reading) -> Source:
        """Return the source that reads its files as ``reading`` says."""

    def close(self) -> None:
        """Keep what was learnt about the files (such as their hashes) for next time."""


@dataclass(frozen=True)
class Dataset:
    """Samples, in order of their ids, with the reader that found them and the source of their pixels.

    ``folders`` is what sub-folders were taken for, None where there are none. ``reading`` says how the files are read;
    None until it was decided (``settled``), and where there are no files. ``label_names`` are what the labels of masks
    are called, by labels as they are written, where a file tells.
    """

    name: str
    reader: str
    root: Path
    samples: tuple[Sample, ...]
    source: Source
    problems: tuple[Problem, ...] = ()
    folders: Folders | None = None
    reading: Reading | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)

    def read_by(self, reading: Reading) -> Dataset:
        """Return the data set whose files are read as ``reading`` says."""
        return replace(self, reading=reading, source=self.source.read_by(reading))

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class ImageSet:
    """Images and masks of one size, with what the source told about them.

    Attributes:
        images: grey levels, uint8 [N, 1, H, W], usually memory-mapped and read-only.
        masks: uint8 {0, 1} [N, 1, H, W].
        ids, labels, patients: one entry an image; label and patient are None where unknown.
        groups: int64 [N]; equal numbers mark images that must stay on one side of a split (the same
            patient, or near-duplicates of each other).
        fingerprint: SHA-256 of the content of the files, independent of the image size.
        name, reader: of the data set.
        image_size: side of the square images in pixels.
        parts: the part of a split that the source itself puts each image in; empty where it does not split.
        reading: how the files were read; None where there were none.
        lesions: int64 [N, 2], separate lesions of each mask in its own size, and how many of them vanish at this one;
            None where nobody counted.
        clipped: int64 [N], values of each image beyond the grey scale; None where nobody counted.
        sizes: int64 [N, 2], height and width of each image before it was stretched; None where nobody told.
        digests: uint8 [N, 32], SHA-256 of each image's grey levels before it was stretched; None where nobody told.
        spacing_mm: float64 [N, 2], height and width of a pixel before it was stretched, NaN where it is unknown; None
            where it is of all images.
    """

    images: Pixels
    masks: Pixels
    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    patients: tuple[str | None, ...]
    groups: npt.NDArray[np.int64]
    fingerprint: str
    name: str
    reader: str
    image_size: int
    parts: tuple[str | None, ...] = ()
    reading: Reading | None = None
    lesions: npt.NDArray[np.int64] | None = None
    clipped: npt.NDArray[np.int64] | None = None
    sizes: npt.NDArray[np.int64] | None = None
    digests: Pixels | None = None
    spacing_mm: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def grid_spacing_mm(self) -> npt.NDArray[np.float64] | None:
        """Height and width in mm of a pixel of ``images``, float64 [N, 2], NaN where unknown; None where of all."""
        if self.spacing_mm is None or self.sizes is None:
            return None
        return self.spacing_mm * self.sizes / self.image_size

    @property
    def has_lesion(self) -> npt.NDArray[np.bool_]:
        """Which masks mark at least one pixel, bool [N]."""
        return np.asarray(self.masks.reshape(len(self), -1).any(axis=1))
