"""Weights that others trained: which there are, where their files lie on this machine, and how they come here."""

from ussearch.weights.catalogue import KeyScheme, WeightsSource, known_weights, weights_named
from ussearch.weights.files import located, require_digest, require_file, weights_folder

__all__ = [
    "KeyScheme",
    "WeightsSource",
    "known_weights",
    "located",
    "require_digest",
    "require_file",
    "weights_folder",
    "weights_named",
]
