from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from ussearch.datasets import Normalisation, PhantomParameters, Split, phantoms_from, prepare
from ussearch.errors import UserError
from ussearch.pairs import Bundle, Manifest, Member, PairData, verify_bundle, write_bundle
from ussearch.runtime.integrity import digests, write_manifest


def sealed_again(folder: Path, **changes: object) -> None:
    """Give a damaged copy digests that fit, so that only the replay can find the damage."""
    content = json.loads((folder / "bundle.yaml").read_text()) | {"files": digests(folder)} | changes
    write_manifest(folder, Manifest.model_validate(content).to_text())


def test_a_fresh_bundle_is_accepted_and_its_metrics_are_recomputed(finished: Bundle, data_folder: Path) -> None:
    result = verify_bundle(finished.folder, data_folder)
    assert result.passed
    assert [check.name for check in result.checks] == (
        ["integrity", "edge model", "cloud model", "vector 00", "vector 01", "vector 02", "metrics"]
    )


def test_another_network_is_found_by_its_vectors(copy: Path) -> None:
    path = copy / "edge" / "model.onnx"
    model = onnx.load(path)
    weight = next(tensor for tensor in model.graph.initializer if tensor.dims)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.5), weight.name))
    onnx.save(model, path)
    sealed_again(copy)
    result = verify_bundle(copy)
    assert not result.passed
    assert {check.name for check in result.checks if not check.passed} == {"vector 00", "vector 01", "vector 02"}


def test_a_model_outside_the_rules_is_found(copy: Path) -> None:
    path = copy / "edge" / "model.onnx"
    model = onnx.load(path)
    model.ir_version = 10
    onnx.save(model, path)
    sealed_again(copy)
    (failed,) = [check for check in verify_bundle(copy).checks if not check.passed]
    assert failed.name == "edge model"
    assert "IR version 10" in failed.detail


def test_metrics_that_were_made_up_are_found(copy: Path, data_folder: Path) -> None:
    metrics = json.loads((copy / "bundle.yaml").read_text())["metrics"]
    metrics["edge"]["lesion_dice"] = 0.99
    sealed_again(copy, metrics=metrics)
    assert verify_bundle(copy).passed  # without data nobody can tell
    (failed,) = [check for check in verify_bundle(copy, data_folder).checks if not check.passed]
    assert (failed.name, failed.detail) == ("metrics", "differ: edge.lesion_dice")


def test_another_data_set_is_refused(finished: Bundle, data_folder: Path, tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for path in sorted((data_folder / kind).iterdir())[1:]:
            (tmp_path / kind / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="is not the data set of this bundle"):
        verify_bundle(finished.folder, tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        verify_bundle(finished.folder, tmp_path / "absent")


def test_phantoms_are_made_again(edge_member: Member, cloud_member: Member, tmp_path: Path) -> None:
    parameters = PhantomParameters(count=12, seed=3, image_size=64)
    images = prepare(phantoms_from(parameters), 32)
    split = Split((0, 1, 2), (3,), (4, 5, 6, 7), (8, 9, 10, 11), "by number", images.fingerprint)
    data = PairData(images, split, Normalisation(60, 40), [images.images[8, 0]], parameters.model_dump(mode="json"))
    bundle = write_bundle(tmp_path / "bundle", edge_member, cloud_member, data)
    result = verify_bundle(bundle.folder, Path("phantoms"))
    assert result.passed
    assert result.checks[-1].name == "metrics"


def test_the_command_says_what_differs_with_status_1(finished: Bundle, copy: Path) -> None:
    from ussearch.cli.app import app

    accepted = CliRunner().invoke(app, ["verify", str(finished.folder), "--json"])
    assert accepted.exit_code == 0
    assert json.loads(accepted.stdout)["passed"] is True
    content = json.loads((copy / "vectors" / "vectors.json").read_text())
    content[0]["route"] = "edge" if content[0]["route"] == "cloud" else "cloud"
    (copy / "vectors" / "vectors.json").write_text(json.dumps(content))
    sealed_again(copy)
    refused = CliRunner().invoke(app, ["verify", str(copy)])
    assert refused.exit_code == 1
    assert "REFUSED" in refused.output


def flip(bundle: Path) -> None:
    path = bundle / "edge" / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(bundle: Path) -> None:
    path = bundle / "bundle.yaml"
    path.write_text(path.read_text() + "\n")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "changed": flip,
    "missing": lambda bundle: (bundle / "split.json").unlink(),
    "does not belong": lambda bundle: (bundle / "notes [x].txt").write_text("added"),
    "was changed (it does not fit": edit,
}


@pytest.mark.parametrize("words", DAMAGE)
def test_an_untrusted_bundle_is_json_and_a_user_error(copy: Path, words: str) -> None:
    from ussearch.cli.app import app

    DAMAGE[words](copy)
    result = CliRunner().invoke(app, ["verify", str(copy), "--json"])
    assert isinstance(result.exception, UserError) and words in str(result.exception)
    failed = {"name": "integrity", "passed": False, "detail": str(result.exception)}
    assert json.loads(result.stdout) == {"bundle": str(copy), "passed": False, "checks": [failed]}


def test_phantoms_are_refused_for_a_bundle_of_other_data(copy: Path) -> None:
    data = json.loads((copy / "bundle.yaml").read_text())["data"] | {"phantoms": None}
    sealed_again(copy, data=data)
    with pytest.raises(UserError, match="was not made from phantoms"):
        verify_bundle(copy, Path("phantoms"))
