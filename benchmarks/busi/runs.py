"""One network trained on one split, kept on disk and continued where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from busi.protocol import BusiSplit, Judged, open_busi, published_split
from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators import EpochRecord, Recipe, predict, train
from ussearch.files import write_atomically
from ussearch.process_settings import settle
from ussearch.search_spaces import Architecture, Network, build


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

    @property
    def made_from(self) -> dict[str, Any]:
        """Everything that the outcome depends on."""
        return {
            "architecture": self.architecture.id,
            "split": self.number,
            "image_size": self.image_size,
            "recipe": self.recipe.model_dump(mode="json"),
            "seed": self.seed,
        }

    @property
    def architecture(self) -> Architecture:
        """What is trained."""
        return Architecture.from_yaml(self.architecture_yaml, self.name)

    @property
    def record(self) -> Path:
        """The file whose presence says that the training is complete."""
        return self.folder / f"{self.name}-split{self.number}.json"


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


def run(task: Task, *, quiet: bool = False) -> Run:
    """Train and judge; a finished run is read, an unfinished one continued. Raises UserError and TrainingFailed."""
    found = finished(task)
    if found is not None:
        return found
    torch.set_num_threads(1)
    settle()
    busi = published_split(open_busi(task.data, task.image_size), task.data, task.number)
    torch.manual_seed(task.seed)
    network = build(task.architecture)
    checkpoint = task.record.with_suffix(".checkpoint")

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
        checkpoint=checkpoint,
        on_epoch=tell,
    )
    best = judge(network, busi, task.device)
    write_atomically(task.record.with_suffix(".best.safetensors"), save(weights_of(network)))
    network.load_state_dict(result.last_weights)
    last = judge(network, busi, task.device)
    write_atomically(task.record.with_suffix(".last.safetensors"), save(weights_of(network)))
    record = {
        "made_from": task.made_from,
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "seconds": result.seconds,
        "device": torch.cuda.get_device_name() if task.device.startswith("cuda") else "CPU, one thread",
        "last": written(last),
        "best": written(best),
    }
    write_atomically(task.record, json.dumps(record))
    checkpoint.unlink(missing_ok=True)
    return read(task, record)


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
    if record["made_from"] != task.made_from:
        raise UserError(
            f"{task.record} was made with other settings than asked for: name another folder with --runs, or delete it."
        )
    return read(task, record)


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
    )


def written(judged: Judged) -> dict[str, Any]:
    """Return figures as JSON-ready data."""
    return {"iou": judged.iou.tolist(), "dice": judged.dice.tolist(), "pooled_iou": judged.pooled_iou}


def weights_of(network: Network) -> dict[str, torch.Tensor]:
    """Return the state of a network on the CPU."""
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
