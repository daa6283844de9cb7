"""Does the exported file compute what the trained network computes? Asked on real images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators.prediction import as_shipped
from ussearch.runtime.masks import dice_and_iou
from ussearch.runtime.onnx_network import OnnxNetwork, Pixels

RELATIVE_TOLERANCE = 1e-3
DICE_TOLERANCE = 0.999


@dataclass(frozen=True)
class Parity:
    """Largest difference of the logits, the largest logit, and the lowest Dice between both masks of an
    image.
    """

    images: int
    max_abs_difference: float
    max_abs_logit: float
    min_dice: float

    def to_dict(self) -> dict[str, float | None]:
        """Return the figures as plain data."""
        return asdict(self)


def parity(path: Path, network: nn.Module, normalisation: Normalisation, images: Pixels) -> Parity:
    """Compare onnxruntime on the file at ``path`` with torch on ``network`` for ``images`` uint8 [N, 1, S,
    S].
    """
    module = as_shipped(network, normalisation)
    exported = OnnxNetwork(path).logits(images)
    with torch.no_grad():
        trained = np.concatenate([module(torch.from_numpy(image[None].astype(np.float32))).numpy() for image in images])
    return Parity(
        images=len(images),
        max_abs_difference=float(np.abs(exported - trained).max()),
        max_abs_logit=float(np.abs(trained).max()),
        min_dice=float(dice_and_iou(exported >= 0, trained >= 0)[0].min()),
    )


def require_parity(result: Parity, what: str) -> Parity:
    """Return ``result``; raises UserError where the exported network is not the trained one."""
    allowed = RELATIVE_TOLERANCE * max(1.0, result.max_abs_logit)
    if not (result.max_abs_difference <= allowed and result.min_dice >= DICE_TOLERANCE):
        raise UserError(
            f"The exported {what} network differs from the trained one on real images (logits by "
            f"{result.max_abs_difference:.2g}, at most {allowed:.2g} expected; Dice {result.min_dice:.4f}, at least "
            f"{DICE_TOLERANCE} expected): choose another candidate."
        )
    return result
