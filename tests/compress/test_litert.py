"""What a device with LiteRT gets from the chain: a ``.tflite`` file, judged as LiteRT computes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.compress.conftest import MakeContext, Trained
from ussearch.compress import STEPS, Chain, CompressionCandidate, SpeedSource, compress, steps_named
from ussearch.compress.evaluate import evaluate, model_file
from ussearch.compress.quantisation.litert import LiteRtNetwork, missing
from ussearch.errors import UserError
from ussearch.hardware_profiles import load_profile
from ussearch.runtime.masks import dice_and_iou
from ussearch.runtime.onnx_network import OnnxNetwork

PI, CORAL = load_profile("raspberry-pi-4@tflite-fp32"), load_profile("coral-edge-tpu")
PROFILES = [PI, load_profile("raspberry-pi-5@litert-fp32"), CORAL]
needs_litert = pytest.mark.skipif(bool(missing()), reason="needs the extra litert")


@needs_litert
@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each.name)
def test_the_chain_ships_a_file_of_litert(profile, make_context: MakeContext, trained: Trained) -> None:
    context = make_context(profile=profile, speed=SpeedSource(profile))
    done = compress(trained.student.architecture, trained.student, steps_named(["fuse", "quantise"]), context)
    assert done.record.form == "fuse, quantise", [record.reason for record in done.record.records]
    assert done.model.suffix == ".tflite" and [each.name for each in context.folder.glob("model.*")] == ["model.tflite"]
    shipped, validation = LiteRtNetwork(done.model), list(trained.split.validation)
    assert shipped.types() <= {"int8", "int32"}
    images = np.asarray(trained.images.images[validation])
    dice, _ = dice_and_iou(shipped.logits(images) >= 0, np.asarray(trained.images.masks[validation]) > 0)
    assert done.record.end.dice == pytest.approx(dice.tolist()), "judged as LiteRT computes it"
    assert done.record.end.file_bytes == done.model.stat().st_size
    float_masks = OnnxNetwork(model_file(replace(trained.candidate, fused=True), context)).logits(images) >= 0
    assert np.mean(float_masks == (shipped.logits(images) >= 0)) > 0.98
    speed = done.record.records[-1].speed
    assert speed is not None and not speed.slower
    assert ("does not run there" if profile is CORAL else "int8 pays there") in speed.source


@needs_litert
@pytest.mark.slow
def test_the_file_is_the_same_when_made_again_and_travels(make_context: MakeContext, trained: Trained) -> None:
    context = make_context(profile=PI, speed=SpeedSource(PI))
    candidate, step = replace(trained.candidate, fused=True), STEPS["quantise"]()
    after = step.apply(candidate, context)
    assert after.digest == step.apply(candidate, replace(context, folder=context.folder / "elsewhere")).digest
    after.save(context.folder / "there")
    back = CompressionCandidate.load(context.folder / "there")
    assert back.digest == after.digest and back.file is not None and back.file.suffix == ".tflite"


@needs_litert
@pytest.mark.slow
def test_training_with_rounding_ends_in_a_file_of_litert(make_context: MakeContext, trained: Trained) -> None:
    context = make_context(profile=PI, speed=SpeedSource(PI))
    step = STEPS["quantise"]().relaxed()
    assert step is not None and step.retrains
    after = step.apply(replace(trained.candidate, fused=True), context)
    assert after.file is not None and LiteRtNetwork(after.file).types() <= {"int8", "int32"}
    before = evaluate(replace(trained.candidate, fused=True), context)
    assert evaluate(after, context).mean_dice > before.mean_dice - 0.05


@pytest.mark.skipif(not missing(), reason="the extra litert is installed")
@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each.name)
def test_without_the_extra_the_step_names_it(profile, make_context: MakeContext, trained: Trained) -> None:
    chain = Chain(make_context(profile=profile, speed=SpeedSource(profile)), replace(trained.candidate, fused=True))
    chain.run(steps_named(["quantise"]))
    assert [record.tried for record in chain.records] == [False]
    assert "ussearch[litert]" in chain.records[0].reason


def test_a_file_of_another_format_is_no_candidate(trained: Trained, tmp_path: Path) -> None:
    trained.candidate.save(tmp_path)
    form = tmp_path / "form.json"
    form.write_text(form.read_text().replace('"own_file": false', '"own_file": true').replace(".onnx", "/../../x"))
    with pytest.raises(UserError, match="delete the folder"):
        CompressionCandidate.load(tmp_path)
