from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.evaluators.conftest import disc_images, disc_split, tiny
from ussearch.datasets import ImageSet, Split
from ussearch.evaluators import Recipe, TrainEvaluator, predict
from ussearch.events import Event
from ussearch.hardware_profiles import load_profile
from ussearch.pairs.delivery.router_training import FoldTraining, record_ids
from ussearch.pairs.postprocessing.observed import Observed
from ussearch.pairs.routing.samples import Samples
from ussearch.runtime.postprocessing import Postprocessing

pytestmark = pytest.mark.training

EDGE, CLOUD = tiny("conv"), tiny("dwsep")


def grouped_discs() -> ImageSet:
    """36 images of 18 patients."""
    images = disc_images(36)
    return dataclasses.replace(images, groups=np.arange(36) // 2)


def fold_training(folder: Path, images: ImageSet) -> FoldTraining:
    order = range(len(images))
    split = Split(tuple(order[:18]), tuple(order[18:24]), tuple(order[24:30]), tuple(order[30:]), "", "")
    profiles = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
    recipe = Recipe(epochs=1, batch_size=4)
    evaluator = TrainEvaluator(images, split, recipe, profiles)  # type: ignore[arg-type]  # names are ends
    return FoldTraining(folder, EDGE, CLOUD, evaluator, seed=3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[FoldTraining, Samples]:
    training = fold_training(tmp_path_factory.mktemp("folds"), grouped_discs())
    return training, training.run()


def test_every_image_for_training_is_held_out_once_and_no_other_is_touched(
    trained: tuple[FoldTraining, Samples],
) -> None:
    training, samples = trained
    split, images = training.evaluator.split, training.evaluator.images
    assert sorted(samples.ids) == sorted(images.ids[index] for index in [*split.train, *split.validation])
    reserved = {images.ids[index] for index in [*split.calibration, *split.test]}
    for number in (1, 2, 3):
        ids = json.loads((training.folder / f"fold-{number}" / "ids.json").read_text())
        assert not reserved & {name for part in ("train", "validation", "held_out") for name in ids[part]}


def test_no_network_saw_the_patients_that_it_is_judged_on(trained: tuple[FoldTraining, Samples]) -> None:
    training, samples = trained
    patient = dict(zip(training.evaluator.images.ids, training.evaluator.images.groups.tolist(), strict=True))
    for number in (1, 2, 3):
        place = training.folder / f"fold-{number}"
        ids = json.loads((place / "ids.json").read_text())
        seen = {patient[name] for name in [*ids["train"], *ids["validation"]]}
        judged = [name for name, network in zip(samples.ids, samples.networks, strict=True) if network == number]
        assert sorted(judged) == sorted(ids["held_out"])
        assert not seen & {patient[name] for name in judged}
        for tier in ("edge", "cloud"):  # the trainings themselves say what they were made from
            origin = json.loads((place / tier / "record.json").read_text())["made_from"]
            indices = [index for part in origin["split"] for index in part]
            assert {training.evaluator.images.ids[index] for index in indices} == {*ids["train"], *ids["validation"]}
            assert [attempt["start"] for attempt in origin["attempts"]] == ["scratch"]


def test_dice_is_that_of_the_fold_networks(trained: tuple[FoldTraining, Samples]) -> None:
    from ussearch.datasets import Normalisation
    from ussearch.pairs.delivery.full_training import TrainedNetwork
    from ussearch.pairs.delivery.tasks import FullTraining

    training, samples = trained
    images, fold = training.evaluator.images, training.splits()[0]
    for tier, architecture, column in (("edge", EDGE, samples.edge_dice), ("cloud", CLOUD, samples.cloud_dice)):
        kept = TrainedNetwork(FullTraining(training.folder / "fold-1" / tier, architecture, 0), None)  # type: ignore[arg-type]  # not read
        network = kept.network()
        chosen = list(fold.test)
        found = predict(network, images.images[chosen], Normalisation.fit(images.images, fold.train)) >= 0.5
        truth = images.masks[chosen] > 0
        both = (found & truth).sum(axis=(1, 2, 3))
        total = found.sum(axis=(1, 2, 3)) + truth.sum(axis=(1, 2, 3))
        expected = np.where(total == 0, 1.0, 2 * both / np.maximum(total, 1))
        assert column[: len(chosen)] == pytest.approx(expected, abs=2e-3)


def test_what_was_trained_is_not_trained_again(trained: tuple[FoldTraining, Samples]) -> None:
    training, samples = trained
    told: list[Event] = []
    again = training.run(on_event=told.append)
    assert not told
    np.testing.assert_array_equal(again.features, samples.features)


def test_a_patient_on_both_sides_is_an_error(tmp_path: Path) -> None:
    images = grouped_discs()
    with pytest.raises(ValueError, match="1 groups of images are trained on and held out at once"):
        record_ids(tmp_path / "ids.json", images, Split((0, 2), (4,), (), (1, 6), "", ""))
    assert disc_split(images).train  # the fixture's split is by image, not by patient


def test_dice_is_that_of_the_masks_after_each_networks_own_post_processing(
    trained: tuple[FoldTraining, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is chosen on calibration images decides over the Dice of held-out ones: here every lesion is too small."""
    training, samples = trained
    chosen_on: list[int] = []

    def nothing_stays(seen: Observed, seed: int = 0) -> tuple[Postprocessing, None]:
        chosen_on.append(len(seen.truth))
        return Postprocessing(smallest_lesion=10**6), None

    monkeypatch.setattr("ussearch.pairs.delivery.router_training.choose_postprocessing", nothing_stays)
    again = training.run()
    assert chosen_on == [len(training.evaluator.split.calibration)] * 6  # both networks of three folds
    number = {name: index for index, name in enumerate(training.evaluator.images.ids)}
    empty = ~training.evaluator.images.has_lesion[[number[name] for name in again.ids]]
    assert again.ids == samples.ids and np.array_equal(again.sdc, samples.sdc)
    assert np.array_equal(again.edge_dice, empty) and np.array_equal(again.cloud_dice, empty)
