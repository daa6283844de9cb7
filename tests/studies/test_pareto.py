"""The commands that look at a study, and the data behind their tables and pictures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.studies.conftest import EDGE, run_search
from ussearch.deprecations import with_old_json_keys
from ussearch.errors import UserError
from ussearch.evaluators import CONVENTION, trace
from ussearch.hardware_profiles.validation import Coverage
from ussearch.search_spaces import load_preset, preset_names
from ussearch.studies import Study
from ussearch.studies.card import CALL, architecture_rows, trial_card
from ussearch.studies.front_picture import front_picture
from ussearch.studies.pareto import pareto_report
from ussearch.studies.plots import draw_front, save_front


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    architectures = [load_preset(name).architecture.for_task() for name in ("lv-unet", "bmis")]
    seeds = [*architectures, load_preset("cmunext-s").architecture.for_task().model_copy(update={"name": "broken"})]
    return run_search(tmp_path_factory.mktemp("pareto") / "s", seeds=seeds, trials=9)[0]


def invoke(*arguments: str) -> str:
    from ussearch.cli.app import app

    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0
    return result.stdout


def test_report_lists_every_trial_once_front_first(study: Study) -> None:
    data = pareto_report(study).to_dict()
    trial_ids = [row["trial"] for row in data["trials"]]
    assert sorted(trial_ids) == list(range(9)) and trial_ids[: len(data["front"])] == data["front"]
    assert trial_ids[-1] == 2 and data["trials"][-1]["failure"]
    assert data["convention"] == CONVENTION and data["fidelity"] == "formula, 1 epoch"
    assert list(data["baselines"]) == ["empty", "Otsu"]
    assert EDGE.postprocessing is not None
    call_ms = EDGE.postprocessing.ms_per_call
    after_ms = call_ms + (EDGE.postprocessing.ms - call_ms) / 16  # 64 pixels a side, given at 256
    assert data["limits"]["edge"]["postprocessing_ms"] == pytest.approx(after_ms)
    assert data["limits"]["edge"]["latency_ms"] == pytest.approx(1000 / 24 - after_ms)
    json.dumps(data, allow_nan=False)


def test_every_row_shows_lesion_dice_all_dice_and_false_positives(study: Study) -> None:
    data = pareto_report(study).to_dict()
    for row in [*data["trials"], *data["baselines"].values()]:
        assert {"lesion_dice", "dice_all", "false_positive_rate"} <= row.keys()


def test_views_of_the_front_keep_to_their_limits(study: Study) -> None:
    report = pareto_report(study)
    by_trial_id = {record.trial_id: record for record in report.records}
    assert all(by_trial_id[trial_id].feasible("edge") for trial_id in report.edge)
    assert all(by_trial_id[trial_id].feasible("cloud") for trial_id in report.cloud)


def test_pareto_command(study: Study, tmp_path: Path) -> None:
    text = invoke("pareto", str(study.folder), "--plot", str(tmp_path / "front.png"))
    for words in ("lv-unet", "baseline: empty", "baseline: Otsu", "jetson-nano", "both masks empty counts 1", "●"):
        assert words in text
    assert "Trial 2 (broken) failed: the loss became nan" in text
    words = "Edge: jetson-nano, at most 41.7 ms, of which 1.4 ms are for post-processing, and 1536 MiB; predicted for"
    assert words in " ".join(text.split())
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    printed = json.loads(invoke("pareto", str(study.folder), "--json"))
    assert printed == with_old_json_keys(pareto_report(study).to_dict())


def test_picture_names_presets_and_draws_the_limit(study: Study) -> None:
    picture = front_picture(pareto_report(study))
    assert {point.name for point in picture.points} == {"", "lv-unet", "bmis"}
    assert picture.limit_ms == EDGE.network_limit_ms(64) < 41
    assert picture.limit_title == "24 frames a second less post-processing"
    texts = {text.get_text() for text in draw_front(picture).axes[0].texts}
    assert {"lv-unet", "bmis", "better", "empty", "Otsu"} <= texts
    assert {f"#{point.trial_id}" for point in picture.points if point.on_front and not point.name} <= texts
    assert any(text.startswith("limit 40.2 ms") for text in texts)


def test_the_arrow_lies_beyond_the_limit_and_above_every_point(study: Study) -> None:
    picture = front_picture(pareto_report(study))
    axes = draw_front(picture).axes[0]
    (arrow,) = [text for text in axes.texts if text.get_text() == "better"]
    box = arrow.get_window_extent()
    limit, highest = axes.transData.transform((picture.limit_ms, max(point.dice for point in picture.points)))
    assert box.x0 > limit and box.y0 > highest
    legend = axes.get_legend()
    assert legend is not None and "small: beaten" in {text.get_text() for text in legend.get_texts()}


@pytest.mark.parametrize("width", [80, 160])
def test_no_figure_is_abbreviated(study: Study, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    from ussearch.cli import console

    narrow = Console(highlight=False, markup=False, width=width)
    for module in (console, console):
        monkeypatch.setattr(module, "console", narrow)
    tables = invoke("pareto", str(study.folder)), invoke("show", str(study.folder), "1", "--layers")
    rows = [line for text in tables for line in text.splitlines() if line.startswith("│")]
    assert all(len(line) <= width for line in rows)
    assert not [line for line in rows if "…" in line.removeprefix("│ …")]
    for row in pareto_report(study).to_dict()["trials"]:
        assert f" ~{row['latency_ms']:.1f} " in tables[0]
    assert all("~: extrapolated" in text for text in tables[:1]) and "~: of a class" in tables[1]
    for words in ("lesion Dice", "Dice all", "IoU", "HD95 px", CONVENTION):
        assert words in tables[1]


def test_presets_left_out_for_one_reason_share_a_line() -> None:
    from ussearch.cli.pareto import _left_out

    assert _left_out({"a": "big", "b": "slow", "c": "big"}) == {"big": ["a", "c"], "slow": ["b"]}


@pytest.mark.parametrize("ending", [".svg", ".pdf"])
def test_pictures_of_other_kinds(study: Study, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"front{ending}"
    save_front(front_picture(pareto_report(study)), path)
    assert path.stat().st_size > 1000


def test_a_picture_that_cannot_be_drawn_is_a_sentence(study: Study, tmp_path: Path) -> None:
    picture = front_picture(pareto_report(study))
    with pytest.raises(UserError, match="no known picture ending"):
        save_front(picture, tmp_path / "front.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        save_front(picture, tmp_path / "file" / "front.png")


def test_a_study_without_results_has_no_picture(tmp_path: Path) -> None:
    from tests.studies.conftest import SPLIT, make_config

    empty = Study.create(tmp_path / "s", make_config(), SPLIT)
    assert "0 of 6 trials" in invoke("pareto", str(empty.folder))
    with pytest.raises(UserError, match="search first"):
        front_picture(pareto_report(empty))


@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_kernels_sum_to_the_prediction(study: Study, tier: str) -> None:
    card = trial_card(study, 1, tier)  # type: ignore[arg-type]
    expected = trace(study.architecture(1), 64).predict(study.config.profiles[tier]).latency_ms  # type: ignore[index]
    kernels_ms = sum(milliseconds for _, milliseconds in card.kernels)
    assert kernels_ms + card.prediction.call_ms == pytest.approx(expected)
    parts = card.milliseconds_by_part()
    assert sum(parts.values()) == pytest.approx(expected)
    assert {"normalisation", "stage 0", "level 0", "head"} <= parts.keys()
    assert parts.get(CALL, 0.0) == card.prediction.call_ms


def test_the_call_and_every_doubt_have_their_line(study: Study) -> None:
    from ussearch.cli.console import doubts
    from ussearch.cli.show import _kernel_table, _parts

    card = trial_card(study, 1)
    prediction = dataclasses.replace(
        card.prediction,
        latency_ms=card.prediction.latency_ms - card.prediction.call_ms + 1.25,
        call_ms=1.25,
        uncovered={"concat": 0.5, "roll": 1.0},
        unpriced=("roll",),
        outside=("3 GMACs, measured 1 to 2",),
    )
    card = dataclasses.replace(card, prediction=prediction)
    assert card.milliseconds_by_part()[CALL] == 1.25
    for table in (_parts(card), _kernel_table(card, 20, moved=True), _kernel_table(card, 20, moved=False)):
        cells = [list(column.cells) for column in table.columns]
        assert cells[0][-1] == CALL and "1.25" in {cells[1][-1], cells[-1][-1][:4]}
        assert len({len(column) for column in cells}) == 1
    lines = doubts(prediction.uncovered, prediction.unpriced, prediction.outside, 15.0)
    assert lines == [
        "Not covered by the device's measurements, 10% of the milliseconds: roll 1.00 ms, concat 0.50 ms.",
        "Outside of what the measured networks span: 3 GMACs, measured 1 to 2.",
        "Of unknown arithmetic, charged for traffic and launch alone: roll.",
    ]
    assert doubts({}, (), (), 15.0) == []
    (line,) = doubts({"concat": 0.5}, (), (), 15.0, {"concat": Coverage(7, 1)})
    assert line.endswith("concat 0.50 ms (7 networks of 1 family).")


def test_intervals_and_extrapolation_reach_table_json_and_picture(study: Study, tmp_path: Path) -> None:
    data = json.loads(invoke("pareto", str(study.folder), "--json"))
    for row in data["trials"]:
        low, high = row["latency_interval_ms"]
        assert low <= row["latency_ms"] <= high and row["extrapolated"] is True
        assert row["cloud_latency_interval_ms"][0] <= row["cloud_latency_ms"] and row["cloud_extrapolated"] is True
        assert f" {low:.1f}–{high:.1f} " in invoke("pareto", str(study.folder))
    picture = front_picture(pareto_report(study))
    assert all(point.extrapolated for point in picture.points)
    legend = draw_front(picture).axes[0].get_legend()
    assert legend is not None and "hollow: extrapolated" in {text.get_text() for text in legend.get_texts()}
    solid = dataclasses.replace(
        picture, points=tuple(dataclasses.replace(point, extrapolated=False) for point in picture.points)
    )
    legend = draw_front(solid).axes[0].get_legend()
    assert legend is not None and "hollow: extrapolated" not in {text.get_text() for text in legend.get_texts()}


def test_show_command(study: Study) -> None:
    text = invoke("show", str(study.folder), "1", "--layers")
    for words in ("Trial 1: bmis", "Architecture", "Costs of the deploy form", "Layer by layer", "stage 1", "sum"):
        assert words in text
    assert "Training failed: the loss became nan" in invoke("show", str(study.folder), "2")
    data = json.loads(invoke("show", str(study.folder), "1", "--json"))
    assert data["trial_id"] == 1 and data["counts"]["parameters_training"] > 0
    latency = data["latency"]
    kernels_ms = sum(kernel["latency_ms"] for kernel in latency["kernels"])
    assert kernels_ms + latency["call_ms"] == pytest.approx(latency["latency_ms"])
    assert latency["interval_ms"][0] <= latency["latency_ms"] <= latency["interval_ms"][1]
    assert {"extrapolated", "uncovered", "unpriced", "outside"} <= latency.keys()
    assert all(kernel["kernel_class"] for kernel in latency["kernels"])


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_can_be_put_in_words(name: str) -> None:
    architecture = load_preset(name).architecture
    rows = list(architecture_rows(architecture))
    assert [where for where, _, _ in rows if where.startswith("stage")] == [
        f"stage {index}" for index in range(len(architecture.stages))
    ]
    assert all(what for _, what, _ in rows)
