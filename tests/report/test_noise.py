"""Ties: against the definition of the selection and against a simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.conftest import make_material, make_record, make_summary
from ussearch.evaluators import Scores
from ussearch.evaluators.metrics.segmentation import contributions
from ussearch.report.significance import compare, variance

images = st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 1)), min_size=2, max_size=20)


@settings(max_examples=25)
@given(images.filter(lambda rows: any(lesion for lesion, _, _ in rows)))
def test_the_mean_of_the_contributions_is_the_selection(rows: list[tuple[bool, bool, float]]) -> None:
    lesion, predicted = (np.array([row[place] for row in rows]) for place in (0, 1))
    dice = np.array([row[2] for row in rows])
    scores = Scores(dice=dice, iou=dice, auc=dice, hd95=dice, has_lesion=lesion, predicted_any=predicted)
    assert contributions(dice, lesion, predicted).mean() == pytest.approx(scores.summary["objective"])


def test_the_variance_is_that_of_repeated_draws() -> None:
    random = np.random.default_rng(0)
    lesions, empties, rate, sd = 60, 40, 0.3, 0.2
    dice = random.normal(0.7, sd, (20000, lesions)).mean(axis=1)
    false_positives = random.binomial(empties, rate, 20000) / empties
    share = empties / (lesions + empties)
    summary = make_summary(0.7, sd, 100) | {
        "lesion_images": lesions,
        "false_positive_rate": rate,
        "empty_share": share,
    }
    assert variance(summary) == pytest.approx(np.var(dice - share * false_positives), rel=0.05)


def test_small_differences_are_ties_and_large_ones_are_not(tmp_path: Path) -> None:
    # SD 0.2 on 100 images: the 95 % half-width of a difference is 1.96 √(2 · 0.04 / 100) = 0.055
    records = [make_record(0, 0.70), make_record(1, 0.66), make_record(2, 0.60), make_record(3, 0.9, latency_ms=99)]
    found = compare(make_material(tmp_path / "s", records))
    assert found is not None and found.method == "unpaired"
    assert found.best == 0  # trial 3 is beyond the device's limit
    assert found.ties == (1,)
    assert found.second is not None and found.second.trial_id == 1
    assert found.second.high - found.second.mean == pytest.approx(0.0554, abs=1e-4)


def test_one_candidate_has_no_ties(tmp_path: Path) -> None:
    assert compare(make_material(tmp_path / "s", [make_record(0, 0.7)])) is None


def test_fidelities_are_never_compared(tmp_path: Path) -> None:
    stopped = make_record(1, 0.9, fidelity="trained 3 of 9 epochs")
    found = compare(make_material(tmp_path / "s", [make_record(0, 0.7), stopped, make_record(2, 0.5)]))
    assert found is not None and found.best == 0 and [each.trial_id for each in found.differences] == [2]
