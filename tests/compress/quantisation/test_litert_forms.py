"""Whatever a LiteRT device does not refuse can be written for it, and computes the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.compress.pruning.conftest import lived_in
from tests.compress.pruning.test_contract import allowed, around, variants
from ussearch.compress.quantisation.litert import LiteRtNetwork, _write_float, expressible, missing, quantise_litert
from ussearch.errors import UserError
from ussearch.evaluators.costs import refusals
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import BLOCKS, Architecture, Attention, Block, NormalisedNetwork, deploy
from ussearch.search_spaces.attention import ATTENTIONS
from ussearch.search_spaces.bottlenecks import BOTTLENECKS
from ussearch.search_spaces.heads import HEADS
from ussearch.search_spaces.skips import SKIPS

CORAL = load_profile("coral-edge-tpu")
SIZE = 32


def blocks() -> Iterator[Block]:
    """Every kind of block, and every attention on one that takes it."""
    yield from (variants(kind)[0] for kind in BLOCKS)
    for name in ATTENTIONS:
        kind = "conv" if allowed("conv", name) else "convnext"
        yield Block(kind=kind, width=32, attention=Attention(kind=name, squeeze=12))


def architectures() -> Iterator[tuple[str, Architecture]]:
    """One network for each entry of every registry, by name."""
    for block in blocks():
        yield f"{block.kind}-{block.attention.kind if block.attention else 'plain'}", around(block)
    yield from ((f"skip-{name}", around(skip=name)) for name in SKIPS)
    yield from ((f"bottleneck-{name}", around(bottleneck=name)) for name in BOTTLENECKS)
    yield from ((f"head-{name}", around(head=name)) for name in HEADS if name != "dynconv")


NETWORKS = dict(architectures())


def deployed(architecture: Architecture) -> nn.Module:
    network = lived_in(architecture)
    network.set_schedule(1.0)
    return deploy(network).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_other_words_say_the_same(name: str) -> None:
    network = deployed(NETWORKS[name])
    images = torch.randn(2, NETWORKS[name].image_channels, SIZE, SIZE)
    rewritten = expressible(network)
    with torch.no_grad():
        torch.testing.assert_close(rewritten(images), network(images), rtol=1e-4, atol=1e-4)
    assert not any(any(m.output_padding) for m in rewritten.modules() if isinstance(m, nn.ConvTranspose2d))


@pytest.mark.parametrize(("kernel", "stride", "padding", "output_padding"), [(3, 2, 1, 1), (5, 2, 2, 1), (5, 3, 2, 2)])
def test_a_cropped_convolution_has_the_same_size(kernel: int, stride: int, padding: int, output_padding: int) -> None:
    conv = nn.Sequential(nn.ConvTranspose2d(4, 6, kernel, stride, padding, output_padding)).eval()
    image = torch.randn(1, 4, 7, 9)
    with torch.no_grad():
        torch.testing.assert_close(expressible(conv)(image), conv(image))


needs_litert = pytest.mark.skipif(bool(missing()), reason="needs the extra litert")
EXPECTED = [name for name, each in NETWORKS.items() if not refusals(each, CORAL)]


@needs_litert
@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_not_refused_is_written(name: str, tmp_path: Path) -> None:
    network = deployed(NETWORKS[name])
    shape = (2, NETWORKS[name].image_channels, SIZE, SIZE)
    images = torch.randn(shape)
    _write_float(network, shape[1:], tmp_path / "float.tflite")
    with torch.no_grad():
        expected = network(images).numpy()
    found = LiteRtNetwork(tmp_path / "float.tflite").logits(images.numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    levels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    quantise_litert(NormalisedNetwork(network, 80.0, 50.0), levels, tmp_path / "int8.tflite")
    assert LiteRtNetwork(tmp_path / "int8.tflite").types() <= {"int8", "int32"}


@needs_litert
@pytest.mark.slow
def test_what_would_stay_in_float_is_refused_and_not_written(tmp_path: Path) -> None:
    name = "bottleneck-dual_affinity"
    levels = np.zeros((2, NETWORKS[name].image_channels, SIZE, SIZE), np.uint8)
    with pytest.raises(UserError, match=r"no INT8 for a part of the network \(.*DualAffinity"):
        quantise_litert(NormalisedNetwork(deployed(NETWORKS[name]), 80.0, 50.0), levels, tmp_path / "int8.tflite")
    assert not list(tmp_path.iterdir())
