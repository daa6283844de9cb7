"""The best of a study for another device: trained in a folder of its own, exported by that device's rules."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from tests.configurations import study_config
from tests.evaluators.conftest import disc_images, disc_split
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, TrainEvaluator
from ussearch.events import Event, TrainingEpoch
from ussearch.hardware_profiles import check_onnx, load_profile
from ussearch.pairs.bundles.provenance import provenance_of
from ussearch.pairs.delivery.full_training import finalist_folder, length_of, train_finalists
from ussearch.pairs.delivery.specialised import refuse_foreign_trainings, train_specialised
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.search_spaces import FreeSpace
from ussearch.studies import DataSource, FullLength, Study, search
from ussearch.studies.context import StudyContext
from ussearch.studies.specialise import Specialised, specialise

pytestmark = pytest.mark.training

PI = load_profile("raspberry-pi-4")


@pytest.fixture(scope="module")
def study_context() -> StudyContext:
    images = disc_images()
    profiles: Any = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
    nothing = cast(Any, None)
    return StudyContext(nothing, images, disc_split(images), DataSource.of(images), profiles, torch.device("cpu"))


@pytest.fixture(scope="module")
def study(study_context: StudyContext, tmp_path_factory: pytest.TempPathFactory) -> Study:
    space = FreeSpace.standard(32)
    config = study_config(
        trials=3,
        image_size=32,
        **study_context.profiles,
        recipe=Recipe(epochs=1, batch_size=8),
        final_epochs=2,
        data=study_context.source,
        space=dict(space.choices),
        seed=3,
    )
    study = Study.create(
        tmp_path_factory.mktemp("specialised") / "s", config, study_context.split, study_context.images
    )
    search(study, study_context.evaluator(config.recipe), space)
    study.keep_baselines({})
    return study


@pytest.fixture(scope="module")
def found(study: Study) -> Specialised:
    return specialise(study, PI)


def files_of(study: Study) -> list[Path]:
    """Return everything in a study but SQLite's own files beside the database, which come and go as it is read."""
    return sorted(path for path in study.folder.rglob("*") if not path.name.startswith("study.db-"))


def test_the_best_are_trained_and_exported_and_the_study_is_left_alone(
    study: Study, study_context: StudyContext, found: Specialised, tmp_path: Path
) -> None:
    before = files_of(study)
    trained = train_specialised(found, study_context, 2, tmp_path, export=True)
    assert [each.known.trial for each in trained] == [each.known.trial for each in found.best[:2]]
    for each in trained:
        assert each.model is not None and not check_onnx(each.model, PI)
        assert each.network.evaluation.costs["edge"].profile == "raspberry-pi-4"
        assert len(each.network.evaluation.history) == 2
        pixels = study_context.images.images[:1].astype("float32")
        assert OnnxNetwork(each.model).logits(pixels).shape == (1, 1, 32, 32)
    assert files_of(study) == before


def test_training_again_goes_on_where_it_was(study_context: StudyContext, found: Specialised, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def note(event: Event) -> None:
        assert isinstance(event, TrainingEpoch)
        seen.append((event.title, event.record.epoch))

    train_specialised(found, study_context, 1, tmp_path, on_event=note)
    assert [epoch for _, epoch in seen] == [1, 2] and seen[0][0] == found.best[0].known.label
    train_specialised(found, study_context, 1, tmp_path, on_event=lambda _: pytest.fail("trained again"))


def test_what_the_study_trained_in_full_is_taken_over(
    study: Study, study_context: StudyContext, found: Specialised, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial_id = found.best[0].known.trial
    assert trial_id is not None
    recipe = study.config.recipe.model_copy(update={"epochs": study.config.final_epochs})
    train_finalists(study, study_context.evaluator(recipe), {"edge": trial_id})
    monkeypatch.setattr(TrainEvaluator, "evaluate", lambda *_, **__: pytest.fail("trained again"))
    (again,) = train_specialised(found, study_context, 1, tmp_path)
    assert again.network.weights.read_bytes() == (finalist_folder(study, trial_id) / "weights.safetensors").read_bytes()
    assert again.network.evaluation.costs["edge"].profile == "raspberry-pi-4"


def test_the_ends_of_a_study_are_trained_as_long_as_it_says(
    study: Study, study_context: StudyContext, tmp_path: Path
) -> None:
    shutil.copytree(study.folder, tmp_path / "s")
    given, study = study, Study.open(tmp_path / "s")
    trials = [record.trial_id for record in study.trials() if not record.failed][:2]
    study.lengthen({"edge": FullLength(epochs=2, restarts=1), "cloud": FullLength(epochs=1, restarts=2)})
    evaluator = study_context.evaluator(study.config.final_recipe)
    found = train_finalists(study, evaluator, {"edge": trials[0], "cloud": trials[1]})
    assert {tier: each.evaluation.epochs for tier, each in found.items()} == {"edge": 2, "cloud": 1}
    starts = {tier: [each["start"] for each in trained.attempts()].count("scratch") for tier, trained in found.items()}
    assert starts == {"edge": 1, "cloud": 2}
    reopened = Study.open(study.folder)
    assert reopened.config.full_length("cloud") == FullLength(epochs=1, restarts=2) == length_of(reopened, trials[1])
    assert length_of(reopened, trials[0]) == reopened.config.full_length("edge") == FullLength(epochs=2, restarts=1)
    told = provenance_of(reopened).full_training
    assert (
        told
        == "the edge network trained for 2 epochs from 1 random start, the cloud's for 1 epoch from 2 random starts"
    )
    assert provenance_of(given).full_training == "the pair trained for 2 epochs from 1 random start"


@pytest.mark.parametrize("kind", ["file", "folder", "empty folder", "nothing"])
def test_trainings_of_somebody_else_are_left_alone(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "out" / "finalists"
    place.parent.mkdir()
    if "folder" in kind:
        place.mkdir()
    if kind == "folder":
        (place / "mine.txt").write_text("the only copy")
    elif kind == "file":
        place.write_text("the only copy")
    if kind in ("empty folder", "nothing"):
        refuse_foreign_trainings(tmp_path / "out")
    else:
        with pytest.raises(UserError, match="finalists stands there already and is not what ussearch specialise wrote"):
            refuse_foreign_trainings(tmp_path / "out")
