"""Errors of a card: too little memory is tried again, a spoilt process is replaced."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from tests.accelerators.test_choice import Cards
from tests.cards import META, MetaCards
from tests.evaluators.conftest import disc_images, disc_split, tiny
from tests.studies.conftest import FormulaEvaluator
from ussearch.accelerators import SpoiltProcess, lacks_memory, supplied, watched
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, TrainEvaluator, TrainingTask
from ussearch.evaluators.training.losses import TrainingLoss
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import Network
from ussearch.studies.executors import (
    LocalExecutor,
    ProcessExecutor,
    RayExecutor,
    TaskOutcome,
    loss_of,
    require_cluster,
)
from ussearch.studies.executors.serialization import SerializedEvaluator

IMAGES = disc_images(count=12, size=32)
PROFILE = load_profile("x86-server")
NO_MEMORY = (
    "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
    "RuntimeError: CUDA error: out of memory",
    "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "RuntimeError: cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.",
)
STICKY = (
    "CUDA error: device-side assert triggered",
    "CUDA error: an illegal memory access was encountered",
    "CUDA error: misaligned address",
    "CUDA error: unspecified launch failure",
    "CUDA error: the launch timed out and was terminated",
    "CUDA error: uncorrectable ECC error encountered",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
)


class Failing(TrainingLoss):
    """Reports an error in the middle of a step."""

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def forward(self, network: Network, images: Tensor, masks: Tensor, step: int) -> Tensor:
        raise RuntimeError(self.message)


def evaluator(device: torch.device = META) -> TrainEvaluator:
    profiles = {"edge": PROFILE, "cloud": PROFILE}
    return TrainEvaluator(IMAGES, disc_split(IMAGES), Recipe(epochs=1, augmentation=None), profiles, device)  # type: ignore[arg-type]


def failing(message: str) -> TrainingTask:
    return TrainingTask(tiny(), 0, make_loss=lambda network: Failing(message))


@pytest.mark.parametrize("message", NO_MEMORY)
def test_lack_of_memory_is_known_in_all_its_forms(message: str) -> None:
    assert lacks_memory(message)


@pytest.mark.parametrize("message", [*STICKY, "ValueError: no multiple of 128", "shape '[2, 3]' is invalid"])
def test_what_is_no_lack_of_memory(message: str) -> None:
    assert not lacks_memory(message)


@pytest.mark.parametrize("message", NO_MEMORY[1:6])
def test_lack_of_memory_gets_a_second_try_with_the_cache_emptied(message: str) -> None:
    cards = MetaCards()
    with supplied(cards):
        found = evaluator().evaluate(failing(message.removeprefix("RuntimeError: ")))
    assert found.failure == message
    assert loss_of(TaskOutcome(0, found)) == message
    assert cards.asked["empty_cache"] == 1


@pytest.mark.parametrize("message", STICKY)
def test_a_spoilt_process_is_no_failed_candidate(message: str) -> None:
    with supplied(MetaCards()), pytest.raises(SpoiltProcess, match=r"cannot use it any more.*--resume") as raised:
        evaluator().evaluate(failing(message))
    assert str(raised.value.__cause__) == message


def test_a_card_that_answers_no_more_is_found_out_whatever_it_said() -> None:
    cards = MetaCards()
    with supplied(cards):
        assert evaluator().evaluate(failing("shapes do not match")).failure == "RuntimeError: shapes do not match"
        cards.broken = True
        with pytest.raises(SpoiltProcess):
            evaluator().evaluate(failing("shapes do not match"))


def test_an_error_on_the_cpu_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="device-side assert"), watched("cpu"):
        raise RuntimeError(STICKY[0])


def test_memory_is_given_back_after_every_training() -> None:
    cards = MetaCards()
    with supplied(cards):
        assert evaluator().evaluate(TrainingTask(tiny(), 0)).failure is None
    assert cards.asked["empty_cache"] >= 1


def test_in_one_process_the_user_is_told() -> None:
    executor = LocalExecutor(evaluator())
    executor.submit(failing(STICKY[0]))
    with supplied(MetaCards()), pytest.raises(UserError, match="device-side assert"):
        executor.collect(lambda message: None)


class Placed(FormulaEvaluator):
    """Has a device."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = torch.device(device)


def test_workers_are_spread_over_the_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    hired: list[int | None] = []

    class Process(SimpleNamespace):
        def __init__(self, threads: int, card: int | None) -> None:
            super().__init__(card=card, task=None)
            hired.append(card)

    monkeypatch.setattr("ussearch.studies.executors.processes.WorkerProcess", Process)
    for device, cards, wanted in (("cuda", 2, [0, 1, 0, 1, 0]), ("cuda:1", 2, [1] * 5), ("cpu", 2, [None] * 5)):
        with supplied(Cards(cards)):
            executor = ProcessExecutor(Placed(device), 5)
        executor._tasks.extend(TrainingTask(tiny(), seed, seed) for seed in range(5))
        executor._hire()
        assert hired == wanted
        executor._workers.pop(1)  # one that was lost
        executor._hire()
        assert hired[5:] == wanted[1:2], "its successor gets the card that has the fewest"
        hired.clear()


def test_a_worker_knows_its_card_without_a_number() -> None:
    with supplied(Cards(2)):
        packed = SerializedEvaluator.of(Placed("cuda:1"), same_machine=True)
        elsewhere = SerializedEvaluator.of(Placed("cpu"), same_machine=False, device=torch.device("cuda"))
        without = SerializedEvaluator.of(Placed("cuda:1"), same_machine=False, device=torch.device("cpu"))
    assert (packed.open().device, packed.cards) == (torch.device("cuda"), (1,))  # type: ignore[attr-defined]
    assert elsewhere.open().device == torch.device("cuda")  # type: ignore[attr-defined]
    assert without.open().device == torch.device("cpu")  # type: ignore[attr-defined]


def test_a_cluster_without_a_gpu_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = SimpleNamespace(is_initialized=lambda: True, cluster_resources=lambda: {"CPU": 8.0})
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(UserError, match=r"has no GPU, .* give --accelerator cpu"):
        require_cluster("auto", on_gpu=True)
    with pytest.raises(UserError, match="has no GPU"):
        RayExecutor(FormulaEvaluator(), 1, on_gpu=True)
    require_cluster("auto")
