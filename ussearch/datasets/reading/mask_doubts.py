"""Masks that look like something else than the rest of a set takes them for: inverted ones, and outlines."""

from __future__ import annotations

from collections.abc import Sequence

from ussearch.datasets.reading.mask_facts import MaskFacts
from ussearch.datasets.reading.masks import lesion_codes
from ussearch.datasets.reading.model import MaskReading
from ussearch.errors import Answer, Question

MOST_OF_A_BORDER = 0.5  # real lesions reach a few hundredths: 0.04 in BUSI, 0.07 in HC18
MANY_HOLLOW = 0.5  # of the masks that mark anything


def ask_about_doubtful(names: Sequence[str], masks: Sequence[MaskFacts], reading: MaskReading, filled: bool) -> None:
    """Raise Question where some masks are inverted, or most are outlines that nobody fills.

    Args:
        names: of the mask files, in the order of ``masks``.
        masks: what they hold.
        reading: which labels are lesion; what the user said of them is believed.
        filled: whether outlines are filled.
    """
    if reading.lesion is not None or not reading.labels:
        return
    lesion = ",".join(row.label for row in reading.labels if row.meaning == "lesion")
    inverted = [name for name, mask in zip(names, masks, strict=True) if _is_inverted(mask, reading)]
    if inverted:
        raise Question(
            f"Most masks have the background along their borders, but {len(inverted)} of {len(masks)} the lesion, as "
            f"inverted masks do (first: {inverted[0]}); invert these in your tool, or say that they are meant so",
            ["masks", "of which with lesion along most of the border"],
            [[len(masks), len(inverted)]],
            [Answer(f"{lesion} is lesion in all of them", {"lesion": lesion})],
        )
    marking = sum(_lesion_share_of_border(mask, reading)[1] > 0 for mask in masks)
    hollow = [name for name, mask in zip(names, masks, strict=True) if mask.is_hollow]
    if not filled and hollow and len(hollow) > MANY_HOLLOW * marking:
        raise Question(
            f"{len(hollow)} of {marking} masks are outlines with nothing inside (first: {hollow[0]}), and whether the "
            "line or what it encloses is the lesion cannot be told",
            ["masks that mark something", "of which outlines"],
            [[marking, len(hollow)]],
            [
                Answer("what they enclose is lesion", {"fill_outlines": True}),
                Answer("the lines themselves are lesion", {"lesion": lesion}),
            ],
        )


def _is_inverted(mask: MaskFacts, reading: MaskReading) -> bool:
    return _lesion_share_of_border(mask, reading)[0] > MOST_OF_A_BORDER


def _lesion_share_of_border(mask: MaskFacts, reading: MaskReading) -> tuple[float, int]:
    """Return the lesion's share of the border of a mask, and how many pixels it has in all."""
    counts = mask.read(by_alpha=reading.alpha, by_colour=reading.palette_colours)
    lesion = lesion_codes(counts.codes.tolist(), reading)
    border = counts.border[lesion].sum() / max(counts.border.sum(), 1)
    return float(border), int(counts.pixels[lesion].sum())
