"""Bundles of older formats are read, those of newer ones refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ussearch.deprecations import RENAMED
from ussearch.errors import UserError
from ussearch.pairs import Bundle, Manifest, PairData, verify_bundle
from ussearch.pairs.bundles.evaluation import differences, evaluate_pair
from ussearch.pairs.bundles.model_card import CARD
from ussearch.pairs.bundles.router import replace_router
from ussearch.pairs.routing.attach_router import RouterSpec
from ussearch.pairs.routing.policies import SharePolicy
from ussearch.runtime.integrity import MANIFEST, SEAL, sha256_of
from ussearch.runtime.manifest_versions import MANIFEST as SCHEMA
from ussearch.schema import renamed_keys

CURRENT = SCHEMA.version
OLD = Path(__file__).parent / "manifests"


@pytest.mark.parametrize("version", range(1, CURRENT))
def test_there_is_an_upgrade_and_a_file_of_every_older_version(version: int) -> None:
    text = (OLD / f"bundle-{version}.yaml").read_text()
    before, after = json.loads(text), json.loads(Manifest.from_text(text, "old").to_text())
    assert before["schema_version"] == version and version in SCHEMA.upgrades
    assert after["schema_version"] == CURRENT
    assert set(lost(in_todays_words(before), after)) == {"schema_version", "mask_threshold"}
    assert before["mask_threshold"] == 0.5 and after["postprocessing"] is None


def in_todays_words(content: Any) -> Any:
    """Return a manifest with the names that format 3 gave to what older ones hold."""
    words = {each.old: each.new for each in RENAMED if (each.kind, each.place) == ("file", "bundle.yaml")}
    if isinstance(content, dict):
        return {words.get(name, name): in_todays_words(value) for name, value in content.items()}
    return [in_todays_words(each) for each in content] if isinstance(content, list) else content


def lost(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the names of what an upgrade changed or left out; only additions are none."""
    found = []
    for name, value in before.items():
        if isinstance(value, dict) and isinstance(after.get(name), dict):
            found += lost(value, after[name], f"{prefix}{name}.")
        elif name not in after or after[name] != value:
            found.append(prefix + name)
    return found


def test_what_version_1_did_not_record_is_empty() -> None:
    manifest = Manifest.from_text((OLD / "bundle-1.yaml").read_text(), "old")
    assert (manifest.provenance, manifest.data.counts, manifest.metrics.subgroups) == (None, None, ())
    assert manifest.metrics.edge["lesion_dice"] == pytest.approx(0.6619, abs=1e-4)


def test_a_newer_version_is_refused_in_a_sentence(finished: Bundle) -> None:
    content = json.loads((finished.folder / MANIFEST).read_text()) | {"schema_version": CURRENT + 1, "news": 1}
    sentence = rf"^copy has the format {CURRENT + 1} of a newer ussearch, .*: update ussearch, or export .* again .*\.$"
    with pytest.raises(UserError, match=sentence):
        Manifest.from_text(json.dumps(content), "copy")


@pytest.mark.parametrize("version", ["two", 0, None, 1.5, True, [], {}])
def test_a_version_that_is_none_is_refused(version: object, finished: Bundle) -> None:
    content = json.loads((finished.folder / MANIFEST).read_text()) | {"schema_version": version}
    with pytest.raises(UserError, match="is not the manifest of a bundle"):
        Manifest.from_text(json.dumps(content), "copy")


@pytest.fixture
def old(copy: Path) -> Path:
    """The bundle as format 1 had it."""
    content = json.loads((copy / MANIFEST).read_text()) | {"schema_version": 1}
    (copy / CARD).unlink()
    words = {"objective": "selection", "routing_gain": "worth", "router_comparison": "contest"}
    content = renamed_keys(content, words)
    del content["provenance"], content["data"]["counts"], content["metrics"]["subgroups"], content["files"][CARD]
    (copy / MANIFEST).write_text(json.dumps(content))
    (copy / SEAL).write_text(f"{sha256_of(copy / MANIFEST)}  {MANIFEST}\n")
    return copy


def test_an_old_bundle_is_verified_as_it_is(old: Path, data_folder: Path, finished: Bundle) -> None:
    assert verify_bundle(old, data_folder).passed
    stated, found = Bundle.load(old).manifest.metrics, finished.manifest.metrics
    assert differences(stated, found) == []
    assert any(name.startswith("all all: edge.") for name in differences(found, stated))


def test_another_router_brings_an_old_bundle_to_this_format(old: Path, pair_data: PairData) -> None:
    bundle = replace_router(Bundle.load(old), pair_data.images, RouterSpec(SharePolicy(share=0.5)))
    content = json.loads((old / MANIFEST).read_text())
    assert content["schema_version"] == CURRENT and content["data"]["counts"]["parts"]["test"]["images"] == 8
    card = (old / CARD).read_text(encoding="utf-8")
    assert "Policy: share (share 0.5)" in card and CARD in bundle.manifest.files
    assert verify_bundle(old).passed


def test_a_stated_interval_that_is_wrong_is_found(finished: Bundle, pair_data: PairData) -> None:
    metrics = finished.manifest.metrics
    everything = metrics.subgroups[0]
    estimate = everything.edge["lesion_dice"]
    assert estimate is not None and estimate.low is not None
    flattering = everything.model_copy(
        update={"edge": {**everything.edge, "lesion_dice": estimate.model_copy(update={"low": estimate.low + 0.01})}}
    )
    stated = metrics.model_copy(update={"subgroups": (flattering, *metrics.subgroups[1:])})
    found = evaluate_pair(finished.predictor(), pair_data.images, pair_data.split)
    assert differences(stated, found) == ["all all: edge.lesion_dice.low"]
