"""What routing is worth on a bundle's test images: its own router beside chance, the oracle and plain scores."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.datasets import ImageSet
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.pairs.bundles.bundle import Bundle
from ussearch.pairs.bundles.manifest import RouterEntry
from ussearch.pairs.routing.curves import CurveComparison, compare
from ussearch.pairs.routing.router_comparison import LEARNED, SDC, plain_routers
from ussearch.pairs.routing.routing_gain import RoutingGain, routing_gain
from ussearch.pairs.routing.samples import Samples, collect_features
from ussearch.runtime.postprocessing import dice_of_masks
from ussearch.runtime.predictor import EDGE_MODEL

Floats = npt.NDArray[np.float64]
_COLUMNS = ("id", "edge_dice", "cloud_dice")  # that every table begins with


@dataclass(frozen=True)
class RouteReport:
    """Figures of all routers on N test images; ``confidences`` [N] by router, ``sent`` [N] by the bundle's own.

    ``indices`` [N] are the images' numbers in ``split.json``.
    """

    samples: Samples
    indices: tuple[int, ...]
    confidences: Mapping[str, Floats]
    sent: npt.NDArray[np.bool_]
    comparison: CurveComparison
    routing_gain: RoutingGain
    router: RouterEntry

    @property
    def verdict(self) -> str:
        """Whether routing is worthwhile on these images, in words."""
        return self.routing_gain.sentence

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready data."""
        return {
            "verdict": self.verdict,
            "worthwhile": self.routing_gain.worthwhile,
            "requested_offload": self.router.requested_share,
            "realised_offload": float(self.sent.mean()),
            "router": self.router.model_dump(mode="json", exclude={"model"}),
            **asdict(self.comparison),
        }

    def write_csv(self, path: Path, *, names: bool = False) -> None:
        """Write one line an image: its number in ``split.json``, both Dice, every router's confidence, where it went.

        With ``names`` the file's name comes last.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*_COLUMNS, *self.confidences, "route", *(["name"] if names else [])])
        for number, index in enumerate(self.indices):
            figures = [self.samples.edge_dice[number], self.samples.cloud_dice[number]]
            figures += [confidence[number] for confidence in self.confidences.values()]
            route = "cloud" if self.sent[number] else "edge"
            name = [self.samples.ids[number]] if names else []
            writer.writerow([index, *(f"{figure:.6f}" for figure in figures), route, *name])
        write_atomically(path, text.getvalue())


def is_own_table(path: Path) -> bool:
    """Tell whether a file is a table of ``RouteReport.write_csv``, by its first line."""
    with path.open("rb") as file:
        return file.readline(1 << 12).startswith(",".join(_COLUMNS).encode() + b",")


def route_report(bundle: Bundle, images: ImageSet) -> RouteReport:
    """Judge the bundle's router on its test images, by the files that will run.

    Raises UserError where ``images`` is another data set than the bundle's.
    """
    if images.fingerprint != bundle.manifest.data.fingerprint:
        raise UserError(f"The images are not those of {bundle.folder}: give the data set that it was made from.")
    chosen = list(bundle.split().test)
    pair = bundle.predictor()
    pixels = np.asarray(images.images[chosen])
    answers = pair.cloud.probabilities(pixels)
    cloud_dice = dice_of_masks(answers, images.masks[chosen], pair.cloud_postprocessing)
    file = bundle.folder / EDGE_MODEL
    samples = collect_features(file, cloud_dice, images, chosen, postprocessing=pair.postprocessing)
    confidence = pair.edge_answers(pixels)[1]
    confidences = plain_routers(samples)
    if bundle.manifest.router.score == "learned":
        confidences[LEARNED] = confidence
    return RouteReport(
        samples=samples,
        indices=tuple(chosen),
        confidences=confidences,
        sent=pair.router.offloads(confidence),
        comparison=compare(samples.edge_dice, cloud_dice, samples.groups, confidences, reference=SDC),
        routing_gain=routing_gain(samples.edge_dice.tolist(), cloud_dice.tolist(), samples.groups.tolist()),
        router=bundle.manifest.router,
    )
