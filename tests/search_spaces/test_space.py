"""The sampled space: every sample builds, learns and comes back; a device can restrict it."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from ussearch.errors import UserError
from ussearch.search_spaces import FreeSpace, build, count, load_preset, preset_names
from ussearch.search_spaces.encoding import encoding_names
from ussearch.search_spaces.free_space import NETWORK_CHOICES, SKIPS, STAGE_CHOICES, role_of

SPACE = FreeSpace.standard(128)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_every_sample_builds_and_trains_one_step(seed: int) -> None:
    architecture = SPACE.sample(seed)
    torch.manual_seed(seed)
    network = build(architecture).train()
    images = torch.randn(2, 1, 128, 128)
    outputs = network.forward_all(images)
    assert all(output.shape == (2, 1, 128, 128) for output in outputs)
    assert len(outputs) == 1 + len(architecture.deep_supervision)
    loss = sum(functional.binary_cross_entropy_with_logits(o, (images > 0).float()) for o in outputs)
    loss.backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is None or torch.isfinite(gradient).all() for gradient in gradients)
    assert sum(gradient is not None for gradient in gradients) > 0.9 * len(gradients)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_outputs_of_deep_supervision_come_the_finest_first(order: tuple[int, ...]) -> None:
    preset = load_preset("lv-unet").architecture
    network = build(preset.model_copy(update={"deep_supervision": order})).eval()
    for level, head in network.auxiliary_heads.items():
        nn.init.zeros_(head.weight)  # type: ignore[arg-type]
        nn.init.constant_(head.bias, float(level))  # type: ignore[arg-type]
    with torch.no_grad():
        outputs = network.forward_all(torch.zeros(1, preset.image_channels, 128, 128))[1:]
    assert [float(output.mean()) for output in outputs] == pytest.approx([2, 1, 0])


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([64, 96, 128, 160, 224, 256]))
def test_samples_come_back_as_choices(seed: int, size: int) -> None:
    space = FreeSpace.standard(size)
    architecture = space.sample(seed)
    assert size % architecture.size_divisor == 0
    assert size // architecture.size_divisor >= 4
    choices = space.choices_of(architecture)
    assert choices is not None
    assert space.compose(choices) == architecture


@pytest.mark.parametrize("name", preset_names())
def test_presets_lie_outside_but_can_be_encoded(name: str) -> None:
    architecture = load_preset(name).architecture
    assert not SPACE.contains(architecture)
    vector = SPACE.encode(architecture)
    assert vector.shape == (len(encoding_names()),)
    assert not np.isnan(vector).any()


def test_encodings_tell_architectures_apart() -> None:
    samples = {SPACE.sample(seed).id: SPACE.sample(seed) for seed in range(200)}
    vectors = {tuple(SPACE.encode(architecture)) for architecture in samples.values()}
    assert len(vectors) > 0.97 * len(samples)


def test_the_space_covers_what_it_promises() -> None:
    assert set(STAGE_CHOICES["family"]) == {"dwsep", "mbconv", "convnext", "asym", "fusible", "conv"}
    assert set(STAGE_CHOICES["kernel"]) == {3, 5, 7}
    assert set(STAGE_CHOICES["attention"]) == {"none", "se", "eca", "cbam", "spatial_gate"}
    assert set(SKIPS) == {"none", "concat", "add", "attention_gate"}
    assert set(NETWORK_CHOICES["decoder"]) == {"lrse", "light", "fusible", "depthwise", "plain"}
    widths = [value for name, values in SPACE.choices.items() if role_of(name) == "width" for value in values]
    assert all(width % 8 == 0 for width in widths)


def test_optuna_asks_it() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    architecture = SPACE.suggest(trial)
    assert set(trial.params) == set(SPACE.choices)
    assert SPACE.compose(trial.params) == architecture


def test_a_device_removes_what_it_cannot_run() -> None:
    restricted, removals = SPACE.restricted({"dynamic_conv": "kernels must be constant", "attention:cbam": "slow"})
    assert {(removal.choice, removal.value) for removal in removals} >= {("experts", 4), ("attention_0", "cbam")}
    assert all(removal.reason for removal in removals)
    for seed in range(20):
        assert not restricted.sample(seed).features & {"dynamic_conv", "attention:cbam"}
    assert restricted.log10_size < SPACE.log10_size


def test_removing_everything_is_an_error() -> None:
    with pytest.raises(UserError, match="activation"):
        SPACE.restricted({f"activation:{name}": "no" for name in NETWORK_CHOICES["activation"]})


@pytest.mark.parametrize(("size", "nearest"), [(100, 96), (1, 32), (250, 256)])
def test_sizes_that_are_no_multiple_of_32_are_refused_with_the_nearest(size: int, nearest: int) -> None:
    with pytest.raises(UserError, match=str(nearest)):
        FreeSpace.standard(size)


def test_the_same_seed_gives_the_same_architecture() -> None:
    assert SPACE.sample(7).id == SPACE.sample(7).id != SPACE.sample(8).id


def test_sizes_span_orders_of_magnitude() -> None:
    macs = [count(SPACE.sample(seed), 128).macs for seed in range(12)]
    assert max(macs) > 10 * min(macs)
