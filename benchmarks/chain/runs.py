"""One network on one seed: trained, sent through the chain, judged on the test part, timed at full size."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from chain.enlarged import EnlargedSpeed, enlarged
from ussearch.compress import Compressed, CompressionCandidate, Context, compress, steps_named
from ussearch.compress.quantisation import Settings, calibration_images, quantise
from ussearch.compress.retraining import trained_weights
from ussearch.compress.waterfall import row_of
from ussearch.datasets import ImageSet, Normalisation, Split, open_dataset, prepare, split
from ussearch.evaluators import Recipe
from ussearch.evaluators.prediction import export_network
from ussearch.events import Event, StepEvaluated, TrainingEpoch
from ussearch.files import write_atomically
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.measuring.paired_benchmark import paired_benchmark
from ussearch.runtime.masks import dice_of
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.search_spaces import Architecture, Network, build, load_preset

TEACHER = "cmunext-s"
FRACTIONS = (0.55, 0.30, 0.0, 0.15)
"""Train, validation, calibration, test; nothing is routed here, and a gate needs images to judge by."""
CALIBRATED = 200
TIMED_RUNS = 60
FORMS = ("start", "start-int8", "end")
"""What is timed: the deploy form in FP32, the same in INT8, and what is shipped."""


@dataclass(frozen=True)
class Bench:
    """The data at both sizes, the device, and how long everything is trained."""

    data: Path
    profile: Profile
    train_size: int
    time_size: int
    epochs: int
    step_epochs: int
    folder: Path
    device: str = "cpu"
    normals: bool = False
    """Whether images without a lesion take part; whether a short training leaves them empty is chance."""

    @cached_property
    def images(self) -> ImageSet:
        """BUSI at the size of training."""
        return prepare(open_dataset(self.data), self.train_size)

    @cached_property
    def split(self) -> Split:
        """One split for all seeds."""
        whole = split(self.images, FRACTIONS, seed=0)
        chosen = {
            part: [index for index in indices if self.normals or self.images.has_lesion[index]]
            for part, indices in whole.parts().items()
        }
        return Split.of(chosen, whole.source, whole.fingerprint)

    @property
    def recipe(self) -> Recipe:
        """Of every full training."""
        return Recipe(batch_size=4, epochs=self.epochs)

    def record(self, name: str, seed: int) -> Path:
        """Return where the outcome of one row on one seed is kept."""
        return self.folder / f"{name}-{seed}.json"

    def context(self, name: str, seed: int, teachers: tuple[Network, ...]) -> Context:
        """Return the context of one chain."""
        return Context(
            images=self.images,
            split=self.split,
            profile=self.profile,
            recipe=self.recipe,
            folder=self.folder / f"{name}-{seed}",
            speed=EnlargedSpeed(self.profile, image_size=self.time_size),
            epochs=self.step_epochs,
            teachers=teachers,
            asked=frozenset({"quantise"}),
            device=torch.device(self.device),
            seed=seed,
            on_event=partial(_tell, f"{name}, seed {seed}"),
        )

    def network(self, architecture: Architecture, name: str, seed: int) -> Network:
        """Return a network trained in full; one that was trained before is read."""
        context = self.context(name, seed, ())
        network = build(architecture)
        network.load_state_dict(trained_weights(context, architecture, self.recipe, "full training", taught=False))
        return network.eval()


def run(bench: Bench, name: str, architecture: Architecture, seed: int) -> None:
    """Bring one row through the chain on one seed and keep its outcome; what is finished is not done again."""
    record = bench.record(name, seed)
    if record.is_file():
        return
    teacher = bench.network(load_preset(TEACHER).architecture.for_task(), TEACHER, 0)
    network = bench.network(architecture, name, seed)
    done = compress(
        architecture,
        network,
        steps_named(),
        bench.context(name, seed, (teacher,)),
        uniform_epochs=bench.epochs,
    )
    _write_timed(bench, CompressionCandidate(architecture, network.state_dict(), fused=True), done)
    found = {
        **_accuracy(bench, done),
        "rows": [
            {"step": row_of(each).title, "verdict": row_of(each).verdict, "reason": each.reason}
            for each in done.record.records
        ],
        "uniform": None if done.record.uniform is None else done.record.uniform.reason,
        "form": done.record.form,
    }
    write_atomically(record, json.dumps(found, indent=1))


def outcome_of(bench: Bench, name: str, seed: int) -> dict[str, Any]:
    """Return what ``run`` kept, with latencies and bytes as they are now; nothing else should run on this machine."""
    kept: dict[str, Any] = json.loads(bench.record(name, seed).read_text(encoding="utf-8"))
    places = {form: _timed_file(bench, bench.folder / f"{name}-{seed}", form) for form in FORMS}
    base, *others = paired_benchmark(list(places.values()), runs=TIMED_RUNS)
    ratios = (median(two / one for one, two in zip(base, row, strict=True)) for row in others)
    sizes = {form: path.stat().st_size for form, path in places.items()}
    return {**kept, "ratio": dict(zip(FORMS[1:], ratios, strict=True)), "file_bytes": sizes}


def _tell(what: str, event: Event) -> None:
    match event:
        case TrainingEpoch(_, epoch):
            print(f"  {what}, {event}, Dice {epoch.lesion_dice}", flush=True)
        case StepEvaluated(record):
            row = row_of(record)
            print(f"{row.title}: {row.verdict}, {row.reason}", flush=True)


def _accuracy(bench: Bench, done: Compressed) -> dict[str, Any]:
    """Return the Dice of every test image, before and after, by the files that onnxruntime runs."""
    chosen = list(bench.split.test)
    pixels, masks = np.asarray(bench.images.images[chosen]), np.asarray(bench.images.masks[chosen])
    before = done.place / "start.onnx"
    scores = [dice_of(OnnxNetwork(path).probabilities(pixels), masks) for path in (before, done.model)]
    groups = [int(each) for each in bench.images.groups[chosen]]
    return {"before": scores[0], "after": scores[1], "groups": groups}


def _write_timed(bench: Bench, start: CompressionCandidate, done: Compressed) -> None:
    """Write the deploy form that came in, the same in INT8, and what is shipped, at the size of timing."""
    made = {form: done.place / f"{form}.onnx" for form in FORMS}
    normalisation = Normalisation.fit(bench.images.images, bench.split.train)
    export_network(start.network(), normalisation, bench.train_size, bench.profile, made["start"])
    quantise(made["start"], _calibration(bench), Settings("u8s8", "minmax"), made["start-int8"])
    made["end"] = done.model
    for form, model in made.items():
        enlarged(model, bench.time_size, _timed_file(bench, done.place, form))


def _timed_file(bench: Bench, folder: Path, form: str) -> Path:
    return folder / f"{form}-{bench.time_size}.onnx"


def _calibration(bench: Bench) -> npt.NDArray[np.uint8]:
    train = list(bench.split.train)
    picked = calibration_images(np.asarray(bench.images.masks[train]), CALIBRATED, 0)
    return np.asarray(bench.images.images[[train[index] for index in picked]])
