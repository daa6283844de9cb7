"""``ussearch run`` and what reads its study, through the real command line on tiny data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.postprocessing_time import PostprocessingTime
from ussearch.pairs import Bundle
from ussearch.studies import Study

from .conftest import TINY_RUN, Command, write_data


def test_run_leaves_a_study_and_a_verified_bundle(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    outcome = ussearch("run", "--profile", "jetson-nano", "--data", tiny_data, "--study", study, *TINY_RUN)
    assert outcome.status == 0, outcome.err
    assert "accepted by ussearch verify" in outcome.out
    for word in (
        "baseline: empty",
        "baseline: mean mask",
        "baseline: Otsu",
        "Timetable",
        "of the post-processed masks",
        "Choosing what answers in the cloud",
        "Cloud less edge: ",
    ):
        assert word in outcome.out
    records = Study.open(study).trials()
    assert len(records) == 4
    assert {record.role for record in records} == {"preset", "edge", "cloud"}
    manifest = Bundle.load(study / "bundle").manifest
    assert manifest.edge.opset == 13
    assert manifest.edge.ir_version <= 8
    again = ussearch("verify", study / "bundle", "--data", tiny_data)
    assert again.status == 0, again.out


def test_run_prints_json_alone(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    run = ("run", "--profile", "jetson-nano", "--data", tiny_data, "--study", tmp_path / "s", "--json", *TINY_RUN)
    outcome = ussearch(*run, "--trials", 2)
    assert outcome.status == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["verified"] is True
    bundle = Bundle.load(tmp_path / "s" / "bundle")
    assert bundle.ensemble is not None and result["ensemble"]["made_from"] == bundle.ensemble.made_from
    assert result["ensemble"]["chosen"] == list(bundle.ensemble.chosen)
    assert bundle.manifest.cloud.ensemble == bundle.ensemble.title
    assert set(result["metrics"]["baselines"]) == {"empty", "mean mask", "Otsu"}


def test_the_same_seed_gives_the_same_study(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    found = []
    for name in ("first", "second"):
        run = ("run", "--profile", "raspberry-pi-4", "--data", tiny_data, "--study", tmp_path / name, *TINY_RUN)
        assert ussearch(*run, "--seed", 5).status == 0
        records = Study.open(tmp_path / name).trials()
        found.append([(record.architecture_id, record.evaluation.metrics) for record in records])
    assert found[0] == found[1]


def test_resume_continues_to_a_larger_total(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    run = ("run", "--profile", "jetson-nano", "--data", tiny_data, "--study", tmp_path / "s", *TINY_RUN)
    assert ussearch(*run).status == 0
    before = [record.architecture_id for record in Study.open(tmp_path / "s").trials()]
    seeds = ",".join(Study.open(tmp_path / "s").config.initial_architectures)
    outcome = ussearch(*run, "--trials", 6, "--warm-start", seeds, "--resume")
    assert outcome.status == 0, outcome.err
    assert "(to about a factor of two), 4 of 6 trials are finished" in " ".join(outcome.out.split())
    after = [record.architecture_id for record in Study.open(tmp_path / "s").trials()]
    assert after[:4] == before
    assert len(after) == len(set(after)) == 6


def test_dry_run_plans_and_trains_nothing(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    arguments = ("run", "--profile", "jetson-nano", "--data", tiny_data, "--study", tmp_path / "s", *TINY_RUN)
    outcome = ussearch(*arguments, "--dry-run")
    assert outcome.status == 0, outcome.err
    for word in (
        "Space: 10^",
        "train ",
        "at most 41.7 ms, of which 1.4 ms",
        "Presets first",
        "Predicted time",
        "without lv-unet",
    ):
        assert word in outcome.out
    assert "dynamic" in outcome.out or "per-sample kernels" in outcome.out
    assert not (tmp_path / "s").exists()
    plan = json.loads(ussearch(*arguments, "--dry-run", "--json").out)
    assert plan["split"] == {"train": 26, "validation": 5, "calibration": 10, "test": 7}
    assert "lv-unet" in plan["skipped_presets"]
    assert 1 <= len(plan["initial_architectures"]) <= 2
    assert "of the predictions are extrapolated" in outcome.out
    for limits in plan["limits"].values():
        (low, high), (least, most) = limits["latency_range_ms"], limits["latency_interval_ms"]
        assert least <= low <= high <= most
        assert limits["extrapolated"] is (limits["share_of_random_architectures_extrapolated"] > 0)


def test_post_processing_that_takes_all_of_a_frame_leaves_nothing_for_a_network(
    ussearch: Command, tiny_data: Path, tmp_path: Path
) -> None:
    slow = load_profile("jetson-nano").model_copy(update={"postprocessing": PostprocessingTime(ms=800)})
    (tmp_path / "jetson-nano.yaml").write_text(slow.to_yaml(), encoding="utf-8")
    arguments = ("run", "--profile", "jetson-nano", "--profiles-dir", tmp_path, "--data", tiny_data, *TINY_RUN)
    outcome = ussearch(*arguments, "--dry-run")
    assert outcome.status == 2
    limits = "its limit is 41.7 ms, of which 50.0 ms are for post-processing, and 1536 MiB"  # 800 / 16 at 64 pixels
    assert f"Nothing fits jetson-nano: {limits}; random architectures take" in " ".join(outcome.err.split())


def test_a_tighter_limit_than_the_profiles(ussearch: Command, tiny_study: Path, tiny_data: Path) -> None:
    run = ("run", "--profile", "raspberry-pi-5", "--data", tiny_data, *TINY_RUN, "--dry-run", "--max-latency-ms")
    outcome = ussearch(*run, 1.5)
    assert outcome.status == 0, outcome.err
    assert "at most 1.5 ms" in outcome.out and "0% of random architectures fit" in outcome.out
    outcome = ussearch(*run, 0.3)
    assert outcome.status == 2 and "no preset fits with the narrowest widths" in " ".join(outcome.err.split())
    assert ussearch(*run, 0).status == 2
    resumed = ("run", "--profile", "jetson-nano", "--study", tiny_study, "--resume", "--max-latency-ms", 5)
    outcome = ussearch(*resumed)
    assert outcome.status == 2
    assert "made with another latency limit (41.7 ms, not 5.0)" in " ".join(outcome.err.split())


def test_a_runtime_of_a_device_is_a_profile_everywhere(
    ussearch: Command, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "jetson-nano@tensorrt-fp16"
    monkeypatch.chdir(tmp_path)
    outcome = ussearch("run", "--profile", name, "--data", tiny_data, "--dry-run", *TINY_RUN)
    assert outcome.status == 0, outcome.err
    assert f"Edge: {name}, at most" in outcome.out
    run = ussearch("run", "--profile", name, "--data", tiny_data, *TINY_RUN, "--trials", 2)
    assert run.status == 0, run.out + run.err
    study = next((tmp_path / "studies").iterdir())
    assert study.name == "tiny-jetson-nano-tensorrt-fp16-001"
    assert Study.open(study).config.edge.name == Bundle.load(study / "bundle").profile("edge").name == name
    assert "Latency, edge network: " in run.out and f"predicted for {name}" in run.out
    assert ussearch("pareto", study, "--plot", tmp_path / "front.png").status == 0
    assert name in ussearch("show", study, 0).out
    assert ussearch("verify", study / "bundle").status == 0


@pytest.mark.parametrize("command", [("pareto",), ("show",)])
def test_readers_of_a_study_answer_in_json(ussearch: Command, tiny_study: Path, command: tuple[str]) -> None:
    extra = (0,) if command[0] == "show" else ()
    outcome = ussearch(*command, tiny_study, *extra, "--json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)


def test_show_accounts_for_every_millisecond(ussearch: Command, tiny_study: Path) -> None:
    card = json.loads(ussearch("show", tiny_study, 0, "--json").out)
    record = Study.open(tiny_study).trial(0)
    assert card["trial"] == record.trial_id == 0
    shares = [kernel["latency_ms"] for kernel in card["latency"]["kernels"]]
    whole = sum(shares) + card["latency"]["call_ms"]
    assert whole == pytest.approx(record.costs("edge").latency_ms, rel=1e-6)


def test_export_takes_named_trials(ussearch: Command, study: Path, tmp_path: Path) -> None:
    edge = next(record.trial_id for record in Study.open(study).trials() if record.feasible("edge"))
    outcome = ussearch("export", study, "--edge", edge, "--out", tmp_path / "bundle")
    assert outcome.status == 0, outcome.err
    assert Bundle.load(tmp_path / "bundle").manifest.edge.trial == edge


def test_export_refuses_a_model_repository_inside_the_bundle_before_it_trains(
    ussearch: Command, study: Path, tmp_path: Path
) -> None:
    shutil.rmtree(study / "finalists")
    for words in (
        (study, "--triton", study / "bundle" / "t"),
        (study, "--out", tmp_path / "b", "--triton", tmp_path / "b"),
    ):
        outcome = ussearch("export", *words)
        assert outcome.status == 2 and "is inside the bundle" in outcome.err
        assert not (study / "finalists").exists() and not (tmp_path / "b").exists()


def test_infer_writes_masks_and_overlays(ussearch: Command, tiny_study: Path, tiny_data: Path, tmp_path: Path) -> None:
    images = sorted((tiny_data / "images").iterdir())[:2]
    outcome = ussearch("infer", tiny_study / "bundle", *images, "--out", tmp_path / "masks")
    assert outcome.status == 0, outcome.err
    assert len(list((tmp_path / "masks").glob("*.png"))) == 4


def test_a_budget_decides_the_number_of_trials(ussearch: Command, tiny_data: Path) -> None:
    plans = [
        json.loads(
            ussearch(
                *("run", "--profile", "jetson-nano", "--data", tiny_data, "--image-size", 64, "--epochs", 1),
                *("--budget", budget, "--dry-run", "--json"),
            ).out
        )
        for budget in ("5s", "10m")
    ]
    assert plans[0]["trials"] < plans[1]["trials"]


def test_another_data_set_cannot_continue_a_study(ussearch: Command, tiny_study: Path, tmp_path: Path) -> None:
    other = write_data(tmp_path / "other", seed=1)
    run = ("run", "--profile", "jetson-nano", "--data", other, "--study", tiny_study, *TINY_RUN)
    outcome = ussearch(*run, "--resume", "--offload-share", 0.3, "--final-restarts", 2)
    assert outcome.status == 2
    assert "same data" in outcome.err


def test_a_recipe_of_the_user(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("epochs: 3\nempty_fraction: 0.5\nloss: dice_focal\n")
    arguments = ("run", "--profile", "jetson-nano", "--data", tiny_data, "--image-size", 64, "--dry-run", "--json")
    recipe = ("--recipe", tmp_path / "recipe.yaml")
    plan = json.loads(ussearch(*arguments, *recipe).out)
    assert (plan["epochs"], plan["recipe"]["empty_fraction"], plan["recipe"]["loss"]) == (3, 0.5, "dice_focal")
    assert json.loads(ussearch(*arguments, *recipe, "--epochs", 5).out)["epochs"] == 5


def test_a_finished_search_is_continued_from_its_own_data(
    ussearch: Command, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "a [red]b[/c] d"
    run = ("run", "--profile", "jetson-nano", "--study", study, *TINY_RUN)
    first = ussearch(*run, "--data", tiny_data)
    assert first.status == 0, first.err
    assert f"Study: {study}" in first.out
    again = ussearch(*run, "--resume")
    assert again.status == 0, again.err
    assert "4 of 4 trials are finished already" in again.out

    def front(text: str) -> str:
        return (
            text[text.index("Searching") :].split("\n", 1)[1].partition("Pair:")[0].rpartition("finished already\n")[2]
        )

    assert front(again.out).strip() in first.out


def test_words_for_numbers_and_reasons() -> None:
    from ussearch.cli.console import counted
    from ussearch.cli.plan_lines import by_reason

    assert counted(1, "candidate") == "1 candidate"
    assert counted(2, "candidate") == "2 candidates"
    assert by_reason({"a": "x", "b": "y", "c": "x"}) == {"x": ["a", "c"], "y": ["b"]}
