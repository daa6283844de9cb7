"""Every check, seen with the verdicts that it can give."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from tests.report.conftest import make_material, make_record
from tests.studies.conftest import SPACE
from ussearch.report.checks import (
    baselines,
    extrapolation,
    failures,
    images,
    limits,
    places,
    presets,
    space_edge,
    tail,
)
from ussearch.report.significance import compare


def test_limits_that_cannot_be_met_name_the_nearest_candidates(tmp_path: Path) -> None:
    slow = make_material(tmp_path / "slow", [make_record(0, 0.7, 90.0), make_record(1, 0.6, 60.0)])
    check = limits(slow, "edge")
    assert check.verdict == "bad" and "fastest is trial 1 with 60.0 ms" in check.sentence
    assert limits(slow, "cloud").verdict == "good"
    assert limits(make_material(tmp_path / "none", []), "edge").verdict == "look"


def test_baselines_must_be_beaten(tmp_path: Path) -> None:
    assert baselines(make_material(tmp_path / "a", [make_record(0, 0.7)])).verdict == "good"
    assert baselines(make_material(tmp_path / "b", [make_record(0, 0.1)])).verdict == "bad"


@pytest.mark.parametrize(
    ("sampled", "verdict", "words"), [(0.9, "good", "0.300"), (0.62, "look", "tie"), (0.3, "look", "No")]
)
def test_presets(tmp_path: Path, sampled: float, verdict: str, words: str) -> None:
    records = [make_record(0, 0.6, role="preset", name="unext"), make_record(1, sampled)]
    report_data = make_material(tmp_path / "s", records)
    check = presets(report_data, compare(report_data))
    assert check.verdict == verdict and words in check.sentence


def test_only_choices_with_an_effect_are_looked_at() -> None:
    choices = {name: sorted(values, key=str)[0] for name, values in SPACE.choices.items()}
    choices |= {"stages": 3, "width_0": 48, "width_5": 256, "depth_0": 2}
    found = {place.name: place for place in places(choices, SPACE)}
    assert found["width_0"].at_end and found["width_0"].chance == 0.5
    assert found["stages"].at_end and not found["depth_0"].at_end
    assert not {"width_5", "depth_5", "detail", "activation"} & set(found)  # three stages; no numbers


@given(st.floats(0, 1), st.integers(0, 8))
def test_the_tail_of_equal_chances_is_the_binomials(chance: float, count: int) -> None:
    assert tail([chance] * 8, count) == pytest.approx(binom.sf(count - 1, 8, chance), abs=1e-9)


def test_a_winner_at_every_edge_is_named(tmp_path: Path) -> None:
    edge = {name: values[-1] for name, values in SPACE.choices.items()}
    check = space_edge(make_material(tmp_path / "s", [make_record(0, 0.7, choices=edge)]))
    assert check.verdict == "look" and "stem width 32" in check.sentence
    inside = {name: values[len(values) // 2] for name, values in SPACE.choices.items()}
    assert space_edge(make_material(tmp_path / "i", [make_record(0, 0.7, choices=inside)])).verdict == "good"
    preset = make_record(0, 0.7, role="preset", name="unext")
    assert "preset unext" in space_edge(make_material(tmp_path / "p", [preset])).sentence


def test_too_few_images_say_how_many_it_would_take(tmp_path: Path) -> None:
    tied = make_material(tmp_path / "tied", [make_record(0, 0.70), make_record(1, 0.66)])
    check = images(compare(tied))
    # half-width 0.0554 on 100 images; it shrinks with the root of their number: 100 (0.0554 / 0.04)² = 192
    assert check.verdict == "look" and "about 192 images" in check.sentence
    apart = make_material(tmp_path / "apart", [make_record(0, 0.70), make_record(1, 0.50)])
    assert images(compare(apart)).verdict == "good"
    assert images(None).verdict == "look"


def test_extrapolated_latencies_and_failures_are_counted(tmp_path: Path) -> None:
    broken = make_record(1, 0.0, metrics={}, failure="the loss became nan")
    report_data = make_material(tmp_path / "s", [make_record(0, 0.7), broken])
    assert extrapolation(report_data).sentence.startswith("1 of 1")
    assert failures(report_data).verdict == "look" and "nan" in failures(report_data).sentence
