"""What answering an image needs to know of a bundle: the part of ``bundle.yaml`` that devices and servers read."""

from __future__ import annotations

import hashlib
import json
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ussearch.documents import parse_yaml
from ussearch.runtime.decision import Router
from ussearch.runtime.grey_scale import GreyScale
from ussearch.runtime.manifest_versions import MANIFEST
from ussearch.runtime.postprocessing import PairPostprocessing, Postprocessing
from ussearch.runtime.predictor import CLOUD_MODEL

MODEL_VERSION = "1"
"""The version under which servers offer the cloud network; another network has another name."""
Self = TypeVar("Self", bound="ServingManifest")


class Preprocessing(BaseModel):
    """From a file to the network's input; the normalisation is applied by the graph itself.

    ``grey_scale`` gives the values that become black and white, as in training; None in bundles of before format 4,
    which scale every file by its own brightest pixel. ``region`` is the ultrasound region of DICOM files: ``largest``,
    ``whole`` or a number from 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: int = Field(ge=1)
    channels: Literal[1] = 1
    grey_levels: tuple[Literal[0], Literal[255]] = (0, 255)
    resize: Literal["stretch, antialiased triangle filter"] = "stretch, antialiased triangle filter"
    mean: float
    std: float
    grey_scale: GreyScale | None
    region: str


class RouterThreshold(BaseModel):
    """The decision: below ``threshold`` the image goes to the cloud."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    threshold: float
    requested_share: float

    @property
    def rule(self) -> Router:
        """The calibrated decision between edge and cloud."""
        return Router(self.threshold, self.requested_share)


class ServingManifest(BaseModel):
    """What devices and servers read of ``bundle.yaml``; ``files`` gives the SHA-256 of every other file.

    The evidence beside it is read by ``pairs.bundles.manifest``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[5] = 5
    preprocessing: Preprocessing
    postprocessing: PairPostprocessing | None = Field(description="None in bundles of before format 5: threshold 0.5")
    router: RouterThreshold
    files: dict[str, str]

    @classmethod
    def from_text(cls: type[Self], text: str, origin: str) -> Self:
        """Read what this version or an older one wrote; raises UserError naming ``origin`` and the field."""
        return parse_yaml(cls, text, origin, MANIFEST, "export the bundle again")

    @property
    def model_digest(self) -> str:
        """The SHA-256 of the cloud network's file in hexadecimal."""
        return self.files[CLOUD_MODEL]

    def postprocessing_of(self, tier: Literal["edge", "cloud"]) -> Postprocessing | None:
        """Return what becomes of the probabilities of ``tier``; None where it is the threshold 0.5 of before."""
        return PairPostprocessing.of(self.postprocessing, tier)

    @property
    def served_digest(self) -> str:
        """The SHA-256 of what a server answers with: the cloud network's file and, where there is any, what becomes of
        its probabilities (that digest, then the JSON of ``postprocessing.cloud`` with sorted keys).
        """
        how = self.postprocessing_of("cloud")
        if how is None:
            return self.model_digest
        settings = json.dumps(how.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256((self.model_digest + settings).encode()).hexdigest()

    @property
    def model_name(self) -> str:
        """The name under which servers offer the cloud network, such as ussearch-1f3a5c7e9b0d.

        It holds ``served_digest``: a server that holds another network, or makes other masks of the same, does not know
        the name, and answers 404 instead of other masks.
        """
        return f"ussearch-{self.served_digest[:12]}"
