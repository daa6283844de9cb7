"""How many kernels a step launches, by what is trained: on a card, small networks wait for little else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch

from cards.bench import Bench
from ussearch.accelerators import is_card, synchronize
from ussearch.compress.distillation import Distillation
from ussearch.compress.quantisation.qat import prepare
from ussearch.evaluators.training.engine import training_steps
from ussearch.evaluators.training.losses import TrainingLoss
from ussearch.evaluators.training.recipe import Recipe
from ussearch.search_spaces import Network

RECIPE = Recipe(batch_size=4)


def launches_of(bench: Bench, kind: str) -> dict[str, float | str]:
    """Return the milliseconds of a step and how many kernels it launches; none are counted on a CPU."""
    steps = KINDS[kind](bench)
    seconds = bench.step_seconds(steps)
    if not is_card(bench.device):
        return {"step_ms": 1e3 * seconds, "launches": 0.0}
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        list(islice(steps, 2))
        synchronize(bench.device)
    count = sum(event.name.startswith(("cudaLaunchKernel", "cuLaunchKernel")) for event in profile.events())
    return {"step_ms": 1e3 * seconds, "launches": count / 2}


def _trained(bench: Bench, network: Network | None = None, loss: TrainingLoss | None = None) -> Iterator[None]:
    return training_steps(
        network or bench.network(_name(bench)), bench.images, bench.split, RECIPE, bench.device, training_loss=loss
    )


def _name(bench: Bench) -> str:
    return bench.names("cea-net-standin", "unext")[0] if bench.side >= 128 else "unext"


def _distilled(bench: Bench) -> Iterator[None]:
    student, teacher = bench.network(_name(bench)), bench.network("unext").eval()
    return _trained(bench, student, Distillation(student, [teacher], RECIPE, bench.side))


def _rounded(bench: Bench) -> Iterator[None]:
    network = bench.network(_name(bench)).eval()
    network.set_schedule(1.0)
    return _trained(bench, prepare(network, "u8s8", bench.batch(2)[0]))


KINDS: dict[str, Callable[[Any], Iterator[None]]] = {
    "training": _trained,
    "distillation": _distilled,
    "INT8 in training": _rounded,
}
