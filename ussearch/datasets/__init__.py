"""What networks are trained and judged on.

A folder becomes a ``Dataset`` (``open_dataset``, by the readers), a ``Dataset`` becomes an ``ImageSet``
(``prepare``: decoded, resized and grouped once), indices into it become a ``Split``, and ``Batches`` feed
training. ``phantom_dataset`` makes data from nothing; ``check`` tells what is wrong with a folder;
``read_frames`` reads single images and cines for inference. Nothing here knows of networks or devices.
"""

from ussearch.datasets.augmentation import AugmentationSettings, augment
from ussearch.datasets.batches import Batches, Normalisation
from ussearch.datasets.cache import cache_folder
from ussearch.datasets.checking.check import check
from ussearch.datasets.checking.report import DataReport
from ussearch.datasets.dataset import Dataset, ImageSet, Problem, Sample
from ussearch.datasets.fingerprint import fingerprint_of
from ussearch.datasets.frames import read_frames, read_image
from ussearch.datasets.opening import open_dataset
from ussearch.datasets.phantoms import PhantomParameters, phantom_dataset, phantoms_from
from ussearch.datasets.preparation import prepare
from ussearch.datasets.readers import READERS, Reader
from ussearch.datasets.reading import Reading, ReadingOptions
from ussearch.datasets.reading.decide import as_read, fitted, settled
from ussearch.datasets.reading.survey import FileProgress
from ussearch.datasets.splits import DEFAULT_FRACTIONS, PARTS, Split, k_folds, leaking_groups_of, split
from ussearch.runtime.geometry import resize_image, resize_mask, resize_plane

__all__ = [
    "DEFAULT_FRACTIONS",
    "PARTS",
    "READERS",
    "AugmentationSettings",
    "Batches",
    "DataReport",
    "Dataset",
    "FileProgress",
    "ImageSet",
    "Normalisation",
    "PhantomParameters",
    "Problem",
    "Reader",
    "Reading",
    "ReadingOptions",
    "Sample",
    "Split",
    "as_read",
    "augment",
    "cache_folder",
    "check",
    "fingerprint_of",
    "fitted",
    "k_folds",
    "leaking_groups_of",
    "open_dataset",
    "phantom_dataset",
    "phantoms_from",
    "prepare",
    "read_frames",
    "read_image",
    "resize_image",
    "resize_mask",
    "resize_plane",
    "settled",
    "split",
]
