"""TN3K: thyroid nodules, Gong et al. 2021 (TRFE-Net)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ussearch.datasets.readers.base import Listing, Reader, add_reader, by_stem, pair_by_name

PARTS = ("trainval", "test")


@add_reader
class Tn3k(Reader):
    """Two pairs of folders with the same file names in each, so ids keep the folder."""

    name = "tn3k"
    layout = "trainval-image/ trainval-mask/ test-image/ test-mask/ with equal file names"

    def matches(self, root: Path) -> bool:
        """Tell whether either pair of folders is there."""
        return any((root / f"{part}-image").is_dir() and (root / f"{part}-mask").is_dir() for part in PARTS)

    def read(self, root: Path) -> Listing:
        """List both parts, which are a split where both are there."""
        listing = pair_by_name(
            root,
            {key: files for part in PARTS for key, files in by_stem(root / f"{part}-image", f"{part}/").items()},
            {key: files for part in PARTS for key, files in by_stem(root / f"{part}-mask", f"{part}/").items()},
            expected=lambda image: f"a file named '{image.stem}' in {image.parent.name.replace('-image', '-mask')}/",
        )

        if all((root / f"{part}-image").is_dir() for part in PARTS):
            listing.samples = [replace(sample, part=_part(sample.id)) for sample in listing.samples]
        return listing

    def names_in_split(self, part: str, entries: Sequence[object]) -> list[str]:
        """Read the numbers of ``tn3k-trainval-fold0.json``, which count files of ``trainval-image/``."""
        folder = "test-image" if part == "test" else "trainval-image"
        return [f"{folder}/{entry:04d}" if isinstance(entry, int) else str(entry) for entry in entries]


def _part(identity: str) -> str:
    return "test" if identity.startswith("test-") else "train"
