"""Numbers of fewer bits: INT8 by calibration, by training where that is not enough; FP16 where the board makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ussearch.compress.candidate import Candidate
from ussearch.compress.context import Context
from ussearch.compress.judging import Array, dice_of, model_file, validation
from ussearch.compress.retraining import gentle
from ussearch.compress.steps.base import STEPS
from ussearch.evaluators import train
from ussearch.evaluators.onnx_network import OnnxNetwork
from ussearch.evaluators.shipping import export_network
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.profile import Precision

CALIBRATION_IMAGES = 200
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

    def off(self, candidate: Candidate, context: Context) -> str:
        """Return why the device has nothing smaller, or why nobody knows that it would be faster."""
        profile, precision = context.profile, precision_for(context.profile)
        if precision is None:
            absent = "; ".join(f"{name}: {why}" for name, why in profile.export.absent_precisions.items())
            return f"{profile.name} computes in FP32 only ({absent or 'its rules name nothing else'})"
        if profile.export.format != "onnx":
            return f"{profile.name} reads {profile.export.format} files, which this step does not write"
        if not context.speed.knows(precision) and self.name not in context.asked:
            return f"nobody measured {precision} on {profile.name}: name it in --steps, or measure it there with a kit"
        return ""

    def trainings(self) -> int:
        """Return 1 where rounding is trained with."""
        return int(self.aware)

    def apply(self, candidate: Candidate, context: Context) -> Candidate:
        """Return the candidate with an INT8 file, or with FP16 arithmetic: then the file stays FP32."""
        precision = precision_for(context.profile)
        if precision == "fp16":
            # NOTE: a later training at INT8 could not start from here, but there is no later step.
            return replace(candidate, precision="fp16")
        folder = context.place("quantise", candidate.digest, dict(self.settings))
        source = self._tuned(candidate, context, folder) if self.aware else model_file(candidate, context)
        return _as_int8(candidate, context, source, folder)

    def control(self, candidate: Candidate, context: Context) -> None:
        """Return None: the change is judged against the float network itself."""

    def milder(self) -> Quantise | None:
        """Return quantisation-aware training after what calibration could not do."""
        return None if self.aware else Quantise(aware=True)

    def _tuned(self, candidate: Candidate, context: Context, folder: Path) -> Path:
        """Return the float file of the network after training with rounding."""
        from ussearch.compress.quantisation import converted, prepare

        chosen = list(context.split.train)[:RANGE_IMAGES]
        pixels = torch.from_numpy(np.array(context.images.images[chosen])).float().to(context.device)
        network = candidate.network().to(context.device)
        prepared = prepare(network, scheme_for(context.profile), context.normalisation.apply(pixels))
        recipe = gentle(context.recipe, context.epochs)
        checkpoint = folder / "checkpoint.safetensors"

        def tell(record: Any) -> None:
            if context.on_training:
                context.on_training("quantise, trained with rounding", record, recipe.epochs)

        train(
            prepared,
            context.images,
            context.split,
            recipe,
            seed=context.seed,
            device=context.device,
            checkpoint=checkpoint,
            on_epoch=tell,
        )
        path = folder / "tuned.onnx"
        channels = candidate.architecture.image_channels
        size = context.images.image_size
        tuned = converted(prepared).cpu()
        export_network(tuned, context.normalisation, size, context.profile, path, image_channels=channels)
        checkpoint.unlink(missing_ok=True)
        return path


def _as_int8(candidate: Candidate, context: Context, source: Path, folder: Path) -> Candidate:
    """Return the candidate whose file is ``source`` in INT8, with the settings that keep most validation Dice."""
    from ussearch.compress.quantisation import calibration_images, quantise_best

    images, masks = validation(context)

    def mean_dice(path: Path) -> float:
        return float(np.mean(dice_of(OnnxNetwork(path).probabilities(images), masks)))

    found = quantise_best(
        source,
        _calibration(context, calibration_images),
        scheme_for(context.profile),
        mean_dice,
        float(np.mean(dice_of(OnnxNetwork(model_file(candidate, context)).probabilities(images), masks))),
        folder,
    )
    chosen = {**asdict(found.settings), "float_nodes": sorted(found.settings.float_nodes)}
    tried = [{"note": each.note, "dice": each.score} for each in found.attempts]
    return replace(candidate, precision="int8", file=found.path, settings={**chosen, "attempts": tried})


def _calibration(context: Context, choose: Any) -> Array:
    """Return stratified training images: calibrating on those that judge would flatter."""
    train_part = list(context.split.train)
    picked = choose(np.asarray(context.images.masks[train_part]), CALIBRATION_IMAGES, context.seed)
    return np.asarray(context.images.images[[train_part[index] for index in picked]])


def precision_for(profile: Profile) -> Precision | None:
    """Return the fewest bits that the device's runtime computes with; None where that is FP32."""
    for precision in ("int8", "fp16"):
        if precision in profile.export.precisions:
            return precision
    return None


def scheme_for(profile: Profile) -> Any:
    """Return how INT8 is written for the device: TensorRT reads symmetric numbers only."""
    return "s8s8" if profile.export.parser == "tensorrt-8" or profile.runtime.startswith("TensorRT") else "u8s8"
