"""Routers that need no training, which every learned one stands beside."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ussearch.pairs.routing.choice import SDC
from ussearch.pairs.routing.curves import oracle_confidence
from ussearch.pairs.routing.features import COMPLEXITY
from ussearch.pairs.routing.models import standardised
from ussearch.pairs.routing.samples import Samples

Floats = npt.NDArray[np.float64]

RANDOM, ORACLE, ENTROPY, IMAGE_COMPLEXITY = "random", "oracle", "mean entropy", "image complexity"
FLIP = "flip agreement"
"""A comparison only: it takes a second forward pass, which no shipped router does."""


def plain_routers(samples: Samples) -> dict[str, Floats]:
    """Return the confidence [N] of each by name; chance is one confidence for all, which curves take as such."""
    return {
        RANDOM: np.zeros(len(samples)),
        ORACLE: oracle_confidence(samples.edge_dice, samples.cloud_dice),
        SDC: samples.sdc,
        ENTROPY: -samples.mean_entropy,
        FLIP: samples.flip,
        IMAGE_COMPLEXITY: -image_complexity(samples),
    }


def image_complexity(samples: Samples) -> Floats:
    """Return the mean [N] of the standardised complexity features: CEA-Net's idea of what should go to the cloud."""
    columns = [samples.names.index(name) for name in COMPLEXITY]
    return np.asarray(standardised(samples.features[:, columns], samples.networks).mean(axis=1))
