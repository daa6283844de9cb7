"""Phantoms one by one, and as a data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ussearch.datasets.dataset import Dataset, Pixels, Sample
from ussearch.datasets.phantoms.imaging import View, draw_view, scan
from ussearch.datasets.phantoms.lesions import Lesion, add_lesions, plan_lesions
from ussearch.datasets.phantoms.parameters import PhantomParameters
from ussearch.datasets.phantoms.tissue import make_tissue
from ussearch.datasets.reading import Reading


@dataclass(frozen=True)
class Phantom:
    """Image (0..255) and mask ({0, 1}), uint8 [size, size], and the lesions that were put in."""

    image: Pixels
    mask: Pixels
    lesions: tuple[Lesion, ...]


def plan_phantom(parameters: PhantomParameters, index: int) -> tuple[View, tuple[Lesion, ...]]:
    """Return the field of view and the lesions of phantom ``index`` without making it."""
    random = np.random.default_rng([parameters.seed, index, 0])
    view = draw_view(random, parameters)
    return view, plan_lesions(random, parameters, view)


def make_phantom(parameters: PhantomParameters, index: int) -> Phantom:
    """Return phantom ``index``; deterministic in (seed, index)."""
    view, lesions = plan_phantom(parameters, index)
    random = np.random.default_rng([parameters.seed, index, 1])
    seen = view.seen(parameters.image_size)
    tissue = make_tissue(random, parameters)
    mask = add_lesions(random, tissue, lesions)
    return Phantom(scan(random, tissue, parameters, seen), mask * (seen > 0), lesions)


class PhantomSource:
    """Makes phantoms instead of reading files; a sample's ``frame`` is the number of its phantom."""

    def __init__(self, parameters: PhantomParameters) -> None:
        """``parameters`` say everything about the phantoms."""
        self.parameters = parameters

    def content_hash(self, sample: Sample) -> str:
        """Return a hash of all that makes a phantom, the version of the generator included."""
        made_by = self.parameters.model_dump_json(exclude={"count"})
        return hashlib.sha256(f"{made_by} {sample.frame}".encode()).hexdigest()

    def decode(self, sample: Sample) -> tuple[Pixels, Pixels]:
        """Make the phantom."""
        phantom = make_phantom(self.parameters, sample.frame)
        return phantom.image, phantom.mask

    def clipped(self, sample: Sample) -> int:
        """Return 0: phantoms are made in grey levels."""
        del sample
        return 0

    def read_by(self, reading: Reading) -> PhantomSource:
        """Return itself: there are no files to be read."""
        del reading
        return self

    def close(self) -> None:
        """Do nothing: there are no files."""


def phantom_dataset(count: int = 300, seed: int = 0, image_size: int = 128) -> Dataset:
    """Return a data set of ``count`` phantoms of ``image_size`` pixels a side; nothing is made before ``prepare``."""
    return phantoms_from(PhantomParameters(count=count, seed=seed, image_size=image_size))


def phantoms_from(parameters: PhantomParameters) -> Dataset:
    """Return the data set that ``parameters`` describe; a sample's class is the contrast of its first lesion."""
    samples = []
    for index in range(parameters.count):
        name = f"phantom-{index:06d}"
        _, lesions = plan_phantom(parameters, index)
        label = lesions[0].contrast if lesions else "empty"
        samples.append(Sample(name, Path(name), (), label, None, index))
    return Dataset("phantoms", "phantoms", Path("phantoms"), tuple(samples), PhantomSource(parameters))
