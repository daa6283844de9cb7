"""Any edits of any base: built, trained for a step, re-parametrised, exported for a device and run, to rounding."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from ussearch.datasets import Normalisation
from ussearch.evaluators.prediction import export_network
from ussearch.hardware_profiles import Profile, check_onnx, load_profile, profile_names
from ussearch.search_spaces import Architecture, Network, SearchSpace, build, deploy

SIZE = 128
SPACE = SearchSpace.standard(SIZE)
NORMALISATION = Normalisation(mean=80.0, std=50.0)
NARROW = (0.25, 0.375, 0.5)
"""Factors of all widths with which every base can be trained and exported in a test's seconds."""
RULES = {"opset", "ir_version", "parser", "static_shapes", "external_data", "allowed_operators", "forbidden_operators"}


@st.composite
def candidates(draw: st.DrawFn, widths: tuple[float, ...] = NARROW) -> dict[str, Any]:
    """Choices of any base with few edits, many, or all of them at random."""
    random = np.random.default_rng(draw(st.integers(0, 10**9)))
    share = draw(st.sampled_from([0.05, 0.3, 1.0]))
    choices = SPACE.unedited(draw(st.sampled_from(SPACE.choices["base"])))
    for name, values in SPACE.choices.items():
        if name.startswith("free_") or (name != "base" and random.random() < share):
            choices[name] = values[random.integers(len(values))]
    return choices | {"width_multiplier": draw(st.sampled_from(widths))}


@functools.cache
def devices() -> tuple[Profile, ...]:
    """One runtime of a device for each set of export rules."""

    def every() -> Iterator[Profile]:
        for name in profile_names():
            yield (first := load_profile(name))
            yield from (load_profile(f"{name}@{variant}") for variant in first.variants[1:])

    rules = {(each.export.model_dump_json(include=RULES), *sorted(each.forbidden_features)): each for each in every()}
    return tuple(rules.values())


def images_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2, 1, SIZE, SIZE)).astype(np.float32)


def one_step(architecture: Architecture) -> Network:
    """Build a network and train it for one step, in which everything learns."""
    torch.manual_seed(0)
    network = build(architecture).train()
    images = NORMALISATION.apply(torch.from_numpy(images_of(0)))
    outputs = network.forward_all(images)
    assert [tuple(output.shape) for output in outputs] == [(2, 1, SIZE, SIZE)] * (
        1 + len(architecture.deep_supervision)
    )
    losses = [functional.binary_cross_entropy_with_logits(output, (images > 0).float()) for output in outputs]
    torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    torch.optim.SGD(network.parameters(), 1e-2).step()
    network.set_schedule(1.0)
    return network.eval()


def check(choices: dict[str, Any], device: int, path: Path) -> None:
    """Everything that is promised of a candidate, for one of the devices that can run it."""
    architecture = SPACE.compose(choices)
    found = SPACE.choices_of(architecture)
    assert found is not None and SPACE.compose(found).id == architecture.id
    network, images = one_step(architecture), images_of(1)
    with torch.no_grad():
        normalised = NORMALISATION.apply(torch.from_numpy(images))
        expected, deployed = network(normalised).numpy(), deploy(network)(normalised).numpy()
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(deployed, expected, rtol=0, atol=1e-5 * scale)
    able = [each for each in devices() if not architecture.features & each.forbidden_features.keys()]
    profile = able[device % len(able)]
    export_network(network, NORMALISATION, SIZE, profile, path)
    assert check_onnx(path, profile) == (), profile.name
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers = [session.run(["logits"], {"image": image[None]})[0] for image in images]
    np.testing.assert_allclose(np.concatenate(answers), expected, rtol=0, atol=1e-4 * scale)


@settings(max_examples=10)
@given(choices=candidates(), device=st.integers(0, 100))
def test_any_edits_of_any_base(choices: dict[str, Any], device: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    check(choices, device, tmp_path_factory.mktemp("export") / "model.onnx")


@pytest.mark.slow
@settings(max_examples=300)
@given(choices=candidates(SPACE.choices["width_multiplier"]), device=st.integers(0, 100))
def test_any_edits_of_any_base_at_length(
    choices: dict[str, Any], device: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(choices, device, tmp_path_factory.mktemp("export") / "model.onnx")
