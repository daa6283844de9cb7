"""Where speeds come from, in order, and what nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from tests.compress.conftest import MakeContext, Trained, here, unet
from ussearch.compress import CompressionCandidate, KitTimes, SpeedSource, speed, times_of_kit
from ussearch.compress.evaluate import model_file
from ussearch.errors import UserError
from ussearch.files import sha256_of
from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.measuring.bench import predict_file
from ussearch.hardware_profiles.measuring.paired_benchmark import paired_benchmark
from ussearch.search_spaces import build

PI = load_profile("raspberry-pi-4")


@pytest.fixture
def files(make_context: MakeContext, trained: Trained) -> tuple[Path, Path]:
    """A wide and a narrow network's files."""
    narrow = build(unet(8))
    context = make_context()
    return (
        model_file(trained.candidate, context),
        model_file(CompressionCandidate(narrow.architecture, narrow.state_dict(), fused=True), context),
    )


def test_the_device_comes_first(files: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "pi.csv"
    lines = [f"{path.name},{sha256_of(path)},{ms}" for path, ms in zip(files, (20.0, 30.0), strict=True)]
    table.write_text("\n".join(["model,sha256,latency_ms", *lines]))
    profile = here(PI)
    found = SpeedSource(profile, times_of_kit(table)).compare(*files, "fp32")
    assert (found.before_ms, found.after_ms, found.ratio, found.slower) == (20.0, 30.0, 1.5, True)
    assert "on the device (pi.csv)" in found.source


def test_this_machine_comes_second(files: tuple[Path, Path]) -> None:
    found = SpeedSource(here(PI), runs=50).compare(*files, "fp32")
    assert "measured here" in found.source
    assert found.faster and found.ratio is not None and 0 < found.ratio < 1


class Planted(SpeedSource):
    """Turns of two files as they come: each entry is how much slower the second is in one measurement."""

    left: ClassVar[list[float]] = []

    def here(self, *models: Path) -> list[list[float]]:
        ratio = self.left.pop(0)
        return [[1.0] * 5, [ratio] * 5]


@pytest.mark.parametrize(
    ("ratios", "expected", "left"),
    [([1.03, 1.0], 1.0, 0), ([1.03, 1.04], 1.04, 0), ([1.01, 9.0], 1.01, 1), ([0.5, 9.0], 0.5, 1)],
)
def test_slower_here_is_measured_twice(
    ratios: list[float], expected: float, left: int, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Planted, "left", list(ratios))
    assert Planted(here(PI)).compare(*files, "fp32").ratio == expected
    assert len(Planted.left) == left


def test_the_profile_comes_last(files: tuple[Path, Path]) -> None:
    found = SpeedSource(load_profile("jetson-nano")).compare(*files, "fp32")
    assert found.source == load_profile("jetson-nano").label
    assert found.faster


def test_a_foreign_processor_is_not_this_machine(files: tuple[Path, Path]) -> None:
    profile = here(PI).model_copy(update={"processor": "riscv64"})
    assert "measured" not in SpeedSource(profile).compare(*files, "fp32").source


def test_what_nobody_measured_is_said(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "installed", lambda: False)  # else OpenVINO is asked for the server's
    nano = load_profile("jetson-nano")
    source = SpeedSource(nano)
    assert not source.knows("int8") and source.knows("fp32")
    found = source.compare(*files, "int8")
    assert found.ratio is None and not found.slower and "nobody measured int8" in found.source
    server = SpeedSource(load_profile("x86-server"))
    assert server.knows("int8") and "pays there" in server.compare(*files, "int8").source


def test_fewer_bits_are_predicted_where_a_runtime_of_the_device_was_measured_in_both(files: tuple[Path, Path]) -> None:
    model = files[0]
    for name, precision, fewer in (
        ("jetson-nano", "fp16", "jetson-nano@tensorrt-fp16"),  # whose own runtime nobody measured in FP16
        ("jetson-nano@tensorrt-fp32", "fp16", "jetson-nano@tensorrt-fp16"),
        ("raspberry-pi-4@tflite-ruy-fp32", "int8", "raspberry-pi-4@tflite-ruy-int8"),
    ):
        source, other = SpeedSource(load_profile(name)), load_profile(fewer)
        fp32 = load_profile(fewer.replace(precision, "fp32"))
        assert source.knows(precision)
        found = source.compare(model, model, precision)
        assert (found.before_ms, found.after_ms) == tuple(
            predict_file(model, each).latency_ms for each in (fp32, other)
        )
        assert found.source == f"{other.label}, beside {fp32.name}"
    assert not SpeedSource(load_profile("raspberry-pi-5")).knows("fp16")


def test_a_file_without_a_graph_is_priced_by_that_of_the_same_network(files: tuple[Path, Path], tmp_path: Path) -> None:
    source = SpeedSource(load_profile("raspberry-pi-4@tflite-ruy-fp32"))
    litert = tmp_path / "model.tflite"
    litert.write_bytes(b"a file of LiteRT")
    assert source.compare(files[0], litert, "int8", same_network=True).ratio is not None
    assert source.compare(files[0], litert, "int8").ratio is None


def test_the_same_file_takes_as_long(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Whatever the source, it says how long that is; where there is none, it says so."""
    model = files[0]
    predicted = SpeedSource(PI).compare(model, model, "fp32")
    assert (predicted.after_ms, predicted.ratio) == (predict_file(model, PI).latency_ms, 1.0)
    assert predicted.source == f"the same file, {PI.label}"
    here_now = SpeedSource(here(PI), runs=20).compare(model, model, "fp32")
    assert here_now.ratio == 1.0 and here_now.after_ms is not None and 0 < here_now.after_ms < 100
    assert "measured here" in here_now.source
    device = SpeedSource(PI, KitTimes({sha256_of(model): 7.0}, "pi.csv")).unchanged(model, "the same operators")
    assert (device.before_ms, device.after_ms) == (7.0, 7.0)
    assert device.source == "the same operators, measured on the device (pi.csv)"
    unreadable = tmp_path / "x.onnx"
    unreadable.write_bytes(b"nothing")
    unknown = SpeedSource(PI).unchanged(unreadable, "the same operators")
    assert (unknown.after_ms, unknown.ratio) == (None, 1.0) and "latency unknown" in unknown.source


def test_what_runs_in_int8_only_has_nothing_to_be_slower_than(files: tuple[Path, Path]) -> None:
    coral = load_profile("coral-edge-tpu")
    found = SpeedSource(coral).compare(files[0], files[1], "int8")
    assert found.ratio is None and not found.slower and "does not run there" in found.source
    assert found.after_ms == predict_file(files[0], coral).latency_ms, "the profile prices INT8 kernels"


def test_models_take_turns(files: tuple[Path, Path]) -> None:
    times_ms = paired_benchmark(files, runs=50)
    assert len(times_ms[0]) == len(times_ms[1]) >= 10
    assert all(each > 0 for row in times_ms for each in row)


@pytest.mark.parametrize(
    "text", ["model,latency_ms\na,1\n", "model,sha256,latency_ms\na,b,fast\n", "\x00\xff", "x\n", ""]
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="no table of measurements"):
        times_of_kit(path)
    with pytest.raises(UserError, match="No such file"):
        times_of_kit(tmp_path / "nothing.csv")
