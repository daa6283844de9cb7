"""What stands in a quantised file, against the formula computed anew; every scheme with every method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

from ussearch.compress.quantisation import METHODS, SCHEMES, Quantiser, Settings, int8_nodes, layers, quantise
from ussearch.errors import UserError
from ussearch.hardware_profiles import check_onnx, load_profile
from ussearch.hardware_profiles.onnx_files.export import export_module
from ussearch.search_spaces import FreeSpace, NormalisedNetwork

EVERY = [Settings(scheme, method) for scheme in SCHEMES for method in METHODS]
LARGEST = {"u8s8": 64, "s8s8": 127}


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def weights(model: onnx.ModelProto) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Quantised weights and their scales by the name of the float weight."""
    known = constants(model)
    return {
        node.input[0].removesuffix("_quantized"): (known[node.input[0]], known[node.input[1]])
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in known and known[node.input[0]].dtype == np.int8
    }


def read_the_image(model: onnx.ModelProto) -> set[str]:
    """The weights of layers behind the normalisation that every shipped file begins with."""
    last = next(node for node in model.graph.node if node.op_type == "Div")
    return {node.input[1] for node in model.graph.node if last.output[0] in node.input and node.op_type == "Conv"}


@pytest.mark.parametrize("choice", EVERY, ids=lambda choice: f"{choice.scheme}-{choice.method}")
def test_contract(choice, small, tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    quantise(small.path, small.images, choice, out)
    model, source = onnx.load(out), onnx.load(small.path)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import == source.opset_import
    assert model.ir_version <= source.ir_version
    assert [(i.name, i.type) for i in model.graph.input] == [(i.name, i.type) for i in source.graph.input]
    assert model.graph.output[0].name == "logits"
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    before, after = small.logits(), small.logits(out)
    assert after.dtype == np.float32
    assert np.mean((before >= 0) == (after >= 0)) > (0.9 if choice.method == "entropy" else 0.97)
    assert len(np.unique(after)) > 256, "logits are not rounded to 8 bits"
    assert not np.array_equal(before, after)
    assert int8_nodes(model)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_follow_the_formula(scheme, small, tmp_path: Path) -> None:
    quantise(small.path, small.images, Settings(scheme, "minmax"), tmp_path / "int8.onnx")
    source = onnx.load(small.path)
    floats = {name: value for name, value in constants(source).items() if value.ndim == 4}
    found = weights(onnx.load(tmp_path / "int8.onnx"))
    in_float = read_the_image(source) if scheme == "u8s8" else set()
    assert found.keys() == floats.keys() - in_float
    assert len(in_float) == (scheme == "u8s8"), "onnxruntime is slower in INT8 where a layer reads one channel"
    for name, (integers, scales) in found.items():
        expected = np.abs(floats[name]).reshape(len(integers), -1).max(axis=1) / LARGEST[scheme]
        np.testing.assert_allclose(scales, expected, rtol=1e-5)
        error = np.abs(integers * scales.reshape(-1, 1, 1, 1) - floats[name])
        assert (error <= 0.501 * scales.reshape(-1, 1, 1, 1)).all()
        assert np.abs(integers.astype(int)).max() == LARGEST[scheme]


def test_ranges_of_activations_are_those_of_the_images(small, tmp_path: Path) -> None:
    """The first rounding is that of the normalised image, whose extremes can be computed by hand."""
    quantise(small.path, small.images, Settings("s8s8", "minmax"), tmp_path / "int8.onnx")
    model = onnx.load(tmp_path / "int8.onnx")
    known = constants(model)
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    np.testing.assert_allclose(known[first.input[1]], small.normalised().abs().max().item() / 127, rtol=1e-5)
    assert known[first.input[2]] == 0
    assert known[first.input[2]].dtype == np.int8


def test_unsigned_ranges_hold_zero(small, tmp_path: Path) -> None:
    """Behind the first layer, which stays in float: what its activation gives, computed by torch."""
    quantise(small.path, small.images, Settings("u8s8", "minmax"), tmp_path / "int8.onnx")
    model = onnx.load(tmp_path / "int8.onnx")
    known = constants(model)
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    found: list[torch.Tensor] = []
    activation = next(module for module in small.network.modules() if isinstance(module, torch.nn.ReLU))
    handle = activation.register_forward_hook(lambda module, given, output: found.append(output.detach()))
    with torch.no_grad():
        small.network(small.normalised())
    handle.remove()
    np.testing.assert_allclose(known[first.input[1]], found[0].max().item() / 255, rtol=1e-4)
    assert known[first.input[2]] == 0 and known[first.input[2]].dtype == np.uint8


def test_unsigned_ranges_have_a_zero_point(small, tmp_path: Path) -> None:
    """Behind a first layer without an activation, whose extremes on both sides of zero torch computes."""
    torch.manual_seed(0)
    first, last = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Conv2d(8, 1, 1)
    layers_ = NormalisedNetwork(torch.nn.Sequential(first, last).eval(), 80.0, 50.0)
    export_module(layers_, small.images.shape[-1], load_profile("x86-server"), tmp_path / "float.onnx")
    quantise(tmp_path / "float.onnx", small.images, Settings("u8s8", "minmax"), tmp_path / "int8.onnx")
    model = onnx.load(tmp_path / "int8.onnx")
    known = constants(model)
    node = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    with torch.no_grad():
        read = first(small.normalised())
    low, high = read.min().item(), read.max().item()
    assert low < 0 < high
    np.testing.assert_allclose(known[node.input[1]], (high - low) / 255, rtol=1e-4)
    assert known[node.input[2]] == round(-low / ((high - low) / 255))
    assert known[node.input[2]].dtype == np.uint8


def test_symmetric_scheme_is_what_tensorrt_reads(small, tmp_path: Path) -> None:
    quantise(small.path, small.images, Settings("s8s8", "percentile"), tmp_path / "int8.onnx")
    model = onnx.load(tmp_path / "int8.onnx")
    known = constants(model)
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        zeros = known[node.input[2]]
        assert zeros.dtype == np.int8
        assert not zeros.any()
    assert not any(tensor.data_type == TensorProto.INT32 for tensor in model.graph.initializer), "no quantised bias"
    readers = {name: node for node in model.graph.node for name in node.input}
    followed = [node for node in model.graph.node if node.op_type == "Conv" and node.output[0] in readers]
    assert followed
    for node in followed:
        assert readers[node.output[0]].op_type == "Relu", "nothing stands between convolution and activation"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_float_nodes_are_float(scheme, small, tmp_path: Path) -> None:
    quantiser = Quantiser(small.path, small.images)
    chosen = {quantiser.layers[0], quantiser.layers[-1]}
    quantiser.write(Settings(scheme, "minmax", frozenset(chosen)), tmp_path / "mixed.onnx")
    quantiser.write(Settings(scheme, "minmax"), tmp_path / "int8.onnx")
    model = onnx.load(tmp_path / "mixed.onnx")
    known = constants(model)
    by_name = {node.name: node for node in model.graph.node}
    for name in quantiser.layers:
        in_float = by_name[name].input[1] in known
        assert in_float == (name in chosen)
        if in_float:
            assert known[by_name[name].input[1]].dtype == np.float32
    error = [np.abs(small.logits(tmp_path / name) - small.logits()).mean() for name in ("mixed.onnx", "int8.onnx")]
    assert error[0] < error[1]


def test_all_in_float_changes_nothing_but_rounding_of_other_operators(small) -> None:
    quantiser = Quantiser(small.path, small.images)
    everything = frozenset(node.name for node in quantiser.prepared.graph.node)
    assert int8_nodes(quantiser.model(Settings("u8s8", "minmax", everything))) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_same_bytes_twice_and_a_smaller_file(scheme, make_unet, ship, tmp_path: Path) -> None:
    wide = ship(make_unet(width=32))
    for name in ("a", "b"):
        quantise(wide.path, wide.images, Settings(scheme, "entropy"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_size < 0.45 * wide.path.stat().st_size


@settings(max_examples=2)
@given(seed=st.integers(0, 10**6))
def test_random_architectures(seed: int, ship, tmp_path_factory: pytest.TempPathFactory) -> None:
    architecture = FreeSpace.standard(64).sample(seed)
    network = ship(architecture, count=2, size=64)
    quantiser = Quantiser(network.path, network.images)
    for scheme in SCHEMES:
        out = tmp_path_factory.mktemp("random") / "int8.onnx"
        quantiser.write(Settings(scheme, "percentile"), out)
        assert np.isfinite(network.logits(out)).all()
        source = onnx.load(network.path)
        names = set(layers(source))
        weighted = {node.input[1] for node in source.graph.node if node.name in names}  # some are shared
        in_float = read_the_image(source) if scheme == "u8s8" else set()
        assert weights(onnx.load(out)).keys() == weighted - in_float


def test_seven_bits_never_saturate(small) -> None:
    """Two products of an unsigned and a signed byte are summed in 16 bits where a processor has no VNNI."""
    found = weights(Quantiser(small.path, small.images).model(Settings("u8s8", "minmax")))
    largest = max(np.abs(integers.astype(int)).max() for integers, _ in found.values())
    assert 2 * 255 * largest < 2**15
    wide = weights(Quantiser(small.path, small.images).model(Settings("u8s8", "minmax", weight_bits=8)))
    assert max(np.abs(integers.astype(int)).max() for integers, _ in wide.values()) == 127


def test_misuse_is_explained(small, tmp_path: Path) -> None:
    out, choice = tmp_path / "int8.onnx", Settings("u8s8", "minmax")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(small.path.read_bytes()[:200])
    with pytest.raises(UserError, match="not an ONNX file"):
        quantise(damaged, small.images, choice, out)
    with pytest.raises(UserError, match=r"\(6, 1, 16, 16\)"):
        quantise(small.path, small.images[:, :, :16, :16], choice, out)
    with pytest.raises(UserError, match="at least one image"):
        quantise(small.path, small.images[:0], choice, out)
    with pytest.raises(UserError, match="nowhere"):
        quantise(small.path, small.images, Settings("u8s8", "minmax", frozenset({"nowhere"})), out)
    with pytest.raises(UserError, match="not finite"):
        quantise(small.path, np.full(small.images.shape, np.nan, np.float32), choice, out)
    with pytest.raises(UserError, match="scheme"):
        Settings("u4u4", "minmax")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="calibration method"):
        Settings("u8s8", "guess")  # type: ignore[arg-type]
    assert not out.exists()
    quantise(small.path, small.images, choice, out)
    with pytest.raises(UserError, match="quantised already"):
        quantise(out, small.images, choice, tmp_path / "twice.onnx")


def test_old_opsets_are_refused(small, tmp_path: Path) -> None:
    model = onnx.load(small.path)
    model.opset_import[0].version = 12
    onnx.save(model, tmp_path / "old.onnx")
    with pytest.raises(UserError, match="opset 12"):
        quantise(tmp_path / "old.onnx", small.images, Settings("u8s8", "minmax"), tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("profile_name", "scheme"),
    [("x86-server", "u8s8"), ("raspberry-pi-5", "u8s8"), ("jetson-orin-nano", "s8s8"), ("jetson-xavier-nx", "s8s8")],
)
def test_the_rules_of_the_device_are_kept(profile_name: str, scheme, small, tmp_path: Path) -> None:
    profile = load_profile(profile_name)
    export_module(NormalisedNetwork(small.network, 80.0, 50.0), 32, profile, tmp_path / "float.onnx")
    quantise(tmp_path / "float.onnx", small.images, Settings(scheme, "percentile"), tmp_path / "int8.onnx")
    assert check_onnx(tmp_path / "int8.onnx", profile) == ()
