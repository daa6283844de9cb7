"""``benchmarks/search.py``: what counts against formulas, rows that are made once, searches that go on after a kill."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("benchmarks_importable")


def row(
    judged: float | None, latency_ms: float, seconds: float = 1.0, validated: float | None = None
) -> dict[str, Any]:
    seen = judged if validated is None else validated
    return {"judged": judged, "validated": seen, "latency_ms": latency_ms, "seconds": seconds}


def bench(folder: Path) -> Any:
    from searched.bench import Bench

    return Bench(folder / "rows", folder / "scratch", epochs=2, phantoms=12, trained_on=8, judges_count=8)


def test_hypervolume_is_the_area_between_the_front_and_the_reference() -> None:
    from searched.bench import REFERENCE
    from searched.curves import Way

    rows = [row(0.5, 5.0), row(0.6, 20.0), row(0.4, 10.0), row(0.7, 50.0), row(None, 1.0), row(REFERENCE, 1.0)]
    area = (0.5 - REFERENCE) * math.log(40 / 5) + (0.6 - 0.5) * math.log(40 / 20)
    assert Way(40.0).volume(rows) == pytest.approx(area)
    assert Way(40.0, logarithmic=False).volume(rows) == pytest.approx((0.5 - REFERENCE) * 35 + 0.1 * 20)
    assert Way(40.0).volume([]) == 0


def test_what_was_seen_decides_what_counts() -> None:
    from searched.curves import Way

    rows = [row(0.5, 5.0, validated=0.3), row(0.2, 5.0, validated=0.4)]
    assert Way(40.0).volume(rows) == Way(40.0).volume(rows[1:])
    assert Way(40.0, all_count=True).volume(rows) == Way(40.0).volume(rows[:1])


def test_a_hypervolume_is_reached_where_it_is_kept() -> None:
    from searched.curves import Curve

    curve = Curve(np.array([10.0, 20.0, 30.0, 45.0]), np.array([1.0, 3.0, 2.0, 4.0]))
    assert [curve.reaches(volume) for volume in (0.5, 2.0, 3.0, 5.0)] == [10, 20, 45, math.inf]
    assert [curve.at(seconds) for seconds in (5.0, 10.0, 29.0, 100.0)] == [0, 1, 3, 4]


def test_the_interval_over_seeds_is_students() -> None:
    from scipy import stats
    from searched.curves import interval

    values = [0.02, 0.07, 0.05, 0.11, 0.04]
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert interval(values) == pytest.approx((np.mean(values), expected.low, expected.high))


def test_seeds_without_trainings_of_their_own_are_other_orders_of_the_first(tmp_path: Path) -> None:
    from searched.arms import names
    from searched.curves import arm_rows

    made = bench(tmp_path)
    assert arm_rows(made, "samples", 1) == []
    for number, name in enumerate(names(made, "samples", 0)):
        made.keep(name, row(number / 100, 5.0))
    first, second = arm_rows(made, "samples", 0), arm_rows(made, "samples", 1)
    assert first != second
    assert sorted(each["judged"] for each in first) == sorted(each["judged"] for each in second)
    assert arm_rows(made, "edits", 0) == []


def test_bases_of_the_search_take_a_third_of_what_all_presets_take(tmp_path: Path) -> None:
    made = bench(tmp_path)
    works = [work for work, _ in made.priced.fitting]
    bases = [each.name for each in made.bases.seeds]
    assert bases == [each.name for _, each in made.priced.fitting][: len(bases)]
    assert 2 < len(bases) < len(works)
    assert sum(works[: len(bases)]) <= sum(works) / 3 < sum(works[: len(bases) + 1])


def test_draws_fit_the_device_and_are_what_their_arm_says(tmp_path: Path) -> None:
    from searched.arms import _what

    made = bench(tmp_path)
    for arm in ("samples", "edits"):
        drawn = [_what(made, f"{arm}-{number:03d}")[0] for number in range(4)]
        assert len({each.id for each in drawn}) == 4
        assert all(made.fits(each) for each in drawn)
        assert all(made.space.free.contains(each) == (arm == "samples") for each in drawn)
        assert all(bool(each.derivation) == (arm == "edits") for each in drawn)
        assert _what(made, f"{arm}-002")[0].id == drawn[2].id


def test_a_row_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from searched import arms

    made = bench(tmp_path)
    name = arms.names(made, "presets", 1)[0]
    first = arms.made(made, name)
    assert first["failure"] is None
    assert -1 <= first["judged"] <= 1
    monkeypatch.setattr(arms, "_what", lambda *_: pytest.fail("made again"))
    assert arms.made(made, name) == first


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_with_what_it_has_spent(tmp_path: Path) -> None:
    from searched import searches

    made = bench(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searches, "_told", lambda record: 1 / (7 - record.trial_id))  # stopped once trial 7 is kept
        with pytest.raises(ZeroDivisionError):
            searches.made(made, "surrogate", 0, 1000.0)
    assert made.known("search-surrogate-0") is None
    found = searches.made(made, "surrogate", 0, 0.0)  # all that may be spent is spent
    assert [trial["trial"] for trial in found["trials"]] == list(range(8))
    children = found["trials"][len(made.bases.seeds) :]
    assert all(trial["relative"] is not None and trial["epochs"] == 1 for trial in children)
    assert all(trial["judged"] is not None and trial["seconds"] > 0 for trial in found["trials"])
    assert not any((tmp_path / "scratch").iterdir())


@pytest.mark.slow
def test_from_chance_nothing_is_inherited(tmp_path: Path) -> None:
    from searched import searches

    made = bench(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searches, "MOST_TRIALS", len(made.bases.seeds) + 1)
        found = searches.made(made, "random" + searches.FROM_CHANCE, 0, 1000.0)
    assert len(found["trials"]) == len(made.bases.seeds) + 1
    assert all(trial["relative"] is None and trial["epochs"] == 2 for trial in found["trials"])


def test_the_page_tells_which_bars_hold(tmp_path: Path) -> None:
    from searched import arms, page, searches

    made = bench(tmp_path)
    report, picture = tmp_path / "search.md", tmp_path / "search.png"
    assert not page.written(made, report, picture)
    for seed in range(2):
        for name in arms.names(made, "presets", seed):
            made.keep(name, {"name": name, **row(0.5, 20.0, seconds=10.0)})
        trials = [{**row(0.4, 20.0, seconds=10.0), "training_seconds": 9.0}]
        trials += [{**row(0.5 + 0.1 * seed, 10.0, seconds=15.0), "training_seconds": 14.0}]
        made.keep(searches.name_of("surrogate", seed), {"trials": trials})
    assert page.written(made, report, picture)
    text = report.read_text()
    assert f"| {arms.TITLES['samples']} | 0 | not made yet |" in text
    assert "28% of its cost (28%, 28%) | 50% | 50% | holds, by 2 of 5 seeds |" in text  # 25 of 90 seconds
    limit = made.profile.network_limit_ms(64)
    gains = [(judged - 0.11) * math.log(limit / 10) / (0.39 * math.log(limit / 20)) - 1 for judged in (0.5, 0.6)]
    assert f"exceeds (c) by {sum(gains) / 2:+.1%}" in text
    assert picture.stat().st_size > 0
