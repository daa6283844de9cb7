"""What the pair is worth by class and by size of the lesion, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ussearch.datasets import ImageSet
from ussearch.datasets.anonymous import class_names
from ussearch.evaluators.metrics.paired_bootstrap import bootstrap_interval, exact_interval
from ussearch.evaluators.metrics.scores import Scores
from ussearch.pairs.postprocessing.observed import FOUND_IOU

SIZES = ("small", "medium", "large")
FEWEST_LESIONS = 6
"""With fewer, a third of them tells nothing of a size."""
ESTIMATES_CONVENTION = (
    "Intervals hold the mean with 95 % confidence: percentile bootstrap over groups (patients, near-duplicates), 2000 "
    "draws. None from a single group; from fewer than ten they are too narrow, and one of no width only says that all "
    "images agree."
)
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Part):
    """A mean over images with its 95 % interval; ``low`` and ``high`` are None where there is a single group."""

    images: int
    mean: float
    low: float | None
    high: float | None


Estimates = dict[str, Estimate | None]
"""By figure; None where no image of the subgroup defines it."""


class Subgroup(_Part):
    """Test images that have something in common, and what each network and the pair are worth on them."""

    kind: Literal["all", "class", "size"]
    name: str
    images: int
    groups: int
    shares: tuple[float, float] | None = Field(description="least and greatest share of the image that lesions cover")
    edge: Estimates
    cloud: Estimates
    routed: Estimates


def subgroups_of(images: ImageSet, chosen: list[int], scores: Mapping[str, Scores]) -> tuple[Subgroup, ...]:
    """Return all images ``chosen``, each class where there are several, and thirds of the lesions by size.

    Classes are called as ``class_names`` says. ``scores`` are those of ``edge``, ``cloud`` and ``routed`` on the chosen
    images, in their order.
    """
    groups = images.groups[chosen]
    shares = np.asarray(images.masks[chosen]).reshape(len(chosen), -1).astype(bool).mean(axis=1)
    labels, called = [images.labels[index] for index in chosen], class_names(images.labels)
    found = []
    for kind, name, members in _memberships(labels, shares):
        estimates = {tier: _estimates(each, groups, members) for tier, each in scores.items()}
        lesions = shares[members & (shares > 0)]
        found.append(
            Subgroup(
                kind=kind,
                name=called.get(name, name) if kind == "class" else name,
                images=int(members.sum()),
                groups=len(np.unique(groups[members])),
                shares=(float(lesions.min()), float(lesions.max())) if len(lesions) else None,
                **estimates,
            )
        )
    return tuple(found)


def _memberships(
    labels: list[str | None], shares: Floats
) -> Iterator[tuple[Literal["all", "class", "size"], str, Bools]]:
    yield "all", "all", np.ones(len(shares), bool)
    known = sorted({label for label in labels if label is not None})
    if len(known) > 1:
        for label in known:
            yield "class", label, np.array([each == label for each in labels])
    lesions = shares[shares > 0]
    if len(lesions) < FEWEST_LESIONS:
        return
    borders = (0.0, *np.quantile(lesions, (1 / 3, 2 / 3)), 1.0)
    for name, low, high in zip(SIZES, borders[:-1], borders[1:], strict=True):
        members = (shares > low) & (shares <= high)
        if members.any():
            yield "size", name, members


def _estimates(scores: Scores, groups: npt.NDArray[np.int64], members: Bools) -> Estimates:
    lesion, empty = members & scores.has_lesion, members & ~scores.has_lesion
    found: Estimates = {}
    if scores.hd95_mm is not None:
        known = lesion & ~np.isnan(scores.hd95_mm)
        found["hd95_mm"] = _estimate(scores.hd95_mm[known], groups[known])
    return {
        **found,
        "lesion_dice": _estimate(scores.dice[lesion], groups[lesion]),
        "iou": _estimate(scores.iou[lesion], groups[lesion]),
        "hd95": _estimate(scores.hd95[lesion], groups[lesion]),
        "false_positive_rate": _rate(scores.predicted_any[empty], groups[empty]),
        "sensitivity": _rate(scores.predicted_any[lesion], groups[lesion]),
        "specificity": _rate(~scores.predicted_any[empty], groups[empty]),
        "found": _rate(scores.iou[lesion] >= FOUND_IOU, groups[lesion]),
    }


def _estimate(values: Floats, groups: npt.NDArray[np.int64]) -> Estimate | None:
    if not len(values):
        return None
    several = len(np.unique(groups)) > 1
    low, high = bootstrap_interval(values, groups.tolist()) if several else (None, None)
    return Estimate(images=len(values), mean=float(values.mean()), low=low, high=high)


def _rate(flags: Bools, groups: npt.NDArray[np.int64]) -> Estimate | None:
    """Return the share of images that have something.

    Where all have it, or none, no draw of a bootstrap says anything else: there the interval is that of Clopper and
    Pearson, every group counting once.
    """
    found = _estimate(flags.astype(np.float64), groups)
    count = len(np.unique(groups))
    if found is None or count < 2 or 0 < found.mean < 1:
        return found
    low, high = exact_interval(count * int(found.mean), count)
    return found.model_copy(update={"low": low, "high": high})
