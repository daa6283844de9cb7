"""A network whose activations 8-bit arithmetic does not know, on a device that computes in INT8."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
import torch

from tests.compress.conftest import MakeContext, Trained
from ussearch.compress import Compressed, Context, SpeedSource, compress, steps_named
from ussearch.compress.acceptance import StepRecord
from ussearch.compress.quantisation import int8_nodes
from ussearch.evaluators.prediction import export_network
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.hardware_profiles.measuring.paired_benchmark import paired_benchmark
from ussearch.search_spaces import Architecture, Block, DecoderLevel, Network, Skip, Stage, build

pytestmark = pytest.mark.training


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


@dataclass(frozen=True)
class Planted(SpeedSource):
    """A machine on which files with nodes in INT8 take ``int8_ms`` and others a millisecond."""

    int8_ms: float = 1.0

    def here(self, *models: Path) -> list[list[float]]:
        return [[self.int8_ms if int8_nodes(onnx.load(model)) else 1.0] * self.runs for model in models]


def quantised(make_context: MakeContext, speed: SpeedSource) -> tuple[Compressed, list[StepRecord], Context, Network]:
    """Send the network through a chain that may lose any Dice; returns the attempts at INT8, too."""
    torch.manual_seed(0)
    network = build(hard_swish_network()).eval()
    context = make_context(profile=speed.profile, speed=speed, asked=frozenset({"quantise"}), max_drop=1.0)
    done = compress(network.architecture, network, steps_named(["fuse", "quantise"]), context)
    tried = [record for record in done.record.records if record.step == "quantise" and record.tried]
    assert tried, "INT8 was never measured"
    return done, tried, context, network


def test_where_int8_is_slower_it_leaves_in_float(make_context: MakeContext) -> None:
    done, tried, _, _ = quantised(make_context, Planted(x86_int8(), int8_ms=1.5))
    assert done.candidate.precision == "fp32" and int8_nodes(onnx.load(done.model)) == []
    assert len(tried) == 1, "training with rounding makes nothing faster"
    assert tried[0].reason.startswith("slower, 1.50 ×")


def test_where_int8_is_faster_it_leaves_in_int8(make_context: MakeContext) -> None:
    done, tried, _, _ = quantised(make_context, Planted(x86_int8(), int8_ms=0.5))
    assert tried[-1].kept and done.candidate.precision == "int8" and int8_nodes(onnx.load(done.model)) != []


@pytest.mark.slow
def test_it_leaves_no_slower_than_it_came(make_context: MakeContext, trained: Trained, tmp_path: Path) -> None:
    """Timed on this machine, whichever way its arithmetic decides."""
    profile = x86_int8()
    done, _, context, network = quantised(make_context, SpeedSource(profile, runs=30))
    baseline = tmp_path / "baseline.onnx"
    export_network(network, context.normalisation, trained.images.image_size, profile, baseline)
    before, after = (sorted(times) for times in paired_benchmark([baseline, done.model], runs=200))
    assert after[len(after) // 2] <= 1.1 * before[len(before) // 2]
