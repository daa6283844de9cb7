"""Trains networks on BUSI by the published splits, all by one recipe, and writes ``docs/results/accuracy.md``.

Protocol A (papers.md 4.1, Medical-Image-Segmentation-Benchmarks): 647 images with a lesion, three published 70/30
splits, 256×256, 300 epochs, IoU pooled over batches of 8; beside it IoU per image, and the last epoch's figure beside
that of the best epoch. A run that was stopped is continued by the same command.

    python benchmarks/accuracy.py --data DIR [--networks lv-unet,cmunext-s] [--architecture FILE.yaml]...
                                  [--splits 1,2,3] [--epochs N] [--device cuda --workers 4] [--quick]
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from busi import report
from busi.protocol import BATCH, open_busi, published_split
from busi.runs import Run, Task, run

from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, TrainingFailed
from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.measuring.bench import bench
from ussearch.pairs import export_network
from ussearch.search_spaces import Architecture, build, count, load_preset

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "docs" / "results" / "accuracy.md"
PROFILE = "x86-server"
FULL = {"image_size": 256, "epochs": 300, "splits": "1,2,3"}
QUICK = {"image_size": 128, "epochs": 4, "splits": "1"}
QUICK_LABEL = (
    "Quick run on a CPU: it shows that the program works. Sizes and epochs are far from the protocol, and nothing "
    "here ranks networks."
)


def main() -> int:
    """Train what is not trained yet, measure, judge and write."""
    arguments = parsed()
    try:
        tasks = list(tasks_of(arguments))
        check(arguments.data, tasks)
        networks = gathered(tasks, trained(tasks, arguments.workers))
    except (UserError, TrainingFailed) as error:
        print(f"accuracy.py: {error}", file=sys.stderr)
        return 2
    text = report.page(networks, label_of(arguments), setting_of(tasks[0]))
    print(text)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(text, encoding="utf-8")
    return 0


def parsed() -> argparse.Namespace:
    """Return the options, with the sizes of the protocol or of a quick run where they are not given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of BUSI, with the published lists in splits/")
    parser.add_argument("--networks", default="lv-unet,cmunext-s,laednet-s", help="presets, separated by commas")
    parser.add_argument("--architecture", type=Path, action="append", default=[], help="YAML file of another network")
    parser.add_argument("--splits", help="numbers, separated by commas")
    parser.add_argument("--epochs", type=int, help=f"instead of the protocol's {FULL['epochs']}")
    parser.add_argument("--image-size", type=int, help=f"instead of the protocol's {FULL['image_size']}")
    parser.add_argument("--recipe", type=Path, help="YAML with other settings of the recipe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--workers", type=int, default=1, help="trainings at once")
    parser.add_argument("--runs", type=Path, default=ROOT / "studies" / "accuracy", help="folder of finished trainings")
    parser.add_argument("--quick", action="store_true", help="small images and few epochs, for a CPU")
    arguments = parser.parse_args()
    for name, value in (QUICK if arguments.quick else FULL).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def tasks_of(arguments: argparse.Namespace) -> Iterator[Task]:
    """Yield every training that the options ask for; raises UserError."""
    text = arguments.recipe.read_text(encoding="utf-8") if arguments.recipe else ""
    recipe = Recipe.from_yaml(text, str(arguments.recipe))
    recipe = recipe.model_copy(update={"epochs": arguments.epochs, "batch_size": BATCH, "patience": None})
    size = arguments.image_size
    for name, architecture in networks_of(arguments):
        if size % architecture.size_divisor:
            raise UserError(
                f"{name} needs an image side that is a multiple of {architecture.size_divisor}, not {size}."
            )
        for number in str(arguments.splits).split(","):
            yield Task(
                name=name,
                architecture_yaml=architecture.to_yaml(),
                number=int(number),
                data=arguments.data,
                image_size=size,
                recipe=recipe,
                seed=arguments.seed,
                device=arguments.device,
                folder=arguments.runs / f"{size}px-{arguments.epochs}-epochs",
            )


def networks_of(arguments: argparse.Namespace) -> Iterator[tuple[str, Architecture]]:
    """Yield the networks by name: presets, then architectures from files."""
    for name in filter(None, arguments.networks.split(",")):
        yield name, load_preset(name).architecture.for_task()
    for path in arguments.architecture:
        if not path.is_file():
            raise UserError(f"{path} does not exist: expected an architecture.yaml, such as those in a study's trials.")
        yield path.stem, Architecture.from_yaml(path.read_text(encoding="utf-8"), str(path))


def check(data: Path, tasks: Sequence[Task]) -> None:
    """Raise UserError before anything is trained where data or lists are missing or names are used twice."""
    if not tasks:
        raise UserError("No network was named: expected --networks or --architecture.")
    images = open_busi(data, tasks[0].image_size)
    for number in {task.number for task in tasks}:
        published_split(images, data, number)
    if len({task.record for task in tasks}) < len(tasks):
        raise UserError("Two networks have the same name: rename one of the architecture files.")


def trained(tasks: Sequence[Task], workers: int) -> list[Run]:
    """Train what is not finished, ``workers`` at a time, and return all runs in the order of ``tasks``."""
    if workers == 1:
        return [run(task) for task in tasks]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(run, quiet=True), tasks))


def gathered(tasks: Sequence[Task], runs: Sequence[Run]) -> list[report.Network]:
    """Return each network with its runs and what it costs here."""
    first = {task.name: task for task in reversed(tasks)}
    return [
        measured(first[name], {each.number: each for each in runs if each.name == name})
        for name in dict.fromkeys(task.name for task in tasks)
    ]


def measured(task: Task, runs: dict[int, Run]) -> report.Network:
    """Measure the deploy form with onnxruntime and count it."""
    architecture = task.architecture
    network = build(architecture)
    network.set_schedule(1.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_network(network.eval(), Normalisation(0.0, 1.0), task.image_size, load_profile(PROFILE), path)
        latency = bench(path, threads=1, rounds=3, seconds=1.0)
    counts = count(architecture, task.image_size)
    busy = latency.disturbed or bool(latency.slowed)
    return report.Network(task.name, counts.parameters_deploy, counts.macs, latency.latency_ms, busy, runs)


def label_of(arguments: argparse.Namespace) -> str:
    """Say what kind of run it was."""
    if arguments.quick:
        return QUICK_LABEL
    kept = all(getattr(arguments, name) == value for name, value in FULL.items())
    return "By the protocol." if kept else f"{arguments.epochs} epochs, not the protocol's {FULL['epochs']}."


def setting_of(task: Task) -> list[str]:
    """Say how the figures came about."""
    recipe = task.recipe
    return [
        f"BUSI without its normal images (647), {task.image_size}×{task.image_size}, {recipe.epochs} epochs, batches "
        f"of {recipe.batch_size}, AdamW, {recipe.loss}, one recipe for all networks (the published one is SGD with "
        f"0.5 BCE + Dice); seed {task.seed}; {platform.machine()}, Python {platform.python_version()}. Made by "
        "`benchmarks/accuracy.py`.",
    ]


if __name__ == "__main__":
    raise SystemExit(main())
