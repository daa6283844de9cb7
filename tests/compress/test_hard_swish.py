"""A network whose activations 8-bit arithmetic does not know, on a device that computes in INT8."""

from __future__ import annotations

import platform
from pathlib import Path

import onnx
import pytest
import torch

from tests.compress.conftest import MakeContext, Trained
from ussearch.compress import Compressed, SpeedSource, compress, steps_named
from ussearch.compress.quantisation import int8_nodes
from ussearch.evaluators.prediction import export_network
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.hardware_profiles.measuring.paired_benchmark import paired_benchmark
from ussearch.search_spaces import Architecture, Block, DecoderLevel, Network, Skip, Stage, build


def hard_swish_network() -> Architecture:
    """Return depthwise-separable blocks of a mobile network, wide enough to be timed."""

    def block(width: int, stride: int = 1) -> Block:
        return Block(kind="dwsep", width=width, stride=stride, activation="hswish")

    return Architecture(
        name="hard-swish",
        stages=(
            Stage(blocks=(Block(kind="conv", width=16, stride=1, activation="hswish"), block(16))),
            Stage(blocks=(block(32, 2), block(32))),
        ),
        decoder=(
            DecoderLevel(
                up=(Block(kind="upsample", resample="bilinear"),),
                skip=Skip(op="concat", stage=0),
                blocks=(block(16),),
            ),
        ),
    )


def x86_int8() -> Profile:
    """Return a profile of INT8 on x86, timed on this machine."""
    profile = load_profile("x86-server")
    assert "int8" in profile.export.precisions
    update = {"name": "here", "runtime": "onnxruntime", "processor": platform.machine(), "threads": 1}
    return profile.model_copy(update=update)


@pytest.mark.slow
def test_it_leaves_in_float_or_no_slower(make_context: MakeContext, trained: Trained, tmp_path: Path) -> None:
    profile = x86_int8()
    torch.manual_seed(0)
    network: Network = build(hard_swish_network()).eval()
    context = make_context(
        profile=profile, speed=SpeedSource(profile, runs=30), asked=frozenset({"quantise"}), max_drop=1.0
    )
    done: Compressed = compress(network.architecture, network, steps_named(["fuse", "quantise"]), context)
    tried = [record for record in done.record.records if record.step == "quantise" and record.tried]
    assert tried, "INT8 was never measured"
    baseline = tmp_path / "baseline.onnx"
    export_network(network, context.normalisation, trained.images.image_size, profile, baseline)
    before, after = (sorted(times) for times in paired_benchmark([baseline, done.model], runs=200))
    assert after[len(after) // 2] <= 1.1 * before[len(before) // 2]
    if any(record.kept for record in tried):
        return
    assert done.candidate.precision == "fp32" and int8_nodes(onnx.load(done.model)) == []
    assert all("slower" in record.reason or "Dice" in record.reason for record in tried)
    if tried[0].speed is not None and tried[0].speed.slower:
        assert len(tried) == 1, "training with rounding makes nothing faster"
