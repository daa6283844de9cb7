"""A bound on what routing may lose: conformal risk control (Angelopoulos et al., arXiv:2208.02814, theorem 1).

The loss of an image at threshold t is clip(Dice_cloud - Dice_edge, 0, B) where it stays on the edge (confidence at
least t), 0 where it goes to the cloud: it never rises with t. The smallest t with

    n / (n + 1) * mean loss + B / (n + 1) <= alpha

keeps the expected loss of the next image within alpha, for images exchangeable with the n of calibration. It holds on
average over calibration sets, not for each of them and not for each site.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from ussearch.errors import UserError
from ussearch.pairs.routing.thresholds import possible_counts, threshold_below

Floats = npt.NDArray[np.float64]
FEW_IMAGES = 150
"""A certificate from fewer is called weak."""


class Certificate(BaseModel):
    """What was promised, from how many images, and at what price."""

    model_config = ConfigDict(frozen=True)

    alpha: float
    bound: float
    images: int
    offload_share: float
    naive_offload_share: float
    """Share that would go to the cloud if the loss on the calibration images were all there is to it."""

    @property
    def vacuous(self) -> bool:
        """Whether every calibration image goes to the cloud: then the edge network decides nothing."""
        return self.offload_share >= 1

    @property
    def weak(self) -> bool:
        """Whether it comes from too few images to promise much for one site."""
        return self.images < FEW_IMAGES

    @property
    def sentence(self) -> str:
        """The promise with its conditions, in words."""
        marks = [
            mark
            for mark, holds in (("vacuous, everything goes to the cloud", self.vacuous), ("weak", self.weak))
            if holds
        ]
        marked = f" ({'; '.join(marks)})" if marks else ""
        return (
            f"routing loses at most {100 * self.alpha:.1f} points of Dice on average against the cloud alone, losses "
            f"of an image counted up to {self.bound:g}; from {self.images} calibration images{marked}; holds on "
            "average over calibration sets, not per site"
        )


def images_needed(alpha: float, bound: float) -> int:
    """Return the smallest number of calibration images with which any threshold satisfies ``alpha``."""
    return max(1, math.ceil(bound / alpha - 1e-9) - 1)


def risk_threshold(
    confidence: Floats, edge_dice: Floats, cloud_dice: Floats, *, alpha: float, bound: float
) -> tuple[float, Certificate]:
    """Return the lowest threshold that keeps the expected loss within ``alpha``, with its certificate.

    Arguments are [N] of calibration images that neither network nor router was trained on; ``alpha`` and ``bound`` are
    in Dice (0..1). Raises UserError where they are no such numbers or there are too few images.
    """
    if not 0 < alpha < bound <= 1:
        raise UserError(
            f"A risk of {alpha} with losses up to {bound} is not possible: expected 0 < risk < bound <= 1, in Dice."
        )
    needed = images_needed(alpha, bound)
    if len(confidence) < needed:
        raise UserError(
            f"{len(confidence)} calibration images are too few for a risk of {alpha:g} with losses up to {bound:g}: "
            f"expected at least {needed}; allow a larger risk, or label more images."
        )
    order = np.argsort(confidence, kind="stable")
    ordered = confidence[order].astype(np.float64)
    losses = np.clip(cloud_dice - edge_dice, 0, bound)[order]
    counts, n = possible_counts(ordered), len(ordered)
    mean_loss = np.concatenate([np.cumsum(losses[::-1])[::-1], [0.0]])[counts] / n
    conformal = int(counts[np.argmax(n / (n + 1) * mean_loss + bound / (n + 1) <= alpha + 1e-12)])
    naive = int(counts[np.argmax(mean_loss <= alpha + 1e-12)])
    certificate = Certificate(
        alpha=alpha, bound=bound, images=n, offload_share=conformal / n, naive_offload_share=naive / n
    )
    return threshold_below(ordered, conformal), certificate
