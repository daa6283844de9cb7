"""Architectures as data: round trips, identity, errors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ussearch.errors import UserError
from ussearch.search_spaces import Architecture, Block, FreeSpace, Skip, Stage, build, load_preset, preset_names

SPACE = FreeSpace.standard(128)


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6))
def test_round_trips_keep_value_and_identity(seed: int) -> None:
    architecture = SPACE.sample(seed)
    for copy in (
        Architecture.from_yaml(architecture.to_yaml()),
        Architecture.model_validate_json(architecture.model_dump_json()),
    ):
        assert copy == architecture
        assert copy.id == architecture.id
        assert hash(copy) == hash(architecture)


def test_the_name_is_no_part_of_the_identity() -> None:
    architecture = load_preset("unext").architecture
    assert architecture.model_copy(update={"name": "other"}).id == architecture.id


def test_presets_have_different_identities() -> None:
    assert len({load_preset(name).architecture.id for name in preset_names()}) == len(preset_names())


def test_it_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_preset("unext").architecture.classes = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("stages: [", "not YAML"),
        ("stages: []", "stages"),
        ("stages: [{blocks: [{kind: conv, width: 8, kernel: 4}]}]", "kernel"),
        ("stages: [{blocks: [{kind: conv, width: 8, colour: red}]}]", "colour"),
        ("stages: [{blocks: [{kind: conv, width: 99999999}]}]", "width"),
        ("stages: [{blocks: [{kind: conv, width: 8}]}]\ndecoder: [{skip: {op: add, stage: 3}}]", "stage 3"),
    ],
)
def test_broken_files_are_named_with_the_field(text: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        Architecture.from_yaml(text, "my.yaml")


def test_repeat_is_the_same_block_again() -> None:
    block = {"kind": "conv", "width": 8}
    assert Stage(blocks=[{**block, "repeat": 3}]) == Stage(blocks=(Block(**block),) * 3)


def test_a_field_that_a_block_does_not_read_is_an_error() -> None:
    architecture = Architecture(stages=(Stage(blocks=(Block(kind="fusible", width=8, hidden=4),)),))
    with pytest.raises(ValueError, match="does not read hidden"):
        build(architecture)


def test_an_unknown_block_offers_near_names() -> None:
    with pytest.raises(UserError, match="mbconv"):
        build(Architecture(stages=(Stage(blocks=(Block(kind="mbconf", width=8),)),)))


def test_a_residual_block_cannot_change_its_width() -> None:
    with pytest.raises(ValueError, match="residual"):
        build(Architecture(stages=(Stage(blocks=(Block(kind="conv", width=8, residual=True),)),)))


def test_skips_address_single_blocks() -> None:
    skips = [level.skip for level in load_preset("lv-unet").architecture.decoder]
    assert skips[4] == Skip(op="add", stage=1)
    assert skips[5] is None


def test_features_name_what_a_device_may_refuse() -> None:
    assert "dynamic_conv" in load_preset("lightawnet").architecture.features
    assert "dynamic_conv" not in load_preset("lv-unet").architecture.features
    assert "activation:hswish" in load_preset("lv-unet").architecture.features
