"""What only a CUDA GPU can show: ``make test-gpu``. Without one all of this is skipped."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from tests.accelerators.test_steps import SCHEMES, SIDE, Scheme, preset
from tests.evaluators.conftest import disc_images, disc_split, tiny
from tests.studies.executors.conftest import collected
from ussearch import accelerators
from ussearch.accelerators import Cuda, cards_of, choose_device, kept_on, to_device, to_host
from ussearch.compress.distillation import Distillation
from ussearch.compress.quantisation import prepare
from ussearch.evaluators import Recipe, TrainEvaluator, TrainingTask, train
from ussearch.evaluators.training.engine import training_steps
from ussearch.evaluators.training.losses import TrainingLoss, make_loss
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import Network, build, preset_names
from ussearch.studies.estimates import measure_card
from ussearch.studies.executors import ProcessExecutor, loss_of

pytestmark = pytest.mark.gpu
CUDA = torch.device("cuda")
IMAGES = disc_images(count=24, size=SIDE)
SPLIT = disc_split(IMAGES)
RECIPE = Recipe(epochs=1, batch_size=8)


class Greedy(TrainingLoss):
    """Asks for a petabyte."""

    def forward(self, network: Network, images: Tensor, masks: Tensor, step: int) -> Tensor:
        return torch.empty(1 << 50, dtype=torch.uint8, device=images.device)


def evaluator(recipe: Recipe = RECIPE) -> TrainEvaluator:
    profile = load_profile("x86-server")
    return TrainEvaluator(IMAGES, SPLIT, recipe, {"edge": profile, "cloud": profile}, CUDA)


def test_the_backend_answers_for_the_card() -> None:
    card = Cuda()
    assert choose_device("auto") == CUDA and cards_of(CUDA) == tuple(range(torch.cuda.device_count()))
    assert card.name(CUDA) and card.capability(CUDA) >= (3, 5) and card.free_bytes(CUDA) > 0
    values = torch.arange(1000.0).reshape(10, 100)
    assert torch.equal(to_host(to_device(values, CUDA)), values)
    (kept,) = kept_on(CUDA, (values,))
    assert kept.is_cuda
    accelerators.synchronize(CUDA)
    accelerators.empty_cache(CUDA)
    state = accelerators.random_state(CUDA)
    first = torch.rand(5, device=CUDA)
    accelerators.set_random_state(state, CUDA)
    assert torch.equal(torch.rand(5, device=CUDA), first)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_nothing_is_opened_on_the_first_card_by_work_on_the_second() -> None:
    before = torch.cuda.memory_reserved(0)
    train(build(tiny()), IMAGES, SPLIT, RECIPE, device="cuda:1")
    accelerators.empty_cache("cuda:1")
    assert torch.cuda.memory_reserved(0) == before


@pytest.mark.parametrize("name", preset_names())
def test_a_step_in_float32_is_that_of_the_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    torch.manual_seed(0)
    networks = [build(preset(name)).train()]
    networks.append(copy.deepcopy(networks[0]).to(CUDA))
    images, masks = torch.randn(4, 1, SIDE, SIDE), (torch.rand(4, 1, SIDE, SIDE) > 0.7).float()
    gradients = []
    for network in networks:
        place = next(network.parameters()).device
        make_loss(Recipe())(network.forward_all(images.to(place)), masks.to(place)).backward()
        found = [each.grad.double().cpu().flatten() for each in network.parameters() if each.grad is not None]
        gradients.append(torch.cat(found))
    assert (gradients[0] - gradients[1]).norm() < 0.02 * gradients[0].norm()


@pytest.mark.parametrize("name", preset_names())
def test_presets_train_on_the_card(name: str) -> None:
    found = evaluator().evaluate(TrainingTask(preset(name), 0))
    assert found.failure is None and found.accelerator == torch.cuda.get_device_name()
    assert found.weights is not None and not any(value.is_cuda for value in found.weights.values())


def test_students_learn_on_the_card() -> None:
    def objective(student: Network) -> Distillation:
        return Distillation(student, [build(preset("unext"))], RECIPE, SIDE)

    assert TrainingTask(preset("cmunext-s"), 0, make_loss=objective).run(IMAGES, SPLIT, RECIPE, CUDA).complete


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rounding_is_trained_through_on_the_card(scheme: Scheme) -> None:
    network = build(preset("unext"))
    network.set_schedule(1.0)
    prepared = prepare(network, scheme, torch.randn(2, 1, SIDE, SIDE, device=CUDA))
    assert TrainingTask(preset("unext"), 0).run(IMAGES, SPLIT, RECIPE, CUDA, network=prepared).complete


def test_a_step_waits_for_nothing() -> None:
    """torch itself raises where a step would wait for the card."""
    recipe = Recipe(batch_size=8, augmentation=None)
    steps = training_steps(build(preset("unext")), IMAGES, SPLIT, recipe, CUDA)
    next(steps)
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_lack_of_memory_is_known_and_leaves_the_card_usable() -> None:
    found = evaluator().evaluate(TrainingTask(tiny(), 0, make_loss=lambda network: Greedy()))
    assert found.failure is not None and accelerators.lacks_memory(found.failure)
    assert evaluator().evaluate(TrainingTask(tiny(), 0)).failure is None


def test_workers_share_the_cards() -> None:
    executor = ProcessExecutor(evaluator(), 2)
    try:
        for seed in range(3):
            executor.submit(TrainingTask(tiny(), seed, seed))
        outcomes, _ = collected(executor, 3)
    finally:
        executor.close()
    assert all(loss_of(outcome) is None for outcome in outcomes.values())


def test_a_plan_foretells_the_steps_of_other_presets() -> None:
    speed = measure_card(IMAGES, SPLIT, RECIPE, CUDA)
    for name in ("lv-unet", "unext"):
        seconds = evaluator(Recipe(epochs=4, batch_size=8)).evaluate(TrainingTask(preset(name), 0)).training_seconds
        predicted = 1.1 * speed.image_seconds(preset(name), SIDE) * len(SPLIT.train) * 4
        assert 1 / 4 < predicted / seconds < 4  # few steps, the first of which choose kernels


def test_an_assert_in_a_kernel_spoils_the_process() -> None:
    """One of its own: this one would be lost to the card."""
    program = (
        "import torch; from ussearch.accelerators import SpoiltProcess, watched\n"
        "try:\n"
        "    with watched('cuda'):\n"
        "        torch.zeros(3, device='cuda')[torch.tensor([7], device='cuda')].sum().item()\n"
        "except SpoiltProcess as error:\n"
        "    print('spoilt', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("spoilt") and "device-side assert" in done.stdout
