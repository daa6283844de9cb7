from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from ussearch.datasets import Split
from ussearch.errors import UserError
from ussearch.files import sha256_of
from ussearch.hardware_profiles import load_profile
from ussearch.pairs import Bundle, Manifest, Member, PairData, write_bundle
from ussearch.pairs.bundles.evaluation import differences
from ussearch.pairs.bundles.verify import verify_bundle
from ussearch.runtime.decision import soft_dice_confidence
from ussearch.runtime.integrity import MANIFEST, SEAL, file_names
from ussearch.serving.triton import write_triton

ALWAYS_THERE = {
    "bundle.yaml",
    "bundle.sha256",
    "MODEL_CARD.md",
    "run_edge.py",
    "split.json",
    "edge/model.onnx",
    "edge/architecture.yaml",
    "edge/profile.yaml",
    "cloud/model.onnx",
    "cloud/architecture.yaml",
    "cloud/profile.yaml",
    "vectors/vectors.json",
    *(f"vectors/00/{name}" for name in ("image.png", "mask.png", "input.npy", "edge_logits.npy", "cloud_logits.npy")),
}


def test_a_bundle_holds_what_it_promises(finished: Bundle, pair_data: PairData) -> None:
    manifest = finished.manifest
    assert set(file_names(finished.folder)) >= ALWAYS_THERE
    assert set(manifest.files) == set(file_names(finished.folder)) - {MANIFEST, SEAL}
    assert manifest.data.fingerprint == pair_data.images.fingerprint
    assert (manifest.edge.profile, manifest.edge.opset) == ("jetson-nano", 13)
    assert manifest.preprocessing.mean == pair_data.normalisation.mean
    assert set(manifest.versions) >= {"python", "torch", "onnxruntime", "ussearch"}
    assert finished.profile("edge") == load_profile("jetson-nano")
    assert finished.split() == dataclasses.replace(pair_data.split, source="a given split")


def test_a_bundle_says_how_far_its_latency_can_be_trusted(finished: Bundle) -> None:
    costs = finished.manifest.edge.costs
    assert (costs["latency_ms"], costs["latency_interval_ms"], costs["extrapolated"]) == (1.5, (0.5, 4.25), True)
    written = json.loads((finished.folder / MANIFEST).read_text())["edge"]["costs"]
    assert (written["latency_interval_ms"], written["extrapolated"]) == ([0.5, 4.25], True)
    sentence = "1.5 ms (0.5 to 4.2 ms), extrapolated, predicted for jetson-nano"
    assert finished.manifest.edge.latency_sentence == sentence
    assert finished.manifest.cloud.latency_sentence == ""
    details = {check.name: check.detail for check in verify_bundle(finished.folder).checks}
    assert sentence in details["edge model"] and not details["cloud model"].endswith("; ")


def test_a_manifest_of_before_intervals_is_read(finished: Bundle) -> None:
    content = json.loads((finished.folder / MANIFEST).read_text())
    for key in ("latency_interval_ms", "extrapolated"):
        del content["edge"]["costs"][key]
    entry = Manifest.from_text(json.dumps(content), "copy").edge
    assert entry.latency_sentence == "1.5 ms, predicted for jetson-nano"


def test_the_router_realises_the_requested_share_on_calibration_images(finished: Bundle, pair_data: PairData) -> None:
    pair = finished.predictor()
    images = np.asarray(pair_data.images.images[list(pair_data.split.calibration)])
    probabilities, confidence = pair.edge_answers(images)
    assert confidence == pytest.approx(soft_dice_confidence(probabilities), abs=1e-5)
    away = pair.router.offloads(confidence)
    assert away.mean() == finished.manifest.router.requested_share == 0.25


def test_the_metrics_say_what_the_pair_is_worth(finished: Bundle) -> None:
    metrics = finished.manifest.metrics
    edge, routed = metrics.edge["lesion_dice"], metrics.routed["lesion_dice"]
    assert edge is not None
    assert routed is not None
    assert edge > 0.8
    assert 0 <= metrics.offload_share <= 1
    assert "both masks empty" in metrics.convention


def test_the_manifest_is_yaml_and_json_at_once(finished: Bundle) -> None:
    text = (finished.folder / MANIFEST).read_text()
    assert json.loads(text) == yaml.safe_load(text)
    assert Manifest.from_text(text, "copy") == finished.manifest


def test_weights_travel_with_the_bundle(
    pair_data: PairData, edge_member: Member, cloud_member: Member, tmp_path: Path
) -> None:
    weights = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(3)}, weights)
    bundle = write_bundle(tmp_path / "b", dataclasses.replace(edge_member, weights=weights), cloud_member, pair_data)
    assert sha256_of(bundle.folder / "edge" / "weights.safetensors") == sha256_of(weights)


def test_distances_are_in_mm_where_pixels_have_a_size(pair_data: PairData, finished: Bundle, measured: Bundle) -> None:
    images, metrics, plain = pair_data.images, measured.manifest.metrics, finished.manifest.metrics
    assert images.sizes is not None
    assert "hd95_mm" not in plain.edge
    assert metrics.edge["hd95_mm"] is not None and metrics.baselines["mean mask"]["hd95_mm"] is not None
    lesions = [index for index in pair_data.split.test if index % 2 and images.has_lesion[index]]
    everything = metrics.subgroups[0].edge["hd95_mm"]
    assert everything is not None and everything.images == len(lesions)
    assert everything.mean == pytest.approx(metrics.edge["hd95_mm"])
    assert metrics.edge["hd95_mm"] < 0.2 * images.sizes.max() * np.sqrt(2)
    cards = [(each.folder / "MODEL_CARD.md").read_text(encoding="utf-8") for each in (measured, finished)]
    assert ["HD95 (mm)" in card for card in cards] == [True, False]
    assert differences(plain, metrics) == [], "bundles of before do not have these figures"
    assert "edge.hd95_mm" in differences(metrics, plain)


def test_a_bundle_is_replaced_and_any_other_folder_left_alone(
    pair_data: PairData, edge_member: Member, cloud_member: Member, copy: Path, tmp_path: Path
) -> None:
    (copy / "notes.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"notes\.txt is no file of a bundle"):
        write_bundle(copy, edge_member, cloud_member, pair_data)
    assert (copy / "notes.txt").read_text() == "years of work"
    (copy / "notes.txt").unlink()
    (copy / "MODEL_CARD.md").write_text("damaged")
    assert write_bundle(copy, edge_member, cloud_member, pair_data).manifest.router.policy is None
    assert (copy / "MODEL_CARD.md").read_text() != "damaged"
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "bundle.yaml").write_text("cables: 3\n")
    with pytest.raises(UserError, match=r"bundle\.yaml is no file of a bundle"):
        write_bundle(tmp_path / "pictures", edge_member, cloud_member, pair_data)
    assert (tmp_path / "pictures" / "bundle.yaml").read_text() == "cables: 3\n"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for path in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt"):
        with pytest.raises(UserError, match="is not a bundle: choose another folder"):
            write_bundle(path, edge_member, cloud_member, pair_data)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_failed_export_leaves_nothing(
    pair_data: PairData, cloud_member: Member, edge_member: Member, tmp_path: Path
) -> None:
    class Best(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.argmax(1, keepdim=True).float()

    with pytest.raises(UserError, match="ArgMax"):
        write_bundle(tmp_path / "b", dataclasses.replace(edge_member, network=Best()), cloud_member, pair_data)
    assert list(tmp_path.iterdir()) == []


def without(split: Split, part: str) -> Split:
    record = split.to_record()
    record["indices"][part] = []
    return Split.from_record(record)


@pytest.mark.parametrize("part", ["calibration", "test"])
def test_data_without_calibration_or_test_images_is_refused(
    part: str, pair_data: PairData, edge_member: Member, cloud_member: Member, tmp_path: Path
) -> None:
    data = dataclasses.replace(pair_data, split=without(pair_data.split, part))
    with pytest.raises(UserError, match=r"calibration images|test images"):
        write_bundle(tmp_path / "b", edge_member, cloud_member, data)


@pytest.mark.parametrize("name", sorted(ALWAYS_THERE))
def test_a_changed_byte_of_any_file_is_refused(name: str, copy: Path) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(UserError, match=r"was changed|copy or export the bundle again"):
        Bundle.load(copy)


@settings(max_examples=60)
@given(data=st.data())
def test_no_byte_of_manifest_and_seal_can_change(data: st.DataObject, finished: Bundle) -> None:
    path = finished.folder / data.draw(st.sampled_from([MANIFEST, SEAL]))
    original = path.read_bytes()
    changed = bytearray(original)
    changed[data.draw(st.integers(0, len(original) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        path.write_bytes(changed)
        with pytest.raises(UserError):
            Bundle.load(finished.folder)
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize("change", ["append", "missing", "extra", "truncate"])
def test_longer_shorter_missing_and_added_files_are_refused(change: str, copy: Path) -> None:
    model = copy / "edge" / "model.onnx"
    if change == "append":
        model.write_bytes(model.read_bytes() + b"\0")
    elif change == "truncate":
        model.write_bytes(model.read_bytes()[:-1])
    elif change == "missing":
        model.unlink()
    else:
        (copy / "edge" / "extra.txt").write_text("hello")
    expected = {"missing": "model.onnx is missing", "extra": "extra.txt does not belong"}.get(
        change, "model.onnx was changed"
    )
    with pytest.raises(UserError, match=expected):
        Bundle.load(copy)


def test_a_link_in_place_of_a_file_is_refused(copy: Path, tmp_path: Path) -> None:
    model = copy / "edge" / "model.onnx"
    model.rename(tmp_path / "elsewhere.onnx")
    model.symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(UserError, match=r"leaves|was changed"):
        Bundle.load(copy)


def reseal(folder: Path, name: str, digest: str) -> None:
    """Add a file to the manifest as someone would who can write to the bundle."""
    content = json.loads((folder / MANIFEST).read_text())
    content["files"][name] = digest
    (folder / MANIFEST).write_text(json.dumps(content))
    (folder / SEAL).write_text(f"{sha256_of(folder / MANIFEST)}  {MANIFEST}\n")


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "edge/../../outside.txt"])
def test_names_in_the_manifest_cannot_leave_the_bundle(name: str, copy: Path) -> None:
    (copy.parent / "outside.txt").write_text("secret")
    reseal(copy, name, sha256_of(copy.parent / "outside.txt"))
    with pytest.raises(UserError, match=r"leaves|missing"):
        Bundle.load(copy)


@pytest.mark.parametrize("make", ["absent", "empty", "file", "foreign"])
def test_what_is_no_bundle_is_said_to_be_none(make: str, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    if make == "empty":
        path.mkdir()
    elif make == "file":
        path.write_text("a file")
    elif make == "foreign":
        path.mkdir()
        (path / "bundle.yaml").write_text("a: 1\n")
    with pytest.raises(UserError, match="is not a bundle"):
        Bundle.load(path)


@pytest.mark.parametrize(("text", "expected"), [("a: [", "not YAML"), ("{}", "preprocessing"), ("[]", "content")])
def test_a_sealed_manifest_that_is_none_is_refused(text: str, expected: str, copy: Path) -> None:
    (copy / MANIFEST).write_text(text)
    (copy / SEAL).write_text(f"{sha256_of(copy / MANIFEST)}  {MANIFEST}\n")
    with pytest.raises(UserError, match=expected):
        Bundle.load(copy)


def test_a_bundle_that_a_kill_left_set_aside_is_read_there(copy: Path) -> None:
    digests_before = Bundle.load(copy).manifest.files
    copy.rename(copy.with_name(".bundle.aside"))
    assert Bundle.load(copy).manifest.files == digests_before
    assert verify_bundle(copy).passed
    assert not copy.exists(), "only a writer renames it back"


def test_a_model_repository_loses_nothing_but_the_model_of_before(finished: Bundle, tmp_path: Path) -> None:
    model = write_triton(finished, tmp_path)
    written = {path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()}
    assert written == {"config.pbtxt", "1/model.onnx"}
    assert write_triton(finished, tmp_path) == model
    (model / "2").mkdir()
    (model / "2" / "model.onnx").write_text("somebody's own version")
    with pytest.raises(UserError, match=r"2/model\.onnx is no file of this model"):
        write_triton(finished, tmp_path)
    assert (model / "2" / "model.onnx").read_text() == "somebody's own version"
