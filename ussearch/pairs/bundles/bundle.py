"""The bundle: everything that one edge device and one cloud need, with the evidence, in one folder.

bundle.yaml  bundle.sha256      what it is, and the digests of every file
edge/  cloud/                   model.onnx, architecture.yaml, profile.yaml, weights.safetensors
vectors/                        images with the answers expected of both networks
split.json                      which images trained, calibrated and judged the pair, by number and by digest
run_edge.py                     the runner for the board
MODEL_CARD.md                   all of it for people
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ussearch import schema
from ussearch.datasets import PARTS, ImageSet, Split
from ussearch.datasets.anonymous import numbered_split
from ussearch.datasets.fingerprint import DIGESTS, told_digests
from ussearch.errors import UserError
from ussearch.files import require_writable
from ussearch.hardware_profiles import Profile, parse_profile
from ussearch.pairs.bundles.ensemble import ENSEMBLE, EnsembleChoice
from ussearch.pairs.bundles.manifest import Manifest
from ussearch.runtime.bundle import ServingBundle
from ussearch.runtime.integrity import MANIFEST, SEAL, file_names
from ussearch.search_spaces import Architecture

SPLIT = "split.json"
UNUSED = "unused"


@dataclass(frozen=True)
class Bundle(ServingBundle):
    """A bundle on disk whose every byte was checked, with its evidence."""

    manifest: Manifest

    @classmethod
    def manifest_type(cls) -> type[Manifest]:
        """Return what ``bundle.yaml`` is read as."""
        return Manifest

    def profile(self, tier: str = "edge") -> Profile:
        """Return the profile that ``tier`` (``edge`` or ``cloud``) was made for, as it was then."""
        return profile_in(self.folder, tier)

    def architecture(self, tier: str = "edge") -> Architecture:
        """Return the architecture of ``tier`` (``edge`` or ``cloud``)."""
        path = self.folder / tier / "architecture.yaml"
        return Architecture.from_yaml(path.read_text(encoding="utf-8"), str(path))

    @property
    def ensemble(self) -> EnsembleChoice | None:
        """Which networks answer in the cloud, and why; None in bundles of before that was measured."""
        path = self.folder / "cloud" / ENSEMBLE
        return EnsembleChoice.model_validate(schema.ENSEMBLE.read(path)) if path.is_file() else None

    def split(self) -> Split:
        """Return the split whose test images the metrics speak of."""
        return Split.from_record(schema.SPLIT.read(self.folder / SPLIT))

    def own_images(self, images: ImageSet) -> dict[str, int] | None:
        """Return how many of ``images`` the bundle was made from, by the part that they were in, ``unused`` for none.

        They are known by their grey levels, whatever their files are called. None where the bundle, of an older
        version, does not tell its images one by one.
        """
        known = schema.SPLIT.read(self.folder / SPLIT).get(DIGESTS)
        if known is None or images.digests is None:
            return None
        split = self.split()
        parts = {known[index]: part for part in (UNUSED, *reversed(PARTS)) for index in getattr(split, part)}
        found = Counter(parts.get(each) for each in told_digests(images.digests, self.manifest.data.fingerprint))
        return {part: found[part] for part in (*PARTS, UNUSED) if found[part]}


def write_split(folder: Path, split: Split, images: ImageSet) -> None:
    """Write the split into the bundle in ``folder``, with numbers for images, and with digests that tell them again."""
    record = numbered_split(split, images.ids).to_record()
    if images.digests is not None:
        record[DIGESTS] = told_digests(images.digests, images.fingerprint)
    (folder / SPLIT).write_text(schema.SPLIT.to_json(record) + "\n", encoding="utf-8")


def profile_in(folder: Path, tier: str) -> Profile:
    """Return the profile that ``tier`` of the bundle in ``folder`` was made for."""
    path = folder / tier / "profile.yaml"
    return parse_profile(path.read_text(encoding="utf-8"), str(path))


def require_replaceable(path: Path) -> None:
    """Raise UserError where no bundle can be written to ``path``: something else is there, or no folder can be."""
    taken = path.exists() and not (path / MANIFEST).is_file()
    if taken and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} exists and is not a bundle: choose another folder for the bundle.")
    foreign = _foreign_in(path) if (path / MANIFEST).is_file() else None
    if foreign is not None:
        raise UserError(
            f"{path / foreign} is no file of a bundle and would be lost: move it away, or choose another folder for "
            "the bundle."
        )
    require_writable(path.resolve().parent, f"No bundle can be written to {path}", "choose another folder for it")


def _foreign_in(path: Path) -> str | None:
    """Return a file that the bundle in ``path`` does not list, be it damaged or not; None without one."""
    try:
        listed = set(json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"])
    except (ValueError, TypeError, KeyError):
        return MANIFEST
    return next((name for name in file_names(path) if name not in {*listed, MANIFEST, SEAL}), None)
