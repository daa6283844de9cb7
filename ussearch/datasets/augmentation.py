"""Augmentation of whole batches on the device that trains.

All random numbers of a batch are drawn on the CPU and sent in one copy; nothing on the device is waited for.
"""

from __future__ import annotations

import math

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from ussearch.accelerators import to_device

_CONTROL_POINTS = 5
"""Of elastic deformation, along each side."""
_SHADOW_EDGE = 0.03
"""Over which the top of a shadow sets in, of the height."""


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
    elastic: float = Field(
        default=0.0, ge=0, le=0.1, description="greatest shift of a control point, of the side of the image"
    )
    shadow: float = Field(default=0.0, ge=0, le=1, description="probability of a dark band from some depth downwards")
    gain: float = Field(default=0.2, ge=0, lt=1, description="brightness factor between 1 - gain and 1 + gain")
    gamma: float = Field(default=0.25, ge=0, lt=1, description="exponent between 1 / (1 + gamma) and 1 + gamma")
    speckle: float = Field(default=0.15, ge=0, le=1, description="greatest standard deviation of multiplicative noise")
    cutout: float = Field(default=0.0, ge=0, le=1, description="probability that a rectangle is painted over")
    cutout_side: float = Field(default=0.3, gt=0, le=1, description="greatest side of that rectangle, of the image's")


def augment(
    images: Tensor, masks: Tensor, generator: torch.Generator, settings: AugmentationSettings
) -> tuple[Tensor, Tensor]:
    """Change each image of a batch in its own way; masks follow the geometry and nothing else.

    Args:
        images: float [B, 1, H, W], grey levels 0..255.
        masks: float {0, 1} [B, 1, H, W].
        generator: on the CPU; the drawn parameters are the same whatever the device of the images.
        settings: how far to go.

    Returns:
        Images in 0..255 and masks in {0, 1}, of the same shapes, device and type.
    """
    drawn = _sent(_drawn(len(images), generator, settings), images)
    seed = int(torch.randint(2**31, (1,), generator=generator)) if settings.speckle else 0
    for axis, name in ((3, "flip_horizontal"), (2, "flip_vertical")):
        if name in drawn:
            chosen = drawn[name].view(-1, 1, 1, 1) > 0
            images = torch.where(chosen, images.flip(axis), images)
            masks = torch.where(chosen, masks.flip(axis), masks)
    images, masks = _moved(images, masks, drawn)
    if "shadow" in drawn:
        images = images * (1 - _shadows(drawn["shadow"], images))
    images = _regained(images, drawn)
    if "speckle" in drawn:
        images = _speckled(images, drawn["speckle"].view(-1, 1, 1, 1), seed)
    if "cutout" in drawn:
        images = torch.where(_rectangles(drawn["cutout"], images), images.mean((1, 2, 3), keepdim=True), images)
    return images, masks


def _drawn(count: int, generator: torch.Generator, settings: AugmentationSettings) -> dict[str, Tensor]:
    """Return what each change that is asked for needs, float [count, k], by its name."""

    def uniform(columns: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(count, columns, generator=generator) * (high - low) + low

    drawn: dict[str, Tensor] = {}
    for name in ("flip_horizontal", "flip_vertical"):
        if (probability := getattr(settings, name)) > 0:
            drawn[name] = (uniform(1) < probability).float()
    if settings.affine:
        drawn["affine"] = _affine_maps(torch.rand(count, 6, generator=generator) * 2 - 1, settings)
    if settings.gamma:
        bound = math.log1p(settings.gamma)
        drawn["gamma"] = uniform(1, -bound, bound).exp()
    if settings.gain:
        drawn["gain"] = uniform(1, 1 - settings.gain, 1 + settings.gain)
    if settings.speckle:
        drawn["speckle"] = uniform(1, 0.0, settings.speckle)
    if settings.elastic:
        drawn["elastic"] = uniform(1, 0.0, settings.elastic) * uniform(2 * _CONTROL_POINTS**2, -1.0, 1.0)
    if settings.shadow:
        strength = (uniform(1) < settings.shadow) * uniform(1, 0.3, 0.9)
        drawn["shadow"] = torch.cat([strength, uniform(1), uniform(1, 0.03, 0.12), uniform(1, 0.0, 0.6)], dim=1)
    if settings.cutout:
        sides = (uniform(1) < settings.cutout) * uniform(2, 0.3, 1.0) * settings.cutout_side
        drawn["cutout"] = torch.cat([uniform(2), sides / 2], dim=1)
    return drawn


def _sent(drawn: dict[str, Tensor], like: Tensor) -> dict[str, Tensor]:
    """Return the numbers on the device of ``like``, having copied them at once."""
    if not drawn:
        return drawn
    packed = to_device(torch.cat(list(drawn.values()), dim=1).to(like.dtype), like.device)
    parts = torch.split(packed, [each.shape[1] for each in drawn.values()], dim=1)
    return dict(zip(drawn, parts, strict=True))


def _affine_maps(drawn: Tensor, settings: AugmentationSettings) -> Tensor:
    """Return matrices [count, 2 * 3] from target to source coordinates; identity for those left alone."""
    angle = drawn[:, 0] * math.radians(settings.rotation_degrees)
    zoom = 1 + drawn[:, 1] * settings.scale
    shear = torch.tan(drawn[:, 2] * math.radians(settings.shear_degrees))
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    shift = drawn[:, 3:5] * 2 * settings.shift  # coordinates run from -1 to 1
    maps = torch.stack([cosine, cosine * shear - sine, shift[:, 0], sine, sine * shear + cosine, shift[:, 1]], dim=1)
    chosen = (drawn[:, 5:] + 1) / 2 < settings.affine
    return torch.where(chosen, maps, torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))


def _moved(images: Tensor, masks: Tensor, drawn: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Sample both at the same places: affine and elastic deformation cost one interpolation together."""
    if not drawn.keys() & {"affine", "elastic"}:
        return images, masks
    count, _, height, width = images.shape
    if "affine" in drawn:
        maps = drawn["affine"].view(count, 2, 3)
    else:
        maps = torch.eye(2, 3, device=images.device, dtype=images.dtype).expand(count, 2, 3)
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    if "elastic" in drawn:
        points = 2 * drawn["elastic"].view(count, 2, _CONTROL_POINTS, _CONTROL_POINTS)  # coordinates run from -1 to 1
        field = functional.interpolate(points, (height, width), mode="bicubic", align_corners=True)
        grid = grid + field.permute(0, 2, 3, 1)
    moved = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    cut = functional.grid_sample(masks, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved, cut


def _places(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the centres of rows [H, 1] and columns [1, W] as shares of the sides."""
    height, width = images.shape[2:]
    rows = (torch.arange(height, device=images.device, dtype=images.dtype) + 0.5) / height
    columns = (torch.arange(width, device=images.device, dtype=images.dtype) + 0.5) / width
    return rows.view(-1, 1), columns.view(1, -1)


def _shadows(drawn: Tensor, images: Tensor) -> Tensor:
    """Return what is lost behind something that lets no sound pass, 0..1 [B, 1, H, W]: Gaussian across the beam."""
    rows, columns = _places(images)
    strength, middle, width, top = drawn.view(-1, 4, 1, 1, 1).unbind(dim=1)
    across = torch.exp(-(((columns - middle) / width) ** 2))
    return strength * across * torch.sigmoid((rows - top) / _SHADOW_EDGE)


def _rectangles(drawn: Tensor, images: Tensor) -> Tensor:
    """Return where the rectangles are, bool [B, 1, H, W]; they may reach beyond the border."""
    rows, columns = _places(images)
    row, column, half_height, half_width = drawn.view(-1, 4, 1, 1, 1).unbind(dim=1)
    return ((rows - row).abs() < half_height) & ((columns - column).abs() < half_width)


def _regained(images: Tensor, drawn: dict[str, Tensor]) -> Tensor:
    if "gamma" in drawn:
        images = (images / 255).clamp(0, 1).pow(drawn["gamma"].view(-1, 1, 1, 1)) * 255
    if "gain" in drawn:
        images = images * drawn["gain"].view(-1, 1, 1, 1)
    return images.clamp(0, 255)


def _speckled(images: Tensor, strength: Tensor, seed: int) -> Tensor:
    """Multiply by noise whose grains are wider than high, as lateral resolution is the poorer one."""
    on_device = torch.Generator(images.device).manual_seed(seed)
    noise = torch.randn(images.shape, generator=on_device, device=images.device, dtype=images.dtype)
    grains = functional.avg_pool2d(noise, (1, 3), stride=1, padding=(0, 1), count_include_pad=False) * math.sqrt(3)
    return (images * (1 + strength * grains)).clamp(0, 255)
