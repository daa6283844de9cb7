"""Augmentation of whole batches on the device that trains."""

from __future__ import annotations

import math

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional


class AugmentationSettings(BaseModel):
    """How far images are changed; zero switches a change off. Angles in degrees, the rest as fractions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip_horizontal: float = Field(default=0.5, ge=0, le=1, description="probability")
    flip_vertical: float = Field(
        default=0.0, ge=0, le=1, description="probability; depth has a direction in ultrasound"
    )
    affine: float = Field(
        default=0.8, ge=0, le=1, description="probability of rotation, scaling, shear and shift together"
    )
    rotation_degrees: float = Field(default=15.0, ge=0, le=180)
    scale: float = Field(default=0.15, ge=0, lt=1, description="factor between 1 - scale and 1 + scale")
    shear_degrees: float = Field(default=5.0, ge=0, le=45)
    shift: float = Field(default=0.08, ge=0, le=1, description="of the side of the image")
    gain: float = Field(default=0.2, ge=0, lt=1, description="brightness factor between 1 - gain and 1 + gain")
    gamma: float = Field(default=0.25, ge=0, lt=1, description="exponent between 1 / (1 + gamma) and 1 + gamma")
    speckle: float = Field(default=0.15, ge=0, le=1, description="greatest standard deviation of multiplicative noise")


def augment(
    images: Tensor, masks: Tensor, generator: torch.Generator, settings: AugmentationSettings
) -> tuple[Tensor, Tensor]:
    """Change each image of a batch in its own way; masks follow the geometry.

    Args:
        images: float [B, 1, H, W], grey levels 0..255.
        masks: float {0, 1} [B, 1, H, W].
        generator: on the CPU; the drawn parameters are the same whatever the device of the images.
        settings: how far to go.

    Returns:
        Images in 0..255 and masks in {0, 1}, of the same shapes, device and type.
    """
    images, masks = _flipped(images, masks, generator, settings)
    images, masks = _moved(images, masks, generator, settings)
    images = _regained(images, generator, settings)
    return _speckled(images, generator, settings), masks


def _uniform(count: int, low: float, high: float, generator: torch.Generator, like: Tensor) -> Tensor:
    """Return ``count`` uniform numbers, shaped to multiply [B, 1, H, W]."""
    drawn = torch.rand(count, generator=generator) * (high - low) + low
    return drawn.to(like.device, like.dtype).view(-1, 1, 1, 1)


def _flipped(
    images: Tensor, masks: Tensor, generator: torch.Generator, settings: AugmentationSettings
) -> tuple[Tensor, Tensor]:
    for axis, probability in ((3, settings.flip_horizontal), (2, settings.flip_vertical)):
        if probability > 0:
            chosen = _uniform(len(images), 0.0, 1.0, generator, images) < probability
            images = torch.where(chosen, images.flip(axis), images)
            masks = torch.where(chosen, masks.flip(axis), masks)
    return images, masks


def _moved(
    images: Tensor, masks: Tensor, generator: torch.Generator, settings: AugmentationSettings
) -> tuple[Tensor, Tensor]:
    if settings.affine == 0:
        return images, masks
    theta = _affine_maps(len(images), generator, settings).to(images.device, images.dtype)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    cut = functional.grid_sample(masks, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved, cut


def _affine_maps(count: int, generator: torch.Generator, settings: AugmentationSettings) -> Tensor:
    """Return matrices [count, 2, 3] from target to source coordinates; identity for those left alone."""
    drawn = torch.rand(count, 6, generator=generator) * 2 - 1
    angle = drawn[:, 0] * math.radians(settings.rotation_degrees)
    zoom = 1 + drawn[:, 1] * settings.scale
    shear = torch.tan(drawn[:, 2] * math.radians(settings.shear_degrees))
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    shift = drawn[:, 3:5] * 2 * settings.shift  # coordinates run from -1 to 1
    maps = torch.stack(
        [cosine, cosine * shear - sine, shift[:, 0], sine, sine * shear + cosine, shift[:, 1]], dim=1
    ).view(count, 2, 3)
    identity = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).expand(count, 2, 3)
    chosen = (drawn[:, 5] + 1) / 2 < settings.affine
    return torch.where(chosen.view(-1, 1, 1), maps, identity)


def _regained(images: Tensor, generator: torch.Generator, settings: AugmentationSettings) -> Tensor:
    if settings.gamma > 0:
        bound = math.log1p(settings.gamma)
        exponent = _uniform(len(images), -bound, bound, generator, images).exp()
        images = (images / 255).clamp(0, 1).pow(exponent) * 255
    if settings.gain > 0:
        images = images * _uniform(len(images), 1 - settings.gain, 1 + settings.gain, generator, images)
    return images.clamp(0, 255)


def _speckled(images: Tensor, generator: torch.Generator, settings: AugmentationSettings) -> Tensor:
    """Multiply by noise whose grains are wider than high, as lateral resolution is the poorer one."""
    if settings.speckle == 0:
        return images
    count, _, height, width = images.shape
    strength = _uniform(count, 0.0, settings.speckle, generator, images)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    on_device = torch.Generator(images.device).manual_seed(seed)
    noise = torch.randn((count, 1, height, width), generator=on_device, device=images.device, dtype=images.dtype)
    grains = functional.avg_pool2d(noise, (1, 3), stride=1, padding=(0, 1), count_include_pad=False) * math.sqrt(3)
    return (images * (1 + strength * grains)).clamp(0, 255)
