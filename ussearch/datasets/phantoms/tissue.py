"""Tissue without lesions: layers, interfaces, and what resembles a lesion but is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ussearch.datasets.phantoms.parameters import PhantomParameters
from ussearch.datasets.phantoms.random_fields import Field, Shape, between, coverage, grid, smooth_curve, smooth_field


@dataclass
class Tissue:
    """Maps [size, size] in decibels: echo level, and loss per step of depth beyond the average."""

    level_db: Field
    loss_db: Field

    def replace(self, share: Field, level_db: Field | float) -> None:
        """Blend another level in where ``share`` (0..1) says."""
        self.level_db += share * (level_db - self.level_db)

    def absorb(self, share: Field, total_db: float, thickness: float) -> None:
        """Spread ``total_db`` of loss over the region, for a path through ``thickness`` sides of it."""
        self.loss_db += share * (total_db / max(thickness * len(self.loss_db), 1.0))


def make_tissue(random: np.random.Generator, parameters: PhantomParameters) -> Tissue:
    """Return layered tissue with bright interfaces and distractors."""
    size = parameters.image_size
    tissue = Tissue(np.zeros((size, size)), np.zeros((size, size)))
    boundaries = _layers(random, parameters, tissue)
    for _ in range(random.integers(parameters.lobules[0], parameters.lobules[1] + 1)):
        _lobule(random, parameters, tissue)
    for _ in range(random.integers(parameters.septa[0], parameters.septa[1] + 1)):
        _septum(random, parameters, tissue)
    for _ in range(random.integers(parameters.dark_layers[0], parameters.dark_layers[1] + 1)):
        _dark_layer(random, parameters, tissue)
    for boundary in boundaries:
        _interface(random, parameters, tissue, boundary)
    for _ in range(random.integers(parameters.ribs[0], parameters.ribs[1] + 1)):
        _rib(random, tissue)
    for _ in range(random.integers(parameters.surface_shadows[0], parameters.surface_shadows[1] + 1)):
        _surface_shadow(random, tissue)
    return tissue


def _layers(random: np.random.Generator, parameters: PhantomParameters, tissue: Tissue) -> list[Field]:
    """Fill layers from the skin down; return the depths [size] of their boundaries."""
    size = parameters.image_size
    _, depth = grid(size)
    count = int(random.integers(parameters.layers[0], parameters.layers[1] + 1))
    levels = random.uniform(*parameters.layer_db, count)
    depths = np.cumsum(random.uniform(0.5, 1.5, count))
    tissue.level_db += levels[0]
    boundaries = [np.full(size, 0.03) + smooth_curve(random, size, 2, 0.004)]
    for level, base in zip(levels[1:], depths[:-1] / depths[-1], strict=True):
        boundary = base + smooth_curve(random, size, 4, between(random, (0.01, 0.05)))
        tissue.replace(coverage(depth - boundary[None, :], 0.02), float(level))
        boundaries.append(boundary)
    strength = between(random, parameters.texture_db)
    coarse = smooth_field(random, size, int(random.integers(8, 16)), int(random.integers(4, 9)))
    fine = smooth_field(random, size, int(random.integers(24, 48)), int(random.integers(10, 24)))
    tissue.level_db += strength * (0.7 * coarse + 0.7 * fine)
    return boundaries


def _interface(random: np.random.Generator, parameters: PhantomParameters, tissue: Tissue, boundary: Field) -> None:
    """Brighten along a boundary, in stretches, as a specular reflector does."""
    size = len(boundary)
    _, depth = grid(size)
    height = between(random, parameters.interface_db) * np.clip(0.6 + smooth_curve(random, size, 8, 0.8), 0.0, 1.0)
    width = between(random, (0.006, 0.014))
    tissue.level_db += height[None, :] * np.exp(-0.5 * ((depth - boundary[None, :]) / width) ** 2)


def _lobule(random: np.random.Generator, parameters: PhantomParameters, tissue: Tissue) -> None:
    """Add a lens of fat, a little darker than its surroundings, in a bright thin capsule open at the sides."""
    lateral, depth = grid(parameters.image_size)
    radius = between(random, (0.1, 0.22))
    shape = Shape(
        between(random, (0.0, 1.0)),
        between(random, (0.08, 0.9)),
        radius * between(random, (1.0, 1.6)),
        radius * between(random, (0.3, 0.5)),
        float(random.normal(0.0, 0.15)),
    )
    inwards = shape.inwards(lateral, depth)
    tissue.level_db += between(random, (-7.0, -2.0)) * coverage(inwards, 0.03)
    capsule = np.exp(-0.5 * (inwards / 0.008) ** 2) * np.clip(np.abs(depth - shape.depth) / shape.radius_depth, 0, 1)
    tissue.level_db += between(random, (3.0, 9.0)) * capsule


def _septum(random: np.random.Generator, parameters: PhantomParameters, tissue: Tissue) -> None:
    """Add a thin bright arc, as connective tissue and fascia give."""
    size = parameters.image_size
    lateral, depth = grid(size)
    middle, half_length = between(random, (0.0, 1.0)), between(random, (0.08, 0.35))
    offset = (lateral - middle) / half_length
    bend = between(random, (-0.06, 0.06)) * offset**2 + between(random, (-0.05, 0.05)) * offset
    course = between(random, (0.05, 0.95)) + bend + smooth_curve(random, size, 6, 0.006)[None, :]
    fading = np.clip(1.0 - offset**2, 0.0, 1.0)
    tissue.level_db += between(random, (4.0, 13.0)) * fading * np.exp(-0.5 * ((depth - course) / 0.007) ** 2)


def _dark_layer(random: np.random.Generator, parameters: PhantomParameters, tissue: Tissue) -> None:
    """Add a thin band as dark as a cyst (fluid, muscle or a vessel along the plane) that follows the layers."""
    size = parameters.image_size
    lateral, depth = grid(size)
    centre = between(random, (0.15, 0.9)) + smooth_curve(random, size, 3, 0.03)
    middle, half_length = between(random, (0.1, 0.9)), between(random, (0.18, 0.6))
    taper = np.clip(1.0 - ((lateral - middle) / half_length) ** 2, 0.0, 1.0) ** 0.5
    thickness = between(random, (0.015, 0.045)) * taper
    share = coverage(thickness - np.abs(depth - centre[None, :]), 0.015) * (taper > 0)
    tissue.replace(share, between(random, (-24.0, -10.0)))


def _rib(random: np.random.Generator, tissue: Tissue) -> None:
    """Add a bright cap that casts a deep shadow."""
    size = len(tissue.level_db)
    lateral, depth = grid(size)
    middle, half_width = between(random, (0.05, 0.95)), between(random, (0.05, 0.14))
    offset = (lateral - middle) / half_width
    top = between(random, (0.35, 0.85)) + between(random, (0.02, 0.07)) * offset**2
    inside = np.clip((1.0 - np.abs(offset)) * 2.0, 0.0, 1.0)
    cap = inside * np.exp(-0.5 * ((depth - top) / 0.012) ** 2)
    tissue.level_db += between(random, (10.0, 18.0)) * cap
    behind = inside * np.exp(-0.5 * ((depth - top - 0.025) / 0.012) ** 2)
    tissue.absorb(behind, between(random, (8.0, 20.0)), 0.03)


def _surface_shadow(random: np.random.Generator, tissue: Tissue) -> None:
    """Darken a column from the skin down, as poor contact does."""
    lateral, depth = grid(len(tissue.level_db))
    lean = between(random, (-0.15, 0.15)) * depth
    profile = np.exp(-0.5 * ((lateral - lean - between(random, (0.0, 1.0))) / between(random, (0.02, 0.07))) ** 2)
    tissue.absorb(profile * (depth < 0.06), between(random, (3.0, 11.0)), 0.06)
