"""Readers of published folder layouts: one file a family, found through ``READERS``.

A reader lists files by name. It decodes nothing, writes nothing and never stops at the first fault.
"""

from ussearch.datasets.readers import (
    busi,
    coco,
    cvat,
    hc18,
    labelme,
    manifest,
    nerve,
    paired_folders,
    plain,
    tn3k,
    yolo,
)
from ussearch.datasets.readers.base import READERS, Listing, Reader, add_reader

__all__ = [
    "READERS",
    "Listing",
    "Reader",
    "add_reader",
    "busi",
    "coco",
    "cvat",
    "hc18",
    "labelme",
    "manifest",
    "nerve",
    "paired_folders",
    "plain",
    "tn3k",
    "yolo",
]
