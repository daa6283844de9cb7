"""Weights that others trained in networks of this package: which land where, and what a study starts from."""

from ussearch.evaluators.pretrained.choice import choose
from ussearch.evaluators.pretrained.mapping import Landing, land
from ussearch.evaluators.pretrained.start import FROM_SCRATCH, Pretrained, PretrainedStart
from ussearch.evaluators.pretrained.tensors import read_tensors

__all__ = ["FROM_SCRATCH", "Landing", "Pretrained", "PretrainedStart", "choose", "land", "read_tensors"]
