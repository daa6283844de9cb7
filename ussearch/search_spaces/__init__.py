"""What can be built: architectures as data, the blocks they are made of, presets, and the space of bases and edits.

Imports nothing else of ussearch but the leaf modules (errors, registry, files). Nothing here knows of data sets,
devices or training.
"""

from ussearch.search_spaces.architecture import (
    Architecture,
    Attention,
    Block,
    Bottleneck,
    DecoderLevel,
    DetailBranch,
    Head,
    Skip,
    Stage,
)
from ussearch.search_spaces.blocks import BLOCKS
from ussearch.search_spaces.counting import Counts, count
from ussearch.search_spaces.deploy import NormalisedNetwork, deploy
from ussearch.search_spaces.ensemble import Ensemble
from ussearch.search_spaces.free_space import FreeSpace, Removal
from ussearch.search_spaces.network import Network, build
from ussearch.search_spaces.presets import Preset, load_preset, preset_names
from ussearch.search_spaces.space import SearchSpace

__all__ = [
    "BLOCKS",
    "Architecture",
    "Attention",
    "Block",
    "Bottleneck",
    "Counts",
    "DecoderLevel",
    "DetailBranch",
    "Ensemble",
    "FreeSpace",
    "Head",
    "Network",
    "NormalisedNetwork",
    "Preset",
    "Removal",
    "SearchSpace",
    "Skip",
    "Stage",
    "build",
    "count",
    "deploy",
    "load_preset",
    "preset_names",
]
