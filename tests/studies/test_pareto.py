"""The commands that look at a study, and the data behind their tables and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.studies.conftest import EDGE, run_search
from ussearch.errors import UserError
from ussearch.evaluators import CONVENTION, trace
from ussearch.search_spaces import load_preset, preset_names
from ussearch.studies import Study
from ussearch.studies.card import architecture_rows, trial_card
from ussearch.studies.pareto import pareto_report
from ussearch.studies.plots import draw_front, front_picture, save_front


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    architectures = [load_preset(name).architecture.for_task() for name in ("lv-unet", "bmis")]
    seeds = [*architectures, load_preset("cmunext-s").architecture.for_task().model_copy(update={"name": "broken"})]
    return run_search(tmp_path_factory.mktemp("pareto") / "s", seeds=seeds, trials=9)[0]


def invoke(*arguments: str) -> str:
    from ussearch.cli.app import app

    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0
    return result.output


def test_report_lists_every_trial_once_front_first(study: Study) -> None:
    data = pareto_report(study).to_dict()
    slots = [row["trial"] for row in data["trials"]]
    assert sorted(slots) == list(range(9)) and slots[: len(data["front"])] == data["front"]
    assert slots[-1] == 2 and data["trials"][-1]["failure"]
    assert data["convention"] == CONVENTION and data["fidelity"] == "formula, 1 epoch"
    assert list(data["baselines"]) == ["empty", "Otsu"]
    assert data["limits"]["edge"]["latency_ms"] == EDGE.limits.latency_target_ms
    json.dumps(data, allow_nan=False)


def test_every_row_shows_lesion_dice_all_dice_and_false_positives(study: Study) -> None:
    data = pareto_report(study).to_dict()
    for row in [*data["trials"], *data["baselines"].values()]:
        assert {"lesion_dice", "dice_all", "false_positive_rate"} <= row.keys()


def test_views_of_the_front_keep_to_their_limits(study: Study) -> None:
    report = pareto_report(study)
    by_slot = {record.slot: record for record in report.records}
    assert all(by_slot[slot].feasible("edge") for slot in report.edge)
    assert all(by_slot[slot].feasible("cloud") for slot in report.cloud)


def test_pareto_command(study: Study, tmp_path: Path) -> None:
    text = invoke("pareto", str(study.folder), "--plot", str(tmp_path / "front.png"))
    for words in ("lv-unet", "baseline: empty", "baseline: Otsu", "jetson-nano", "both masks empty counts 1", "●"):
        assert words in text
    assert "Trial 2 (broken) failed: the loss became nan" in text
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(invoke("pareto", str(study.folder), "--json")) == pareto_report(study).to_dict()


def test_picture_names_presets_and_draws_the_limit(study: Study) -> None:
    picture = front_picture(pareto_report(study))
    assert {point.name for point in picture.points} == {"", "lv-unet", "bmis"}
    assert picture.limit_ms == EDGE.limits.latency_target_ms
    texts = {text.get_text() for text in draw_front(picture).axes[0].texts}
    assert {"lv-unet", "bmis", "better", "empty", "Otsu"} <= texts
    assert {f"#{point.slot}" for point in picture.points if point.on_front and not point.name} <= texts
    assert any(text.startswith("limit 41.7 ms") for text in texts)


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
    from ussearch.cli import output

    monkeypatch.setattr(output, "console", Console(highlight=False, markup=False, width=width))
    tables = invoke("pareto", str(study.folder)), invoke("show", str(study.folder), "1")
    rows = [line for text in tables for line in text.splitlines() if line.startswith("│")]
    assert all(len(line) <= width for line in rows)
    assert not [line for line in rows if "…" in line.removeprefix("│ …")]
    for row in pareto_report(study).to_dict()["trials"]:
        assert f" {row['latency_ms']:.1f} " in tables[0]
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


@pytest.mark.parametrize("end", ["edge", "cloud"])
def test_kernels_sum_to_the_prediction(study: Study, end: str) -> None:
    card = trial_card(study, 1, end)  # type: ignore[arg-type]
    expected = trace(study.architecture(1), 64).predict(study.config.profiles[end]).latency_ms  # type: ignore[index]
    assert sum(milliseconds for _, milliseconds in card.kernels) == pytest.approx(expected)
    assert sum(card.milliseconds_by_part().values()) == pytest.approx(expected)
    assert {"stage 0", "level 0", "head"} <= card.milliseconds_by_part().keys()


def test_show_command(study: Study) -> None:
    text = invoke("show", str(study.folder), "1")
    for words in ("Trial 1: bmis", "Architecture", "Costs of the deploy form", "Layer by layer", "stage 1", "sum"):
        assert words in text
    assert "Training failed: the loss became nan" in invoke("show", str(study.folder), "2")
    data = json.loads(invoke("show", str(study.folder), "1", "--json"))
    assert data["slot"] == 1 and data["counts"]["parameters_training"] > 0
    assert sum(kernel["latency_ms"] for kernel in data["latency"]["kernels"]) == pytest.approx(
        data["latency"]["latency_ms"]
    )


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_can_be_put_in_words(name: str) -> None:
    architecture = load_preset(name).architecture
    rows = list(architecture_rows(architecture))
    assert [where for where, _, _ in rows if where.startswith("stage")] == [
        f"stage {index}" for index in range(len(architecture.stages))
    ]
    assert all(what for _, what, _ in rows)
