"""The folder: what is written reads back, what does not fit is refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.evaluators.conftest import disc_images, disc_split, tiny
from tests.studies.conftest import CLOUD, SPLIT, FormulaEvaluator, make_config, run_search
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, TrainEvaluator, TrainingTask
from ussearch.hardware_profiles import load_profile
from ussearch.studies import DataSource, Study, StudyConfig, TrialRecord
from ussearch.studies.kept import Kept


def test_configuration_round_trip() -> None:
    config = make_config(initial_architectures=("lv-unet",), skipped={"unet": "too slow"})
    assert StudyConfig.from_yaml(config.to_yaml()) == config
    assert config.versions["torch"].startswith(torch.__version__.split("+")[0])


def test_everything_is_there_when_opened_again(tmp_path: Path) -> None:
    study, records = run_search(tmp_path / "s", trials=3)
    again = Study.open(tmp_path / "s")
    assert again.config == study.config and again.split == SPLIT and again.trials() == records
    assert again.trial(2) == records[2] and again.architecture(1).id == records[1].architecture_id
    assert again.baselines == FormulaEvaluator().baselines()
    names = {path.name for path in (tmp_path / "s").iterdir()}
    assert {"study.yaml", "study.db", "split.json", "trials", "log.txt", "baselines.json"} <= names
    assert {path.name for path in again.trial_folder(0).iterdir()} == {
        "record.json",
        "architecture.yaml",
        "weights.safetensors",
    }


def test_the_network_of_a_trial_comes_back_trained(tmp_path: Path) -> None:
    images = disc_images()
    split = disc_split(images)
    evaluator = TrainEvaluator(images, split, Recipe(epochs=1), {"edge": CLOUD, "cloud": CLOUD})
    architecture = tiny("fusible")
    evaluation = evaluator.evaluate(TrainingTask(architecture, 1))
    study = Study.create(tmp_path / "s", make_config(), split, images)
    record = TrialRecord(
        trial_id=0, role="edge", architecture_id=architecture.id, started="", finished="", evaluation=evaluation
    )
    study.keep(record, architecture)
    network = study.network(0)
    assert not network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, evaluation.weights[name]), name  # type: ignore[index]


def test_a_study_is_not_overwritten(tmp_path: Path) -> None:
    run_search(tmp_path / "s", trials=1)
    with pytest.raises(UserError, match="holds a study already: add --resume"):
        Study.create(tmp_path / "s", make_config(), SPLIT)


def test_no_study_no_trial(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no study"):
        Study.open(tmp_path)
    study, _ = run_search(tmp_path / "s", trials=2)
    with pytest.raises(UserError, match="no finished trial 9: finished are 0, 1"):
        study.trial(9)


def test_more_trials_may_be_asked_for(tmp_path: Path) -> None:
    run_search(tmp_path / "s", trials=1)
    Study.resume(tmp_path / "s", make_config(trials=5))
    assert Study.open(tmp_path / "s").config.trials == 5


def test_more_trials_keep_the_presets_of_the_first_plan(tmp_path: Path) -> None:
    run_search(tmp_path / "s", trials=1)
    study = Study.resume(tmp_path / "s", make_config(trials=5, initial_architectures=("lv-unet", "bmis")))
    assert study.config.initial_architectures == () and study.config.trials == 5


def test_a_study_that_goes_on_keeps_its_recipe_whatever_the_defaults_are(tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, learning_rate=0.002)
    study = Study.create(tmp_path / "s", make_config(recipe=recipe), SPLIT)
    resumed = study.config.run.changed(output={"resume": True})
    assert Kept.of(resumed, study.folder).recipe == recipe
    assert Kept.of(resumed.changed(training={"recipe": Path("own.yaml")}), study.folder).recipe is None
    assert Kept.of(study.config.run, study.folder).recipe is None


OTHER_DATA = DataSource(name="hc18", reader="hc18", root="x", fingerprint="e" * 64, images=9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": OTHER_DATA}, "made with the data set 'discs'.*not with 'hc18'"),
        ({"seed": 8}, "another seed .7, not 8"),
        ({"edge": load_profile("raspberry-pi-4")}, "another edge profile .jetson-nano, not raspberry-pi-4"),
        ({"recipe": Recipe(epochs=9)}, "another training recipe .epochs: 1, not 9"),
        ({"image_size": 96}, "another image size"),
        ({"initial_architectures": ("lv-unet",), "trials": 1}, "list of initial architectures"),
    ],
)
def test_a_study_made_otherwise_is_not_resumed(tmp_path: Path, change: dict[str, object], words: str) -> None:
    run_search(tmp_path / "s", trials=1)
    with pytest.raises(UserError, match=words):
        Study.resume(tmp_path / "s", make_config(**change))


def test_the_same_data_elsewhere_is_the_same_data(tmp_path: Path) -> None:
    run_search(tmp_path / "s", trials=1)
    moved = make_config().data.model_copy(update={"root": "another/place"})
    Study.resume(tmp_path / "s", make_config(data=moved))


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    study, _ = run_search(tmp_path / "s", trials=1)
    path = study.trial_folder(0) / "record.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(UserError, match=r"0000/record.json is damaged"):
        study.trials()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Cannot write"):
        Study.create(tmp_path / "s", make_config(), SPLIT)


def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot (read|write)"):
        Study.create(tmp_path / "file" / "s", make_config(), SPLIT)
