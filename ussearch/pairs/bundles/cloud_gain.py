"""What the cloud answers better than the edge, and why where that is not certain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ussearch.datasets import ImageSet
from ussearch.evaluators.metrics.paired_bootstrap import Change, paired_change
from ussearch.pairs.bundles.ensemble import EnsembleChoice
from ussearch.runtime.postprocessing import dice_of_masks
from ussearch.runtime.predictor import PairPredictor

CloudGain = dict[str, Change | None]
"""Lesion Dice of the cloud less that of the edge, by part of the data; None where it has no image with a lesion."""


def cloud_gain_on(pair: PairPredictor, images: ImageSet, chosen: list[int]) -> Change | None:
    """Return by how much the cloud's masks are better on the images ``chosen`` that have a lesion, by the files."""
    lesions = [index for index in chosen if images.has_lesion[index]]
    if not lesions:
        return None
    pixels, masks = np.asarray(images.images[lesions]), images.masks[lesions]
    edge = dice_of_masks(pair.edge.probabilities(pixels), masks, pair.postprocessing)
    cloud = dice_of_masks(pair.cloud.probabilities(pixels), masks, pair.cloud_postprocessing)
    return paired_change(edge.tolist(), cloud.tolist(), images.groups[lesions].tolist())


def gain_sentences(gain: Mapping[str, Change | None] | None, choice: EnsembleChoice | None) -> list[str]:
    """Return what the cloud is better by, then why it may not be; nothing in bundles of before that was measured."""
    known = {part: change for part, change in (gain or {}).items() if change is not None}
    if not known:
        return []
    parts = " and ".join(f"{_points(change)} on {change.images} {part} images" for part, change in known.items())
    sentences = [f"Cloud less edge: {parts} with a lesion."]
    if all(change.low > 0 for change in known.values()):
        return sentences
    why = [*(_reasons(choice) if choice else ()), _noise(known)]
    return [*sentences, f"That the cloud is better is not certain: {'; '.join(why)}."]


def _points(change: Change) -> str:
    low, high = 100 * change.low, 100 * change.high
    return f"{100 * change.mean:+.1f} points of lesion Dice ({low:+.1f} to {high:+.1f})"


def _reasons(choice: EnsembleChoice) -> Iterator[str]:
    """Yield what stands in the cloud's way, by the figures of its choice."""
    strongest = choice.members[0]
    if strongest.on_edge:
        yield f"the strongest single network on validation images is the device's own ({strongest.title})"
    elif strongest.fits_edge:
        yield f"the device's limits let the strongest network onto it, too ({strongest.title})"
    best = choice.best_attempt
    if best is None:
        yield choice.reason
    elif best.change is not None:
        tried = sum(each.change is not None and each.averages for each in choice.attempts)
        verdict = "ships and brought" if best.kept else "was left, since it brought"
        yield (
            f"of {tried} averages that were tried the best one, {best.title}, {verdict} "
            f"{100 * best.change.mean:+.1f} points of the objective over the cloud's single network"
        )
    if left := sorted({each.reason for each in choice.attempts if each.change is None}):
        yield f"not tried: {', '.join(left)}"


def _noise(known: Mapping[str, Change]) -> str:
    widest = max(known.values(), key=lambda change: change.high - change.low)
    half = 50 * (widest.high - widest.low)
    return f"{widest.images} images tell a difference only within {half:.1f} points either way"
