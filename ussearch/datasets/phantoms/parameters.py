"""Everything that a phantom data set depends on, as data."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Range = tuple[float, float]
GENERATOR_VERSION = 1  # raise it whenever the same parameters give other pixels


class PhantomParameters(BaseModel):
    """A reproducible set of phantoms; ranges are drawn from uniformly, lengths are in sides of the image.

    Levels are in decibels of echo amplitude relative to average tissue. Phantom ``i`` depends on ``seed``
    and ``i`` alone, so a larger set begins with the smaller one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(default=300, ge=1, le=1_000_000)
    seed: int = Field(default=0, ge=0)
    image_size: int = Field(default=128, ge=32, le=1024)
    version: Literal[1] = 1

    lesion_count_weights: tuple[float, float, float, float] = (0.15, 0.60, 0.18, 0.07)
    lesion_radius: Range = (0.075, 0.2)
    contrast_weights: tuple[float, float, float] = (0.76, 0.13, 0.11)  # hypoechoic, hyperechoic, nearly isoechoic
    hypoechoic_db: Range = (-25.0, -8.0)
    hyperechoic_db: Range = (10.0, 14.5)
    isoechoic_db: Range = (-7.0, -4.5)
    passage_db: Range = (-12.0, 16.0)  # behind a lesion: negative brightens (enhancement), positive shadows
    edge_width: Range = (0.008, 0.05)

    layers: tuple[int, int] = (3, 6)
    layer_db: Range = (-9.0, 5.0)
    texture_db: Range = (1.5, 4.5)
    interface_db: Range = (4.0, 14.0)
    dark_layers: tuple[int, int] = (0, 2)
    septa: tuple[int, int] = (2, 9)
    lobules: tuple[int, int] = (0, 3)
    surface_shadows: tuple[int, int] = (0, 1)
    ribs: tuple[int, int] = (0, 1)

    looks: tuple[int, int] = (1, 4)  # images averaged by compounding
    axial_resolution: Range = (0.0045, 0.007)  # standard deviations of the point-spread function
    lateral_resolution: Range = (0.008, 0.013)  # at the focus
    attenuation_db: Range = (15.0, 35.0)  # from top to bottom, before time-gain compensation
    compensation_error_db: Range = (-9.0, 6.0)
    noise_db: Range = (-62.0, -48.0)
    dynamic_range_db: Range = (48.0, 64.0)
    brightness: Range = (0.42, 0.66)  # of average tissue, as a share of white
    sector_probability: float = Field(default=0.25, ge=0, le=1)
