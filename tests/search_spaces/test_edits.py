"""Bases and edits: what is neutral changes nothing, any edits of any base are legal, single ones do as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from ussearch.errors import UserError
from ussearch.search_spaces import Architecture, SearchSpace, build, load_preset, preset_names
from ussearch.search_spaces.edits import EDITS, edit_choices, edited, neutral, sentence
from ussearch.search_spaces.edits.choices import derivation, derived
from ussearch.search_spaces.edits.draft import Draft
from ussearch.search_spaces.edits.legal import legalise
from ussearch.search_spaces.edits.widths import Factors, rescale

SPACE = SearchSpace.standard(128)
BASES = sorted(SPACE.bases)


def base(name: str) -> Architecture:
    return load_preset(name).architecture.for_task()


@st.composite
def candidates(draw: st.DrawFn) -> Architecture:
    """Any base with few or many edits, narrow enough to be trained in a test."""
    seed, share = draw(st.integers(0, 10**6)), draw(st.sampled_from([0.05, 0.3, 1.0]))
    random = np.random.default_rng(seed)
    choices = SPACE.unedited(draw(st.sampled_from([*BASES, "free"])))
    for name, values in SPACE.choices.items():
        if name != "base" and (name.startswith("free_") or random.random() < share):
            choices[name] = values[random.integers(len(values))]
    choices["width_multiplier"] = draw(st.sampled_from([0.25, 0.375, 0.5]))
    return SPACE.compose(choices)


@pytest.mark.parametrize("name", preset_names())
def test_neutral_edits_are_the_published_network(name: str) -> None:
    assert edited(base(name), neutral(), 256) == base(name)
    space = SearchSpace.standard(256)
    choices = space.choices_of(base(name))
    assert choices is not None and choices["base"] == name
    assert space.compose(choices).id == base(name).id


@pytest.mark.parametrize("name", preset_names())
def test_an_edit_undone_leaves_parameters_and_output(name: str) -> None:
    """The way through a draft and back, which neutral edits alone would not take."""
    draft = Draft.of(edited(base(name), {"input_scale": 0.75}, 256))
    legalise(draft)
    rescale(draft, Factors())
    draft.input_size = None
    made = draft.architecture()
    assert made.id == base(name).id
    outputs = []
    for architecture in (base(name), made):
        torch.manual_seed(0)
        network = build(architecture).eval()
        side = max(64, architecture.size_divisor)
        with torch.no_grad():
            outputs.append(network(torch.linspace(-1, 1, side * side).reshape(1, 1, side, side)))
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=0)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_every_published_network_that_fits_is_contained(size: int) -> None:
    space = SearchSpace.standard(size)
    fitting = [name for name in preset_names() if size % base(name).size_divisor == 0]
    assert fitting == sorted(space.bases) and len(fitting) >= len(preset_names()) - (size < 128)
    assert all(space.contains(base(name)) for name in fitting)


@settings(max_examples=60, deadline=None)
@given(architecture=candidates())
def test_what_was_edited_comes_back_as_choices(architecture: Architecture) -> None:
    choices = SPACE.choices_of(architecture)
    if architecture.derivation:
        assert choices is not None and SPACE.compose(choices).id == architecture.id
        assert Architecture.from_yaml(architecture.to_yaml()).id == architecture.id
        assert architecture.name and len(SPACE.encode(architecture)) == len(SPACE.encode(base("lv-unet")))


def test_every_edit_changes_some_base() -> None:
    supervised = base("unext").model_copy(update={"deep_supervision": (0, 1)})
    bases = [*map(base, preset_names()), supervised]
    for edit in EDITS:
        for value in edit.values[1:]:
            choices = {edit.names[2 if edit.each else 0]: value}
            assert any(edited(each, choices, 256).id != each.id for each in bases), (edit.name, value)


def widths(architecture: Architecture) -> list[int]:
    return [stage.blocks[-1].width for stage in architecture.stages]


def test_a_stage_takes_with_it_what_is_tied_to_it() -> None:
    made = edited(base("lv-unet"), {"stage_width_2": 0.5}, 256)
    assert widths(made) == [16, 24, 24, 80, 160, 240, 480]
    assert made.stages[3].blocks[0].width == 24 and made.stages[3].blocks[0].residual
    assert made.decoder[3].up[0].width == 24  # what the skip is added to
    network = build(made)
    assert not any(
        hasattr(level.merge, "project") and list(level.merge.project.parameters()) for level in network.levels
    )


def test_depth_repeats_and_leaves_out_residual_blocks() -> None:
    deeper = edited(base("mobilenetv2-unet"), {"stage_depth_3": 2}, 256)
    plain = base("mobilenetv2-unet").stages[3].blocks
    assert deeper.stages[3].blocks == (*plain, plain[-1], plain[-1])
    shallower = edited(base("mobilenetv2-unet"), {"stage_depth_3": -1}, 256)
    assert shallower.stages[3].blocks == plain[:-1]
    unit = edited(base("cmunext"), {"stage_depth_3": -1}, 256).stages[3].blocks
    assert [block.kernel for block in unit] == [7, 1, 1, 7, 1, 1, 3]


@pytest.mark.parametrize("name", [name for name in preset_names() if name != "bmis"])
def test_a_deep_stage_goes_with_its_level(name: str) -> None:
    made = edited(base(name), {"deep_stages": -1}, 256)
    assert len(made.stages) == len(base(name).stages) - 1
    halved = base(name).downsamplings - made.downsamplings
    assert len(base(name).decoder) - len(made.decoder) == 1 or halved == 0
    assert build(made, "meta")(torch.empty(1, 1, 256, 256, device="meta")).shape == (1, 1, 256, 256)


def test_the_image_is_seen_smaller_and_answered_in_full() -> None:
    made = edited(base("unext"), {"input_scale": 0.5}, 256)
    assert made.input_size == 128 and made.size_divisor == 1
    torch.manual_seed(0)
    network = build(made).eval()
    torch.manual_seed(0)
    plain = build(base("unext")).eval()
    image = torch.randn(1, 1, 256, 256)
    halved = functional.avg_pool2d(image, 2)  # half-pixel centres: the mean of four
    with torch.no_grad():
        small = plain(halved)
        expected = functional.interpolate(small, size=(256, 256), mode="bilinear", align_corners=False)
        torch.testing.assert_close(network(image), expected, rtol=1e-4, atol=1e-5)


def test_ids_of_before_stay() -> None:
    assert base("lv-unet").id == "6df47360dce0"


def test_sides_stay_multiples_of_what_the_network_halves() -> None:
    assert edited(base("lv-unet"), {"input_scale": 0.5}, 256).input_size is None  # 128 would leave one pixel
    assert edited(base("lv-unet"), {"input_scale": 0.5, "deep_stages": -1}, 256).input_size == 128
    assert edited(base("lv-unet"), {"input_scale": 0.625, "deep_stages": -2}, 256).input_size == 160


def test_a_candidate_is_told_in_words() -> None:
    choices = {**neutral(), "stage_width_2": 0.75, "decoder": "light", "stage_depth_3": -1, "level_skip_0": "none"}
    assert (
        sentence("LV-UNet", choices) == "LV-UNet, decoder light, stage 3 × 0.75, stage 4 -1 blocks, level 1 skip none"
    )
    assert derived(derivation("lv-unet", choices)) == (
        "lv-unet",
        {"decoder": "light", "stage_width_2": 0.75, "stage_depth_3": -1, "level_skip_0": "none"},
    )
    assert derived("lv-unet; stage_width_2=9") is None


def test_the_space_is_large() -> None:
    space = SearchSpace.standard(256)
    for name in space.choices["base"]:
        meant = space.edits_of(space.unedited(name))
        assert sum(math.log10(len(space.choices[edit])) for edit in meant) > 20, name
    random = np.random.default_rng(0)
    drawn = {
        space.compose({name: values[random.integers(len(values))] for name, values in space.choices.items()}).id
        for _ in range(60)
    }
    assert len(drawn) == 60, "combinations are networks of their own"


def test_a_free_composition_that_is_edited_comes_back_and_is_told() -> None:
    choices = SPACE.unedited("free") | {"input_scale": 0.5, "stage_width_1": 0.5}
    choices |= {"free_stages": 4, "free_decoder": "light", "free_experts": 4}
    made = SPACE.told(choices)
    assert SPACE.choices_of(made) == choices
    assert made.name == f"free composition {SPACE.base(choices).id}, image × 0.5, stage 2 × 0.5"
    narrower, _ = SPACE.restricted({"dynamic_conv": "no"})
    assert not narrower.contains(made), "what a device takes away is not there"


def test_a_device_takes_bases_and_values_away() -> None:
    space, removals = SPACE.restricted({"dynamic_conv": "kernels are no constants", "activation:hswish": "no import"})
    assert "lightawnet" not in space.bases and "lv-unet" not in space.bases
    assert "hswish" not in space.choices["activation"]
    assert ("base", "lightawnet") in {(each.choice, each.value) for each in removals}
    with pytest.raises(UserError, match="every base"):
        SPACE.restricted(dict.fromkeys(["head:conv", "head:dynconv", "head:transposed"], "no"))


def test_a_base_of_ones_own() -> None:
    own = edited(base("unext"), {"stage_width_1": 0.5}, 128).model_copy(update={"derivation": "", "name": "mine"})
    space = SearchSpace.standard(128, {"mine": own}, {"mine": "trial 7 of lungs"})
    made = space.compose({**space.unedited("mine"), "stage_depth_4": 1})
    assert made.name == "trial 7 of lungs, stage 5 +1 blocks" and made.derivation == "mine; stage_depth_4=1"
    assert space.choices_of(own) == space.unedited("mine")


def test_choices_have_one_neutral_value_and_no_other_twice() -> None:
    for name, values in edit_choices().items():
        assert values[0] == neutral()[name] and len(set(values)) == len(values)


def test_draws_have_few_edits_that_their_base_has_a_meaning_for() -> None:
    generator = np.random.default_rng(0)
    counts = []
    for _ in range(200):
        choices = SPACE.draw(generator)
        edits = [name for name, value in neutral().items() if choices[name] != value]
        if choices["base"] == "free":
            assert not edits
            continue
        counts.append(len(edits))
        assert set(edits) <= set(SPACE.edits_of(choices))
    assert min(counts) == 1 and 2 < np.mean(counts) < 4


def test_children_keep_a_base_and_differ_from_their_parents() -> None:
    generator = np.random.default_rng(0)
    parents = [SPACE.unedited("unext"), SPACE.unedited("lv-unet") | {"stage_width_1": 0.5}]
    children = [SPACE.child(parents, generator) for _ in range(40)]
    assert {child["base"] for child in children} == {"unext", "lv-unet"}
    assert all(child not in parents for child in children)
    inherited = [child for child in children if child["base"] == "lv-unet" and child["stage_width_1"] == 0.5]
    assert inherited, "what parents were edited by goes on"


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.05, 0.5]))
def test_a_candidate_is_told_without_what_changes_nothing(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    choices = SPACE.unedited(BASES[int(random.integers(len(BASES)))])
    for name in neutral():
        if random.random() < share:
            choices[name] = SPACE.choices[name][int(random.integers(len(SPACE.choices[name])))]
    made, told = SPACE.compose(choices), SPACE.told(choices)
    assert told.id == made.id
    if told.derivation:
        base_name, edits = derived(told.derivation) or ("", {})
        assert base_name == choices["base"] and edits.items() <= choices.items()
        without = [SPACE.compose(SPACE.unedited(base_name) | {**edits, name: neutral()[name]}).id for name in edits]
        assert told.id not in without
