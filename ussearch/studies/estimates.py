"""How long trainings will take on this machine: from a timing of one small network, on a card of several.

On a processor a training takes as long as its work. On a card a step takes as long as its kernels take to be launched
or as its work takes, whichever is longer: small networks leave it idle for most of the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product
from statistics import median
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ussearch.accelerators import synchronize, to_channels_last
from ussearch.datasets import ImageSet, Split
from ussearch.evaluators import Recipe, trace
from ussearch.evaluators.training.engine import training_steps
from ussearch.evaluators.training.losses import make_loss
from ussearch.search_spaces import Architecture, build, load_preset

_MIB = 2**20
GMACS_TO_MIB = 50.0
"""Traffic in MiB that takes as long to train through as one GMAC.

Fitted to the processor time of training steps (batch 8, 128×128, one thread) of 14 random architectures and 5 presets;
what the fit predicts is 0.70 to 1.38 times what was measured.
"""

YARDSTICK = "cea-net-standin"
"""Takes the median time for its work among 8 trainings on BUSI and 11 on phantoms (0.65 to 1.43 of it)."""


YARDSTICKS = (YARDSTICK, "unet", "lightawnet", "cmunext-s")
"""What is timed on a card: a usual network, one of much work a launch, one of many launches, one of large kernels."""
VALIDATION_FACTOR = 1.1
"""Training takes about a tenth longer for the validation after each epoch."""
STEPS = 8
"""Timed of each on a card, after as many in which memory is allocated and kernels are chosen."""


@dataclass(frozen=True)
class TrainingSpeed:
    """How fast this machine trains, measured: seconds for one unit of work (``training_work``) and for one launch.

    A step of ``batch_size`` images takes the longer of both; launches take no time of their own on a processor.
    """

    seconds_per_unit: float
    batch_size: int
    device: str
    seconds_per_launch: float = 0.0

    def image_seconds(self, architecture: Architecture, image_size: int) -> float:
        """Return the predicted seconds that one image of a step of training takes."""
        working = self.seconds_per_unit * training_work(architecture, image_size)
        if not self.seconds_per_launch:
            return working
        return max(working, self.seconds_per_launch * launches(architecture) / self.batch_size)


def training_work(architecture: Architecture, image_size: int) -> float:
    """Return the work of one training image, forward and backward, in units of MiB moved.

    Arithmetic alone misjudges depthwise networks several times over, whose time goes into moving features.
    """
    kernels = trace(architecture, image_size).kernels
    macs, moved = sum(kernel.macs for kernel in kernels), sum(kernel.bytes for kernel in kernels)
    return GMACS_TO_MIB * macs / 1e9 + moved / _MIB


@lru_cache(maxsize=256)
def launches(architecture: Architecture) -> int:
    """Return how many operators a forward pass of the training form calls; those of a step grow with them."""
    network, counter = build(architecture, device="meta").train(), _LaunchCounter()
    side = max(2 * architecture.size_divisor, 32)
    with counter:
        network.forward_all(torch.empty(2, architecture.image_channels, side, side, device="meta"))
    return counter.count


class _LaunchCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its base unannotated
    """Counts the operators that compute something: views launch nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def measure_speed(
    image_size: int,
    batch_size: int = 8,
    seconds: float = 1.0,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainingSpeed:
    """Time training steps of a preset of median speed on the processor for about ``seconds``, after as long a warm-up.

    Returns the machine's speed, in the seconds that ``clock`` tells.
    """
    architecture = load_preset(YARDSTICK).architecture.for_task()
    network = to_channels_last(build(architecture)).train()
    optimiser, loss = torch.optim.AdamW(network.parameters(), fused=True), make_loss(Recipe())
    images = torch.randn(batch_size, 1, image_size, image_size)
    masks = (images > 1).float()

    def step() -> float:
        start = clock()
        optimiser.zero_grad(set_to_none=True)
        loss(network.forward_all(images), masks).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return clock() - start

    times: list[float] = []
    for _ in ("warm-up, in which kernels are chosen and memory is allocated", "timing"):
        times = [step()]
        while sum(times) < seconds:
            times.append(step())
    typical = sorted(times)[len(times) // 2]
    return TrainingSpeed(typical / (batch_size * training_work(architecture, image_size)), batch_size, "cpu")


def measure_card(
    images: ImageSet,
    split: Split,
    recipe: Recipe,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainingSpeed:
    """Time whole training steps of several presets on a card, as the run will take them.

    Returns the card's speed, in the seconds that ``clock`` tells.
    """
    presets = [load_preset(name).architecture.for_task() for name in YARDSTICKS]
    fitting = [each for each in presets if images.image_size % each.size_divisor == 0]
    trained = [training_steps(build(each), images, split, recipe, device) for each in fitting]
    seconds = [_step_seconds(steps, device, clock) for steps in trained]
    counts = [launches(each) for each in fitting]
    work = [recipe.batch_size * training_work(each, images.image_size) for each in fitting]
    per_launch, per_unit = fitted_prices(seconds, counts, work)
    return TrainingSpeed(per_unit, recipe.batch_size, str(device), per_launch)


def _step_seconds(steps: Iterator[None], device: torch.device, clock: Callable[[], float]) -> float:
    """Return the seconds that a step takes, the median of ``STEPS``."""
    times = []
    for _ in islice(steps, 2 * STEPS):
        synchronize(device)
        times.append(clock())
    return median(after - before for before, after in zip(times[STEPS - 1 :], times[STEPS:], strict=False))


def fitted_prices(seconds: Sequence[float], launches: Sequence[float], work: Sequence[float]) -> tuple[float, float]:
    """Return seconds for one launch and for one unit of work by which steps take the longer of both.

    Each price is that of a step in which it alone counts, or launches cost nothing; of all such pairs, the one whose
    ratios to what was measured are closest to 1, and of equal ones that with the dearer work.
    """

    def error(prices: tuple[float, float]) -> float:
        made = [max(prices[0] * count, prices[1] * units) for count, units in zip(launches, work, strict=True)]
        return sum(math.log(each / second) ** 2 for each, second in zip(made, seconds, strict=True))

    by_launch = [0.0, *(second / count for second, count in zip(seconds, launches, strict=True))]
    by_work = sorted((second / units for second, units in zip(seconds, work, strict=True)), reverse=True)
    return min(product(by_launch, by_work), key=error)


def estimate_training_seconds(
    architecture: Architecture, *, image_size: int, images: int, epochs: int, speed: TrainingSpeed
) -> float:
    """Return the predicted seconds of training on ``images`` training images for ``epochs`` epochs.

    A forecast for planning, good to about a factor of two on processors; validation adds about a tenth and is
    included.
    """
    return VALIDATION_FACTOR * speed.image_seconds(architecture, image_size) * images * epochs
