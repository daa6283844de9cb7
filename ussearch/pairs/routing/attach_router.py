"""The router put into the edge network's file, and its threshold chosen on calibration images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

from ussearch.datasets import ImageSet, Split
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.hardware_profiles import Profile, check_onnx, load_onnx
from ussearch.pairs.routing.graph import with_confidence, without_confidence
from ussearch.pairs.routing.models import GainModel
from ussearch.pairs.routing.policies import CalibrationScores, Policy, RoutingDecision, SharePolicy, edge_only
from ussearch.pairs.routing.router_comparison import RouterChoice
from ussearch.pairs.routing.routing_gain import RoutingGain, routing_gain
from ussearch.pairs.routing.samples import Samples, collect_features
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.runtime.postprocessing import PairPostprocessing, dice_of_masks
from ussearch.runtime.predictor import PairPredictor

Score = Literal["soft_dice_confidence", "learned"]
LARGEST_BYTES = 20 * 1024
NOTHING_LEARNED = RouterChoice(None, None, "Soft Dice Confidence ships: no router was trained")


@dataclass(frozen=True)
class RouterSpec:
    """What a pair's router is made from.

    ``policy`` None is the usual share where routing is worthwhile, and the edge alone where it is not. ``choice`` is
    what was learned, from ``out_of_fold`` images, which also tell what routing could gain.
    """

    policy: Policy | None = None
    choice: RouterChoice = field(default=NOTHING_LEARNED)
    out_of_fold: Samples | None = None


@dataclass(frozen=True)
class AttachedRouter:
    """What was done. ``in_graph``: whether the file gives the confidence itself; ``score_reason`` why which one."""

    score: Score
    in_graph: bool
    score_reason: str
    decision: RoutingDecision
    routing_gain: RoutingGain
    policy: Policy | None
    model: GainModel | None


def attach_router(
    edge_file: Path,
    cloud_file: Path,
    images: ImageSet,
    split: Split,
    profile: Profile,
    *,
    spec: RouterSpec,
    postprocessing: PairPostprocessing | None = None,
) -> AttachedRouter:
    """Give the network in ``edge_file`` its confidence and choose the threshold on the calibration part.

    What routing gains and risks is judged by the masks that ``postprocessing`` leaves.

    Raises UserError where there are no calibration images, or the policy cannot be kept.
    """
    chosen = list(split.calibration)
    if not chosen:
        raise UserError(
            f"{images.name} has no calibration images to choose the router's threshold on: split it with a share for "
            "calibration."
        )
    pixels = np.asarray(images.images[chosen])
    edge_how, cloud_how = (PairPostprocessing.of(postprocessing, tier) for tier in ("edge", "cloud"))
    cloud_dice = dice_of_masks(OnnxNetwork(cloud_file).probabilities(pixels), images.masks[chosen], cloud_how)
    seen = collect_features(edge_file, cloud_dice, images, chosen, postprocessing=edge_how)
    model, score_reason = _fitting(spec.choice, seen)
    model, in_graph, refused = _written(edge_file, model, profile)
    confidence = OnnxNetwork(edge_file).answers(pixels)[1]
    scores = seen.sdc if confidence is None else confidence.astype(np.float64)
    found = _routing_gain(seen, spec.out_of_fold)
    policy = spec.policy or (SharePolicy() if found.worthwhile else None)
    known = CalibrationScores(scores, seen.edge_dice, seen.cloud_dice)
    decision = policy.decide(known) if policy else edge_only(found.sentence)
    score: Score = "learned" if model else "soft_dice_confidence"
    reason = f"{score_reason}; {refused}" if refused else score_reason
    return AttachedRouter(score, in_graph, reason, decision, found, policy, model)


def decided_again(
    pair: PairPredictor, images: ImageSet, split: Split, policy: Policy | None
) -> tuple[RoutingDecision, RoutingGain, Policy | None]:
    """Return what a policy decides by the masks that ``pair`` makes now, its confidence being what it was.

    Without a policy it is the usual share where routing is worthwhile now, and every image stays where it is not. What
    routing gains is judged on calibration images alone. The policy that decided comes with it.
    """
    chosen = list(split.calibration)
    pixels, masks = np.asarray(images.images[chosen]), images.masks[chosen]
    edge, confidence = pair.edge_answers(pixels)
    edge_dice = dice_of_masks(edge, masks, pair.postprocessing)
    cloud_dice = dice_of_masks(pair.cloud.probabilities(pixels), masks, pair.cloud_postprocessing)
    found = routing_gain(edge_dice.tolist(), cloud_dice.tolist(), images.groups[chosen].tolist())
    policy = policy or (SharePolicy() if found.worthwhile else None)
    known = CalibrationScores(confidence, edge_dice, cloud_dice)
    return (policy.decide(known) if policy else edge_only(found.sentence)), found, policy


def _fitting(choice: RouterChoice, seen: Samples) -> tuple[GainModel | None, str]:
    """Return the learned model for the network that showed ``seen``, or None with the reason."""
    if choice.model is None:
        return None, choice.reason
    if choice.model.features != seen.names:
        return None, f"{choice.reason}, but this network shows other features: Soft Dice Confidence ships"
    return choice.model.for_network(seen.features), choice.reason


def _written(path: Path, model: GainModel | None, profile: Profile) -> tuple[GainModel | None, bool, str]:
    """Write the file with its confidence: the learned one, SDC where the device refuses that, or none."""
    bare = without_confidence(load_onnx(path))
    refused = ""
    for candidate in dict.fromkeys((model, None)):
        made = with_confidence(bare, candidate)
        problem = _problem(bare, made, profile)
        if not problem:
            write_atomically(path, made.SerializeToString(deterministic=True))
            return candidate, True, refused
        refused = f"not in the graph for {profile.name}: {problem}"
    write_atomically(path, bare.SerializeToString(deterministic=True))
    return None, False, refused


def _problem(bare: onnx.ModelProto, made: onnx.ModelProto, profile: Profile) -> str:
    """Return why the device cannot have the confidence in its file; empty where it can."""
    before = {str(finding) for finding in check_onnx(bare, profile)}
    findings = [str(finding) for finding in check_onnx(made, profile) if str(finding) not in before]
    if findings:
        return findings[0]
    extra = made.ByteSize() - bare.ByteSize()
    return f"it would take {extra} bytes, at most {LARGEST_BYTES} are allowed" if extra > LARGEST_BYTES else ""


def _routing_gain(seen: Samples, out_of_fold: Samples | None) -> RoutingGain:
    """Return the gap on all images that neither network was trained on."""
    parts = [seen] if out_of_fold is None else [seen, out_of_fold]
    columns = [
        np.concatenate([getattr(part, name) for part in parts]) for name in ("edge_dice", "cloud_dice", "groups")
    ]
    return routing_gain(*(column.tolist() for column in columns))
