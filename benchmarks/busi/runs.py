"""One network trained on one split, kept on disk and continued where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import save

from busi.padding import pad_as_published
from busi.protocol import BusiSplit, Judged, Part, open_busi, published_split, within_training
from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators import EpochRecord, Recipe, predict, train
from ussearch.evaluators.pretrained import Landing, land, read_tensors
from ussearch.evaluators.training.recipe import identity_of, recipe_of_record
from ussearch.files import write_atomically
from ussearch.process_settings import settle
from ussearch.search_spaces import Architecture, Network, build
from ussearch.weights import require_file, weights_named

Padding = Literal["turned", "shifted", "published"]
"""TensorFlow's padding is kept by turned kernels, lost with a shift of half a step, or computed as published."""


@dataclass(frozen=True)
class Task:
    """One training: plain data, so that it can go to another process."""

    name: str
    architecture_yaml: str
    number: int
    data: Path
    image_size: int
    recipe: Recipe
    seed: int
    device: str
    folder: Path
    scratch: Path | None = None
    """Folder of checkpoints and weights; beside the records where it is not given."""
    weights: str = ""
    """Name of the published weights that it starts from; empty: from chance."""
    padding: Padding = "turned"
    """What becomes of TensorFlow's padding in published weights."""
    part: Part = "published"
    """What judges: the published list, or a part of the training list."""
    label: str = ""
    """What tells its record from others of the same network."""

    @property
    def made_from(self) -> dict[str, Any]:
        """Everything that the outcome depends on."""
        started = {"weights": self.weights, "padding": self.padding} if self.weights else {}
        return {
            "architecture": self.architecture.id,
            "split": self.number,
            "image_size": self.image_size,
            "recipe": identity_of(self.recipe),
            "seed": self.seed,
            **started,
            **({} if self.part == "published" else {"part": self.part}),
        }

    @property
    def architecture(self) -> Architecture:
        """What is trained."""
        return Architecture.from_yaml(self.architecture_yaml, self.name)

    @property
    def record(self) -> Path:
        """The file whose presence says that the training is complete."""
        return self.folder / f"{self.name}{self.label and '-'}{self.label}-split{self.number}.json"

    def kept(self, suffix: str) -> Path:
        """Return a file of the training that is too large for a record: below ``studies`` where that is elsewhere."""
        return (self.scratch or self.folder) / self.record.with_suffix(suffix).name


@dataclass(frozen=True)
class Run:
    """A finished training: figures with the weights of the last epoch, and of the best one by the judged images."""

    name: str
    number: int
    last: Judged
    best: Judged
    best_epoch: int
    epochs: int
    seconds: float
    device: str
    images: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    """Of near-duplicates, beside ``images``; empty in records of older versions."""


def run(task: Task, *, quiet: bool = False) -> Run:
    """Train and judge; a finished run is read, an unfinished one continued. Raises UserError and TrainingFailed."""
    found = finished(task)
    if found is not None:
        return found
    torch.set_num_threads(1)
    settle()
    busi = split_of(task)
    torch.manual_seed(task.seed)
    network = build(task.architecture)
    landing = start_of(task, network, busi)
    if task.padding == "published":
        pad_as_published(network)
    checkpoint = task.kept(".checkpoint")
    checkpoint.parent.mkdir(parents=True, exist_ok=True)

    def tell(record: EpochRecord) -> None:
        if not quiet:
            dice = record.lesion_dice or 0.0
            print(f"  {task.name}, split {task.number}: epoch {record.epoch}, Dice {dice:.3f}", flush=True)

    result = train(
        network,
        busi.images,
        busi.split,
        task.recipe,
        seed=task.seed,
        device=task.device,
        pretrained=landing,
        checkpoint=checkpoint,
        on_epoch=tell,
    )
    best = judge(network, busi, task.device)
    write_atomically(task.kept(".best.safetensors"), save(weights_of(network)))
    network.load_state_dict(result.last_weights)
    last = judge(network, busi, task.device)
    write_atomically(task.kept(".last.safetensors"), save(weights_of(network)))
    record = {
        "made_from": task.made_from,
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "seconds": result.seconds,
        "device": torch.cuda.get_device_name() if task.device.startswith("cuda") else "CPU, one thread",
        "images": [Path(busi.images.ids[index]).stem for index in busi.order],
        "groups": [int(busi.images.groups[index]) for index in busi.order],
        "last": written(last),
        "best": written(best),
    }
    task.record.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(task.record, json.dumps(record))
    checkpoint.unlink(missing_ok=True)
    return read(task, record)


def split_of(task: Task) -> BusiSplit:
    """Return what trains and what judges; the published list is not looked at where the training list judges."""
    busi = published_split(open_busi(task.data, task.image_size), task.data, task.number)
    return within_training(busi, task.number) if task.part == "training" else busi


def start_of(task: Task, network: Network, busi: BusiSplit) -> Landing | None:
    """Return the published weights for ``network``, scaled for the images that train; None from chance."""
    if not task.weights:
        return None
    source = weights_named(task.weights)
    path, _ = require_file(source)
    if task.padding != "turned":
        source = source.model_copy(update={"padding": "symmetric"})
    return land(read_tensors(path), source, network, Normalisation.fit(busi.images.images, busi.split.train))


def judge(network: Network, busi: BusiSplit, device: str) -> Judged:
    """Return the figures on the split's reported images, in the published order."""
    order = list(busi.order)
    normalisation = Normalisation.fit(busi.images.images, busi.split.train)
    return Judged.of(predict(network, busi.images.images[order], normalisation, device), busi.images.masks[order])


def finished(task: Task) -> Run | None:
    """Return the run where it is complete; raises UserError where the folder holds another one of that name."""
    if not task.record.is_file():
        return None
    record = json.loads(task.record.read_text(encoding="utf-8"))
    if _today(record["made_from"]) != task.made_from:
        raise UserError(
            f"{task.record} was made with other settings than asked for: name another folder with --runs, or delete it."
        )
    return read(task, record)


def _today(made_from: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record was made from, without settings of the recipe that change nothing."""
    return {**made_from, "recipe": identity_of(recipe_of_record(made_from["recipe"]))}


def read(task: Task, record: Mapping[str, Any]) -> Run:
    """Return the run that a record holds."""
    judged = {
        key: Judged(np.array(record[key]["iou"]), np.array(record[key]["dice"]), record[key]["pooled_iou"])
        for key in ("last", "best")
    }
    return Run(
        name=task.name,
        number=task.number,
        **judged,
        **{key: record[key] for key in ("best_epoch", "epochs", "seconds", "device")},
        **{key: tuple(record.get(key, ())) for key in ("images", "groups")},
    )


def written(judged: Judged) -> dict[str, Any]:
    """Return figures as JSON-ready data."""
    iou, dice = (values.round(6).tolist() for values in (judged.iou, judged.dice))
    return {"iou": iou, "dice": dice, "pooled_iou": judged.pooled_iou}


def weights_of(network: Network) -> dict[str, torch.Tensor]:
    """Return the state of a network on the CPU."""
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
