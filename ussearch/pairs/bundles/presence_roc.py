"""How well a network tells images with a lesion from those without: the ROC of its surest lesion's peak, by image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ussearch.evaluators.metrics.paired_bootstrap import DRAWS
from ussearch.pairs.postprocessing.observed import Observed
from ussearch.pairs.postprocessing.presence import area_under_roc
from ussearch.runtime.postprocessing import Postprocessing, masks_of

Floats = npt.NDArray[np.float64]
Point = tuple[float, float]


class PresenceRoc(BaseModel):
    """The area under the curve with its 95 % interval over groups, the curve, and where the network stands on it.

    Points are the false-positive rate and the sensitivity, by image, as the threshold of presence falls. The operating
    point is that of the masks, whose other steps may put it off the curve.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    auc: float
    low: float | None = Field(description="lower end of the interval; None from a single group")
    high: float | None
    curve: tuple[Point, ...]
    operating_point: Point

    @classmethod
    def of(
        cls,
        probabilities: npt.NDArray[np.float32],
        masks: npt.NDArray[np.uint8],
        groups: npt.NDArray[np.int64],
        how: Postprocessing | None,
    ) -> PresenceRoc | None:
        """Return the ROC of probabilities and masks [N, 1, S, S]; None where all images have a lesion, or none."""
        seen = Observed(probabilities[:, 0], np.asarray(masks)[:, 0] > 0, groups)
        scores, has_lesion = seen.surest(how or Postprocessing()), seen.has_lesion
        auc = area_under_roc(scores, has_lesion)
        if auc is None:
            return None
        marked = np.asarray(masks_of(probabilities, how).any(axis=(1, 2, 3)))
        low, high = auc_interval(scores, has_lesion, groups)
        point = float(marked[~has_lesion].mean()), float(marked[has_lesion].mean())
        return cls(auc=auc, low=low, high=high, curve=roc_curve(scores, has_lesion), operating_point=point)


def roc_curve(scores: Floats, has_lesion: npt.NDArray[np.bool_]) -> tuple[Point, ...]:
    """Return the corners of the curve from (0, 0) to (1, 1): false-positive rate and sensitivity at falling
    thresholds."""
    cuts = np.unique(scores)[::-1]
    positives, negatives = np.sort(scores[has_lesion]), np.sort(scores[~has_lesion])
    true = 1 - np.searchsorted(positives, cuts, side="left") / len(positives)
    false = 1 - np.searchsorted(negatives, cuts, side="left") / len(negatives)
    points = np.stack([np.concatenate([[0.0], false]), np.concatenate([[0.0], true])], axis=1)
    steps = np.diff(points, axis=0)
    turns = np.ones(len(points), bool)  # a point between two on one upright or level line tells nothing
    turns[1:-1] = ~((steps[:-1] == 0) & (steps[1:] == 0)).any(axis=1)
    return tuple((float(x), float(y)) for x, y in points[turns])


def auc_interval(
    scores: Floats, has_lesion: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64], seed: int = 0
) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the area, a percentile bootstrap over groups; None, None from a single group.

    Draws without images of both kinds do not count.
    """
    _, members = np.unique(groups, return_inverse=True)
    count = int(members.max()) + 1
    if count == 1:
        return None, None
    generator = np.random.default_rng(seed)
    times = np.stack([np.bincount(generator.integers(count, size=count), minlength=count) for _ in range(DRAWS)])
    weights = times[:, members.reshape(-1)].astype(np.float64)
    one, other = scores[has_lesion][:, None], scores[~has_lesion][None, :]
    above = (one > other) + 0.5 * (one == other)
    positive, negative = weights[:, has_lesion], weights[:, ~has_lesion]
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    areas = ((positive @ above) * negative).sum(axis=1)[pairs > 0] / pairs[pairs > 0]
    if not len(areas):
        return None, None
    low, high = np.percentile(areas, (2.5, 97.5))
    return float(low), float(high)
