"""The blocks that networks are made of. Adding one is one file here and one line below."""

from ussearch.search_spaces.blocks import (  # noqa: F401  (importing registers)
    asym,
    conv,
    convnext,
    dwsep,
    dynconv,
    fusible,
    gate,
    mbconv,
    pcdm,
    rep,
    shifted_mlp,
    transposed,
    upsample,
)
from ussearch.search_spaces.blocks.base import BLOCKS, BlockModule, build_block

__all__ = ["BLOCKS", "BlockModule", "build_block"]
