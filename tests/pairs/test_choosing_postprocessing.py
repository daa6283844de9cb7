"""A step of the post-processing is kept where calibration images say that it helps, and the reason is written down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from ussearch.errors import UserError
from ussearch.pairs.bundles import presence_roc
from ussearch.pairs.postprocessing.choose import PROMISED, choose_postprocessing
from ussearch.pairs.postprocessing.evidence import STEPS
from ussearch.pairs.postprocessing.observed import Observed, Outcomes
from ussearch.pairs.postprocessing.operating_point import OperatingPoint
from ussearch.pairs.postprocessing.presence import area_under_roc
from ussearch.runtime.postprocessing import Postprocessing, Presence

SIDE = 32


def answers(
    count: int = 90, *, empty: float = 0.25, surest: float = 0.99, false: float = 0.8, seed: int = 0
) -> Observed:
    """Networks that find every lesion, and mark something smaller and less sure on every image."""
    random = np.random.default_rng(seed)
    probabilities, truth = np.full((count, SIDE, SIDE), 0.05, np.float32), np.zeros((count, SIDE, SIDE), bool)
    for number in range(count):
        if number >= empty * count:
            top, left = random.integers(2, 12, 2)
            truth[number, top : top + 9, left : left + 9] = True
            probabilities[number][truth[number]] = surest - random.uniform(0, 0.05)
        row, column = random.integers(22, 26, 2)
        probabilities[number, row : row + 2, column : column + 3] = false + random.uniform(0, 0.05)
    return Observed(probabilities, truth, np.arange(count))


def test_presence_is_kept_where_it_helps_and_says_by_how_much() -> None:
    seen = answers()
    how, why = choose_postprocessing(seen)
    step = next(each for each in why.steps if each.step == "presence")
    assert how.presence is not None and step.kept and step.without is not None and step.with_step is not None
    assert step.without.false_positive_rate == 1 and step.with_step.false_positive_rate == 0
    assert why.before.false_positive_rate == 1 and why.after.false_positive_rate == 0
    assert why.after.found == 1 and why.presence_auc == 1
    assert (why.images, why.empty_images, why.groups) == (90, 23, 90)
    assert "false positives -100 points" in step.sentence
    masks = how.masks(seen.probabilities[:, None])[:, 0]
    assert not masks[~seen.has_lesion].any()
    assert np.array_equal(masks, seen.truth)


def test_nothing_is_kept_where_nothing_tells_lesions_from_none() -> None:
    random = np.random.default_rng(3)
    seen = answers(false=0.97, surest=0.99)
    shuffled = Observed(seen.probabilities, seen.truth[random.permutation(len(seen.truth))], seen.groups)
    how, why = choose_postprocessing(shuffled)
    assert how.presence is None
    assert [each.step for each in why.steps] == list(STEPS)
    assert all(each.reason for each in why.steps)


def test_a_step_that_would_cost_lesions_is_left_out() -> None:
    """A third of the lesions is as unsure as what is none: no threshold takes the one without the other."""
    seen = answers()
    unsure = np.flatnonzero(seen.has_lesion)[::3]
    probabilities = seen.probabilities.copy()
    for number in unsure:
        probabilities[number][seen.truth[number]] = 0.55
    _how, why = choose_postprocessing(Observed(probabilities, seen.truth, seen.groups))
    assert why.before.lesion_dice is not None and why.after.lesion_dice is not None
    assert why.after.lesion_dice >= why.before.lesion_dice - PROMISED.dice
    assert why.after.found == why.before.found


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"empty": 0.05}, "5 calibration images without a lesion, at least 8 are asked for"),
        ({"empty": 0.9}, "9 calibration images with a lesion, at least 20 are asked for"),
    ],
)
def test_too_few_images_of_a_kind_leave_presence_out(change: dict[str, float], reason: str) -> None:
    how, why = choose_postprocessing(answers(**change))  # type: ignore[arg-type]
    step = next(each for each in why.steps if each.step == "presence")
    assert how.presence is None and not step.kept and step.reason == reason


@pytest.mark.parametrize("known", [2, 19])
def test_a_network_that_finds_few_lesions_loses_none_of_them(known: int) -> None:
    """Its sure lesions are few: whether they would be missed elsewhere, calibration images cannot tell."""
    seen = answers()
    probabilities = seen.probabilities.copy()
    for number in np.flatnonzero(seen.has_lesion)[known:]:
        probabilities[number][seen.truth[number]] = 0.1
    how, why = choose_postprocessing(Observed(probabilities, seen.truth, seen.groups))
    threshold, *removing = why.steps
    assert how.threshold <= 0.5 and how == Postprocessing(threshold=how.threshold) and why.before.false_positive_rate
    assert threshold.step == "threshold" and not any(each.kept for each in removing)
    assert {each.reason for each in removing} == {
        f"{known} of 67 lesions of the calibration images are found before, at least 20 are asked for where some may "
        "be lost"
    }


def test_twenty_found_lesions_are_enough() -> None:
    seen = answers()
    probabilities = seen.probabilities.copy()
    for number in np.flatnonzero(seen.has_lesion)[20:]:
        probabilities[number][seen.truth[number]] = 0.1
    how, why = choose_postprocessing(Observed(probabilities, seen.truth, seen.groups))
    assert how.presence is not None and why.after.found == why.before.found


def test_too_few_groups_leave_everything_as_it_is() -> None:
    seen = answers()
    how, why = choose_postprocessing(Observed(seen.probabilities, seen.truth, np.arange(90) % 9))
    assert how == Postprocessing()
    assert {each.reason for each in why.steps} == {"9 groups of calibration images, at least 10 are asked for"}


def test_small_lesions_go_where_presence_cannot_be_asked() -> None:
    how, why = choose_postprocessing(answers(empty=0.0))
    assert how.presence is None and how.smallest_lesion == 8
    step = next(each for each in why.steps if each.step == "smallest_lesion")
    assert step.kept and "lesion Dice +" in step.reason


def test_the_choice_is_the_same_each_time() -> None:
    assert choose_postprocessing(answers()) == choose_postprocessing(answers())


@given(
    seed=st.integers(0, 2**32 - 1),
    threshold=st.sampled_from([0.25, 0.5, 0.75]),
    smallest=st.integers(1, 9),
    most=st.none() | st.integers(1, 3),
    cut=st.none() | st.floats(0.1, 0.9),
)
def test_the_table_of_lesions_says_what_the_masks_are(
    seed: int, threshold: float, smallest: int, most: int | None, cut: float | None
) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.choice([0.1, 0.3, 0.6, 0.9], (3, 12, 12), p=[0.5, 0.2, 0.2, 0.1]).astype(np.float32)
    seen = Observed(probabilities, random.random((3, 12, 12)) < 0.2, np.arange(3))
    presence = None if cut is None else Presence(slope=10.0, intercept=-10 * cut, threshold=0.5)
    how = Postprocessing(threshold=threshold, smallest_lesion=smallest, presence=presence, most_lesions=most)
    found = seen.outcomes(how)
    expected = Outcomes.of_masks(how.masks(probabilities[:, None])[:, 0], seen.truth)
    for name in ("dice", "found", "any"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def some_scores(seed: int) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    has_lesion = random.random(40) < 0.6
    has_lesion[:2] = True, False
    return random.integers(0, 9, 40) / 8 + 0.3 * has_lesion, has_lesion


@given(seed=st.integers(0, 2**32 - 1))
def test_the_curve_is_that_of_scikit_learn(seed: int) -> None:
    scores, has_lesion = some_scores(seed)
    assert area_under_roc(scores, has_lesion) == pytest.approx(roc_auc_score(has_lesion, scores))
    false, true, _ = roc_curve(has_lesion, scores)
    points = np.array(presence_roc.roc_curve(scores, has_lesion))
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(roc_auc_score(has_lesion, scores))
    assert points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1]
    for x, y in points:
        assert np.min(np.hypot(false - x, true - y)) < 1e-12


def test_the_interval_of_the_area_holds_it_and_is_wider_for_fewer_groups() -> None:
    scores, has_lesion = some_scores(1)
    area = roc_auc_score(has_lesion, scores)
    low, high = presence_roc.auc_interval(scores, has_lesion, np.arange(40))
    assert low is not None and high is not None and low < area < high
    assert presence_roc.auc_interval(scores, has_lesion, np.zeros(40, np.int64)) == (None, None)
    expected = []
    random = np.random.default_rng(5)
    for _ in range(2000):
        drawn = random.integers(40, size=40)
        expected.append(area_under_roc(scores[drawn], has_lesion[drawn]) or 0.0)
    assert (low, high) == pytest.approx(np.percentile(expected, (2.5, 97.5)).tolist(), abs=0.02)


@pytest.mark.parametrize("wanted", [0.0, 0.25, 0.5, 1.0])
def test_false_positives_as_asked(wanted: float) -> None:
    random = np.random.default_rng(0)
    seen = answers()
    probabilities = np.where(seen.probabilities > 0.5, random.uniform(0.5, 1, (90, 1, 1)), 0).astype(np.float32)
    seen = Observed(probabilities, seen.truth, seen.groups)
    how, why = OperatingPoint(false_positives=wanted).applied(seen, Postprocessing())
    marked = np.asarray(how.masks(probabilities[:, None])[:, 0].any(axis=(1, 2)))
    rate = marked[~seen.has_lesion].mean()
    assert rate <= wanted and why.after.false_positive_rate == rate
    assert rate > wanted - 0.05  # and no more is given away than one image's share
    assert "were" not in why.steps[0].reason and "asked for" in why.steps[0].reason


def test_sensitivity_as_asked() -> None:
    random = np.random.default_rng(0)
    seen = answers()
    probabilities = np.where(seen.probabilities > 0.5, random.uniform(0.5, 1, (90, 1, 1)), 0).astype(np.float32)
    seen = Observed(probabilities, seen.truth, seen.groups)
    how, _ = OperatingPoint(sensitivity=0.9).applied(seen, Postprocessing())
    marked = np.asarray(how.masks(probabilities[:, None])[:, 0].any(axis=(1, 2)))
    assert 0.9 <= marked[seen.has_lesion].mean() < 0.93


def test_an_operating_point_that_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match="either --false-positives or --sensitivity"):
        OperatingPoint()
    with pytest.raises(UserError, match="either --false-positives or --sensitivity"):
        OperatingPoint(0.1, 0.9)
    with pytest.raises(UserError, match="--sensitivity 120% is not possible"):
        OperatingPoint(sensitivity=1.2)
    with pytest.raises(UserError, match="None of the 90 calibration images is without a lesion"):
        OperatingPoint(false_positives=0.1).applied(answers(empty=0.0), Postprocessing())
    seen = answers()
    blind = Observed(np.zeros_like(seen.probabilities), seen.truth, seen.groups)
    with pytest.raises(UserError, match=r"95 % .* cannot be had: .* the cloud network marks something on 0 % of them"):
        OperatingPoint(sensitivity=0.95).applied(blind, Postprocessing(), "cloud")
