"""Weights that others trained in networks of this package: which land where, and what a study starts from."""

from ussearch.evaluators.pretrained.choice import choose, with_earlier
from ussearch.evaluators.pretrained.lineage import Origin, earlier_told, header, origins_in
from ussearch.evaluators.pretrained.mapping import Landing, land
from ussearch.evaluators.pretrained.start import FROM_SCRATCH, Pretrained, PretrainedStart
from ussearch.evaluators.pretrained.tensors import read_tensors

__all__ = [
    "FROM_SCRATCH",
    "Landing",
    "Origin",
    "Pretrained",
    "PretrainedStart",
    "choose",
    "earlier_told",
    "header",
    "land",
    "origins_in",
    "read_tensors",
    "with_earlier",
]
