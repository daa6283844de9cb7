"""Winners made small: an ordered chain of steps, each measured before and after, and kept only where it helps.

``steps/`` are the transformations (fuse, prune, distil, quantise), ``pruning/`` and ``quantisation/`` what two of them
need, ``chain`` tries and evaluates them, ``acceptance`` says what a step has to show, ``speed`` where latencies come
from, ``width_multiplier`` is the plain alternative that every clever chain is held against, ``compression`` the whole.
May import evaluators and below; knows nothing of studies.
"""

from ussearch.compress.acceptance import Compression, StepRecord, WidthMultiplierRecord
from ussearch.compress.candidate import CompressionCandidate
from ussearch.compress.chain import Chain, steps_named
from ussearch.compress.compression import COMPRESSION, Compressed, compress
from ussearch.compress.context import Context
from ussearch.compress.evaluate import Measures
from ussearch.compress.speed import KitTimes, SpeedComparison, SpeedSource, times_of_kit
from ussearch.compress.steps import STEPS, Step

__all__ = [
    "COMPRESSION",
    "STEPS",
    "Chain",
    "Compressed",
    "Compression",
    "CompressionCandidate",
    "Context",
    "KitTimes",
    "Measures",
    "SpeedComparison",
    "SpeedSource",
    "Step",
    "StepRecord",
    "WidthMultiplierRecord",
    "compress",
    "steps_named",
    "times_of_kit",
]
