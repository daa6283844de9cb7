"""``ussearch report`` and ``ussearch dashboard``, through the real command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command
from ussearch.datasets import Split
from ussearch.report import gather
from ussearch.report.published import Rival, best_preset, lengths, published_section, rivals
from ussearch.report.routing import decision
from ussearch.report.segmentations import examples
from ussearch.report.significance import compare
from ussearch.studies import Study


def test_a_report_lies_in_the_study(ussearch: Command, tiny_study: Path, tmp_path: Path) -> None:
    study = shutil.copytree(tiny_study, tmp_path / "s")
    outcome = ussearch("report", study)
    assert outcome.status == 0 and "report.html" in outcome.out
    html = (study / "report.html").read_text(encoding="utf-8")
    assert html.count("<figure>") == 6  # best, median, worst of both networks
    assert 'data-chart="routing"' in html and "of the bundle" in html


def test_it_can_lie_elsewhere_and_says_so_in_json(ussearch: Command, tiny_study: Path, tmp_path: Path) -> None:
    out = tmp_path / "there" / "page.html"
    told = json.loads(ussearch("report", tiny_study, "--out", out, "--json").out)
    assert told == {"report": str(out), "bytes": out.stat().st_size}
    assert not (tiny_study / "report.html").exists()


def test_ties_are_judged_image_by_image_and_differ_as_the_records_do(tiny_study: Path) -> None:
    material = gather(tiny_study)
    found = compare(material)
    assert found is not None and found.method == "paired"
    dice = {record.trial_id: record.objective or 0.0 for record in material.good}
    for each in found.differences:
        assert each.mean == pytest.approx(dice[each.trial_id] - dice[found.best], abs=1e-4)
        assert each.low <= each.mean <= each.high


def test_the_edge_network_is_held_against_the_best_preset_on_the_same_images(tiny_study: Path) -> None:
    material = gather(tiny_study)
    preset = best_preset(material)
    assert preset is not None and material.study_context is not None
    published, whole, shipped = rivals(material, material.study_context, preset)
    assert published.answers["validation"].mean() == pytest.approx(preset.evaluation.metrics["lesion_dice"], abs=1e-4)
    finalist = dict(material.finalists)[material.pair["edge"]]
    assert whole.answers["validation"].mean() == pytest.approx(finalist.metrics["lesion_dice"], abs=1e-4)
    assert whole.epochs == finalist.age_epochs
    np.testing.assert_allclose(shipped.answers["test"], whole.answers["test"], atol=0.01)
    html = published_section(material)
    assert f"{100 * (whole.answers['test'] - published.answers['test']).mean():+.1f}" in html


def test_unequal_lengths_are_no_comparison_like_for_like() -> None:
    preset, edge = Rival("LV-UNet (trial 2)", 12, 5.0, {}), Rival("edge", 33.4, 4.0, {})
    assert "trained for 12 epochs, the edge network for 33" in lengths(preset, edge)
    assert "not like for like" in lengths(preset, edge) and "not like for like" not in lengths(edge, preset)


def test_pictures_are_test_images_in_order_of_dice(tiny_study: Path) -> None:
    material = gather(tiny_study)
    assert material.study_context is not None
    ids = material.study_context.images.ids
    test = {f"image {index}": f"image {index}, {ids[index]}" for index in material.study.split.test}
    for pictures in examples(material).values():
        assert [each.rank for each in pictures] == ["worst", "median", "best"]
        assert [each.dice for each in pictures] == sorted(each.dice for each in pictures)
        assert all(each.image in test and len(each.picture) < 20000 for each in pictures)
    named = examples(gather(tiny_study, names=True))
    for trial_id, pictures in examples(material).items():
        assert [each.image for each in named[trial_id]] == [test[each.image] for each in pictures]


def test_the_routers_figures_are_the_manifests(tiny_study: Path) -> None:
    bundle = gather(tiny_study).bundle
    assert bundle is not None
    found = dict(decision(bundle.manifest))
    assert f"{bundle.manifest.router.threshold:.4f}" in found["threshold"]
    assert "30% requested" in found["offload"]


def test_without_images_it_leaves_out_what_needs_them(tiny_study: Path, tmp_path: Path) -> None:
    study = shutil.copytree(tiny_study, tmp_path / "s")
    config = study / "study.yaml"
    root = Study.open(study).config.data.root
    config.write_text(config.read_text(encoding="utf-8").replace(root, str(tmp_path / "gone")), encoding="utf-8")
    material = gather(study)
    assert material.study_context is None and "gone" in material.without_images
    found = compare(material)
    assert found is not None and found.method == "unpaired"
    assert examples(material) == {}


def test_a_damaged_bundle_is_told_in_the_page(ussearch: Command, tiny_study: Path, tmp_path: Path) -> None:
    study = shutil.copytree(tiny_study, tmp_path / "s")
    (study / "bundle" / "split.json").write_text("{}", encoding="utf-8")
    assert ussearch("report", study).status == 0
    assert "was changed" in (study / "report.html").read_text(encoding="utf-8")


def test_what_cannot_be_done_is_one_sentence(ussearch: Command, tiny_study: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for arguments in (
        [tmp_path],
        [tiny_study, "--out", tmp_path / "file" / "x.html"],
        [tiny_study, "--data", tmp_path],
    ):
        outcome = ussearch("report", *arguments)
        assert outcome.status == 2 and outcome.err.count("\n") == 1, outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_dashboard_needs_a_database(ussearch: Command, tiny_study: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="needs the extra `dashboard`")
    study = Study.create(tmp_path / "s", Study.open(tiny_study).config, Split((0,), (1,), (2,), (3,)))
    outcome = ussearch("dashboard", study.folder)
    assert outcome.status == 2 and "study.db" in outcome.err
    assert not (study.folder / "study.db").exists()


def test_a_dashboard_serves_this_machine_only(
    ussearch: Command, tiny_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="needs the extra `dashboard`")
    seen = {}

    def serve(storage: object, host: str, port: int) -> None:
        seen.update(storage=storage, host=host, port=port)

    monkeypatch.setattr(dashboard, "run_server", serve)
    assert ussearch("dashboard", tiny_study, "--port", 9999).status == 0
    assert (seen["host"], seen["port"]) == ("127.0.0.1", 9999)
    import optuna

    (name,) = optuna.get_all_study_names(seen["storage"])
    assert len(optuna.load_study(study_name=name, storage=seen["storage"]).trials) == 4
