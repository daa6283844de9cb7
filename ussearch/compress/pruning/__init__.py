"""Structural pruning: whole channels leave, chosen over all layers at once, and the result is data again.

The road: ``tracing`` and ``channels`` read from torch-pruning's graph which channels of which layers are one;
``rules`` says what the vocabulary of architectures demands of widths; ``strands`` sorts channels into what may lose
some; ``importance`` scores them; ``choice`` removes the cheapest chunks; ``surgery`` and ``layers`` cut; ``written``
writes the architecture that is left; ``pruning`` is the road itself. ``nni_masks`` adds importances that need NNI.
"""

from ussearch.compress.pruning import nni_masks  # noqa: F401  (importing registers)
from ussearch.compress.pruning.importance import IMPORTANCES, Evidence, Importance
from ussearch.compress.pruning.pruning import Pruned, masked, prune

__all__ = ["IMPORTANCES", "Evidence", "Importance", "Pruned", "masked", "prune"]
