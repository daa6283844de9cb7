"""What a bundle says about itself: ``bundle.yaml``."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ussearch.datasets.counts import DataCounts
from ussearch.datasets.reading import Reading
from ussearch.evaluators.metrics.paired_bootstrap import Change
from ussearch.evaluators.pretrained import Origin
from ussearch.hardware_profiles.profile import Precision
from ussearch.pairs.bundles.data_statistics import ImageStatistics
from ussearch.pairs.bundles.presence_roc import PresenceRoc
from ussearch.pairs.bundles.provenance import PairProvenance
from ussearch.pairs.bundles.subgroups import Subgroup
from ussearch.pairs.postprocessing.evidence import PairPostprocessingChoice
from ussearch.pairs.routing.attach_router import Score
from ussearch.pairs.routing.conformal import Certificate
from ussearch.pairs.routing.models import GainModel
from ussearch.pairs.routing.policies import Policy
from ussearch.pairs.routing.router_comparison import RouterComparison
from ussearch.pairs.routing.routing_gain import RoutingGain
from ussearch.runtime.manifest import Preprocessing, RouterThreshold, ServingManifest
from ussearch.runtime.postprocessing import PairPostprocessing

PACKAGES = ("ussearch", "torch", "onnx", "onnxruntime", "numpy")

Figures = dict[str, float | None]
Cost = float | int | str | bool | tuple[float, float] | None
"""One entry of what a network costs: a figure, its label, an interval, or whether it is extrapolated."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PretrainedEntry(Origin):
    """The weights that a network started from; ``part`` is its encoder or all of it."""

    earlier: tuple[Origin, ...] | None = Field(
        default=None, description="what the network of a user's own file itself began with, the latest first"
    )

    @property
    def origins(self) -> tuple[Origin, ...]:
        """These weights and what they began with, the latest first."""
        return Origin(**self.model_dump(exclude={"earlier"})), *(self.earlier or ())


class NetworkEntry(_Part):
    """One end of the pair: what it is, the form of its file, what it costs and how exactly it was
    exported.
    """

    architecture: str = Field(description="name, or id where it has none")
    trial: int | None = None
    profile: str
    precision: Precision = Field(default="fp32", description="arithmetic that the figures speak of")
    device_file: str = Field(
        default="",
        description="the network in INT8 as the device's runtime reads it, beside the model.onnx of the figures",
    )
    pretrained: PretrainedEntry | None = Field(
        default=None, description="weights of others that its training began with; none: from scratch"
    )
    ensemble: str = Field(
        default="", description="what the file is the mean of; empty for a single network; the record is ensemble.json"
    )
    compression: str = Field(default="", description="steps that were kept; the record is edge/compression.json")
    opset: int
    ir_version: int
    operators: dict[str, int]
    costs: dict[str, Cost] = Field(
        default_factory=dict, description="as predicted; bundles of before intervals were kept have none"
    )
    parity: Figures = Field(default_factory=dict)

    @property
    def latency_sentence(self) -> str:
        """The predicted latency with its interval and its label, or why there is none; empty where none was given."""
        costs = self.costs
        if costs.get("latency_ms") is None:
            return str(costs.get("latency_label") or "")
        interval = costs.get("latency_interval_ms")
        between = f" ({interval[0]:.1f} to {interval[1]:.1f} ms)" if isinstance(interval, tuple) else ""
        extrapolated = ", extrapolated" if costs.get("extrapolated") else ""
        return f"{costs['latency_ms']:.1f} ms{between}{extrapolated}, {costs.get('latency_label', 'predicted')}"


class OutOfFoldEntry(_Part):
    """What the router learned from: mean Dice of networks that did not see the images, and of those that ship."""

    images: int
    folds: int
    edge_dice: float
    cloud_dice: float
    in_sample_edge_dice: float
    in_sample_cloud_dice: float

    @property
    def sentence(self) -> str:
        """Both, in words."""
        return (
            f"Dice on the {self.images} images for training, out of fold and in sample: edge {self.edge_dice:.3f} and "
            f"{self.in_sample_edge_dice:.3f}, cloud {self.cloud_dice:.3f} and {self.in_sample_cloud_dice:.3f}."
        )


class RouterEntry(RouterThreshold):
    """The decision: below ``threshold`` the image goes to the cloud; ``reason`` says why there, ``score_reason`` why
    by which score.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: Score = "soft_dice_confidence"
    in_graph: bool = Field(default=False, description="edge/model.onnx has the output confidence")
    threshold: float
    requested_share: float
    calibration_images: int
    reason: str = ""
    score_reason: str = ""
    policy: Policy | None = None
    routing_gain: RoutingGain | None = None
    router_comparison: RouterComparison | None = None
    certificate: Certificate | None = None
    model: GainModel | None = None
    out_of_fold: OutOfFoldEntry | None = None


class DataEntry(_Part):
    """Which data the pair was made from; ``phantoms`` holds the generator's parameters where it was made
    up, ``reading`` what its files were taken for.
    """

    name: str
    reader: str
    fingerprint: str
    images: int
    phantoms: dict[str, Any] | None = None
    counts: DataCounts | None = Field(description="None in bundles of format 1")
    reading: Reading | None = Field(description="None where nobody told, as in bundles of before format 4")
    statistics: ImageStatistics | None = Field(description="of the training images; None in bundles of before format 5")


class MetricsEntry(_Part):
    """Figures on the test images: of each network alone, and of the pair at the router's threshold; of trivial
    ``baselines``; ``subgroups`` by class and size, with intervals; ``presence`` of a lesion by image.
    """

    convention: str
    images: int
    offload_share: float
    edge: Figures
    cloud: Figures
    routed: Figures
    baselines: dict[str, Figures] = Field(description="what needs no network, by name; none in bundles of format 1")
    subgroups: tuple[Subgroup, ...] = Field(description="none in bundles of format 1")
    presence: dict[str, PresenceRoc | None] | None = Field(
        default=None, description="None in bundles of before format 5"
    )
    cloud_gain: dict[str, Change | None] | None = Field(
        default=None, description="lesion Dice of the cloud less that of the edge; None where nobody measured it"
    )


class ParentEntry(_Part):
    """The bundle that another one was made from by ``ussearch threshold``; the networks are the same."""

    digest: str = Field(description="SHA-256 of its bundle.yaml")
    reason: str


class Manifest(ServingManifest):
    """Everything in ``bundle.yaml``; ``files`` gives the SHA-256 of every other file of the bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[5] = 5
    versions: dict[str, str]
    edge: NetworkEntry
    cloud: NetworkEntry
    preprocessing: Preprocessing
    postprocessing: PairPostprocessing | None = Field(description="None in bundles of before format 5: threshold 0.5")
    postprocessing_choice: PairPostprocessingChoice | None = Field(
        description="what it was chosen on and why; None in bundles of before format 5"
    )
    router: RouterEntry
    data: DataEntry
    metrics: MetricsEntry
    provenance: PairProvenance | None = Field(description="None where nobody told, as in bundles of format 1")
    parent: ParentEntry | None = Field(description="the bundle that this one is a variant of, None without one")
    files: dict[str, str]

    def entry(self, tier: str) -> NetworkEntry:
        """Return what the manifest says of ``tier``, ``edge`` or ``cloud``."""
        return self.edge if tier == "edge" else self.cloud

    def to_text(self) -> str:
        """Return the manifest in the JSON subset of YAML, which the board's standard library can read."""
        content = self.model_dump(mode="json")
        digests = content.pop("files")  # many lines, so they come last
        return json.dumps({**content, "files": digests}, indent=2, allow_nan=False) + "\n"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a bundle's content depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
