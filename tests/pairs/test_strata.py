"""Figures by class and size, against plain loops and scipy's bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from ussearch.datasets import ImageSet
from ussearch.evaluators.metrics.paired_bootstrap import bootstrap_interval
from ussearch.evaluators.metrics.scores import Scores
from ussearch.pairs.bundles.subgroups import subgroups_of

LABELS = ("benign", "malignant", "normal")


def made(count: int = 60, seed: int = 0) -> tuple[ImageSet, Scores]:
    """Return images of three classes, the last without lesions, and scores that depend on nothing."""
    random = np.random.default_rng(seed)
    masks = np.zeros((count, 1, 20, 20), np.uint8)
    for number in range(count):
        side = 0 if number % 3 == 2 else 1 + int(random.integers(15))
        masks[number, 0, :side, :side] = 1
    lesion = masks.reshape(count, -1).any(axis=1)
    images = ImageSet(
        images=masks,
        masks=masks,
        ids=tuple(map(str, range(count))),
        labels=tuple(LABELS[number % 3] for number in range(count)),
        patients=(None,) * count,
        groups=np.arange(count) // 2,
        fingerprint="",
        name="squares",
        reader="squares",
        image_size=20,
    )
    dice, some = random.uniform(size=count), random.uniform(size=count) < 0.5
    return images, Scores(dice, dice / 2, dice, 20 * dice, lesion, some)


def test_means_are_those_of_a_loop() -> None:
    images, scores = made()
    chosen = list(range(10, 50))
    known = {name: value for name in scores.__dataclass_fields__ if (value := getattr(scores, name)) is not None}
    part = Scores(**{name: value[10:50] for name, value in known.items()})
    found = {
        (each.kind, each.name): each
        for each in subgroups_of(images, chosen, {"edge": part, "cloud": part, "routed": part})
    }
    for label in LABELS:
        subgroup = found["class", label]
        members = [index for index in chosen if images.labels[index] == label]
        assert subgroup.images == len(members) and subgroup.groups == len({index // 2 for index in members})
        if label == "normal":
            rate = subgroup.edge["false_positive_rate"]
            assert rate is not None and rate.mean == pytest.approx(np.mean([scores.predicted_any[i] for i in members]))
            assert subgroup.edge["lesion_dice"] is None and subgroup.shares is None
        else:
            dice, hd95 = subgroup.cloud["lesion_dice"], subgroup.cloud["hd95"]
            assert dice is not None and hd95 is not None and subgroup.edge["false_positive_rate"] is None
            assert dice.mean == pytest.approx(np.mean([scores.dice[index] for index in members]))
            assert hd95.mean == pytest.approx(40 * np.mean([scores.iou[index] for index in members]))
            assert dice.low is not None and dice.high is not None and dice.low < dice.mean < dice.high


def test_sizes_are_thirds_in_order_and_hold_every_lesion_once() -> None:
    images, scores = made()
    subgroups = subgroups_of(images, list(range(60)), dict.fromkeys(("edge", "cloud", "routed"), scores))
    thirds = [each for each in subgroups if each.kind == "size"]
    assert [each.name for each in thirds] == ["small", "medium", "large"]
    assert sum(each.images for each in thirds) == 40 and all(9 <= each.images <= 18 for each in thirds)
    bounds = [bound for each in thirds for bound in each.shares or ()]
    assert bounds == sorted(bounds) and bounds[0] >= 1 / 400


def test_one_class_and_few_lesions_are_no_strata() -> None:
    images, scores = made(6)
    kinds = [
        each.kind for each in subgroups_of(images, list(range(6)), dict.fromkeys(("edge", "cloud", "routed"), scores))
    ]
    assert kinds == ["all", "class", "class", "class"]
    one = ImageSet(**{**images.__dict__, "labels": ("benign",) * 6})
    assert len(subgroups_of(one, list(range(6)), dict.fromkeys(("edge", "cloud", "routed"), scores))) == 1


def test_a_single_group_has_no_interval() -> None:
    images, scores = made(6)
    alone = ImageSet(**{**images.__dict__, "groups": np.zeros(6, np.int64)})
    dice = subgroups_of(alone, list(range(6)), dict.fromkeys(("edge", "cloud", "routed"), scores))[0].edge[
        "lesion_dice"
    ]
    assert dice is not None and (dice.low, dice.high) == (None, None)


def test_intervals_are_those_of_scipy_and_of_groups() -> None:
    values = np.random.default_rng(1).normal(size=80)
    low, high = bootstrap_interval(values, range(80))
    interval = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=0).confidence_interval
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=0.03)
    twice = bootstrap_interval(np.repeat(values, 2), np.repeat(np.arange(80), 2).tolist())
    assert twice == pytest.approx((low, high))  # a duplicate tells nothing new
    apart = bootstrap_interval(np.repeat(values, 2), range(160))
    assert apart[1] - apart[0] < 0.85 * (high - low)
