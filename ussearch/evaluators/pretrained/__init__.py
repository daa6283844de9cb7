"""Weights that others trained: which there are, where they lie, and how they land in a network of this package."""

from ussearch.evaluators.pretrained.catalogue import WeightsSource, known_weights, weights_named
from ussearch.evaluators.pretrained.files import located, read_tensors, require_file
from ussearch.evaluators.pretrained.mapping import Landing, land

__all__ = [
    "Landing",
    "WeightsSource",
    "known_weights",
    "land",
    "located",
    "read_tensors",
    "require_file",
    "weights_named",
]
