"""The steps of the chain, in their order. Adding one is one file here and one line below."""

from ussearch.compress.steps import fuse, prune, distil, quantise  # noqa: F401, I001  (importing registers, in order)
from ussearch.compress.steps.base import STEPS, Failure, Step

__all__ = ["STEPS", "Failure", "Step"]
