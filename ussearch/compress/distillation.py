"""Learning from stronger networks: soft targets, features of decoder levels, and the band around the boundary.

L = L_seg + α T² KL(teacher ‖ student at temperature T) + β channel-wise feature distillation + γ boundary band.
Sources: Hinton et al. 2015 (soft targets); Shu et al., Channel-wise Knowledge Distillation for Dense Prediction, ICCV
2021, section 3.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from ussearch.accelerators import to_channels_last, to_device
from ussearch.datasets import Normalisation
from ussearch.evaluators.training.checkpoints import digest_of
from ussearch.evaluators.training.losses import TrainingLoss, make_loss
from ussearch.evaluators.training.recipe import Recipe
from ussearch.search_spaces import Network


class DistillationSettings(BaseModel):
    """Weights of the parts; 0 leaves a part out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(default=1.0, ge=0, description="of the soft targets")
    temperature: float = Field(default=3.0, ge=1, description="of the soft targets")
    beta: float = Field(default=0.3, ge=0, description="of the features of decoder levels")
    feature_temperature: float = Field(default=4.0, gt=0, description="of the softmax over positions")
    gamma: float = Field(default=1.0, ge=0, description="of the band around the boundary of the mask")
    band_pixels: int = Field(default=5, ge=1, le=31, description="width of the band, odd")


class Distillation(TrainingLoss):
    """The recipe's loss on masks and what ``teachers`` say; the mean of their probabilities where there are several.

    Features are those of the first teacher. Student and teacher levels of equal resolution are matched, through a 1×1
    convolution of the student's features that is trained beside it and dropped in the end. ``unlabelled`` images
    uint8 [N, C, H, W] join every batch; on them only the teachers speak.
    """

    def __init__(
        self,
        student: Network,
        teachers: Sequence[Network],
        recipe: Recipe,
        image_size: int,
        settings: DistillationSettings | None = None,
        *,
        unlabelled: npt.NDArray[np.uint8] | None = None,
        normalisation: Normalisation | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not teachers:
            raise ValueError("distillation needs a teacher")
        if unlabelled is not None and normalisation is None:
            raise ValueError("unlabelled images need the normalisation of the others")
        self.settings = settings or DistillationSettings()
        self._loss, self._batch_size, self._seed = make_loss(recipe), recipe.batch_size, seed
        self._unlabelled, self._normalisation = unlabelled, normalisation
        # NOTE: in a plain list teachers are no submodules: their weights belong neither to the optimiser nor to files.
        self._teachers = [teacher.eval().requires_grad_(False) for teacher in teachers]
        self._pairs = matched_levels(student, teachers[0], image_size) if self.settings.beta else []
        self.adapters = nn.ModuleList(
            # attributes of modules are Any or Module to the checker
            nn.Conv2d(student.levels[own].out_channels, teachers[0].levels[other].out_channels, 1)  # type: ignore[arg-type]
            for own, other in self._pairs
        )

    @property
    def made_from(self) -> Mapping[str, Any]:
        """Settings, teachers and unlabelled images."""
        return {
            "distillation": self.settings.model_dump(mode="json"),
            "teachers": [digest_of(teacher.state_dict()) for teacher in self._teachers],
            "unlabelled": None if self._unlabelled is None else hashlib.sha256(self._unlabelled.tobytes()).hexdigest(),
        }

    def to(self, *args: Any, **kwargs: Any) -> Distillation:
        """Move the adapters and the teachers."""
        super().to(*args, **kwargs)
        for teacher in self._teachers:
            to_channels_last(teacher.to(*args, **kwargs))
        return self

    def forward(self, network: Network, images: Tensor, masks: Tensor, step: int) -> Tensor:
        """See ``TrainingLoss.forward``."""
        labelled = len(images)
        images = self._with_unlabelled(images, step)
        with watched_levels(network) as own:
            outputs = network.forward_all(images)
        with torch.no_grad(), watched_levels(self._teachers[0]) as other:
            answers = [teacher(images).float() for teacher in self._teachers]
        logits = outputs[0].float()
        loss: Tensor = self._loss([output[:labelled] for output in outputs], masks)
        if self.settings.alpha:
            loss = loss + self.settings.alpha * soft_target_loss(logits, answers, self.settings.temperature)
        if self._pairs:
            parts = [
                channel_wise_loss(adapter(own[mine]).float(), other[theirs].float(), self.settings.feature_temperature)
                for adapter, (mine, theirs) in zip(self.adapters, self._pairs, strict=True)
            ]
            loss = loss + self.settings.beta * torch.stack(parts).mean()
        if self.settings.gamma:
            loss = loss + self.settings.gamma * band_loss(logits[:labelled], masks, self.settings.band_pixels)
        return loss

    def _with_unlabelled(self, images: Tensor, step: int) -> Tensor:
        """Return the batch with as many unlabelled images as a batch has, others at every step."""
        if self._unlabelled is None or self._normalisation is None:
            return images
        generator = np.random.default_rng([self._seed, step])
        chosen = generator.choice(len(self._unlabelled), min(self._batch_size, len(self._unlabelled)), replace=False)
        pixels = to_device(torch.from_numpy(np.asarray(self._unlabelled[np.sort(chosen)])), images.device).float()
        return torch.cat([images, self._normalisation.apply(pixels).to(images)])


def matched_levels(student: Network, teacher: Network, image_size: int) -> list[tuple[int, int]]:
    """Return pairs (student's, teacher's) of decoder levels: the last of each at every resolution that both have."""
    own, other = (_last_levels(network, image_size) for network in (student, teacher))
    return [(own[side], other[side]) for side in sorted(own.keys() & other.keys())]


def _last_levels(network: Network, image_size: int) -> dict[int, int]:
    """Return the last decoder level at each resolution, by the side of its features in pixels."""
    device = next(network.parameters()).device
    image = torch.zeros(1, network.architecture.image_channels, image_size, image_size, device=device)
    training = network.training
    with torch.no_grad(), watched_levels(network) as features:
        network.eval()(image)
    network.train(training)
    return {int(features[level].shape[-1]): level for level in sorted(features)}


@contextmanager
def watched_levels(network: Network) -> Iterator[dict[int, Tensor]]:
    """Yield a mapping that holds the output of every decoder level after each forward pass within the block."""
    features: dict[int, Tensor] = {}

    def watch(number: int) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            features[number] = output

        return keep

    hooks = [level.register_forward_hook(watch(number)) for number, level in enumerate(network.levels)]
    try:
        yield features
    finally:
        for hook in hooks:
            hook.remove()


def soft_target_loss(student: Tensor, teachers: Sequence[Tensor], temperature: float) -> Tensor:
    """Return T² KL(teacher ‖ student) of pixels' Bernoulli distributions at temperature T; all are logits [B, C, H, W].

    With several teachers the target is the mean of their softened probabilities.
    """
    target = torch.stack([torch.sigmoid(each / temperature) for each in teachers]).mean(0)
    cross = functional.binary_cross_entropy_with_logits(student / temperature, target)
    # NOTE: CUDA's autocast refuses binary_cross_entropy on probabilities.
    entropy: Tensor = (torch.special.entr(target) + torch.special.entr(1 - target)).mean()
    return (cross - entropy) * temperature**2


def channel_wise_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return τ²/C Σ KL(φ(teacher) ‖ φ(student)), φ the softmax of each channel over positions, of [B, C, H, W]."""
    own = functional.log_softmax(student.flatten(2) / temperature, dim=-1)
    other = functional.log_softmax(teacher.flatten(2) / temperature, dim=-1)
    per_channel = functional.kl_div(own, other, reduction="none", log_target=True).sum(-1)
    return temperature**2 * per_channel.mean()


def band_loss(logits: Tensor, masks: Tensor, band_pixels: int) -> Tensor:
    """Return the cross-entropy over pixels within a band around the boundary of the masks; 0 where there is none."""
    band = boundary_band(masks, band_pixels)
    entropy = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return (entropy * band).sum() / band.sum().clamp_min(1)


def boundary_band(masks: Tensor, band_pixels: int) -> Tensor:
    """Return a mask {0, 1}, [B, C, H, W], of the pixels around which a square of ``band_pixels`` meets both sides.

    The image's edge is no boundary.
    """
    pad = band_pixels // 2
    side = 2 * pad + 1
    widened = functional.max_pool2d(masks, side, 1, pad)
    narrowed = 1 - functional.max_pool2d(1 - masks, side, 1, pad)
    return widened - narrowed
