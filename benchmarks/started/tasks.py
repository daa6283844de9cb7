"""What is trained: the table by the published splits, what stands beside it, and what was decided within the training
lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from busi.protocol import Part
from busi.runs import Padding, Task

from ussearch.evaluators import Recipe
from ussearch.search_spaces import Architecture, load_preset

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROWS = ROOT / "benchmarks" / "data" / "pretrained"
"""Every finished training: one file each, committed."""
SPLITS = (1, 2, 3)
WEIGHTS = {
    "efficientnet-lite0-unet": "efficientnet-lite0",
    "mobilenetv2-unet": "mobilenetv2",
    "efficientnet-lite2-unet": "efficientnet-lite2",
}
BESIDE = ("lv-unet", "cmunext-s", "unext")
"""Published networks, from scratch at the smaller size."""
SIZES = (128, 256)
DECIDING_EPOCHS = 8
"""Length of the trainings within the training lists: where a start counts most."""


@dataclass(frozen=True)
class Settings:
    """What the options say: where the data lie, how long a training lasts, where rows and checkpoints go."""

    data: Path
    rows: Path = ROWS
    scratch: Path = ROOT / "studies" / "pretrained"
    epochs: int | None = None
    deciding_epochs: int = DECIDING_EPOCHS
    splits: tuple[int, ...] = SPLITS
    sizes: tuple[int, ...] = SIZES


def recipe(epochs: int | None) -> Recipe:
    """Return the recipe of all trainings, at their length unless another is given."""
    path = HERE / "recipe.yaml"
    found = Recipe.from_yaml(path.read_text(encoding="utf-8"), str(path))
    return found if epochs is None else found.model_copy(update={"epochs": epochs})


def tasks_of(settings: Settings) -> dict[str, list[Task]]:
    """Return all trainings by section of the page, in the order in which they are made."""
    small, *larger = settings.sizes
    return {
        "small": [*_with_and_without(settings, small)],
        "beside": [_task(settings, name, small, split) for split in settings.splits for name in BESIDE],
        "padding": [*_padded(settings, small)],
        "large": [task for size in larger for task in _with_and_without(settings, size)],
        "cut": [*_cut(settings, small)],
    }


def _with_and_without(settings: Settings, size: int) -> Iterator[Task]:
    for split in settings.splits:
        for name in ("efficientnet-lite0-unet", "mobilenetv2-unet"):
            yield _task(settings, name, size, split, WEIGHTS[name])
            yield _task(settings, name, size, split)


def _padded(settings: Settings, size: int) -> Iterator[Task]:
    name = "efficientnet-lite0-unet"
    paddings: tuple[Padding, ...] = ("turned", "shifted", "published")
    for split in settings.splits:
        for padding in paddings:
            yield _task(settings, name, size, split, WEIGHTS[name], part="training", padding=padding)


def _cut(settings: Settings, size: int) -> Iterator[Task]:
    for split in settings.splits:
        for name, weights in WEIGHTS.items():
            for depth in ("cut", "whole"):
                yield _task(settings, f"{name}-{depth}", size, split, weights, part="training")


def architecture_of(name: str) -> Architecture:
    """Return a preset for grey images, or a depth of its encoder (``NAME-cut`` as it is, ``NAME-whole``)."""
    preset, _, depth = name.rpartition("-")
    if depth not in ("cut", "whole"):
        return load_preset(name).architecture.for_task()
    if depth == "cut":
        return load_preset(preset).architecture.for_task()
    path = HERE / f"{name}.yaml"
    return Architecture.from_yaml(path.read_text(encoding="utf-8"), str(path))


def _task(
    settings: Settings,
    name: str,
    size: int,
    split: int,
    weights: str = "",
    *,
    part: Part = "published",
    padding: Padding = "turned",
) -> Task:
    deciding = part == "training"
    label = [f"{size}px", (weights and "imagenet") or "chance"] + [part, padding] * deciding
    return Task(
        name=name,
        architecture_yaml=architecture_of(name).to_yaml(),
        number=split,
        data=settings.data,
        image_size=size,
        recipe=recipe(settings.deciding_epochs if deciding else settings.epochs),
        seed=0,
        device="cpu",
        folder=settings.rows,
        scratch=settings.scratch,
        weights=weights,
        padding=padding,
        part=part,
        label="-".join(label),
    )
