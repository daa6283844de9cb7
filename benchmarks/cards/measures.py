"""The measurements: each a row of figures, by a key that says what was measured."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cards.bench import Bench, preset
from cards.graphs import captured_seconds
from cards.launches import KINDS, launches_of
from ussearch.accelerators import Cuda, autocast, is_card, supplied, synchronize, to_host
from ussearch.evaluators.training.recipe import Recipe
from ussearch.evaluators.training.task import TrainingTask

Figures = dict[str, float | str]
Measure = Callable[[], Figures]
PRESETS = ("lv-unet", "cmunext-s", "cea-net-standin", "unext", "unet", "lightawnet", "bmis")
TIMED = ("cea-net-standin", "lv-unet", "unet")
PRECISIONS = ("bf16", "fp32")
BATCHES = (4, 16, 8, 32, 64)
WORKERS = (1, 2, 4, 3)
PROGRAM = Path(__file__).resolve().parents[1] / "gpu.py"


def measures(bench: Bench, *, quick: bool) -> Iterator[tuple[str, Measure]]:
    """Yield everything that is measured, what matters most first, by key: ``group/what/...``."""
    short = bench.names("unext") if quick else None
    batches = (4,) if quick else BATCHES
    for name in short or bench.names(*PRESETS):
        yield f"parity/{name}", partial(parity, bench, name)
    for name in short or bench.names(*PRESETS):
        yield f"batch/{name}/bf16/{batches[0]}", partial(speed, bench, name, batches[0], "bf16")
    for batch_size in batches:
        for name in short or bench.names(*TIMED):
            for precision in PRECISIONS if batch_size > batches[0] else PRECISIONS[1:]:
                yield f"batch/{name}/{precision}/{batch_size}", partial(speed, bench, name, batch_size, precision)
    for workers in (2,) if quick else WORKERS:
        yield f"workers/{workers}", partial(together, bench, workers, quick=quick)
    if is_card(bench.device):
        for name in short or bench.names(*TIMED):
            for batch_size in batches[:2]:
                yield f"graph/{name}/{batch_size}", partial(graph, bench, name, batch_size)
    for kind in KINDS:
        yield f"launches/{kind}", partial(launches_of, bench, kind)
    for name in short or bench.names(*TIMED[:2]):
        yield f"bf16/{name}", partial(bfloat16, bench, name)
    yield "data/on the host", partial(from_host, bench)


def _apart(first: list[torch.Tensor], second: list[torch.Tensor]) -> float:
    """Return the distance of two lists of tensors, as a share of the first one's length."""
    one, other = (torch.cat([to_host(each).double().flatten() for each in tensors]) for tensors in (first, second))
    return float((one - other).norm() / one.norm().clamp_min(1e-30))


def parity(bench: Bench, name: str) -> Figures:
    """Compare a step in float32, without TF32, with the same one on the CPU: logits, gradients, weights after five."""
    torch.backends.cudnn.allow_tf32 = False
    try:
        cpu = torch.device("cpu")
        networks = [bench.network(name, device) for device in (cpu, bench.device)]
        batches = [bench.batch(4, device) for device in (cpu, bench.device)]
        logits = [network(batch[0]) for network, batch in zip(networks, batches, strict=True)]
        optimisers = [torch.optim.AdamW(network.parameters(), lr=1e-4) for network in networks]
        start, gradients = list(copy.deepcopy(networks[0]).parameters()), []
        for network, batch, optimiser in zip(networks, batches, optimisers, strict=True):
            for number in range(5):
                optimiser.zero_grad()
                bench.loss(network, batch).backward()
                if number == 0:
                    gradients.append([each.grad.clone() for each in network.parameters() if each.grad is not None])
                optimiser.step()
        moved = [
            [to_host(after) - to_host(before) for after, before in zip(network.parameters(), start, strict=True)]
            for network in networks
        ]
        return {
            "logits": _apart([logits[0]], [logits[1]]),
            "gradients": _apart(*gradients),
            "movement": _apart(*moved),
        }
    finally:
        torch.backends.cudnn.allow_tf32 = True


def bfloat16(bench: Bench, name: str) -> Figures:
    """Compare bfloat16 with float32: masks of one network, and what trainings by both reach."""
    network = bench.network(name).eval()
    images, _ = bench.batch(16)
    with torch.no_grad():
        exact = network(images)
        with autocast(bench.device):
            near = network(images).float()
    differing = float(to_host(((near > 0) != (exact > 0)).float().mean()))
    reached: dict[str, float | str] = {}
    for precision in PRECISIONS:
        recipe = Recipe(epochs=bench.epochs, mixed_precision=precision == "bf16")
        task = TrainingTask(preset(name), 0, recipe=recipe)
        result = task.run(bench.images, bench.split, recipe, bench.device)
        reached[precision] = max(record.objective for record in result.history)
    return {"pixels_differing": differing, **reached}


def speed(bench: Bench, name: str, batch_size: int, precision: str) -> Figures:
    """Return images a second of a training, and the most memory that it takes."""
    if is_card(bench.device):
        torch.cuda.reset_peak_memory_stats(bench.device)
    seconds = bench.step_seconds(bench.steps(name, batch_size, mixed_precision=precision == "bf16"))
    found: Figures = {"images_a_second": batch_size / seconds, "step_ms": 1e3 * seconds}
    if is_card(bench.device):
        found["memory_mib"] = torch.cuda.max_memory_allocated(bench.device) / 2**20
    return found


def together(bench: Bench, workers: int, *, quick: bool) -> Figures:
    """Return images a second of several processes that train at a time on one device."""
    command = [sys.executable, str(PROGRAM), "--device", str(bench.device), "--one-of-many"]
    command += ["--quick"] if quick else []
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(workers)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError("a worker did not get ready")
        answers = _asked_at_once(processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return {"images_a_second": sum(answers), "least_of_one": min(answers)}


def _asked_at_once(processes: list[subprocess.Popen[str]]) -> list[float]:
    """Let all processes begin, and return what each says in the end."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [process.stdout.readline() if process.stdout else "" for process in processes]
    return [float(line) for line in lines]


def one_of_many(bench: Bench) -> None:
    """Train beside others: say ``ready`` once warm, begin when a line comes, and print images a second."""
    steps = bench.steps("unext" if bench.side < 128 else "cea-net-standin", 4)
    for _ in range(bench.warm_up):
        next(steps)
    synchronize(bench.device)
    print("ready", flush=True)
    sys.stdin.readline()
    print(4 / bench.step_seconds(steps), flush=True)


def graph(bench: Bench, name: str, batch_size: int) -> Figures:
    """Return images a second of steps that are launched one by one, and of the same as one CUDA graph."""
    eager, captured = captured_seconds(bench, name, batch_size)
    return {"eager": batch_size / eager, "captured": batch_size / captured}


class FullCard(Cuda):
    """A card that has no room for training data."""

    def free_bytes(self, device: Any) -> int:
        """Return none."""
        return 0


def from_host(bench: Bench) -> Figures:
    """Return images a second where batches are copied one by one, and where all images lie on the card."""
    name = bench.names("cea-net-standin", "unext")[0]
    found: Figures = {"resident": 4 / bench.step_seconds(bench.steps(name, 4))}
    with supplied(FullCard()):
        found["copied"] = 4 / bench.step_seconds(bench.steps(name, 4))
    return found
