"""How long trainings will take on this machine, from a short timing of one small network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ussearch.accelerators import to_channels_last
from ussearch.evaluators import Recipe, trace
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


@dataclass(frozen=True)
class TrainingSpeed:
    """How fast this machine trains: seconds for one unit of work (``training_work``), measured."""

    seconds_per_unit: float
    batch_size: int
    device: str


def training_work(architecture: Architecture, image_size: int) -> float:
    """Return the work of one training image, forward and backward, in units of MiB moved.

    Arithmetic alone misjudges depthwise networks several times over, whose time goes into moving features.
    """
    kernels = trace(architecture, image_size).kernels
    macs, moved = sum(kernel.macs for kernel in kernels), sum(kernel.bytes for kernel in kernels)
    return GMACS_TO_MIB * macs / 1e9 + moved / _MIB


def measure_speed(
    image_size: int,
    batch_size: int = 8,
    device: torch.device | str = "cpu",
    seconds: float = 1.0,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainingSpeed:
    """Time training steps of a preset of median speed for about ``seconds``, after as long a warm-up.

    Returns the machine's speed, in the seconds that ``clock`` tells.
    """
    architecture = load_preset(YARDSTICK).architecture.for_task()
    network = to_channels_last(build(architecture), device).train()
    fused = torch.device(device).type in ("cpu", "cuda")
    optimiser, loss = torch.optim.AdamW(network.parameters(), fused=fused), make_loss(Recipe())
    images = torch.randn(batch_size, 1, image_size, image_size, device=device)
    masks = (images > 1).float()

    def step() -> float:
        start = clock()
        optimiser.zero_grad(set_to_none=True)
        loss(network.forward_all(images), masks).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize()
        return clock() - start

    times: list[float] = []
    for _ in ("warm-up, in which kernels are chosen and memory is allocated", "timing"):
        times = [step()]
        while sum(times) < seconds:
            times.append(step())
    typical = sorted(times)[len(times) // 2]
    return TrainingSpeed(typical / (batch_size * training_work(architecture, image_size)), batch_size, str(device))


def estimate_training_seconds(
    architecture: Architecture, *, image_size: int, images: int, epochs: int, speed: TrainingSpeed
) -> float:
    """Return the predicted seconds of training on ``images`` training images for ``epochs`` epochs.

    A forecast for planning, good to about a factor of two on processors; validation adds about a tenth and is
    included.
    """
    return 1.1 * speed.seconds_per_unit * training_work(architecture, image_size) * images * epochs
