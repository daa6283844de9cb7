"""What a pair is worth on test images, and what a reader of its figures must not overlook."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from ussearch.datasets import ImageSet, Split
from ussearch.errors import UserError
from ussearch.evaluators import Tier, trivial_baselines
from ussearch.evaluators.metrics.scores import CONVENTION, PERCENTILES, POSTPROCESSED, score
from ussearch.pairs.bundles.cloud_gain import cloud_gain_on
from ussearch.pairs.bundles.manifest import MetricsEntry
from ussearch.pairs.bundles.presence_roc import PresenceRoc
from ussearch.pairs.bundles.subgroups import Subgroup, subgroups_of
from ussearch.runtime.postprocessing import masks_of
from ussearch.runtime.predictor import PairPredictor
from ussearch.studies.front import beats

NEWER = {f"hd95_mm{suffix}" for suffix in ("", "_sd", *(f"_p{percent}" for percent in PERCENTILES))}
"""Figures that bundles of before 0.2.0 do not have."""


def evaluate_pair(pair: PairPredictor, images: ImageSet, split: Split) -> MetricsEntry:
    """Score edge only, cloud only and the routed pair on the test images, by the files that will run."""
    if not split.test:
        raise UserError(f"{images.name} has no test images: split it with a share for testing.")
    chosen = list(split.test)
    pixels, masks = np.asarray(images.images[chosen]), np.asarray(images.masks[chosen])
    edge, confidence = pair.edge_answers(pixels)
    cloud = pair.cloud.probabilities(pixels)
    away = pair.router.offloads(confidence)
    made = masks_of(edge, pair.postprocessing), masks_of(cloud, pair.cloud_postprocessing)
    sent, spacing = away[:, None, None, None], images.grid_spacing_mm
    sides = None if spacing is None else spacing[chosen]
    scores = {
        "edge": score(edge, masks, made[0], sides),
        "cloud": score(cloud, masks, made[1], sides),
        "routed": score(np.where(sent, cloud, edge), masks, np.where(sent, made[1], made[0]), sides),
    }
    return MetricsEntry(
        convention=CONVENTION if pair.postprocessing is None else POSTPROCESSED,
        images=len(chosen),
        offload_share=float(away.mean()),
        baselines=_baselines(images, split),
        subgroups=subgroups_of(images, chosen, scores),
        presence={
            "edge": PresenceRoc.of(edge, masks, images.groups[chosen], pair.postprocessing),
            "cloud": PresenceRoc.of(cloud, masks, images.groups[chosen], pair.cloud_postprocessing),
        },
        cloud_gain={
            "validation": cloud_gain_on(pair, images, list(split.validation)),
            "test": cloud_gain_on(pair, images, chosen),
        },
        **{tier: each.summary for tier, each in scores.items()},
    )


def _baselines(images: ImageSet, split: Split) -> dict[str, dict[str, float | None]]:
    """Return what needs no network but the training masks; nothing without any."""
    if not split.train:
        return {}
    return {name: dict(each.summary) for name, each in trivial_baselines(images, split, "test").items()}


def differences(first: MetricsEntry, second: MetricsEntry, tolerance: float = 1e-3) -> list[str]:
    """Return the names of the figures in which two evaluations differ by more than ``tolerance``.

    Baselines, subgroups, their figures and presence are compared where ``first`` has any: older bundles have fewer.
    """
    found = [] if abs(first.offload_share - second.offload_share) <= tolerance else ["offload_share"]
    sides = {tier: (getattr(first, tier), getattr(second, tier)) for tier in ("edge", "cloud", "routed")}
    sides |= {name: (figures, second.baselines.get(name, {})) for name, figures in first.baselines.items()}
    for tier, (left, right) in sides.items():
        for name in sorted(set(left) | (set(right) - NEWER)):
            if not _agree(left.get(name), right.get(name), tolerance):
                found.append(f"{tier}.{name}")
    for tier, roc in (first.presence or {}).items():
        other = (second.presence or {}).get(tier)
        area, again = (None if each is None else each.auc for each in (roc, other))
        if not _agree(area, again, tolerance):
            found.append(f"{tier}.presence.auc")
    for part, gain in (first.cloud_gain or {}).items():
        again_gain = (second.cloud_gain or {}).get(part)
        one, two = (None if each is None else each.mean for each in (gain, again_gain))
        if not _agree(one, two, tolerance):
            found.append(f"cloud_gain.{part}")
    return [*found, *_subgroup_differences(first.subgroups, second.subgroups, tolerance)] if first.subgroups else found


def _subgroup_differences(first: Sequence[Subgroup], second: Sequence[Subgroup], tolerance: float) -> list[str]:
    found = []
    for kind in ("all", "class", "size"):  # by place: bundles of before call some classes by other names
        pairs = zip_longest(*([each for each in subgroups if each.kind == kind] for subgroups in (first, second)))
        for left, right in pairs:
            one, other = _numbers(left), _numbers(right)
            found += [
                f"{kind} {(left or right).name}: {figure}"
                for figure in sorted(one or other)
                if not _agree(one.get(figure), other.get(figure), tolerance)
            ]
    return found


def _numbers(subgroup: Subgroup | None) -> dict[str, float | None]:
    """Return every number of a subgroup by a dotted name."""
    if subgroup is None:
        return {}
    numbers: dict[str, float | None] = {"images": subgroup.images, "groups": subgroup.groups}
    for tier, estimates in (("edge", subgroup.edge), ("cloud", subgroup.cloud), ("routed", subgroup.routed)):
        for figure, estimate in estimates.items():
            parts = {} if estimate is None else estimate.model_dump()
            numbers |= {f"{tier}.{figure}.{part}": value for part, value in parts.items()}
    return numbers


def _agree(left: float | None, right: float | None, tolerance: float) -> bool:
    if left is None or right is None:
        return left is right
    return abs(left - right) <= tolerance * max(1.0, abs(left))


TIERS: tuple[Tier, ...] = ("edge", "cloud")
JUDGED = {"lesion_dice": "lesion Dice", "objective": "objective"}
"""The figures in which a network has to beat every baseline, and what people call them."""


def baseline_warnings(metrics: MetricsEntry) -> list[str]:
    """Return a sentence for each end whose network some trivial baseline reaches on the test images."""
    return [_sentence(metrics, tier) for tier in TIERS if not beats(getattr(metrics, tier), metrics.baselines)]


def _sentence(metrics: MetricsEntry, tier: Tier) -> str:
    own = getattr(metrics, tier)
    name, figures = next((name, each) for name, each in metrics.baselines.items() if not beats(own, {name: each}))
    which = [word for key, word in JUDGED.items() if (own.get(key) or 0.0) <= (figures.get(key) or 0.0)]
    reached, left = (
        f"lesion Dice {each.get('lesion_dice') or 0.0:.3f}, objective {each.get('objective') or 0.0:.3f}"
        for each in (figures, own)
    )
    return (
        f"The {tier} network is NOT FIT FOR USE: a baseline without any network reaches its {' and '.join(which)} on "
        f"the test images ({name}: {reached}; the network: {left}). Train longer or search more."
    )
