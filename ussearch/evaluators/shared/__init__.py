"""Weights that all architectures of a space share: each draws its own as slices of them.

Networks stay plain: ``build`` knows nothing of a store. ``roles`` says which parameters of two networks are the same,
``axes`` which of their channels correspond, ``store`` holds the weights and draws them, ``sandwich`` trains them.
"""

from ussearch.evaluators.shared.drawing import Drawing, drawing_of
from ussearch.evaluators.shared.store import UnknownWeights, WeightStore

__all__ = ["Drawing", "UnknownWeights", "WeightStore", "drawing_of"]
