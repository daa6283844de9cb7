from __future__ import annotations

import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators.prediction import export_network
from ussearch.hardware_profiles import check_onnx, load_profile
from ussearch.hardware_profiles.measuring.paired_benchmark import paired_benchmark
from ussearch.pairs import soft_dice_confidence
from ussearch.pairs.routing.features import feature_names
from ussearch.pairs.routing.graph import bottleneck_of, with_confidence, with_features, without_confidence
from ussearch.pairs.routing.models import GainModel, Layer, fit_model
from ussearch.runtime.onnx_network import OnnxNetwork, sigmoid
from ussearch.search_spaces import build, load_preset

SIZE = 64
LARGEST_BYTES = 20 * 1024
NAMES = feature_names(bottleneck=True)


@cache
def exported(profile: str, preset: str = "unext") -> onnx.ModelProto:
    """A file that no test may change."""
    network = build(load_preset(preset).architecture.for_task()).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_network(network, Normalisation(100.0, 50.0), SIZE, load_profile(profile), path)
        return onnx.load(path)


def outputs(model: onnx.ModelProto, image: np.ndarray, *, plain: bool = False) -> dict[str, np.ndarray]:
    """All outputs by name; ``plain`` computes node by node, without fusing any."""
    options = onnxruntime.SessionOptions()
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: image}), strict=True))


def some_image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (1, 1, SIZE, SIZE)).astype(np.float32)


def some_model(hidden: int | None = None) -> GainModel:
    random = np.random.default_rng(1)
    widths = [len(NAMES), *([hidden] if hidden else []), 1]
    layers = [
        Layer(weights=random.normal(0, 0.3, (a, b)).tolist(), bias=random.normal(0, 0.1, b).tolist())
        for a, b in pairwise(widths)
    ]
    mean, scale = random.uniform(0, 0.5, len(NAMES)), random.uniform(0.2, 1.0, len(NAMES))
    return GainModel(kind="mlp", features=NAMES, mean=tuple(mean), scale=tuple(scale), layers=tuple(layers))


@cache
def some_trees() -> GainModel:
    random = np.random.default_rng(2)
    features = random.normal(0.3, 0.5, (300, len(NAMES)))
    gain = 0.1 * np.abs(features[:, 1]) + random.normal(0, 0.02, 300)
    return fit_model("boosting", NAMES, features, np.zeros(300, np.int64), gain, seed=0)


@pytest.mark.parametrize(
    ("profile", "router"),
    [
        ("jetson-nano", None),
        ("jetson-nano", some_model()),
        ("jetson-nano", some_model(8)),
        ("x86-server", some_model(8)),
        ("raspberry-pi-5", some_trees()),
    ],
    ids=["nano-sdc", "nano-ridge", "nano-mlp", "server-mlp", "pi-trees"],
)
def test_the_file_keeps_the_rules_and_stays_small(profile: str, router: GainModel | None) -> None:
    bare = exported(profile)
    model = with_confidence(bare, router)
    onnx.checker.check_model(model, full_check=True)
    assert check_onnx(model, load_profile(profile)) == ()
    assert model.ByteSize() - bare.ByteSize() <= LARGEST_BYTES


def test_without_training_the_confidence_is_the_soft_dice_confidence() -> None:
    found = outputs(with_confidence(exported("jetson-nano"), None), some_image())
    assert found["confidence"].shape == (1,)
    assert found["confidence"] == pytest.approx(soft_dice_confidence(sigmoid(found["logits"])), abs=1e-5)


@pytest.mark.parametrize("hidden", [None, 8])
def test_the_graph_computes_what_the_model_does_in_numpy(hidden: int | None) -> None:
    bare, model = exported("jetson-nano"), some_model(hidden)
    shown, names = with_features(bare)
    features = outputs(shown, some_image())["features"].astype(np.float64)
    values = np.clip((features - np.array(model.mean)) / np.array(model.scale), -4, 4)
    for layer in model.layers[:-1]:
        values = np.maximum(values @ np.array(layer.weights) + np.array(layer.bias), 0)
    gain = (values @ np.array(model.layers[-1].weights) + np.array(model.layers[-1].bias))[:, 0]
    assert names == NAMES
    assert outputs(with_confidence(bare, model), some_image())["confidence"] == pytest.approx(-gain, abs=1e-4)
    assert model.predict(features) == pytest.approx(gain)


def test_trees_in_the_graph_give_what_they_give_in_numpy_and_leave_without_a_trace() -> None:
    bare, model = exported("raspberry-pi-5"), some_trees()
    shown, _ = with_features(bare)
    routed = with_confidence(bare, model)
    for seed in range(5):
        features = outputs(shown, some_image(seed))["features"].astype(np.float64)
        found = outputs(routed, some_image(seed))
        assert set(found) == {"logits", "confidence"}
        assert found["confidence"].shape == (1,)
        assert found["confidence"] == pytest.approx(-model.predict(features), abs=1e-4)
    assert without_confidence(routed) == bare
    assert with_confidence(routed, None) == with_confidence(bare, None)


def test_the_logits_are_those_of_before() -> None:
    bare = exported("jetson-nano")
    before, after = (outputs(model, some_image())["logits"] for model in (bare, with_confidence(bare, some_model())))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-6)


def test_a_router_is_replaced_and_removed_without_a_trace() -> None:
    bare = exported("jetson-nano")
    once = with_confidence(bare, None)
    assert with_confidence(with_confidence(bare, some_model()), None) == once
    assert without_confidence(once) == bare


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["unext", "laednet-s", "lightawnet"])
def test_the_deepest_features_are_found_in_every_published_network(preset: str) -> None:
    found = bottleneck_of(exported("x86-server", preset))
    assert found is not None
    assert found.shape[2] == SIZE // load_preset(preset).architecture.size_divisor


def test_a_model_of_other_features_is_refused() -> None:
    model = some_model().model_copy(update={"features": NAMES[:-1]})
    with pytest.raises(UserError, match="fit the router for this network"):
        with_confidence(exported("jetson-nano"), model)


def test_the_network_of_a_bundle_answers_both(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(with_confidence(exported("jetson-nano"), None), path)
    images = np.concatenate([some_image(seed) for seed in range(3)]).astype(np.uint8)
    network = OnnxNetwork(path)
    logits, confidence = network.answers(images)
    assert logits.shape == (3, 1, SIZE, SIZE)
    assert confidence == pytest.approx(soft_dice_confidence(sigmoid(logits)), abs=1e-5)
    onnx.save(exported("jetson-nano"), path)
    assert OnnxNetwork(path).answers(images)[1] is None


class Reader(CalibrationDataReader):
    """Random images for onnxruntime's quantiser."""

    def __init__(self) -> None:
        self.left = [{"image": some_image(seed)} for seed in range(3)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self.left.pop() if self.left else None


@pytest.mark.parametrize("router", [None, some_model(8)], ids=["sdc", "mlp"])
def test_a_file_in_int8_gets_its_confidence_too(tmp_path: Path, router: GainModel | None) -> None:
    onnx.save(exported("x86-server"), tmp_path / "float.onnx")
    quantize_static(tmp_path / "float.onnx", tmp_path / "int8.onnx", Reader(), quant_format=QuantFormat.QDQ)
    bare = onnx.load(tmp_path / "int8.onnx")
    assert any(node.op_type == "QuantizeLinear" for node in bare.graph.node)
    made = with_confidence(bare, router)
    onnx.checker.check_model(made, full_check=True)
    # NOTE: a tensor that the router reads as well is fused with less, which moves logits by a step of their 8 bits
    before, after = (outputs(each, some_image(9), plain=True) for each in (bare, made))
    np.testing.assert_array_equal(after["logits"], before["logits"])
    if router is None:
        assert after["confidence"] == pytest.approx(soft_dice_confidence(sigmoid(before["logits"])), abs=1e-4)
    else:
        features = outputs(with_features(bare)[0], some_image(9), plain=True)["features"].astype(np.float64)
        assert after["confidence"] == pytest.approx(-router.predict(features), abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("router", [None, some_model(8), some_trees()], ids=["sdc", "mlp", "trees"])
def test_the_confidence_takes_two_hundredths_or_a_fifth_of_a_millisecond(
    tmp_path: Path, router: GainModel | None
) -> None:
    files = [tmp_path / "bare.onnx", tmp_path / "routed.onnx"]
    for path, model in zip(
        files, (exported("jetson-nano"), with_confidence(exported("jetson-nano"), router)), strict=True
    ):
        onnx.save(model, path)
    best = []
    for _ in range(3):  # of an idle machine; what disturbs one turn disturbs both files
        bare, routed = (np.array(times) for times in paired_benchmark(files, runs=200))
        best.append(float(np.median(routed - bare)) - max(0.02 * float(np.median(bare)), 0.2))
    assert min(best) <= 0
