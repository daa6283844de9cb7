"""A candidate of a study, trained at full length, on its way through the chain; the cloud network teaches it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ussearch.compress import (
    Compressed,
    Context,
    KitTimes,
    SpeedSource,
    Step,
    compress,
    steps_named,
)
from ussearch.datasets import read_frames, resize_image
from ussearch.datasets.reading import Reading
from ussearch.errors import UserError
from ussearch.events import OnEvent, ignore
from ussearch.pairs.delivery.cloud_ensemble import CloudEnsemble, choose_ensemble
from ussearch.pairs.delivery.export_pair import choose_pair, train_pair
from ussearch.pairs.delivery.full_training import TrainedNetwork, finalist_seed
from ussearch.studies import Study, StudyConfig
from ussearch.studies.context import StudyContext

FOLDER = "compressed"
SHARE = 4
"""A step trains for a fourth of the epochs of the full training."""
LEAST_EPOCHS = 2
TAUGHT = 1.3
"""How much longer an epoch with teachers takes besides their answers, for budgets alone: 1.1 with answers was measured
with UNeXt (``benchmarks/rounding.py``); the rest is a margin."""
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CompressionRequest:
    """What is asked of a chain; None leaves the choice to the program."""

    trial: int | None = None
    """None: the pair's edge network."""
    teacher: int | None = None
    """None: what answers in the cloud, an average too."""
    epochs: int | None = None
    max_drop: float = 0.01
    steps: tuple[str, ...] | None = None
    """Steps by name; those that nobody measured on the device are only tried where they are named. None: all."""
    kit: KitTimes = field(default_factory=KitTimes)
    """What was measured on the device."""
    unlabelled: Path | None = None
    """Folder of images without masks."""
    uniform: bool = True
    budget_seconds: float | None = None


def compression_folder(study: Study, trial_id: int) -> Path:
    """Return where a study keeps the chain of a candidate."""
    return study.folder / FOLDER / f"{trial_id:04d}"


def compress_trial(
    study: Study,
    study_context: StudyContext,
    request: CompressionRequest,
    on_event: OnEvent = ignore,
) -> Compressed:
    """Send a candidate through the chain and keep everything in the study; ``initial`` is that of ``train_pair``.

    It and its teacher are trained at full length first, where they were not yet. The same call continues a chain that
    was killed. Raises UserError where the study has no such candidates or the unlabelled images cannot be read.
    """
    pair = choose_pair(study, request.trial, request.teacher)
    finalists = train_pair(study, study_context, pair, on_event)
    cloud = choose_ensemble(study, study_context, finalists, average=request.teacher is None)
    return compress_finalist(study, study_context, finalists["edge"], cloud, request, on_event=on_event)


def compress_finalist(
    study: Study,
    study_context: StudyContext,
    edge: TrainedNetwork,
    cloud: CloudEnsemble,
    request: CompressionRequest,
    *,
    on_event: OnEvent = ignore,
) -> Compressed:
    """Send the trained edge network through the chain; what answers in the cloud is its teacher, an average too."""
    config, profile = study.config, study.config.profiles["edge"]
    teachers_s = sum(each.seconds for each in cloud.teachers) * len(study_context.split.train)
    epoch_s = _epoch_seconds(edge) * TAUGHT + teachers_s
    context = Context(
        images=study_context.images,
        split=study_context.split,
        profile=profile,
        recipe=config.final_recipe,
        folder=compression_folder(study, edge.trial_id),
        speed=SpeedSource(profile, request.kit),
        epochs=request.epochs or _epochs(request, config.final_epochs, epoch_s),
        teachers=tuple(each.network() for each in cloud.teachers),
        unlabelled=_unlabelled(request, config),
        max_drop=request.max_drop,
        asked=frozenset(request.steps or ()),
        device=study_context.device,
        seed=finalist_seed(study, edge.trial_id),
        on_event=on_event,
    )
    plan = planned(steps_named(request.steps), context, epoch_s, request)
    return compress(
        edge.training.architecture,
        edge.network(),
        plan.steps,
        context,
        uniform_epochs=config.final_epochs if plan.uniform else None,
        trainings=plan.trainings,
        skipped=_with_command(plan.skipped, study, edge.trial_id),
    )


@dataclass(frozen=True)
class ChainPlan:
    """What a budget leaves of a chain; ``skipped`` names the rest with its predicted seconds."""

    steps: tuple[Step, ...]
    uniform: bool
    trainings: float
    """How many trainings of a step's length the budget pays for, besides uniform scaling."""
    skipped: dict[str, float]


def planned(steps: Sequence[Step], context: Context, epoch_s: float, request: CompressionRequest) -> ChainPlan:
    """Return the steps that fit into the request's budget, in their order; those that train nothing always do.

    ``epoch_s`` is an epoch with its teachers. Uniform scaling takes one full training and goes first, then steps one by
    one, the last ones first.
    """
    chosen, uniform = list(steps), request.uniform
    skipped: dict[str, float] = {}
    budget_s = request.budget_seconds
    if budget_s is None:
        return ChainPlan(tuple(chosen), uniform, math.inf, skipped)
    uniform_s = epoch_s * (context.recipe.epochs + context.epochs)
    seconds = {step.name: step.trainings() * context.epochs * epoch_s for step in chosen}
    uniform = uniform and "prune" in seconds
    if uniform and sum(seconds.values()) + uniform_s > budget_s:
        uniform, skipped["uniform scaling"] = False, uniform_s
    for step in reversed([each for each in chosen if each.trainings()]):
        if sum(seconds.values()) > budget_s:
            skipped[step.name] = seconds.pop(step.name)
            chosen.remove(step)
    left_s = budget_s - (uniform_s if uniform else 0.0)
    return ChainPlan(tuple(chosen), uniform, left_s / max(context.epochs * epoch_s, 1e-9), skipped)


def _with_command(skipped: dict[str, float], study: Study, trial_id: int) -> dict[str, str]:
    """Return why each part was skipped, with the command that does it later."""
    command = f"ussearch compress {shlex.quote(str(study.folder))} --trial {trial_id}"
    return {
        name: f"about {seconds:.0f} s did not fit into the budget; later: {command}"
        for name, seconds in skipped.items()
    }


def _epochs(request: CompressionRequest, final_epochs: int, epoch_s: float) -> int:
    """Return how long a step trains: a fourth of the full training, less where a budget leaves time for no step."""
    usual = max(LEAST_EPOCHS, final_epochs // SHARE)
    if request.budget_seconds is None:
        return usual
    cheapest = min((step.trainings() for step in steps_named(request.steps) if step.trainings()), default=1)
    return max(LEAST_EPOCHS, min(usual, int(request.budget_seconds / (cheapest * epoch_s))))


def _epoch_seconds(trained: TrainedNetwork) -> float:
    return trained.evaluation.training_seconds / max(len(trained.evaluation.history), 1)


def _unlabelled(request: CompressionRequest, config: StudyConfig) -> Pixels | None:
    if request.unlabelled is None:
        return None
    return unlabelled_images(request.unlabelled, config.image_size, config.data.reading)


def unlabelled_images(path: Path, image_size: int, reading: Reading | None = None) -> Pixels:
    """Return the frames of the images in a folder, grey uint8 [N, 1, S, S]; raises UserError where there are none.

    ``reading`` is that of the study's data: both are read in the same grey levels.
    """
    if not path.is_dir():
        raise UserError(f"--unlabelled {path} is no folder: give one with PNG, JPEG, TIFF, BMP or DICOM files.")
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    scale, region = (None, "largest") if reading is None else (reading.grey_scale, reading.region)
    frames = [
        resize_image(frame.pixels, image_size, image_size)
        for file in files
        for frame in read_frames(file, scale, region)
    ]
    if not frames:
        raise UserError(f"--unlabelled {path} holds no images: give a folder with PNG, JPEG, TIFF, BMP or DICOM files.")
    return np.stack(frames)[:, None].astype(np.uint8)
