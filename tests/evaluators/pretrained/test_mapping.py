"""Published weights land tensor by tensor, and the encoder computes what was published."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluators.pretrained.reference import State, lite_features, mobilenetv2_features, recorded
from ussearch.datasets import Normalisation
from ussearch.evaluators.pretrained import land
from ussearch.search_spaces import Architecture, Network, build, load_preset
from ussearch.weights import known_weights, weights_named

SIZE = 64
LITE_STRIDES = (1, 2, 2, 2, 1, 2, 1)
REPEATS = {"efficientnet-lite0": (1, 2, 2, 3, 3, 4, 1), "efficientnet-lite1": (1, 3, 3, 4, 4, 5, 1)}
REPEATS["efficientnet-lite2"] = REPEATS["efficientnet-lite1"]
KERNELS = (3, 3, 5, 3, 5, 5, 3)
MOBILENET = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
LITE_WIDTHS = {
    "efficientnet-lite0": (16, 24, 40, 80, 112, 192, 320),
    "efficientnet-lite1": (16, 24, 40, 80, 112, 192, 320),
    "efficientnet-lite2": (16, 24, 48, 88, 120, 208, 352),
}


def rows_of(name: str) -> list[tuple[int, int, int, int, int]]:
    """(kernel, stride, expansion, width, repeats) of every row of the published tables."""
    if name == "mobilenetv2":
        return [(3, stride, expansion, width, repeats) for expansion, width, repeats, stride in MOBILENET]
    columns = zip(KERNELS, LITE_STRIDES, (1, *[6] * 6), LITE_WIDTHS[name], REPEATS[name], strict=True)
    return list(columns)


def whole_encoder(name: str) -> Architecture:
    """The encoder of the publication, uncut, with one grey channel."""
    eps = 1e-5 if name == "mobilenetv2" else 1e-3
    more = {"eps": eps, "activation": "relu6"}
    stages = [{"blocks": [{"kind": "conv", "width": 32, "stride": 2, **more}]}]
    channels = 32
    for kernel, stride, expansion, width, repeats in rows_of(name):
        blocks = []
        for position in range(repeats):
            first = position == 0
            blocks.append({"kind": "mbconv", "kernel": kernel, "width": width, "hidden": channels * expansion, **more})
            blocks[-1] |= {"stride": stride} if first else {"residual": True}
            channels = width
        stages.append({"blocks": blocks})
    return Architecture.model_validate({"stages": stages})


def strides_of(name: str) -> list[int]:
    return [stride if position == 0 else 1 for _, stride, _, _, repeats in rows_of(name) for position in range(repeats)]


def state_of(name: str) -> State:
    """The tensors of a file that came with the development install."""
    source = weights_named(name)
    assert source.member is not None
    package, _, inside = source.member.partition("/")
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None, f"{package} is not installed: make test installs it"
    state: State = torch.load(Path(spec.origin).parent / inside, weights_only=True)
    return state


def encoder_outputs(network: Network, image: torch.Tensor) -> list[torch.Tensor]:
    blocks = [block for stage in network.stages for block in stage.blocks]  # type: ignore[union-attr]
    return recorded(network, image, blocks, network._encode)


def grey_image(seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (1, 1, SIZE, SIZE))).float()


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"])
def test_a_lite_encoder_computes_what_was_published(name: str) -> None:
    source, state = weights_named(name), state_of(name)
    published = Normalisation(255 * source.mean[0], 255 * source.std[0])
    network = build(whole_encoder(name)).eval()
    landing = land(state, source, network, published)
    landing.apply(network)
    assert {key.split(".")[0] for key in landing.left} == {"_conv_head", "_bn1", "_fc"} and not landing.beyond
    encoder = [key for key in network.state_dict() if key.startswith("stages.")]
    assert sorted(landing.tensors) == sorted(encoder)
    grey = grey_image(0)
    ours = encoder_outputs(network, published.apply(grey).flip(2, 3))
    colours = (grey / 255 - source.mean[0]) / source.std[0]
    for mine, theirs in zip(ours, lite_features(state, colours.repeat(1, 3, 1, 1), strides_of(name)), strict=True):
        torch.testing.assert_close(mine.flip(2, 3), theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_mobilenetv2_computes_what_was_published(channels: int) -> None:
    source, state, data = weights_named("mobilenetv2"), state_of("mobilenetv2"), Normalisation(71.0, 52.0)
    architecture = whole_encoder("mobilenetv2").model_copy(update={"input_channels": channels})
    network = build(architecture).eval()
    landing = land(state, source, network, data)
    landing.apply(network)
    assert {".".join(key.split(".")[:2]) for key in landing.left} == {"features.18", "classifier.1"}
    assert len(landing.tensors) + len(landing.left) == len(state) and not landing.beyond
    grey = grey_image(1)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (source.mean, source.std))
    frame = (data.mean / 255 - mean) / std  # the network pads with the data's mean grey
    theirs = mobilenetv2_features(state, (grey / 255 - mean) / std, strides_of("mobilenetv2"), frame)
    ours = encoder_outputs(network, network._adapt(data.apply(grey)))
    for mine, published in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, published, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2", "mobilenetv2"])
def test_the_presets_take_their_encoder(name: str) -> None:
    source, state = weights_named(name), state_of(name)
    for preset in source.presets:
        network = build(load_preset(preset).architecture.for_task())
        landing = land(state, source, network, Normalisation(80.0, 50.0))
        encoder = {key for key in network.state_dict() if key.startswith("stages.")}
        assert set(landing.tensors) == encoder
        assert len(landing.tensors) + len(landing.beyond) + len(landing.left) == len(state)


def test_every_preset_with_weights_exists() -> None:
    for source in known_weights():
        for preset in source.presets:
            assert load_preset(preset).name == preset


@pytest.mark.parametrize("change", ["missing", "shape", "foreign"])
def test_what_does_not_fit_is_named(change: str) -> None:
    source = weights_named("efficientnet-lite0")
    state = dict(state_of("efficientnet-lite0"))
    key = "_blocks.3._depthwise_conv.weight"
    if change == "missing":
        del state[key]
    elif change == "shape":
        state[key] = state[key][:, :, 1:4, 1:4]
    else:
        state = {f"model.{name}": values for name, values in state.items()}
    network = build(load_preset("efficientnet-lite0-unet").architecture.for_task())
    expected = "not called as those" if change == "foreign" else r"stages\.3\.blocks\.0\.depthwise\.conv\.weight"
    with pytest.raises(ValueError, match=expected):
        land(state, source, network, Normalisation(80.0, 50.0))


KEYS = Path(__file__).parent / "keys"


def made_up_state(name: str) -> State:
    """Random values under the keys and in the shapes that the file is published with."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for line in (KEYS / f"{name}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        key, _, sizes = line.partition("\t")
        shape = [int(size) for size in sizes.split(",") if size]
        state[key] = torch.rand(shape, generator=generator) + 0.5
    return state


UNTESTED = [source.name for source in known_weights() if source.checked == "keys"]


@pytest.mark.parametrize("name", UNTESTED)
def test_files_that_are_not_at_hand_fit_by_their_published_keys(name: str) -> None:
    source, state = weights_named(name), made_up_state(name)
    for preset in source.presets:
        network = build(load_preset(preset).architecture.for_task())
        landing = land(state, source, network, Normalisation(80.0, 50.0))
        assert len(landing.tensors) + len(landing.beyond) + len(landing.left) == len(state)
        landed = {key: values for key, values in landing.tensors.items() if key.startswith("stages.")}
        assert landed.keys() == landing.tensors.keys()
        encoder = {key for key in network.state_dict() if key.startswith("stages.")}
        fusible = {key for key in encoder if key.split(".")[1] in {"4", "5", "6"}} if preset == "lv-unet" else set()
        assert landing.tensors.keys() == encoder - fusible


def test_gates_land_as_they_are() -> None:
    source, state = weights_named("mobilenetv3-large"), made_up_state("mobilenetv3-large")
    network = build(load_preset("lv-unet").architecture.for_task())
    landing = land(state, source, network, Normalisation(80.0, 50.0))
    landing.apply(network)
    mine = network.state_dict()["stages.2.blocks.1.attention.reduce.weight"]
    torch.testing.assert_close(mine, state["features.4.block.2.fc1.weight"], atol=0, rtol=0)
    kernel = network.state_dict()["stages.2.blocks.1.depthwise.conv.weight"]
    torch.testing.assert_close(kernel, state["features.4.block.1.0.weight"], atol=0, rtol=0)
