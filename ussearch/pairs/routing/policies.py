"""How the threshold is chosen, from calibration images only: by share, calls, latency or risk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ussearch.errors import UserError
from ussearch.pairs.routing.conformal import Certificate, risk_threshold
from ussearch.pairs.routing.samples import BOUND
from ussearch.pairs.routing.thresholds import threshold_for_share, threshold_within_share
from ussearch.runtime.decision import EVERYTHING_STAYS, Router

Floats = npt.NDArray[np.float64]
USUAL_SHARE = 0.2


@dataclass(frozen=True)
class CalibrationScores:
    """Confidence and Dice of both networks [N] on images that neither network nor router learned from."""

    confidence: Floats
    edge_dice: Floats
    cloud_dice: Floats


@dataclass(frozen=True)
class RoutingDecision:
    """A router with the reason for its threshold in words, and the certificate where one was asked for."""

    router: Router
    reason: str
    certificate: Certificate | None = None


class _Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SharePolicy(_Policy):
    """Send the share of images that is nearest to ``share`` (0..1)."""

    kind: Literal["share"] = "share"
    share: float = Field(default=USUAL_SHARE, ge=0, le=1)

    def decide(self, seen: CalibrationScores) -> RoutingDecision:
        """Return the decision for these calibration images."""
        threshold = threshold_for_share(seen.confidence, self.share)
        return RoutingDecision(Router(threshold, self.share), f"a share of {self.share:.0%} was asked for")


class CallsPolicy(_Policy):
    """Send at most ``calls`` of every ``per`` images."""

    kind: Literal["calls"] = "calls"
    calls: int = Field(ge=0)
    per: int = Field(ge=1)

    def decide(self, seen: CalibrationScores) -> RoutingDecision:
        """Return the decision for these calibration images."""
        share = min(1.0, self.calls / self.per)
        threshold = threshold_within_share(seen.confidence, share)
        return RoutingDecision(Router(threshold, share), f"at most {self.calls} cloud calls in {self.per} images")


class LatencyPolicy(_Policy):
    """Keep the mean time of an answer within ``mean_ms``: ``edge_ms`` for all, ``cloud_ms`` more for what is sent."""

    kind: Literal["latency"] = "latency"
    mean_ms: float = Field(gt=0)
    cloud_ms: float = Field(gt=0, description="network and cloud together, of one image")
    edge_ms: float = Field(ge=0)

    def decide(self, seen: CalibrationScores) -> RoutingDecision:
        """Return the decision for these calibration images; raises UserError where the edge alone is too slow."""
        if self.edge_ms > self.mean_ms:
            raise UserError(
                f"The edge network alone takes {self.edge_ms:.1f} ms, {self.mean_ms:g} ms on average were asked for: "
                "allow more, or choose a faster edge network."
            )
        share = min(1.0, (self.mean_ms - self.edge_ms) / self.cloud_ms)
        threshold = threshold_within_share(seen.confidence, share)
        reason = (
            f"at most {self.mean_ms:g} ms on average, with {self.edge_ms:.1f} ms on the edge and {self.cloud_ms:g} ms "
            f"more by the cloud: {share:.0%} of the images may be sent"
        )
        return RoutingDecision(Router(threshold, share), reason)


class RiskPolicy(_Policy):
    """Send as few images as keep the expected loss within ``alpha``, losses counted up to ``bound`` (Dice, 0..1)."""

    kind: Literal["risk"] = "risk"
    alpha: float = 0.02
    bound: float = BOUND

    def decide(self, seen: CalibrationScores) -> RoutingDecision:
        """Return the decision with its certificate; raises UserError where there are too few images."""
        threshold, certificate = risk_threshold(
            seen.confidence, seen.edge_dice, seen.cloud_dice, alpha=self.alpha, bound=self.bound
        )
        return RoutingDecision(Router(threshold, certificate.offload_share), certificate.sentence, certificate)


Policy = Annotated[SharePolicy | CallsPolicy | LatencyPolicy | RiskPolicy, Field(discriminator="kind")]


def share_policy(share: float | None) -> SharePolicy | None:
    """Return the policy of a share; None, which leaves the choice to the program, where none was asked for.

    Raises UserError for a share outside 0..1.
    """
    if share is not None and not 0 <= share <= 1:
        raise UserError(f"Offload share {share} is not possible: expected a number from 0 to 1.")
    return None if share is None else SharePolicy(share=share)


def edge_only(reason: str) -> RoutingDecision:
    """Return the decision that keeps every image on the edge."""
    return RoutingDecision(Router(EVERYTHING_STAYS, 0.0), reason)
