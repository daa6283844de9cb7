"""Which ultrasound region of DICOM files is used, so that no annotation is lost without a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ussearch.datasets.reading.mask_facts import MaskFacts
from ussearch.datasets.reading.masks import lesion_codes
from ussearch.datasets.reading.model import MaskReading
from ussearch.datasets.reading.survey import SampleFacts
from ussearch.errors import Answer, Question, UserError

LARGEST, WHOLE = "largest", "whole"


@dataclass(frozen=True)
class CropLoss:
    """What a choice of region leaves out: annotated pixels, images that lose some, images that lose every one."""

    pixels: int = 0
    images: int = 0
    whole_lesions: int = 0

    @property
    def sentence(self) -> str:
        """The loss in words."""
        return (
            f"{self.pixels:,} annotated pixels of {self.images} images lie outside, and {self.whole_lesions} images "
            "lose every lesion"
        )


def decide_region(facts: Sequence[SampleFacts], masks: MaskReading, asked: str | None) -> str:
    """Return the region that is used: what the user said, the largest, or the one that holds all annotations.

    Raises Question where each choice loses a lesion, UserError for what names no region.
    """
    if asked is not None:
        if asked.isdecimal() and not any(each.image and each.image.regions for each in facts):
            raise UserError(f"--region {asked} is not possible: no file of the data set tells of ultrasound regions.")
        return required_region(asked)
    if not any(each.in_regions for each in facts) or not crop_loss(facts, masks, LARGEST).whole_lesions:
        return LARGEST
    most = max(len(each.in_regions) for each in facts)
    numbers = [str(number) for number in range(1, most + 1)]
    holding = [number for number in numbers if not crop_loss(facts, masks, number).pixels]
    if most > 1 and holding:
        return holding[0]
    losses = {rule: crop_loss(facts, masks, rule) for rule in (WHOLE, LARGEST, *(numbers if most > 1 else []))}
    rows = [[rule, f"{loss.pixels:,}", loss.images, loss.whole_lesions] for rule, loss in losses.items()]
    raise Question(
        "The crop to the ultrasound region that DICOM files tell would remove lesions, and which part is meant cannot "
        "be told",
        ["region", "annotated pixels lost", "images with a loss", "images that lose every lesion"],
        rows,
        [Answer(_meaning(rule, loss), {"region": rule}) for rule, loss in losses.items()],
    )


def required_region(asked: str) -> str:
    """Return a region as the user gave it; raises UserError for what names none."""
    if asked not in (LARGEST, WHOLE) and not (asked.isdecimal() and int(asked) > 0):
        raise UserError(f"--region {asked} is not possible: expected largest, whole or a number from 1.")
    return asked


def _meaning(rule: str, loss: CropLoss) -> str:
    what = {WHOLE: "the whole frame, with what stands around the image", LARGEST: "the largest region"}.get(
        rule, f"region {rule} of each file"
    )
    return what if rule == WHOLE else f"{what}: {loss.sentence}"


def crop_loss(facts: Sequence[SampleFacts], masks: MaskReading, region: str) -> CropLoss:
    """Return what the crop to ``region`` removes of the annotations."""
    pixels = images = gone = 0
    for each in facts:
        inside = kept_pixels(each, masks, region)
        annotated = sum(lesion_pixels(mask, masks) for mask in each.masks)
        pixels += annotated - inside
        images += inside < annotated
        gone += inside == 0 < annotated
    return CropLoss(pixels, images, gone)


def kept_pixels(facts: SampleFacts, masks: MaskReading, region: str) -> int:
    """Return how many annotated pixels of a sample lie inside of its region; 0 where it has no such region.

    Pixels that two masks of a sample mark count twice.
    """
    if region == WHOLE or not facts.in_regions or facts.image is None:
        return sum(lesion_pixels(mask, masks) for mask in facts.masks)
    boxes = facts.image.regions
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in boxes]
    place = areas.index(max(areas)) if region == LARGEST else int(region) - 1
    return sum(lesion_pixels(mask, masks) for mask in facts.in_regions[place]) if place < len(boxes) else 0


def lesion_pixels(mask: MaskFacts, masks: MaskReading) -> int:
    """Return how many pixels of a mask file are lesion."""
    counts = mask.read(by_alpha=masks.alpha, by_colour=masks.palette_colours)
    return int(counts.pixels[lesion_codes(counts.codes.tolist(), masks)].sum())
