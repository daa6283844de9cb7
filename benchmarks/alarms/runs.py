"""One seed: train, choose the post-processing on calibration images, judge it on test images, compare all readers."""

from __future__ import annotations

import csv
import io
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ussearch.datasets import ImageSet, Normalisation, Split, open_dataset, prepare, split
from ussearch.evaluators import Recipe, Tier, TrainEvaluator
from ussearch.evaluators.prediction import export_network
from ussearch.evaluators.pretrained import choose
from ussearch.files import write_atomically
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.pairs import Bundle, Member, PairData, infer, write_bundle
from ussearch.pairs.delivery.full_training import TrainedNetwork, train_fully
from ussearch.pairs.delivery.tasks import FullTraining
from ussearch.pairs.postprocessing.choose import PLAIN
from ussearch.pairs.postprocessing.observed import Observed
from ussearch.pairs.routing.attach_router import RouterSpec
from ussearch.pairs.routing.policies import SharePolicy
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.runtime.predictor import EDGE_MODEL
from ussearch.search_spaces import load_preset
from ussearch.serving.board import run_edge_source
from ussearch.serving.client import CloudOptions
from ussearch.serving.server import CloudModel, ServerSettings
from ussearch.serving.server.embedded import uvicorn_server

COLUMNS = (
    "image",
    "group",
    "lesion",
    "dice_before",
    "dice_after",
    "found_before",
    "found_after",
    "any_before",
    "any_after",
)
CLOUD_SHARE = 0.3
"""Of the images, for the comparison of readers: some masks have to come from the cloud."""
WAIT_S = 30.0


@dataclass(frozen=True)
class Setting:
    """What is trained; ``work`` keeps trainings and bundles, ``tables`` the rows that are committed."""

    data: Path
    work: Path
    tables: Path
    network: str
    image_size: int
    epochs: int
    pretrained: str = "off"
    """As ``run --pretrained`` takes it."""

    @property
    def name(self) -> str:
        """What the rows of this setting are kept under."""
        start = "" if self.pretrained == "off" else "+pretrained"
        return f"{self.network}{start}-{self.image_size}-{self.epochs}"

    def table(self, seed: int) -> Path:
        """Return where a seed's rows stand; beside them is what was chosen, and what the readers gave."""
        return self.tables / self.name / f"seed-{seed}.csv"


def run(setting: Setting, seed: int) -> None:
    """Write the rows of one seed; a seed that has them is left alone, a training that was stopped goes on."""
    table = setting.table(seed)
    if table.is_file():
        return
    images = prepare(open_dataset(setting.data, "busi"), setting.image_size)
    part = split(images, seed=seed)
    trained = _trained(setting, images, part, seed)
    place = setting.work / setting.name / f"seed-{seed}"
    bundle = _bundle(place / "bundle", images, part, trained)
    chosen = bundle.manifest.postprocessing_choice
    how = bundle.manifest.postprocessing
    if chosen is None or how is None:
        raise AssertionError("a new bundle has a post-processing")
    readers = _readers(setting, bundle, images, part, place)
    record = {
        "parts": {name: len(indices) for name, indices in part.parts().items()},
        "postprocessing": how.edge.model_dump(mode="json"),
        "choice": chosen.edge.model_dump(mode="json"),
        "readers": readers,
    }
    write_atomically(table.with_suffix(".json"), json.dumps(record, indent=1) + "\n")
    write_atomically(table, _rows(bundle, images, part))


def _trained(setting: Setting, images: ImageSet, part: Split, seed: int) -> TrainedNetwork:
    profiles: dict[Tier, Profile] = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
    architecture = load_preset(setting.network).architecture.for_task()
    start = choose(setting.pretrained, (architecture,))
    evaluator = TrainEvaluator(
        images, part, Recipe(batch_size=4, epochs=setting.epochs), profiles, torch.device("cpu"), start
    )
    folder = setting.work / setting.name / f"seed-{seed}" / "training"
    return train_fully([FullTraining(folder, architecture, seed)], evaluator)[0]


def _bundle(folder: Path, images: ImageSet, part: Split, trained: TrainedNetwork) -> Bundle:
    """Return a bundle with the network at both ends: one to be judged, and one that a server can answer with."""
    if folder.is_dir():
        return Bundle.load(folder)
    architecture = trained.training.architecture
    edge, cloud = (
        Member(trained.network(), str(architecture.name), architecture.to_yaml(), load_profile(name))
        for name in ("jetson-nano", "x86-server")
    )
    data = PairData(images, part, Normalisation.fit(images.images, part.train), [np.asarray(images.images[0, 0])])
    folder.parent.mkdir(parents=True, exist_ok=True)
    return write_bundle(folder, edge, cloud, data, RouterSpec(SharePolicy(share=CLOUD_SHARE)))


def timed_folder(setting: Setting, seed: int, side: int, folder: Path, count: int) -> Path:
    """Put what ``timing.py`` needs into ``folder``: a seed's network for images of ``side``, and its post-processing.

    Returns the file of the images, uint8 [count, side, side], test images of the seed.
    """
    images = prepare(open_dataset(setting.data, "busi"), setting.image_size)
    part = split(images, seed=seed)
    trained = _trained(setting, images, part, seed)
    how = json.loads(setting.table(seed).with_suffix(".json").read_text(encoding="utf-8"))["postprocessing"]
    (folder / "edge").mkdir()
    normalisation = Normalisation.fit(images.images, part.train)
    export_network(trained.network(), normalisation, side, load_profile("jetson-nano"), folder / EDGE_MODEL)
    (folder / "bundle.yaml").write_text(json.dumps({"postprocessing": {"edge": how}}), encoding="utf-8")
    (folder / "run_edge.py").write_text(run_edge_source(), encoding="utf-8")
    large = prepare(open_dataset(setting.data, "busi"), side)
    np.save(folder / "inputs.npy", np.asarray(large.images[list(part.test)[:count]])[:, 0])
    return folder / "inputs.npy"


def _rows(bundle: Bundle, images: ImageSet, part: Split) -> str:
    """Return one line a test image: what threshold 0.5 alone makes of it, and what the post-processing does."""
    chosen = list(part.test)
    answers = OnnxNetwork(bundle.folder / EDGE_MODEL).probabilities(np.asarray(images.images[chosen]))
    seen = Observed(answers[:, 0], np.asarray(images.masks[chosen])[:, 0] > 0, images.groups[chosen])
    how = bundle.manifest.postprocessing
    before, after = seen.outcomes(PLAIN), seen.outcomes(PLAIN if how is None else how.edge)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row, index in enumerate(chosen):
        figures = [f"{each.dice[row]:.6f}" for each in (before, after)]
        flags = [int(each[row]) for each in (before.found, after.found, before.any, after.any)]
        writer.writerow([images.ids[index], int(images.groups[index]), int(seen.has_lesion[row]), *figures, *flags])
    return text.getvalue()


def _readers(setting: Setting, bundle: Bundle, images: ImageSet, part: Split, place: Path) -> dict[str, int]:
    """Return how many masks of test images, in the size of their files, differ from those of ``infer`` alone."""
    files = [setting.data / images.ids[index] for index in part.test]
    alone = _masks(infer(bundle, files, place / "alone"))
    with _served(bundle) as url:
        asked = _masks(infer(bundle, files, place / "asked", CloudOptions(url, deadline_ms=60_000)))
        command = [sys.executable, str(bundle.folder / "run_edge.py"), *map(str, files), "--out", str(place / "board")]
        done = subprocess.run([*command, "--cloud", url, "--deadline-ms", "60000"], capture_output=True, check=True)
    board = _masks([json.loads(line) for line in done.stdout.decode().splitlines()])
    return {
        "masks": len(alone),
        "from_cloud": sum(route == "cloud" for route, _ in alone.values()),
        "other_by_client_and_server": _others(alone, asked),
        "other_by_run_edge": _others(alone, board),
    }


def _masks(told: list[dict[str, object]]) -> dict[str, tuple[str, NDArray[np.bool_]]]:
    """Return whose mask each image has, and the mask."""
    found = {}
    for each in told:
        with Image.open(str(each["mask"])) as image:
            mask = np.asarray(image.convert("L")) > 127
        found[str(each["image"])] = str(each.get("source") or each["route"]), mask
    return found


def _others(first: dict[str, tuple[str, NDArray[np.bool_]]], second: dict[str, tuple[str, NDArray[np.bool_]]]) -> int:
    """Return how many masks differ in any pixel, or in whose they are."""
    if first.keys() != second.keys():
        raise AssertionError("the readers were given other images")
    return sum(
        first[name][0] != second[name][0] or not np.array_equal(first[name][1], second[name][1]) for name in first
    )


@contextmanager
def _served(bundle: Bundle) -> Iterator[str]:
    """Serve the bundle's cloud network on this machine and yield the URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn_server(CloudModel.of(bundle), ServerSettings(port=0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    ends_s = time.monotonic() + WAIT_S
    while not server.started:
        if time.monotonic() > ends_s:
            raise AssertionError("the server did not start")
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(WAIT_S)
        listener.close()
