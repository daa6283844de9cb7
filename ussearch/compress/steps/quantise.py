"""Numbers of fewer bits: INT8 by calibration, by training where that is not enough; FP16 where the board makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ussearch.compress.candidate import CompressionCandidate
from ussearch.compress.context import Context
from ussearch.compress.int8_files import WRITERS, largest_weight, scheme_for
from ussearch.compress.quantisation import converted, litert, prepare
from ussearch.compress.retraining import gentle
from ussearch.compress.steps.base import STEPS, Failure
from ussearch.evaluators import TrainingTask
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.profile import Precision
from ussearch.search_spaces import Network

RANGE_IMAGES = 32
"""Images that the ranges of quantisation-aware training start from; they follow a moving average later."""


@STEPS.register("quantise")
@dataclass(frozen=True)
class Quantise:
    """The fewest bits that the device computes with; ``aware`` trains with rounding before."""

    aware: bool = False
    name: ClassVar[str] = "quantise"

    @property
    def retrains(self) -> bool:
        """Whether the network is trained again."""
        return self.aware

    @property
    def settings(self) -> Mapping[str, Any]:
        """Whether rounding is trained with."""
        return {"aware": self.aware}

    def skip_reason(self, candidate: CompressionCandidate, context: Context) -> str:
        """Return why the device has nothing smaller, or why nobody knows that it would be faster."""
        profile, precision = context.profile, precision_for(context.profile)
        if precision is None:
            absent = "; ".join(f"{name}: {why}" for name, why in profile.export.absent_precisions.items())
            return f"{profile.name} computes in FP32 only ({absent or 'its rules name nothing else'})"
        if profile.export.format == "tflite" and (absent := litert.missing()):
            return absent
        if not context.speed.knows(precision) and self.name not in context.asked:
            return f"nobody measured {precision} on {profile.name}: name it in --steps, or measure it there with a kit"
        return ""

    def trainings(self) -> int:
        """Return 1 where rounding is trained with."""
        return int(self.aware)

    def apply(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate:
        """Return the candidate with an INT8 file, or with FP16 arithmetic: then the file stays FP32."""
        precision = precision_for(context.profile)
        if precision == "fp16":
            # NOTE: a later training at INT8 could not start from here, but there is no later step.
            return replace(candidate, precision="fp16")
        folder = context.place("quantise", candidate.digest, dict(self.settings))
        tuned = self._tuned(candidate, context, folder) if self.aware else None
        return WRITERS[context.profile.export.format](candidate, context, tuned, folder)

    def control(self, candidate: CompressionCandidate, context: Context) -> None:
        """Return None: the change is judged against the float network itself."""

    def relaxed(self, failure: Failure = "worse") -> Quantise | None:
        """Return quantisation-aware training where calibration lost Dice: nothing else is mended by training."""
        return None if self.aware or failure != "worse" else Quantise(aware=True)

    def _tuned(self, candidate: CompressionCandidate, context: Context, folder: Path) -> Network:
        """Return the network in its deploy form after training with rounding."""
        chosen = list(context.split.train)[:RANGE_IMAGES]
        pixels = torch.from_numpy(np.array(context.images.images[chosen])).float().to(context.device)
        network = candidate.network().to(context.device)
        prepared = prepare(
            network,
            scheme_for(context.profile),
            context.normalisation.apply(pixels),
            largest_weight=largest_weight(context.profile),
            image_layers=True if context.profile.export.format == "tflite" else None,
        )
        task = TrainingTask(
            candidate.architecture,
            context.seed,
            recipe=gentle(context.recipe, context.epochs),
            checkpoint=(checkpoint := folder / "checkpoint.safetensors"),
            title="quantise, trained with rounding",
        )
        context.train(task, prepared)
        checkpoint.unlink(missing_ok=True)
        return converted(prepared).cpu()


def precision_for(profile: Profile) -> Precision | None:
    """Return the fewest bits that the device's runtime computes with; None where that is FP32."""
    for precision in ("int8", "fp16"):
        if precision in profile.export.precisions:
            return precision
    return None
