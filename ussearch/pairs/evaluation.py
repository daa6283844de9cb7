"""What a pair is worth on test images: each network alone, and routed."""

from __future__ import annotations

import numpy as np

from ussearch.datasets import ImageSet, Split
from ussearch.errors import UserError
from ussearch.evaluators.scores import CONVENTION, score
from ussearch.pairs.manifest import MetricsEntry
from ussearch.pairs.running import RunningPair


def evaluate_pair(pair: RunningPair, images: ImageSet, split: Split) -> MetricsEntry:
    """Score edge only, cloud only and the routed pair on the test images, by the files that will run."""
    if not split.test:
        raise UserError(f"{images.name} has no test images: split it with a share for testing.")
    chosen = list(split.test)
    pixels, masks = np.asarray(images.images[chosen]), np.asarray(images.masks[chosen])
    edge, confidence = pair.edge_answers(pixels)
    cloud = pair.cloud.probabilities(pixels)
    routed, away = pair.router.routed(edge, cloud, confidence)
    return MetricsEntry(
        convention=CONVENTION,
        images=len(chosen),
        offload_share=float(away.mean()),
        edge=score(edge, masks).summary,
        cloud=score(cloud, masks).summary,
        routed=score(routed, masks).summary,
    )


def differences(first: MetricsEntry, second: MetricsEntry, tolerance: float = 1e-3) -> list[str]:
    """Return the names of the figures in which two evaluations differ by more than ``tolerance``."""
    found = [] if abs(first.offload_share - second.offload_share) <= tolerance else ["offload_share"]
    for end in ("edge", "cloud", "routed"):
        left, right = getattr(first, end), getattr(second, end)
        for name in sorted(set(left) | set(right)):
            if not _agree(left.get(name), right.get(name), tolerance):
                found.append(f"{end}.{name}")
    return found


def _agree(left: float | None, right: float | None, tolerance: float) -> bool:
    if left is None or right is None:
        return left is right
    return abs(left - right) <= tolerance * max(1.0, abs(left))
