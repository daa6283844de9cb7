from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.hardware_profiles import check_onnx, load_profile, profile_names
from ussearch.pairs import export_network
from ussearch.pairs.bundles.parity import Parity, parity, require_parity
from ussearch.runtime.masks import dice_and_iou
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.search_spaces import Network, build, load_preset, preset_names

NORMALISATION = Normalisation(80.0, 40.0)


def network(*modules: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), *modules, nn.Conv2d(8, 1, 1)).eval()


def images(count: int = 2, size: int = 32) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, 1, size, size), dtype=np.uint8)


@pytest.mark.parametrize("name", profile_names())
def test_a_file_keeps_the_rules_of_its_device_and_computes_the_same(name: str, tmp_path: Path) -> None:
    profile, path = load_profile(name), tmp_path / "model.onnx"
    module = network(nn.Hardswish(), nn.MaxPool2d(2), nn.SiLU(), nn.Upsample(scale_factor=2, mode="bilinear"))
    record = export_network(module, NORMALISATION, 32, profile, path)
    model = onnx.load(path)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": profile.export.opset}
    assert model.ir_version <= profile.export.ir_version
    assert check_onnx(path, profile) == ()
    assert (record.opset, record.file_bytes) == (profile.export.opset, path.stat().st_size)
    assert sum(record.operators.values()) == len(model.graph.node)
    result = parity(path, module, NORMALISATION, images())
    assert result.max_abs_difference <= 1e-5 * max(1.0, result.max_abs_logit)
    assert result.min_dice == 1


def test_the_graph_normalises_grey_levels_itself(tmp_path: Path) -> None:
    export_network(network(), NORMALISATION, 32, load_profile("jetson-nano"), tmp_path / "m.onnx")
    grey = torch.from_numpy(images().astype(np.float32))
    with torch.no_grad():
        expected = network()((grey - 80) / 40).numpy()
    assert OnnxNetwork(tmp_path / "m.onnx").logits(images()) == pytest.approx(expected, abs=1e-5)


def test_hardswish_becomes_hardsigmoid_times_x_on_the_nano(tmp_path: Path) -> None:
    record = export_network(
        network(nn.Hardswish()), NORMALISATION, 32, load_profile("jetson-nano"), tmp_path / "m.onnx"
    )
    assert "HardSwish" not in record.operators
    assert record.operators["HardSigmoid"] == record.operators["Mul"] == 1
    (node,) = [node for node in onnx.load(tmp_path / "m.onnx").graph.node if node.op_type == "HardSigmoid"]
    attributes = {attribute.name: attribute.f for attribute in node.attribute}
    assert attributes == {"alpha": pytest.approx(1 / 6), "beta": 0.5}


def test_nothing_but_the_network_is_left_in_the_graph(tmp_path: Path) -> None:
    class Awkward(nn.Module):
        """Shapes computed at run time and a shared constant."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            nn.init.zeros_(self.first.bias)  # type: ignore[arg-type]
            nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.second(self.first(x))
            y = y.reshape(y.shape[0], 2, y.shape[1] // 2, y.shape[2], y.shape[3]).flatten(1, 2)
            result: torch.Tensor = y.mean(1, keepdim=True)
            return result

    record = export_network(Awkward().eval(), NORMALISATION, 32, load_profile("jetson-nano"), tmp_path / "m.onnx")
    assert not set(record.operators) & {"Identity", "Constant", "Shape", "Gather", "Cast", "Unsqueeze"}
    shape = onnx.load(tmp_path / "m.onnx").graph.output[0].type.tensor_type.shape
    assert [dimension.dim_value for dimension in shape.dim] == [1, 1, 32, 32]


def test_an_operator_outside_the_list_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    class Best(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.argmax(1, keepdim=True).float()

    with pytest.raises(UserError, match=r"cannot be exported for jetson-nano: operators: .*ArgMax.*logits"):
        export_network(Best(), NORMALISATION, 32, load_profile("jetson-nano"), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_silent_and_the_same_every_time(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    module = network(nn.Upsample(size=(32, 32), mode="bilinear"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("a.onnx", "b.onnx"):
            export_network(module, NORMALISATION, 32, load_profile("jetson-nano"), tmp_path / name)
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        export_network(network(), NORMALISATION, 32, load_profile("jetson-nano"), tmp_path / "file" / "m.onnx")


def preset(name: str) -> Network:
    torch.manual_seed(0)
    module = build(load_preset(name).architecture.for_task(classes=1, image_channels=1)).eval()
    if module.has_schedule:
        module.set_schedule(1.0)
    return module


LARGE = {"unet", "laednet-m", "laednet-l"}


@pytest.mark.parametrize("name", [name for name in preset_names() if name not in {*LARGE, "lightawnet"}])
def test_published_networks_export_for_the_nano_with_parity(name: str, tmp_path: Path) -> None:
    profile = load_profile("jetson-nano")
    module = preset(name)
    size = max(64, module.architecture.size_divisor)
    assert export_network(module, NORMALISATION, size, profile, tmp_path / "m.onnx").opset == 13
    require_parity(parity(tmp_path / "m.onnx", module, NORMALISATION, images(1, size)), name)


def test_dynamic_kernels_are_refused_by_the_nano_and_taken_by_the_pi(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"constant_weights: .*per-sample kernels are not constants"):
        export_network(preset("lightawnet"), NORMALISATION, 64, load_profile("jetson-nano"), tmp_path / "m.onnx")
    export_network(preset("lightawnet"), NORMALISATION, 64, load_profile("raspberry-pi-5"), tmp_path / "m.onnx")


def test_a_file_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    export_network(network(), NORMALISATION, 32, load_profile("jetson-nano"), tmp_path / "m.onnx")
    other = network(nn.ReLU())
    with pytest.raises(UserError, match="exported edge network differs from the trained one"):
        require_parity(parity(tmp_path / "m.onnx", other, NORMALISATION, images()), "edge")
    with pytest.raises(UserError, match="differs"):
        require_parity(Parity(1, float("nan"), 1.0, 1.0), "edge")


def test_dice_of_masks() -> None:
    first, second = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert dice_and_iou(first[None], second[None])[0] == 0.5
    assert dice_and_iou(first[None] & False, second[None] & False)[0] == 1


def test_onnxruntime_refuses_a_damaged_file_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match="onnxruntime cannot load"):
        OnnxNetwork(tmp_path / "m.onnx")
