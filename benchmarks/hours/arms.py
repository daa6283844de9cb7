"""What is compared: networks that are trained for all of the time, and the run that searches in it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ussearch.datasets import ImageSet, Split, open_dataset, prepare, split
from ussearch.errors import UserError
from ussearch.evaluators import trace
from ussearch.files import staged_directory, write_atomically
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import Architecture, load_preset
from ussearch.search_spaces.scaling import scaled

ROOT = Path(__file__).resolve().parents[2]
ROWS = ROOT / "benchmarks" / "data" / "worth"
EDGE, CLOUD = "raspberry-pi-5", "x86-server"
SPLITS = (1, 2, 3)
RIVAL = "lv-unet"
NARROWEST, WIDEST, STEPS = 0.1, 2.0, 24


@dataclass(frozen=True)
class Setting:
    """Data, size, time: everything that all arms share. ``scratch`` keeps checkpoints, weights and studies."""

    data: Path
    image_size: int = 128
    seconds: float = 1800.0
    cores: int = 2
    rows: Path = ROWS
    scratch: Path = ROOT / "studies" / "worth"

    @property
    def yardstick(self) -> Arm:
        """The network by which machines are compared."""
        architecture = load_preset(RIVAL).architecture.for_task()
        return Arm(RIVAL, architecture.name, architecture)

    @cached_property
    def images(self) -> ImageSet:
        """BUSI without its normal images."""
        return prepare(open_dataset(self.lesions, "busi"), self.image_size)

    @cached_property
    def lesions(self) -> Path:
        """A folder of BUSI without its normal images, which no published list has."""
        folder = self.scratch / "busi"
        for name in ("benign", "malignant"):
            if not (self.data / name).is_dir():
                raise UserError(f"{self.data} has no folder {name}: give the folder of BUSI with --data.")
            if not (folder / name).is_dir():
                with staged_directory(folder / name) as staging:
                    shutil.copytree(self.data / name, staging, dirs_exist_ok=True)
        return folder

    def list_of(self, number: int) -> Path:
        """Return the published list of images that train."""
        return self.data / "splits" / f"train{number}.txt"

    def split(self, number: int) -> Split:
        """Return the parts by which a run with the published list ``number`` learns: its test part is the list."""
        return split(self.images, seed=0, split_file=self.list_of(number))

    def naive_split(self, number: int) -> Split:
        """Return the parts of who trains one network: what a run keeps for its router and thresholds trains, too."""
        given = self.split(number)
        parts = {**given.parts(), "train": [*given.train, *given.calibration], "calibration": []}
        return Split.of(parts, given.source, given.fingerprint)

    def row(self, name: str) -> Path:
        """Return the file of a row."""
        return self.rows / f"{name}.json"

    def known(self, name: str) -> dict[str, Any] | None:
        """Return a row; None where it is not there yet."""
        path = self.row(name)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def keep(self, name: str, row: dict[str, Any]) -> dict[str, Any]:
        """Write a row."""
        self.row(name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.row(name), json.dumps(row, indent=1) + "\n")
        return row

    def latency_ms(self, architecture: Architecture) -> float:
        """Return the predicted milliseconds on the device."""
        return trace(architecture, self.image_size).costs(load_profile(EDGE)).latency_ms

    def at_latency(self, preset: str, wanted_ms: float) -> Architecture:
        """Return a preset with all widths scaled so that it takes at most ``wanted_ms``, as nearly as widths allow."""
        base = load_preset(preset).architecture.for_task()
        low, high = NARROWEST, WIDEST
        for _ in range(STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.latency_ms(scaled(base, middle)) <= wanted_ms else (low, middle)
        return scaled(base, low).model_copy(update={"name": f"{preset} × {low:.2f}"})


@dataclass(frozen=True)
class Arm:
    """One way to spend the time; ``weights`` names published weights that the network starts from."""

    key: str
    title: str
    architecture: Architecture
    weights: str = ""
    seconds: float | None = None
    """Less than all of the time, to choose among networks."""
