"""What a compressed edge network says of itself in a bundle."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ussearch.compress import Compressed, Compression, CompressionCandidate, Measures, SpeedComparison
from ussearch.evaluators import costs
from ussearch.evaluators.metrics.paired_bootstrap import paired_change
from ussearch.files import sha256_of
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.hardware_profiles.profile import Precision
from ussearch.pairs import Member, PairData, write_bundle
from ussearch.pairs.bundles.verify import verify_bundle
from ussearch.pairs.delivery.export_pair import compressed_member
from ussearch.search_spaces import build, load_preset

SERVER = load_profile("x86-server")
MEASURED = SpeedComparison(before_ms=2.0, after_ms=1.25, ratio=0.625, source="measured here")


def compressed(precision: Precision, file: Path | None, speed: SpeedComparison, place: Path) -> Compressed:
    network = build(load_preset("bmis").architecture.for_task())
    candidate = CompressionCandidate(
        network.architecture, network.state_dict(), fused=True, precision=precision, file=file
    )
    figures = Measures(precision=precision, dice=(0.5, 0.75), file_bytes=10, macs=10, parameters=10)
    record = Compression(
        profile=SERVER.name,
        architecture_id="0",
        architecture="bmis",
        records=(),
        start=figures,
        end=figures,
        speed=speed,
        change=paired_change(figures.dice, figures.dice, [0, 1], 0),
        form="fuse, quantise",
    )
    return Compressed(candidate, record, place)


@pytest.mark.parametrize(
    ("profile", "precision"),
    [(SERVER, "fp32"), (load_profile("coral-edge-tpu"), "int8"), (load_profile("jetson-nano@tensorrt-fp16"), "fp16")],
)
def test_a_precision_that_the_profile_prices_is_predicted(
    profile: Profile, precision: Precision, edge_member: Member, tmp_path: Path
) -> None:
    done = compressed(precision, None, MEASURED, tmp_path)
    member = compressed_member(dataclasses.replace(edge_member, profile=profile), done, 64)
    expected = costs(done.candidate.architecture, 64, profile)
    assert member.costs["latency_ms"] == expected.latency_ms and member.costs["latency_label"] == profile.label


@pytest.mark.parametrize(
    ("speed", "known"),
    [(MEASURED, "1.25 ms, measured here"), (SpeedComparison(source="int8 pays there"), "; int8 pays")],
)
def test_no_other_precision_is_predicted_but_the_reason_is_told(
    speed: SpeedComparison, known: str, edge_member: Member, tmp_path: Path
) -> None:
    done = compressed("int8", tmp_path / "model.onnx", speed, tmp_path)
    member = compressed_member(dataclasses.replace(edge_member, profile=SERVER), done, 64)
    assert member.costs["latency_ms"] is member.costs["latency_interval_ms"] is None
    label = str(member.costs["latency_label"])
    assert label.startswith("not predicted: x86-server prices fp32, this file computes in int8") and known in label
    assert member.model == tmp_path / "model.onnx" and member.precision == "int8" and member.device_file is None


def test_a_file_of_another_runtime_travels_beside_the_onnx_file(
    edge_member: Member, cloud_member: Member, pair_data: PairData, tmp_path: Path
) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"a file of LiteRT")
    pi = dataclasses.replace(edge_member, profile=load_profile("raspberry-pi-5@litert-fp32"))
    member = compressed_member(pi, compressed("int8", file, MEASURED, tmp_path), 32)
    assert (member.model, member.device_file, member.precision) == (None, file, "fp32")
    bundle = write_bundle(
        tmp_path / "bundle", dataclasses.replace(pi, costs=member.costs, device_file=file), cloud_member, pair_data
    )
    assert bundle.manifest.edge.device_file == "model.tflite"
    assert (
        sha256_of(bundle.folder / "edge" / "model.tflite")
        == sha256_of(file)
        == bundle.manifest.files["edge/model.tflite"]
    )
    assert bundle.manifest.edge.latency_sentence.startswith("not predicted: raspberry-pi-5@litert-fp32 prices fp32")
    assert verify_bundle(bundle.folder).passed


def test_a_file_in_int8_has_the_price_of_the_runtime_that_was_measured_so(edge_member: Member, tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"a file of LiteRT")
    pi = dataclasses.replace(edge_member, profile=load_profile("raspberry-pi-4@tflite-ruy-fp32"))
    member = compressed_member(pi, compressed("int8", file, MEASURED, tmp_path), 32)
    label = str(member.costs["latency_label"])
    assert label.startswith(load_profile("raspberry-pi-4@tflite-ruy-int8").label)
    assert label.endswith("ms by LiteRT with ruy)")
    fp32 = compressed_member(pi, compressed("fp32", None, MEASURED, tmp_path), 32)
    assert fp32.costs["latency_label"] == pi.profile.label
    assert 0 < float(str(member.costs["latency_ms"])) < float(str(fp32.costs["latency_ms"]))
