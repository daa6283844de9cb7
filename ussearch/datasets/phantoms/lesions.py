"""Lesions: their plan (few numbers) and their place in the tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ussearch.datasets.dataset import Pixels
from ussearch.datasets.phantoms.imaging import View
from ussearch.datasets.phantoms.parameters import PhantomParameters
from ussearch.datasets.phantoms.random_fields import Shape, between, coverage, grid, lesion_shape, smooth_field
from ussearch.datasets.phantoms.tissue import Tissue

Contrast = Literal["hypoechoic", "hyperechoic", "isoechoic"]
_ATTEMPTS = 25  # for each lesion, to find a place
CONTRASTS: tuple[Contrast, ...] = ("hypoechoic", "hyperechoic", "isoechoic")


@dataclass(frozen=True)
class Lesion:
    """One lesion; levels in decibels relative to the tissue that it displaces."""

    shape: Shape
    contrast: Contrast
    level_db: float
    passage_db: float
    rim_db: float
    edge_width: float


def plan_lesions(random: np.random.Generator, parameters: PhantomParameters, view: View) -> tuple[Lesion, ...]:
    """Draw none to three lesions that lie inside the field of view and apart from each other."""
    count = int(random.choice(4, p=parameters.lesion_count_weights))
    lesions: list[Lesion] = []
    for _ in range(_ATTEMPTS * count):
        if len(lesions) == count:
            break
        lesion = _draw(random, parameters)
        shape = lesion.shape
        whole = view.inwards(shape.lateral, shape.depth) > max(shape.radius_lateral, shape.radius_depth)
        if whole and not any(_touch(shape, other.shape) for other in lesions):
            lesions.append(lesion)
    return tuple(lesions)


def add_lesions(random: np.random.Generator, tissue: Tissue, lesions: tuple[Lesion, ...]) -> Pixels:
    """Put ``lesions`` into ``tissue`` (in place) and return their mask, uint8 {0, 1} [size, size]."""
    size = len(tissue.level_db)
    lateral, depth = grid(size)
    mask = np.zeros((size, size), np.uint8)
    for lesion in lesions:
        inwards = lesion.shape.inwards(lateral, depth)
        region = inwards > 0
        surroundings = float(tissue.level_db[region].mean()) if region.any() else 0.0
        texture = between(random, (0.5, 2.5)) * smooth_field(random, size, 20, 20)
        share = coverage(inwards, lesion.edge_width)
        tissue.replace(share, surroundings + lesion.level_db + texture)
        tissue.level_db += lesion.rim_db * np.exp(-0.5 * (inwards / 0.012) ** 2)
        tissue.absorb(share, lesion.passage_db, 2 * lesion.shape.radius_depth)
        mask |= region.astype(np.uint8)
    return mask


def _draw(random: np.random.Generator, parameters: PhantomParameters) -> Lesion:
    # small lesions are the common ones: radii are uniform on a logarithmic scale
    radius = float(np.exp(between(random, (np.log(parameters.lesion_radius[0]), np.log(parameters.lesion_radius[1])))))
    contrast = CONTRASTS[random.choice(3, p=parameters.contrast_weights)]
    levels = {
        "hypoechoic": parameters.hypoechoic_db,
        "hyperechoic": parameters.hyperechoic_db,
        "isoechoic": parameters.isoechoic_db,
    }
    margin = min(1.3 * radius, 0.4)
    return Lesion(
        shape=lesion_shape(
            random, between(random, (margin, 1 - margin)), between(random, (0.08 + margin, 0.98 - margin)), radius
        ),
        contrast=contrast,
        level_db=between(random, levels[contrast]),
        passage_db=between(random, parameters.passage_db),
        rim_db=between(random, (4.0, 9.0)) if contrast == "isoechoic" or random.random() < 0.2 else 0.0,
        edge_width=between(random, parameters.edge_width),
    )


def _touch(first: Shape, second: Shape) -> bool:
    reach = max(first.radius_lateral, first.radius_depth) + max(second.radius_lateral, second.radius_depth)
    return bool(np.hypot(first.lateral - second.lateral, first.depth - second.depth) < 1.2 * reach)
