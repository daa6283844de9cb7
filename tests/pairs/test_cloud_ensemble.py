"""What answers in the cloud: trained networks of the study, averaged where validation images say that it helps."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from ussearch import schema
from ussearch.datasets import Normalisation
from ussearch.evaluators import Tier, predict, score
from ussearch.files import sha256_of
from ussearch.pairs import Bundle, Parity, verify_bundle
from ussearch.pairs.bundles.cloud_gain import gain_sentences
from ussearch.pairs.bundles.ensemble import EnsembleChoice
from ussearch.pairs.delivery import cloud_ensemble
from ussearch.pairs.delivery.cloud_ensemble import FOLDER, LEAST_GAIN, MOST, CloudEnsemble, choose_ensemble
from ussearch.pairs.delivery.cloud_networks import trained_networks
from ussearch.pairs.delivery.export_pair import choose_pair, export_pair, train_pair
from ussearch.pairs.delivery.full_training import TrainedNetwork
from ussearch.pipeline import run
from ussearch.run_options import config_from
from ussearch.search_spaces import Architecture, build
from ussearch.studies import Study
from ussearch.studies.context import StudyContext, reopen_context

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.training, pytest.mark.slow]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study on phantoms; of each finalist there are two trainings."""
    folder = tmp_path_factory.mktemp("studies") / "study"
    asked = {"profile": "jetson-nano", "study": folder, "phantoms": 60, "image_size": 64, "threads": 1, "trials": 3}
    run(config_from({**asked, "epochs": 3, "final_epochs": 3, "compress": False, "pretrained": "off"}))
    return folder


@pytest.fixture
def opened(made: Path, tmp_path: Path) -> Iterator[tuple[Study, StudyContext, dict[Tier, TrainedNetwork]]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    study = Study.open(Path(shutil.copytree(made, tmp_path / "study")))
    context = reopen_context(study, "cpu")
    yield study, context, train_pair(study, context, choose_pair(study))
    torch.set_num_threads(threads)


Opened = tuple[Study, StudyContext, dict[Tier, TrainedNetwork]]


def objective_of(cloud: CloudEnsemble, members: tuple[int, ...], flips: bool, opened: Opened) -> float:
    """Return the objective of an average on validation images by numpy and the table's own scores."""
    _, context, _ = opened
    pool = {each.told.weights: each for each in trained_networks(opened[0], opened[2])}
    pixels = np.asarray(context.images.images[list(context.split.validation)])
    answers = []
    for number in members:
        network = pool[cloud.choice.members[number].weights].network()
        answers.append(predict(network, pixels, context.normalisation))
        if flips:
            answers.append(predict(network, pixels[..., ::-1].copy(), context.normalisation)[..., ::-1])
    mean = np.mean(answers, axis=0)
    found = score(mean, np.asarray(context.images.masks[list(context.split.validation)])).summary["objective"]
    assert found is not None
    return found


def test_every_average_is_measured_and_the_best_that_helps_ships(opened: Opened) -> None:
    cloud = choose_ensemble(*opened)
    choice = cloud.choice
    objectives = [each.objective or 0.0 for each in choice.members]
    assert objectives[: MOST - 1] == sorted(objectives[: MOST - 1], reverse=True) and 2 <= len(objectives) <= MOST + 1
    titles = {each.title for each in choice.members}
    assert any("full training 1 from inherited weights" in each for each in titles)
    assert {(len(each.members), each.flips) for each in choice.attempts} >= {(2, False), (1, True), (2, True)}
    single = objective_of(cloud, (choice.single,), False, opened)
    for each in choice.attempts:
        assert each.change is not None and each.objective is not None
        assert each.objective == pytest.approx(objective_of(cloud, each.members, each.flips, opened), abs=1e-6)
        assert each.change.mean == pytest.approx(each.objective - single, abs=1e-6)
    averages = [each.change.mean for each in choice.attempts if each.change and each.averages]
    lone = [each.change.mean for each in choice.attempts if each.change and not each.averages]
    assert len(lone) == (choice.single != 0), "the strongest alone, where it is not the search's own choice"
    best = max(averages, default=0.0)
    best = best if best >= LEAST_GAIN else max([best, *lone])
    shipped = [each for each in choice.attempts if each.kept]
    assert len(shipped) == (best >= LEAST_GAIN)
    if shipped:
        assert shipped[0].change is not None and shipped[0].change.mean == best
        assert set(choice.chosen) == set(shipped[0].members) and choice.flips == shipped[0].flips
    else:
        assert choice.chosen == (choice.single,) and not choice.flips


def test_the_choice_is_kept_and_made_again_where_networks_differ(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened[0]
    first = choose_ensemble(*opened)
    content = first.file.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(cloud_ensemble, "predict", lambda *_: pytest.fail("asked again"))
        assert choose_ensemble(*opened).choice == first.choice
    first.file.unlink()
    assert choose_ensemble(*opened).choice == first.choice and first.file.read_bytes() == content
    first.file.write_text("{", encoding="utf-8")  # torn by hand: no kill leaves it so
    assert choose_ensemble(*opened).choice == first.choice
    for path in (study.folder / "finalists").glob("*/weights-*.safetensors"):
        path.unlink()
        shutil.copyfile(path.with_name("weights.safetensors"), path)
    assert choose_ensemble(*opened).choice.made_from != first.choice.made_from


def test_an_average_whose_file_answers_otherwise_does_not_ship(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """As onnxruntime once did where all networks were sure: a run of half an hour ended without a pair."""
    study = opened[0]
    (record,) = (study.folder / FOLDER).glob("*.json")
    undisturbed = record.read_bytes()
    record.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(cloud_ensemble, "parity", lambda *_: Parity(8, 53.0, 21.0, 1.0))
        choice = choose_ensemble(*opened).choice
    helpful = [each for each in choice.attempts if each.change is not None and each.change.mean >= LEAST_GAIN]
    assert all("average network differs from the trained one" in each.reason for each in helpful)
    assert choice.chosen == (choice.single,) and not choice.flips and not any(each.kept for each in choice.attempts)
    record.write_bytes(undisturbed)


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from ussearch.pairs.delivery import cloud_ensemble
from ussearch.pairs.delivery.cloud_networks import trained_networks
from ussearch.pairs.delivery.export_pair import choose_pair, train_pair
from ussearch.studies import Study
from ussearch.studies.context import reopen_context
torch.set_num_threads(1)
cloud_ensemble.write_atomically = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
study = Study.open(Path(sys.argv[1]))
context = reopen_context(study, "cpu")
cloud_ensemble.choose_ensemble(study, context, train_pair(study, context, choose_pair(study)))
"""


def test_killed_before_it_was_kept_it_comes_out_the_same(opened: Opened) -> None:
    study = opened[0]
    (record,) = (study.folder / FOLDER).glob("*.json")
    undisturbed = record.read_bytes()
    shutil.rmtree(study.folder / FOLDER)
    child = subprocess.run([sys.executable, "-c", KILLED, str(study.folder)], cwd=ROOT, check=False)
    assert child.returncode == -signal.SIGKILL and not list((study.folder / FOLDER).glob("*"))
    assert choose_ensemble(*opened).file.read_bytes() == undisturbed


def test_limits_and_time_are_kept_and_told(opened: Opened) -> None:
    study, context, finalists = opened
    shutil.rmtree(study.folder / FOLDER)
    hurried = choose_ensemble(study, context, finalists, budget_seconds=0.0)
    for each in hurried.choice.attempts:
        assert each.averages == (each.change is None) == ("did not fit into the budget" in each.reason)
    objectives = [each.objective or 0.0 for each in hurried.choice.members]
    strongest = objectives[0] >= objectives[hurried.choice.single] + LEAST_GAIN
    assert hurried.choice.chosen == (0 if strongest else hurried.choice.single,) and hurried.choice.title == ""
    shutil.rmtree(study.folder / FOLDER)
    cloud = context.profiles["cloud"]
    middle_ms = float(np.median([each.latency_ms for each in hurried.choice.attempts]))
    whole_ms = 1.0001 * middle_ms + cloud.postprocessing_ms(64)
    limits = cloud.limits.model_copy(update={"frames_per_second": 1000 / whole_ms})
    narrow = replace(context, profiles={**context.profiles, "cloud": cloud.model_copy(update={"limits": limits})})
    found = choose_ensemble(study, narrow, finalists).choice
    beyond = [each.latency_ms > 1.0001 * middle_ms for each in found.attempts]
    assert any(beyond) and not all(beyond)
    assert ["beyond the cloud's limits" in each.reason for each in found.attempts] == beyond
    assert [each.change is None for each in found.attempts] == beyond
    named = choose_ensemble(study, context, finalists, average=False)
    assert named.choice.attempts == () and named.networks[0].file == finalists["cloud"].weights


def averaged(opened: Opened, monkeypatch: pytest.MonkeyPatch, flips: bool = True) -> CloudEnsemble:
    """Return two networks' mirrored average, whatever it is worth here."""
    monkeypatch.setattr(cloud_ensemble, "LEAST_GAIN", -1.0)
    monkeypatch.setattr(cloud_ensemble._Pool, "_candidates", lambda self: iter([((0, 1), flips)]))
    shutil.rmtree(opened[0].folder / FOLDER, ignore_errors=True)
    cloud = choose_ensemble(*opened)
    assert len(cloud.networks) == 2 and cloud.choice.title.startswith("the mean of 2 networks")
    return cloud


def test_a_bundle_of_an_average_is_one_file_and_tells_what_it_is_made_of(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    study, context, finalists = opened
    cloud = averaged(opened, monkeypatch)
    bundle = export_pair(study, context, finalists, cloud, tmp_path / "bundle")
    assert verify_bundle(bundle.folder).passed
    entry, folder = bundle.manifest.cloud, bundle.folder / "cloud"
    assert entry.ensemble == "the mean of 2 networks, each on the picture and its mirror image"
    assert bundle.manifest.edge.ensemble == ""
    record = bundle.ensemble
    assert record is not None and cloud.model is not None
    assert sha256_of(folder / "model.onnx") == sha256_of(cloud.model) == record.model, "what was tried is what ships"
    cloud.model.write_bytes(cloud.model.read_bytes()[:-1])
    assert cloud.model is None, "a damaged file is exported anew"
    places = (folder, folder / "member-2")
    assert [sha256_of(each / "weights.safetensors") for each in places] == [
        record.members[number].weights for number in record.chosen
    ]
    assert entry.operators["Log"] == 2
    apart = [trace_costs(each, context) for each in places]
    assert entry.costs["parameters"] == sum(each for each, _ in apart)
    assert entry.costs["macs"] == 2 * sum(each for _, each in apart)
    image = np.asarray(context.images.images[list(context.split.test)[:1]])
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": image.astype(np.float32)})
    answers = [answer(each, side, context.normalisation) for each in places for side in (image, image[..., ::-1])]
    expected = (answers[0] + answers[1][..., ::-1] + answers[2] + answers[3][..., ::-1]) / 4
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected, atol=1e-4)
    card = (bundle.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "The cloud answers with the mean of 2 networks" in card and "Cloud less edge: " in card
    gain = bundle.manifest.metrics.cloud_gain
    assert gain is not None and all(each in card for each in gain_sentences(gain, record))


def trace_costs(folder: Path, context: StudyContext) -> tuple[int, int]:
    from ussearch.evaluators import trace

    architecture = Architecture.from_yaml((folder / "architecture.yaml").read_text(), "here")
    found = trace(architecture, context.images.image_size).costs(context.profiles["cloud"])
    return found.parameters, found.macs


def answer(folder: Path, image: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    network = build(Architecture.from_yaml((folder / "architecture.yaml").read_text(), "here"))
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    return predict(network.eval(), np.ascontiguousarray(image), normalisation)


def test_the_average_teaches_and_never_the_edge_network_alone(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = averaged(opened, monkeypatch)
    assert {each.file for each in cloud.teachers} == {each.file for each in cloud.networks}
    assert not cloud.teachers[0].told.on_edge
    own = [each for each in cloud.networks if each.told.on_edge]
    alone = replace(cloud, networks=tuple(own) or cloud.networks[:1])
    told = alone.networks[0].told.model_copy(update={"on_edge": True})
    alone = replace(alone, networks=(replace(alone.networks[0], told=told),))
    assert alone.teachers == ()


def test_the_run_ends_with_what_was_chosen(made: Path) -> None:
    bundle = Bundle.load(made / "bundle")
    (record,) = (made / FOLDER).glob("*.json")
    choice = EnsembleChoice.model_validate(schema.ENSEMBLE.read(record))
    assert bundle.ensemble == choice
    assert bundle.manifest.cloud.ensemble == choice.title
    assert bundle.manifest.cloud.trial == choice.members[choice.chosen[0]].trial
    others = sorted(each.name for each in (bundle.folder / "cloud").glob("member-*"))
    assert others == [f"member-{number}" for number in range(2, len(choice.chosen) + 1)]
