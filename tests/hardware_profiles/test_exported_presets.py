"""Files that this package writes keep the rules that it checks: every published network, edge and cloud."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from ussearch.errors import UserError
from ussearch.hardware_profiles import check_onnx, load_profile
from ussearch.hardware_profiles.onnx_files.export import export_module
from ussearch.hardware_profiles.onnx_files.rules import ModelView
from ussearch.search_spaces import build, deploy, load_preset, preset_names

QUICK = ["lv-unet", "unext", "laednet-s", "bmis"]
SLOW = [name for name in preset_names() if name not in QUICK]
PRESETS = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.mark.parametrize("profile_name", ["jetson-nano", "x86-server"])
@pytest.mark.parametrize("name", PRESETS)
def test_an_exported_preset_keeps_every_rule(name: str, profile_name: str, tmp_path: Path) -> None:
    profile, path = load_profile(profile_name), tmp_path / "model.onnx"
    torch.manual_seed(0)
    architecture = load_preset(name).architecture.for_task()
    network = build(architecture).eval()
    if network.has_schedule:
        network.set_schedule(1.0)
    size = max(64, architecture.size_divisor)
    refused = architecture.features & profile.forbidden_features.keys()
    if refused:
        with pytest.raises(UserError, match="constant_weights"):
            export_module(deploy(network), size, profile, path)
        return
    export_module(deploy(network), size, profile, path)
    assert check_onnx(path, profile) == ()
    view = ModelView(onnx.load(path))
    assert all(output in view.shapes for node in view.nodes for output in node.output if output)
