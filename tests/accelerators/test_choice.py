"""Which device trains, with what precision, and what is kept on it."""

from __future__ import annotations

import pytest
import torch

from tests.cards import META, MetaCards
from tests.configurations import run_config
from tests.datasets.test_batches import image_set
from ussearch import accelerators
from ussearch.accelerators import Cuda, cards_of, choose_device, only_card, supplied, wants_card
from ussearch.datasets import Batches, Normalisation
from ussearch.errors import UserError
from ussearch.search_spaces.architecture import Bottleneck
from ussearch.search_spaces.bottlenecks import DualAffinity
from ussearch.studies.sizes import with_usual_workers


class Cards(Cuda):
    """A machine that sees so many CUDA cards, none of which may be used."""

    def __init__(self, number: int) -> None:
        self.number = number

    def count(self) -> int:
        return self.number


@pytest.mark.parametrize(
    ("asked", "cards", "chosen", "shared"),
    [
        ("auto", 0, "cpu", ()),
        ("auto", 2, "cuda", (0, 1)),
        ("cpu", 2, "cpu", ()),
        ("cuda", 1, "cuda", (0,)),
        ("cuda", 3, "cuda", (0, 1, 2)),
        ("cuda:1", 3, "cuda:1", (1,)),
    ],
)
def test_what_is_asked_for_is_chosen(asked: str, cards: int, chosen: str, shared: tuple[int, ...]) -> None:
    with supplied(Cards(cards)):
        device = choose_device(asked)
        assert (device, cards_of(device)) == (torch.device(chosen), shared)
        assert wants_card(asked) is bool(shared)


@pytest.mark.parametrize(
    ("asked", "cards", "message"),
    [
        ("cuda", 0, r"'cuda' is not there: this torch sees no CUDA GPU; use --accelerator cpu"),
        ("cuda:7", 1, r"'cuda:7' is not there: this torch sees 1 CUDA GPU, expected cuda:0;"),
        ("cuda:2", 2, r"sees 2 CUDA GPUs, expected cuda:0 or cuda:1; use --accelerator cuda for all"),
        *((each, 1, "expected auto, cpu, cuda or cuda:N") for each in ("mps", "meta", "xpu", "hpu", "tpu9", "cuda:-1")),
    ],
)
def test_what_is_not_there_is_refused_in_one_sentence(asked: str, cards: int, message: str) -> None:
    with supplied(Cards(cards)), pytest.raises(UserError, match=message):
        choose_device(asked)


@pytest.mark.parametrize(
    ("asked", "cards", "own"), [("cuda", 0, "cpu"), ("cuda:1", 0, "cpu"), ("cuda:1", 1, "cuda"), ("cuda", 1, "cuda")]
)
def test_a_driver_needs_no_card_where_a_cluster_has_them(asked: str, cards: int, own: str) -> None:
    with supplied(Cards(cards)):
        assert choose_device(asked, elsewhere=True) == torch.device(own)
        assert wants_card(asked)
        with pytest.raises(UserError, match="expected auto"):
            choose_device("mps", elsewhere=True)


@pytest.mark.parametrize(
    ("visible", "number", "seen"),
    [(None, 1, "1"), ("", 0, "0"), ("3,5", 1, "5"), ("GPU-8a, GPU-9b", 0, "GPU-8a")],
)
def test_a_worker_sees_one_of_the_cards_of_its_driver(
    visible: str | None, number: int, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert only_card(number) == {"CUDA_VISIBLE_DEVICES": seen}


def test_there_is_a_worker_for_each_card() -> None:
    with supplied(Cards(3)):
        cards = len(cards_of(choose_device("auto")))
    assert with_usual_workers(run_config(), 64, cards).execution.workers == 3


@pytest.mark.parametrize(("capability", "used"), [((7, 0), 0), ((7, 5), 0), ((8, 0), 1), ((9, 0), 1), ((12, 0), 1)])
def test_cards_before_sm_80_train_in_float32(capability: tuple[int, int], used: int) -> None:
    cards = MetaCards(capability=capability)
    with supplied(cards):
        for device, wanted in ((META, True), (META, False), (torch.device("cpu"), True)):
            with accelerators.autocast(device, wanted=wanted):
                pass
    assert cards.asked["autocast"] == used


def test_data_stays_on_the_host_where_a_card_has_no_room() -> None:
    images = image_set(12, 3)
    data = images.images.nbytes + images.masks.nbytes
    for free, resident in ((2 * data, True), (2 * data - 1, False)):
        cards = MetaCards(free_bytes=free)
        with supplied(cards):
            batches = Batches(images, range(len(images)), Normalisation(0.0, 1.0), 5, device=META, augment=False)
            copied = cards.asked["to_device"]
            shown = list(batches.epoch(0))
        assert (copied == 2) is resident
        assert cards.asked["to_device"] - copied == (1 if resident else 2 * len(batches))
        assert {tensor.device for batch in shown for tensor in batch} == {META}


def test_affinities_in_bfloat16_weigh_as_in_float32() -> None:
    """Sums over positions are large: rounded to bfloat16 their softmax answers for another channel."""
    torch.manual_seed(0)
    block = DualAffinity(16, Bottleneck(kind="dual_affinity")).eval()
    torch.nn.init.ones_(block.gamma_channel)
    x = torch.randn(2, 16, 24, 24).bfloat16().float()  # nothing is lost in the entry
    with torch.no_grad():
        exact = block(x)
        with torch.autocast("cpu", torch.bfloat16):
            near = block(x).float()
    assert (near - exact).abs().max() < 0.01 * exact.abs().max()
