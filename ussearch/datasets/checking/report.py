"""What is in a folder, how it is read, and what is wrong with it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ussearch.datasets.dataset import Problem
from ussearch.datasets.reading import Reading


@dataclass(frozen=True)
class Leakage:
    """How a split tears apart what belongs together; groups are lists of ids.

    ``split_file`` is its file, empty where folders give it; ``source`` says how the parts came about, ``unused`` which
    images are in none.
    """

    split_file: str
    parts: dict[str, int]
    leaking_groups: tuple[tuple[str, ...], ...]
    test_images_concerned: int
    source: str = ""
    unused: str | None = None


@dataclass(frozen=True)
class ImageFormats:
    """What the image files are: how many of each kind, and the least and greatest value of all of them.

    ``turned`` files note that they were held otherwise (EXIF); ``with_alpha`` have an alpha channel, which is ignored.
    """

    kinds: dict[str, int]
    low: float
    high: float
    turned: int
    with_alpha: int


@dataclass(frozen=True)
class Spacing:
    """How large pixels are: least and greatest side in mm, and how many images tell it."""

    low_mm: float
    high_mm: float
    images: int


@dataclass(frozen=True)
class Vanished:
    """Lesions that are too small to be seen at a training size.

    Attributes:
        image_size: side of the network's input in pixels.
        lesions: separate regions in all masks; ``lost`` of them have no pixel at that size.
        images: ids of images that lose every lesion, and would count as images without one.
    """

    image_size: int
    lesions: int
    lost: int
    images: tuple[str, ...]


@dataclass(frozen=True)
class DataReport:
    """Findings about a data set; sizes are (width, height) in pixels, groups are lists of ids.

    ``near_duplicates`` are joined pairs of thumbnails that correlate above 0.98 and
    ``near_duplicate_pairs`` counts those pairs; ``contradicting`` are groups of them that carry several
    classes; ``differing_masks`` are pairs of near-duplicates whose masks hardly overlap. ``without_lesion`` are the
    images with an empty mask, whose classes ``empty_by_class`` counts.
    ``split_groups`` is the number of independent groups (wider near-duplicates, patients) there
    are to be split. ``parts`` counts the images of the parts that the source itself gives. ``reading`` is how the files
    are read, None where that could not be decided; ``clipped_values`` of ``clipped_images`` lie beyond its grey scale.
    ``spacing`` is None where no file tells the size of pixels.
    """

    name: str
    reader: str
    root: str
    images: int
    readable: int
    classes: dict[str, int]
    patients: int | None
    sizes: dict[str, int]
    formats: ImageFormats
    reading: Reading | None
    empty_masks: int
    empty_by_class: dict[str, int]
    without_lesion: tuple[str, ...]
    several_masks: int
    lesion_share: dict[str, float]
    near_duplicate_pairs: int
    near_duplicates: tuple[tuple[str, ...], ...]
    differing_masks: tuple[tuple[str, str], ...]
    contradicting: tuple[tuple[str, ...], ...]
    split_groups: int
    problems: tuple[Problem, ...]
    clipped_values: int = 0
    clipped_images: int = 0
    folders: str | None = None
    parts: dict[str, int] = dataclasses.field(default_factory=dict)
    leakage: Leakage | None = None
    spacing: Spacing | None = None
    vanished: Vanished | None = None

    @property
    def sound(self) -> bool:
        """Whether training could start: images with lesions, and no fatal problem."""
        return self.readable > self.empty_masks and not any(problem.fatal for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready data."""
        reading = None if self.reading is None else self.reading.model_dump(mode="json")
        return {**dataclasses.asdict(self), "reading": reading, "sound": self.sound}
