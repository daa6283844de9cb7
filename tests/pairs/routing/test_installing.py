"""A bundle with a learned router, and what becomes of one that the device cannot have."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.evaluators.conftest import disc_images
from ussearch.datasets import Split
from ussearch.hardware_profiles import load_profile
from ussearch.pairs import Member, PairData, soft_dice_confidence, verify_bundle, write_bundle
from ussearch.pairs.routing.attach_router import RouterSpec, decided_again
from ussearch.pairs.routing.features import feature_names
from ussearch.pairs.routing.models import GainModel, Layer
from ussearch.pairs.routing.policies import SharePolicy
from ussearch.pairs.routing.router_comparison import RouterChoice
from ussearch.pairs.routing.samples import Samples, collect_features

NAMES = feature_names(bottleneck=False)  # the hand-made networks enlarge nothing


def learned(names: tuple[str, ...] = NAMES) -> RouterChoice:
    count = len(names)
    weights = np.random.default_rng(0).normal(0, 0.1, (count, 1))
    layer = Layer(weights=tuple(map(tuple, weights.tolist())), bias=(0.02,))
    model = GainModel(kind="ridge", features=names, mean=(0.0,) * count, scale=(1.0,) * count, layers=(layer,))
    return RouterChoice(model, None, "the learned router (ridge) ships")


def lesson(data: PairData) -> Samples:
    """Out-of-fold figures of the images for training, with a clear gap."""
    chosen = [*data.split.train, *data.split.validation]
    count = len(chosen)
    edge = np.linspace(0.3, 0.6, count)
    ids = tuple(data.images.ids[index] for index in chosen)
    networks, features = np.arange(count) % 3, np.zeros((count, len(NAMES)))
    return Samples(ids, data.images.groups[chosen], networks, edge, edge + 0.2, edge, edge, edge, features, NAMES)


def test_a_learned_router_ships_in_the_file_of_the_edge(
    edge_member: Member, cloud_member: Member, pair_data: PairData, tmp_path: Path
) -> None:
    spec = RouterSpec(SharePolicy(share=0.5), learned(), lesson(pair_data))
    bundle = write_bundle(tmp_path / "bundle", edge_member, cloud_member, pair_data, spec)
    router = bundle.manifest.router
    assert (router.score, router.in_graph) == ("learned", True)
    assert verify_bundle(bundle.folder).passed
    chosen = list(pair_data.split.calibration)
    pixels = np.asarray(pair_data.images.images[chosen])
    confidence = bundle.predictor().edge_answers(pixels)[1]
    seen = collect_features(bundle.folder / "edge" / "model.onnx", np.zeros(len(chosen)), pair_data.images, chosen)
    scaled = (seen.features - seen.features.mean(0)) / np.maximum(seen.features.std(0), 1e-9)
    weights = np.array(learned().model.layers[0].weights)[:, 0]  # type: ignore[union-attr]  # it has one
    assert confidence == pytest.approx(-(scaled.clip(-4, 4) @ weights + 0.02), abs=5e-3)
    assert (confidence < router.threshold).mean() == 0.5
    assert router.out_of_fold is not None
    assert router.out_of_fold.edge_dice == pytest.approx(0.45)
    assert router.out_of_fold.cloud_dice == pytest.approx(0.65)
    assert router.out_of_fold.folds == 3
    assert 0 <= router.out_of_fold.in_sample_edge_dice <= 1


def test_a_gap_out_of_fold_makes_routing_worthwhile(
    edge_member: Member, cloud_member: Member, pair_data: PairData, tmp_path: Path
) -> None:
    bundle = write_bundle(
        tmp_path / "b", edge_member, cloud_member, pair_data, RouterSpec(out_of_fold=lesson(pair_data))
    )
    router = bundle.manifest.router
    assert router.routing_gain is not None
    assert router.routing_gain.images == 24
    assert router.routing_gain.worthwhile
    assert router.policy == SharePolicy(share=0.2)


def test_what_the_device_cannot_have_is_left_out_with_the_reason(
    edge_member: Member, cloud_member: Member, pair_data: PairData, tmp_path: Path
) -> None:
    coral = dataclasses.replace(edge_member, profile=load_profile("coral-edge-tpu"))
    spec = RouterSpec(SharePolicy(share=0.5), learned())
    bundle = write_bundle(tmp_path / "b", coral, cloud_member, pair_data, spec)
    router, pair = bundle.manifest.router, bundle.predictor()
    assert (router.score, router.in_graph) == ("soft_dice_confidence", False)
    assert "not in the graph for coral-edge-tpu" in router.score_reason
    assert pair.edge.outputs == ("logits",)
    probabilities, confidence = pair.edge_answers(np.asarray(pair_data.images.images[:3]))
    assert confidence == pytest.approx(soft_dice_confidence(probabilities))
    assert verify_bundle(bundle.folder).passed


def test_a_router_of_another_network_does_not_ship(
    edge_member: Member, cloud_member: Member, pair_data: PairData, tmp_path: Path
) -> None:
    spec = RouterSpec(SharePolicy(share=0.5), learned(feature_names(bottleneck=True)))
    router = write_bundle(tmp_path / "b", edge_member, cloud_member, pair_data, spec).manifest.router
    assert router.score == "soft_dice_confidence"
    assert "shows other features" in router.score_reason


@pytest.mark.parametrize("cloud_knows", [True, False])
def test_what_a_pair_without_policy_does_after_its_masks_changed(cloud_knows: bool) -> None:
    images = disc_images(24)
    split = Split.of({"train": (0, 1), "calibration": tuple(range(2, 24))}, "by hand", images.fingerprint)
    truth = np.asarray(images.masks[2:24], np.float32)

    class Pair:
        """An edge network that marks nothing, beside a cloud that marks all of it, or nothing either."""

        postprocessing = cloud_postprocessing = None
        cloud = SimpleNamespace(probabilities=lambda pixels: truth if cloud_knows else np.zeros_like(truth))

        def edge_answers(self, pixels: Any) -> Any:
            return np.zeros_like(truth), np.linspace(0, 1, len(truth))

    decision, gain, policy = decided_again(Pair(), images, split, None)  # type: ignore[arg-type]
    assert gain.worthwhile is cloud_knows
    if cloud_knows:
        assert isinstance(policy, SharePolicy)
        assert decision.router.offloads(np.linspace(0, 1, 22)).mean() == pytest.approx(policy.share, abs=0.05)
    else:
        assert policy is None and not decision.router.offloads(np.linspace(0, 1, 22)).any()
