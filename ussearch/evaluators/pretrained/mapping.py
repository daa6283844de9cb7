"""Published weights in a network of this package: tensor by tensor, the first layer for grey images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ussearch.datasets import Normalisation
from ussearch.evaluators.pretrained.key_names import PublishedTensor, published_blocks
from ussearch.search_spaces import Architecture, Network
from ussearch.weights import WeightsSource

ENCODER_KINDS = frozenset({"conv", "mbconv"})
"""Kinds of block that published encoders are made of; the first other one ends what weights land in."""
_LEVELS = 255.0


@dataclass(frozen=True)
class Landing:
    """What of a file lands where.

    Attributes:
        tensors: by their names in the network's state.
        beyond: keys of the file's encoder behind the network's own, which is cut.
        left: keys that belong to no encoder, such as the classifier.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)
    beyond: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def apply(self, network: Network) -> None:
        """Copy the tensors into ``network``."""
        network.load_state_dict({**network.state_dict(), **self.tensors})


def encoder_paths(architecture: Architecture) -> list[str]:
    """Return the paths of the leading blocks of the encoder that published weights may land in."""
    paths: list[str] = []
    for stage, spec in enumerate(architecture.stages):
        for position, block in enumerate(spec.blocks):
            if spec.down != "none" or block.kind not in ENCODER_KINDS:
                return paths
            paths.append(f"stages.{stage}.blocks.{position}")
    return paths


def land(state: Mapping[str, Tensor], source: WeightsSource, network: Network, normalisation: Normalisation) -> Landing:
    """Return where the tensors ``state`` of ``source`` land in ``network``, for images scaled by ``normalisation``.

    Every tensor of the network's leading blocks must be there in its shape. Kernels of files with TensorFlow's padding
    are turned by 180°: with symmetric padding, and sides that halve without rest, they compute exactly what was
    published on the turned image, without an operator that pads. ``grey_folded`` says what becomes of the first layer.

    Raises ValueError naming the first tensor that does not fit.
    """
    blocks = published_blocks(state, source.keys)
    wanted, paths = network.state_dict(), encoder_paths(network.architecture)
    tensors: dict[str, Tensor] = {}
    for path, block in zip(paths, blocks, strict=False):
        tensors |= {f"{path}.{each.path}": _turned(each, source) for each in block}
    tensors |= grey_folded(tensors, source, normalisation, network.architecture.input_channels)
    own = [name for name in wanted if name.startswith(tuple(f"{path}." for path in paths[: len(blocks)]))]
    _require_fitting(tensors, wanted, own)
    beyond = tuple(each.key for block in blocks[len(paths) :] for each in block)
    mapped = {each.key for block in blocks for each in block}
    return Landing(tensors, beyond, tuple(key for key in state if key not in mapped))


def _turned(tensor: PublishedTensor, source: WeightsSource) -> Tensor:
    return tensor.values.flip(2, 3) if source.padding == "same" and tensor.values.dim() == 4 else tensor.values


def grey_folded(
    tensors: Mapping[str, Tensor], source: WeightsSource, normalisation: Normalisation, channels: int
) -> dict[str, Tensor]:
    """Return the stem's convolution and norm for grey levels (g - mean) / std in place of the published colours.

    With one channel the kernels of the three colours are summed, each divided by what its colour was divided by; the
    constant that remains goes into the norm's running mean. Inside the image this is exact. At its border the network
    pads with the data's mean grey, the published one with that of its colours: exact there too where both are the same.
    """
    conv, mean = "stages.0.blocks.0.body.conv.weight", "stages.0.blocks.0.body.norm.running_mean"
    if conv not in tensors or mean not in tensors:
        raise ValueError("its first layer is no convolution with a norm")
    kernels = tensors[conv].double()
    if kernels.shape[1] != len(source.mean):
        raise ValueError(f"its first layer sees {kernels.shape[1]} channels, not {len(source.mean)} colours")
    means, stds = (torch.tensor(values, dtype=torch.float64) for values in (source.mean, source.std))
    slopes = normalisation.std / (_LEVELS * stds)
    offsets = (normalisation.mean / _LEVELS - means) / stds
    scaled = kernels * slopes.view(1, -1, 1, 1)
    constant = (kernels.sum(dim=(2, 3)) * offsets).sum(dim=1)
    return {
        conv: (scaled.sum(dim=1, keepdim=True) if channels == 1 else scaled).float(),
        mean: (tensors[mean].double() - constant).float(),
    }


def _require_fitting(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], own: list[str]) -> None:
    for name in own:
        if name not in tensors:
            raise ValueError(f"it has no {name}")
    for name, values in tensors.items():
        if name not in wanted:
            raise ValueError(f"it has {name}, which the network lacks")
        if values.shape != wanted[name].shape:
            raise ValueError(f"{name} is {tuple(values.shape)}, the network's {tuple(wanted[name].shape)}")
