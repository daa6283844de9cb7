"""The bundle: everything that one edge device and one cloud need, with the evidence, in one folder.

bundle.yaml  bundle.sha256      what it is, and the digests of every file
edge/  cloud/                   model.onnx, architecture.yaml, profile.yaml, weights.safetensors
vectors/                        images with the answers expected of both networks
split.json                      which images trained, calibrated and judged the pair
run_edge.py                     the runner for the board
MODEL_CARD.md                   all of it for people
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ussearch.datasets import Split
from ussearch.hardware_profiles import Profile, parse_profile
from ussearch.pairs.bundles.manifest import Manifest
from ussearch.runtime.bundle import ServingBundle
from ussearch.search_spaces import Architecture

SPLIT = "split.json"


@dataclass(frozen=True)
class Bundle(ServingBundle):
    """A bundle on disk whose every byte was checked, with its evidence."""

    manifest: Manifest

    @classmethod
    def manifest_type(cls) -> type[Manifest]:
        """Return what ``bundle.yaml`` is read as."""
        return Manifest

    def profile(self, end: str = "edge") -> Profile:
        """Return the profile that ``end`` (``edge`` or ``cloud``) was made for, as it was then."""
        return profile_in(self.folder, end)

    def architecture(self, end: str = "edge") -> Architecture:
        """Return the architecture of ``end`` (``edge`` or ``cloud``)."""
        path = self.folder / end / "architecture.yaml"
        return Architecture.from_yaml(path.read_text(encoding="utf-8"), str(path))

    def split(self) -> Split:
        """Return the split whose test images the metrics speak of."""
        return Split.from_record(json.loads((self.folder / SPLIT).read_text(encoding="utf-8")))


def profile_in(folder: Path, end: str) -> Profile:
    """Return the profile that ``end`` of the bundle in ``folder`` was made for."""
    path = folder / end / "profile.yaml"
    return parse_profile(path.read_text(encoding="utf-8"), str(path))
