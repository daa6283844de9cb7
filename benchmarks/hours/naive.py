"""One network trained for all of the time, on all cores: as two restarts side by side, or with two threads.

How many epochs that are is measured once, first of all on an idle machine (``speed-…``); the trainings themselves have
that length, so that they may be made beside other work and be continued after a kill.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save

from hours.arms import Arm, Setting
from ussearch.datasets import Normalisation
from ussearch.evaluators import Recipe, predict
from ussearch.evaluators.pretrained import land, read_tensors
from ussearch.evaluators.training.engine import train, training_steps
from ussearch.files import write_atomically
from ussearch.process_settings import settle
from ussearch.search_spaces import Network, build
from ussearch.weights import require_file, weights_named

Mode = Literal["restarts", "threads"]
TIMED, WARM = 12, 4
"""Steps that are timed, after so many that are not."""
VALIDATION = 1.1
"""An epoch with its validation, in epochs without (``studies.estimates.VALIDATION_FACTOR``)."""


@dataclass(frozen=True)
class Job:
    """One training: plain data for another process."""

    setting: Setting
    arm: Arm
    number: int
    epochs: int
    threads: int
    seed: int

    @property
    def name(self) -> str:
        """What its row is called."""
        return f"naive-{self.arm.key}-{self.threads}t-s{self.seed}-split{self.number}"


def epochs_in(setting: Setting, arm: Arm, mode: Mode) -> int:
    """Return how many epochs an arm is trained in its time."""
    steps = -(-len(setting.naive_split(1).train) // Recipe().batch_size)
    seconds = arm.seconds or setting.seconds
    return max(1, int(seconds / (VALIDATION * steps * _known_step_seconds(setting, arm, mode))))


def _known_step_seconds(setting: Setting, arm: Arm, mode: Mode) -> float:
    """Return how long a step takes on the idle machine on which the first network was measured.

    That of a network which is measured later is its ratio to the first one's, as both are then.
    """
    name = f"speed-{arm.architecture.id}-{mode}"
    row = setting.known(name)
    if row is None:
        seconds, now = step_seconds(setting, arm, mode), 1.0
        if setting.known(_first(setting, mode)) is not None:
            now = pace(setting, mode)
        row = setting.keep(name, {"network": arm.architecture.name, "step_seconds": seconds / now, "mode": mode})
    return float(row["step_seconds"])


def _first(setting: Setting, mode: Mode) -> str:
    return f"speed-{setting.yardstick.architecture.id}-{mode}"


def step_seconds(setting: Setting, arm: Arm, mode: Mode) -> float:
    """Return how long a step of training takes now, with all cores busy."""
    threads, workers = (setting.cores, 1) if mode == "threads" else (1, setting.cores)
    _ = setting.images  # read once: what is known of a setting goes along to its processes
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return max(pool.map(_step_seconds, [(setting, arm, threads)] * workers))


def pace(setting: Setting, mode: Mode) -> float:
    """Return how much longer a step takes now than when the first network was measured; 1 before that.

    Machines differ from day to day: who works in a time of the clock gets as much more of it.
    """
    row = setting.known(_first(setting, mode))
    return 1.0 if row is None else step_seconds(setting, setting.yardstick, mode) / float(row["step_seconds"])


def _step_seconds(wanted: tuple[Setting, Arm, int]) -> float:
    setting, arm, threads = wanted
    torch.set_num_threads(threads)
    settle()
    network = build(arm.architecture)
    steps = training_steps(network, setting.images, setting.naive_split(1), Recipe(), torch.device("cpu"))
    taken, before = [], time.perf_counter()
    for _ in islice(steps, WARM + TIMED):
        now = time.perf_counter()
        taken.append(now - before)
        before = now
    return median(taken[WARM:])


def trained(setting: Setting, arm: Arm, number: int, mode: Mode, *, judged: bool = False) -> dict[str, Any]:
    """Return the better of an arm's trainings by the validation part; makes what is not there yet.

    Rows are committed and weights are not: with ``judged`` a training whose weights are gone is made again, unless its
    test list was judged before.
    """
    epochs = epochs_in(setting, arm, mode)
    threads, seeds = (setting.cores, (0,)) if mode == "threads" else (1, tuple(range(setting.cores)))
    jobs = [Job(setting, arm, number, epochs, threads, seed) for seed in seeds]
    ahead = [job for job in jobs if setting.known(job.name) is None or (judged and _is_lost(job))]
    if ahead:
        _ = setting.images
    with ProcessPoolExecutor(max(len(ahead), 1), mp_context=get_context("spawn")) as pool:
        list(pool.map(run, ahead))
    rows = [setting.known(job.name) for job in jobs]
    return max((row for row in rows if row), key=lambda row: float(row["validation"]))


def _is_lost(job: Job) -> bool:
    """Tell whether nothing can say any more what a training answers."""
    return job.setting.known(f"judged-{job.name}") is None and not weights_file(job.setting, job.name).exists()


def run(job: Job) -> None:
    """Train and keep what validation says; test images are not looked at."""
    torch.set_num_threads(job.threads)
    settle()
    setting, arm = job.setting, job.arm
    parts = setting.naive_split(job.number)
    torch.manual_seed(job.seed)
    network = build(arm.architecture)
    landing = None
    if arm.weights:
        source = weights_named(arm.weights)
        normalisation = Normalisation.fit(setting.images.images, parts.train)
        landing = land(read_tensors(require_file(source)[0]), source, network, normalisation)
    checkpoint = setting.scratch / f"{job.name}.checkpoint"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(epochs=job.epochs)
    result = train(network, setting.images, parts, recipe, seed=job.seed, pretrained=landing, checkpoint=checkpoint)
    write_atomically(weights_file(setting, job.name), save(_whole(network)))
    setting.keep(
        job.name,
        {
            "name": job.name,
            "network": arm.architecture.name,
            "architecture": arm.architecture.id,
            "weights": arm.weights,
            "epochs": job.epochs,
            "threads": job.threads,
            "seed": job.seed,
            "best_epoch": result.best_epoch,
            "validation": max(record.objective for record in result.history),
            "seconds": round(result.seconds, 1),
            "latency_ms": setting.latency_ms(arm.architecture),
        },
    )
    checkpoint.unlink(missing_ok=True)


def weights_file(setting: Setting, name: str) -> Path:
    """Return where the weights of a training are kept."""
    return setting.scratch / f"{name}.safetensors"


def probabilities(setting: Setting, arm: Arm, number: int, name: str) -> Any:
    """Return what a trained network says of the test list, float32 [N, 1, H, W]."""
    network = build(arm.architecture)
    network.load_state_dict(load_file(weights_file(setting, name)))
    parts = setting.naive_split(number)
    normalisation = Normalisation.fit(setting.images.images, parts.train)
    return predict(network.eval(), setting.images.images[list(parts.test)], normalisation)


def _whole(network: Network) -> dict[str, torch.Tensor]:
    return {name: value.contiguous() for name, value in network.state_dict().items()}


def shorter(arm: Arm, seconds: float) -> Arm:
    """Return an arm that is trained for less, to choose among networks."""
    return replace(arm, key=f"{arm.key}-{seconds:.0f}s", seconds=seconds)
