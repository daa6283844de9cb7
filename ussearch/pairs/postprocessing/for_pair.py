"""The post-processing of a pair: each network has its own, chosen by the files that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ussearch.datasets import ImageSet, Split
from ussearch.errors import UserError
from ussearch.pairs.postprocessing.choose import choose_postprocessing
from ussearch.pairs.postprocessing.evidence import PairPostprocessingChoice
from ussearch.pairs.postprocessing.observed import Observed
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.runtime.postprocessing import PairPostprocessing
from ussearch.runtime.predictor import CLOUD_MODEL, EDGE_MODEL

ON_CALIBRATION = "each step was kept where calibration images say that it helps"


def observed(file: Path, images: ImageSet, split: Split) -> Observed:
    """Return what the network in ``file`` answers on the calibration images; UserError where there are none."""
    chosen = list(split.calibration)
    if not chosen:
        raise UserError(
            f"{images.name} has no calibration images to choose thresholds on: split it with a share for calibration."
        )
    return Observed(
        OnnxNetwork(file).probabilities(np.asarray(images.images[chosen]))[:, 0],
        np.asarray(images.masks[chosen])[:, 0] > 0,
        np.asarray(images.groups[chosen], np.int64),
    )


def choose_for_pair(
    folder: Path, images: ImageSet, split: Split
) -> tuple[PairPostprocessing, PairPostprocessingChoice]:
    """Return what becomes of the probabilities of both networks of the bundle in ``folder``, and why."""
    edge, why_edge = choose_postprocessing(observed(folder / EDGE_MODEL, images, split))
    cloud, why_cloud = choose_postprocessing(observed(folder / CLOUD_MODEL, images, split))
    why = PairPostprocessingChoice(edge=why_edge, cloud=why_cloud, reason=ON_CALIBRATION)
    return PairPostprocessing(edge=edge, cloud=cloud), why
