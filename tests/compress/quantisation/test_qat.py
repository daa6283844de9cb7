"""The rounding of training against that of the file, and against numpy."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch.nn import functional

from tests.compress.quantisation.conftest import run, shipped, unet
from tests.margins import above, below, reaches
from ussearch.compress.quantisation import SCHEMES, Quantiser, Settings, converted, prepare, quantise
from ussearch.errors import UserError
from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.onnx_files.export import export_module
from ussearch.search_spaces import NormalisedNetwork, build, deploy, load_preset

pytestmark = pytest.mark.training


@pytest.mark.parametrize("kind", ["conv", "dwsep", "mbconv"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_training_rounds_as_the_file_does(scheme, kind: str, make_unet, ship, logits_of, tmp_path) -> None:
    """Ranges from the same images: fake quantisation in torch and onnxruntime's file agree."""
    network = ship(make_unet(kind=kind))
    quantise(network.path, network.images, Settings(scheme, "minmax"), tmp_path / "int8.onnx")
    truth, file = network.logits(), network.logits(tmp_path / "int8.onnx")
    prepared = prepare(network.network, scheme, network.normalised()).eval()
    with torch.no_grad():
        simulated = prepared(network.normalised()).numpy()
    assert np.mean((simulated >= 0) == (file >= 0)) > 0.99
    assert np.abs(simulated - file).mean() < 0.6 * np.abs(truth - file).mean()


def test_a_repeated_image_stays_in_float_in_both(make_unet, ship) -> None:
    """A network whose first layer wants three channels, as LAEDNet's does, gets the grey image three times."""
    network = ship(make_unet().model_copy(update={"input_channels": 3}), count=2)
    quantiser = Quantiser(network.path, network.images)
    file = quantiser.model(Settings("u8s8", "minmax"))
    first = next(node for node in file.graph.node if node.name == quantiser.layers[0])
    known = {tensor.name: tensor.data_type for tensor in file.graph.initializer}
    assert known[first.input[1]] == TensorProto.FLOAT
    producers = {output: node for node in file.graph.node for output in node.output}
    assert producers[first.input[0]].op_type != "DequantizeLinear"
    prepared = prepare(network.network, "u8s8", network.normalised()).eval()
    sites = sum(node.op_type == "QuantizeLinear" for node in file.graph.node)
    assert 0 < len(prepared.low) <= sites, "the image has no range of its own"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_ranges_are_those_of_the_file(scheme, small) -> None:
    model = Quantiser(small.path, small.images).model(Settings(scheme, "minmax"))
    prepared = prepare(small.network, scheme, small.normalised())
    sites = {node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    scales = sorted({round(float(numpy_helper.to_array(values[name])), 7) for name in sites})
    grids = sorted({round(float(prepared._grid(site)[0]), 7) for site in range(len(prepared.low))})
    np.testing.assert_allclose(grids, scales, rtol=1e-4)


def test_weights_are_rounded_per_channel(small) -> None:
    prepared = prepare(small.network, "s8s8", small.normalised())
    weight = torch.randn(4, 3, 3, 3) * torch.tensor([0.1, 1.0, 10.0, 0.0]).reshape(-1, 1, 1, 1)
    rounded, bias = prepared._rounded_layer(0, weight, None, 0)
    assert bias is None
    for channel, expected in zip(rounded.numpy()[:3], weight.numpy()[:3], strict=True):
        scale = np.abs(expected).max() / 127
        np.testing.assert_allclose(channel, np.round(expected / scale) * scale, atol=1.01 * scale)
        assert np.mean(np.isclose(channel, np.round(expected / scale) * scale, rtol=1e-4)) > 0.9
    assert not rounded[3].any()


@reaches(loss_ratio=below(0.8), masks_agree=above(0.97))
def tuning(seed: int, folder: Path) -> dict[str, float]:
    """A few steps towards the float network's own masks: the loss falls, the ranges move, the file can be made."""
    small = shipped(unet(), folder, seed=seed)
    images = small.normalised()
    targets = torch.from_numpy((small.logits() >= 0).astype(np.float32))
    prepared = prepare(small.network, "u8s8", images).train()
    high = prepared.high.clone()
    optimiser = torch.optim.Adam(prepared.parameters(), lr=2e-3)
    losses = []
    for _ in range(25):
        (logits,) = prepared.forward_all(images)
        loss = functional.binary_cross_entropy_with_logits(logits, targets)
        optimiser.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in prepared.parameters())
        optimiser.step()
        losses.append(float(loss.detach()))
    assert not torch.equal(prepared.high, high)
    tuned = converted(prepared)
    assert type(tuned) is type(small.network)
    assert tuned.state_dict().keys() == small.network.state_dict().keys()
    assert all(torch.equal(value, prepared.state_dict()[name]) for name, value in tuned.state_dict().items())
    export_module(NormalisedNetwork(tuned, 80.0, 50.0), 32, load_profile("x86-server"), folder / "tuned.onnx")
    quantise(folder / "tuned.onnx", small.images, Settings("u8s8", "minmax"), folder / "int8.onnx")
    with torch.no_grad():
        simulated = prepared.eval()(images).numpy()
    agree = np.mean((simulated >= 0) == (run(folder / "int8.onnx", small.images) >= 0))
    return {"loss_ratio": losses[-1] / losses[0], "masks_agree": float(agree)}


def test_it_trains_and_comes_back_as_a_network(tmp_path: Path) -> None:
    tuning.check(0, tmp_path)


def test_gradients_pass_straight_through_inside_the_range(small) -> None:
    prepared = prepare(small.network, "u8s8", small.normalised()).eval()
    low, high = float(prepared.low[0]), float(prepared.high[0])
    x = torch.tensor([low - 1.0, 0.0, high / 2, high + 1.0], requires_grad=True)
    prepared._rounded(0, x, own=True).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_the_given_network_is_left_alone_and_copies_train_apart(small) -> None:
    before = copy.deepcopy(small.network.state_dict())
    prepared = prepare(small.network, "s8s8", small.normalised())
    other = copy.deepcopy(prepared)
    with torch.no_grad():
        for parameter in prepared.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(value, before[name]) for name, value in small.network.state_dict().items())
    assert torch.equal(converted(other)(small.normalised()), small.network(small.normalised()))


@pytest.mark.parametrize("name", ["lv-unet", "unext", "bmis"])
def test_presets_are_prepared_and_converted(name: str) -> None:
    torch.manual_seed(0)
    architecture = load_preset(name).architecture.for_task()
    network, size = build(architecture).eval(), max(64, architecture.size_divisor)
    if network.has_schedule:
        network.set_schedule(1.0)
    images = torch.randn(2, 1, size, size)
    prepared = prepare(network, "u8s8", images)
    assert not prepared.has_schedule
    with torch.no_grad():
        assert torch.isfinite(prepared.eval()(images)).all()
        torch.testing.assert_close(converted(prepared)(images), deploy(network)(images))


def test_no_image_is_refused(small) -> None:
    with pytest.raises(UserError, match="N >= 1"):
        prepare(small.network, "u8s8", small.normalised()[:0])
