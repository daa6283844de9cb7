"""Shadow sampling: some images that stay are sent all the same, to see what staying costs.

Nothing of it reaches the answer, which was given before. The guards hold for it as for every call.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from ussearch.runtime.geometry import mask_in
from ussearch.runtime.masks import dice_and_iou
from ussearch.runtime.prediction import PredictionResult
from ussearch.serving.client.cloud_channel import CloudChannel
from ussearch.serving.client.guards import Deadline
from ussearch.serving.client.inference_call import Reply
from ussearch.serving.client.transport import CloudFailure

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShadowSight:
    """How sure the edge was of an image that stayed, and the Dice between its mask and the cloud's (1 if both are
    empty).
    """

    confidence: float
    agreement: float


class Shadow:
    """Draws the images, sends them and tells ``on_sight`` what came back; what fails is not told."""

    def __init__(
        self, channel: CloudChannel, on_sight: Callable[[ShadowSight], None] | None, chance: random.Random | None
    ) -> None:
        self._channel, self._on_sight = channel, on_sight
        self._chance = chance or random.Random()

    def consider(self, edge: PredictionResult, deadline: Deadline) -> None:
        """Send the image of ``edge`` if it is drawn; returns at once."""
        if self._on_sight is None or self._chance.random() >= self._channel.settings.shadow_share:
            return
        try:
            call = self._channel.send(edge.network_input, deadline)
        except CloudFailure:
            return
        call.job.future.add_done_callback(lambda future: self._tell(future, edge))

    def _tell(self, future: Future[Reply], edge: PredictionResult) -> None:
        if self._on_sight is None or future.cancelled() or future.exception() is not None:
            return
        cloud = mask_in(future.result().probabilities, edge.seen.shape)
        dice, _ = dice_and_iou(edge.seen[None].astype(bool), cloud[None].astype(bool))
        try:
            self._on_sight(ShadowSight(edge.confidence, float(dice[0])))
        except Exception as error:  # the listener's own mistake must not take a worker with it
            LOG.error("The listener to shadow samples failed (%s).", type(error).__name__)
