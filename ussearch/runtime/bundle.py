"""A bundle as devices and servers read it: every byte checked, both networks and the router ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ussearch.files import found_at
from ussearch.runtime.decision import Router
from ussearch.runtime.integrity import verified_manifest
from ussearch.runtime.manifest import ServingManifest
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.runtime.predictor import EDGE_MODEL, EdgePredictor, PairPredictor

AnyBundle = TypeVar("AnyBundle", bound="ServingBundle")


@dataclass(frozen=True)
class ServingBundle:
    """A bundle on disk whose every byte was checked; ``pairs.Bundle`` adds its evidence."""

    folder: Path
    manifest: ServingManifest

    @classmethod
    def load(cls: type[AnyBundle], folder: Path) -> AnyBundle:
        """Open the bundle in ``folder``; raises UserError where it is none, or any byte of it has changed."""
        place = found_at(folder)
        return cls(place, verified_manifest(place, cls.manifest_type()))

    @classmethod
    def manifest_type(cls) -> type[ServingManifest]:
        """Return what ``bundle.yaml`` is read as."""
        return ServingManifest

    @property
    def router(self) -> Router:
        """The calibrated decision between edge and cloud."""
        return self.manifest.router.rule

    def edge_predictor(self) -> EdgePredictor:
        """Load the edge network."""
        edge, read = OnnxNetwork(self.folder / EDGE_MODEL), self.manifest.preprocessing
        how = self.manifest.postprocessing_of("edge")
        return EdgePredictor(edge, self.router, read.image_size, grey_scale=read.grey_scale, postprocessing=how)

    def predictor(self) -> PairPredictor:
        """Load both networks."""
        read, how = self.manifest.preprocessing, self.manifest.postprocessing
        return PairPredictor.load(self.folder, self.router, read.image_size, read.grey_scale, how)
