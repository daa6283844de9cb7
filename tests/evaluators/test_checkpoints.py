"""Checkpoints: a training that is stopped or killed and continued is the training that never was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.evaluators.conftest import disc_images, disc_split, tiny
from ussearch.datasets import ImageSet, Split
from ussearch.errors import UserError
from ussearch.evaluators import EpochRecord, Recipe, TrainingResult, train
from ussearch.evaluators.training import checkpoints
from ussearch.search_spaces import Architecture, Network, build

pytestmark = pytest.mark.training

ROOT = Path(__file__).resolve().parents[2]
RECIPE = Recipe(epochs=6, batch_size=4)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def architecture_with(kind: str) -> Architecture:
    """Return a tiny network; ``dropout`` is one that draws random numbers while it trains."""
    if kind != "dropout":
        return tiny(kind)
    changed = tiny("asym").model_dump(mode="json")
    changed["stages"][1]["blocks"][0]["dropout"] = 0.3
    return Architecture.model_validate(changed)


def trained(images: ImageSet, split: Split, kind: str = "conv", **options: Any) -> tuple[Network, TrainingResult]:
    torch.manual_seed(1)
    network = build(architecture_with(kind))
    return network, train(network, images, split, options.pop("recipe", RECIPE), seed=options.pop("seed", 1), **options)


def assert_same(one: tuple[Network, TrainingResult], other: tuple[Network, TrainingResult]) -> None:
    """Compare weights bit for bit, and everything that was recorded apart from time."""
    first, second = one[0].state_dict(), other[0].state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    last = [result.last_weights for _, result in (one, other)]
    assert all(torch.equal(value, last[1][name]) for name, value in last[0].items())
    assert untimed(one[1]) == untimed(other[1])


def untimed(result: TrainingResult) -> TrainingResult:
    return replace(
        result, seconds=0.0, history=tuple(each.model_copy(update={"seconds": 0}) for each in result.history)
    )


@pytest.mark.parametrize("kind", ["conv", "fusible", "dwsep", "dropout"])
def test_stopped_and_continued_equals_uninterrupted(
    discs: ImageSet, discs_split: Split, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "checkpoint"
    whole = trained(discs, discs_split, kind)
    seen: list[EpochRecord] = []
    for until in (1, 3, 4, None):
        part = trained(discs, discs_split, kind, checkpoint=path, until_epoch=until, on_epoch=seen.append)
        assert len(part[1].history) == (until or 6) and part[1].complete == (until is None)
    assert_same(part, whole)
    assert [record.epoch for record in seen] == [1, 2, 3, 4, 5, 6]


def test_partial_epochs_and_patience_continue_too(discs: ImageSet, discs_split: Split, tmp_path: Path) -> None:
    recipe = Recipe(steps=14, batch_size=4, patience=2)
    whole = trained(discs, discs_split, recipe=recipe)
    for until in (1, 2, 3, None):
        part = trained(discs, discs_split, recipe=recipe, checkpoint=tmp_path / "c", until_epoch=until)
    assert_same(part, whole)


def test_an_epoch_that_was_reached_is_not_trained_again(discs: ImageSet, discs_split: Split, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    first = trained(discs, discs_split, checkpoint=path, until_epoch=3)
    content = path.read_bytes()
    again = trained(discs, discs_split, checkpoint=path, until_epoch=2, on_epoch=lambda _: pytest.fail("trained"))
    assert_same(first, again)
    assert path.read_bytes() == content


def test_training_stopped_early_leaves_its_best_deployable_epoch(
    discs: ImageSet, discs_split: Split, tmp_path: Path
) -> None:
    _, early = trained(discs, discs_split, "fusible", checkpoint=tmp_path / "c", until_epoch=2)
    assert early.history[-1].schedule < 1.0 and early.best_epoch == 2 and early.epochs == 6
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("architecture", {"kind": "dwsep"}),
        ("recipe", {"recipe": Recipe(epochs=7, batch_size=4)}),
        ("seed", {"seed": 2}),
        ("start", {"initial": build(tiny()).state_dict()}),
        ("data", {"images": disc_images(seed=5)}),
        ("split", {"split": replace(disc_split(disc_images()), validation=(2, 5))}),
    ],
)
def test_another_trainings_checkpoint_is_refused(
    discs: ImageSet, discs_split: Split, tmp_path: Path, named: str, change: dict[str, Any]
) -> None:
    path = tmp_path / "checkpoint"
    trained(discs, discs_split, checkpoint=path, until_epoch=1)
    options = {"images": discs, "split": discs_split, "checkpoint": path} | change
    with pytest.raises(UserError, match=f"belongs to a training with another {named}: .*delete it"):
        trained(**options)


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"\x10\x00\x00\x00\x00\x00\x00\x00"])
def test_a_damaged_checkpoint_is_refused(discs: ImageSet, discs_split: Split, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged .*delete it"):
        trained(discs, discs_split, checkpoint=path)


def test_a_checkpoint_that_lost_its_end_is_refused(discs: ImageSet, discs_split: Split, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    trained(discs, discs_split, checkpoint=path, until_epoch=1)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="is damaged"):
        trained(discs, discs_split, checkpoint=path)


def test_it_is_written_no_more_often_than_its_interval(
    discs: ImageSet, discs_split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint"
    trained(discs, discs_split, checkpoint=path)
    assert not path.exists()  # six epochs take less than the interval, and what is complete needs no continuation
    monkeypatch.setattr(checkpoints, "INTERVAL_S", 0.0)
    existed: list[bool] = []
    trained(discs, discs_split, checkpoint=path, on_epoch=lambda _: existed.append(path.exists()))
    assert existed == [True] * 6


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from tests.evaluators.conftest import disc_images, disc_split
from tests.evaluators.test_checkpoints import trained
from ussearch.evaluators.training import checkpoints
checkpoints.INTERVAL_S = 0.0
torch.set_num_threads(1)
def die(record):
    if record.epoch == 4:
        os.kill(os.getpid(), signal.SIGKILL)
images = disc_images()
trained(images, disc_split(images), checkpoint=Path(sys.argv[1]), on_epoch=die)
"""


def test_killed_and_continued_equals_uninterrupted(discs: ImageSet, discs_split: Split, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert child.returncode == -signal.SIGKILL
    seen: list[EpochRecord] = []
    continued = trained(discs, discs_split, checkpoint=path, on_epoch=seen.append)
    assert [record.epoch for record in seen] == [5, 6]
    assert_same(continued, trained(discs, discs_split))


@pytest.mark.gpu
def test_cuda_continues(discs: ImageSet, discs_split: Split, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    trained(discs, discs_split, checkpoint=path, until_epoch=3, device="cuda")
    _, result = trained(discs, discs_split, checkpoint=path, device="cuda")
    assert [record.epoch for record in result.history] == [1, 2, 3, 4, 5, 6] and result.complete
