"""What a candidate takes over from a relative: all where nothing differs, the same function where it only grows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ussearch.evaluators.inheritance.axes import parameter_layouts
from ussearch.evaluators.inheritance.matching import matching_paths
from ussearch.evaluators.inheritance.transfer import inherit, recalibrate
from ussearch.search_spaces import Architecture, Network, SearchSpace, build, load_preset, preset_names
from ussearch.search_spaces.edits import edited


def base(name: str) -> Architecture:
    return load_preset(name).architecture.for_task()


def trained(architecture: Architecture, seed: int = 0) -> Network:
    """Return a network whose every tensor, statistics too, is none of a fresh one."""
    torch.manual_seed(seed)
    network = build(architecture).eval()
    for name, value in network.state_dict().items():
        if value.is_floating_point() and value.ndim:
            value.copy_(torch.rand_like(value) * 0.5 + 0.25 if name.endswith("var") else torch.randn_like(value) * 0.1)
    network.set_schedule(1.0)
    return network


def child_of(parent: Network, choices: dict[str, Any], size: int = 128, **how: Any) -> tuple[Network, float]:
    torch.manual_seed(1)
    child = build(edited(parent.architecture, choices, size)).eval()
    found = inherit(child, parent.architecture, parent.state_dict(), **how)
    found.apply(child)
    return child, found.share


def answers(network: Network, side: int = 128) -> Tensor:
    torch.manual_seed(2)
    with torch.no_grad():
        return network(torch.randn(1, network.architecture.image_channels, side, side))


LARGE = ("laednet-l", "laednet-m", "unet")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in preset_names()]
)
def test_the_same_network_takes_over_everything(name: str) -> None:
    parent = trained(base(name))
    child, share = child_of(parent, {})
    assert share == 1.0
    assert all(torch.equal(value, parent.state_dict()[key]) for key, value in child.state_dict().items())


GROWN = {
    "lv-unet": [{"stage_width_4": 1.5}, {"stage_kernel_1": 7}, {"stage_expansion_2": 1.5}, {"width_multiplier": 1.5}],
    "mobilenetv2-unet": [{"stage_width_2": 1.5}, {"stage_depth_3": 2}, {"level_width_0": 1.25}, {"stage_kernel_4": 5}],
    "efficientnet-lite0-unet": [{"stage_expansion_3": 1.5}, {"stage_depth_5": 1}, {"width_multiplier": 1.25}],
    "cmunext-s": [{"stage_kernel_1": 7}, {"stage_width_3": 1.5}],
}


@pytest.mark.parametrize(("name", "choices"), [(name, each) for name, all_ in GROWN.items() for each in all_])
def test_growing_computes_what_it_did(name: str, choices: dict[str, Any]) -> None:
    parent = trained(base(name))
    child, share = child_of(parent, choices, new_inputs="zero")
    assert child.architecture.id != parent.architecture.id and 0.2 < share < 1
    expected = answers(parent)
    torch.testing.assert_close(answers(child), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()) + 1e-6)


def test_what_reads_a_skip_keeps_the_skips_channels() -> None:
    parent = trained(base("mobilenetv2-unet"))
    child, _ = child_of(parent, {"level_width_0": 0.5})
    first, second = (network.levels[1].blocks[0].depthwise.conv.weight for network in (parent, child))
    assert first.shape[0] == 64 + 24 and second.shape[0] == 32 + 24
    assert torch.equal(second[32:], first[64:]) and torch.equal(second[:32], first[:32])


def test_a_narrower_network_takes_the_first_channels_and_says_how_much_it_has() -> None:
    parent = trained(base("unext"))
    child, share = child_of(parent, {"stage_width_1": 0.5})
    assert share == 1.0  # nothing in it is new
    assert torch.equal(child.stages[1].blocks[0].body.conv.weight, parent.stages[1].blocks[0].body.conv.weight[:16])
    wider, share = child_of(parent, {"stage_family_3": "mbconv"})
    new = sum(value.numel() for name, value in wider.named_parameters() if name.startswith("stages.3."))
    total = sum(value.numel() for value in wider.parameters())
    assert share == pytest.approx(1 - new / total)


def test_levels_are_matched_by_their_resolution() -> None:
    parent = base("lv-unet")
    paths = matching_paths(edited(parent, {"deep_stages": -2}, 256), parent)
    assert paths["levels.0.up.0"] == "levels.2.up.0" and paths["levels.4.up.0"] == "levels.6.up.0"
    assert paths["stages.4.blocks.0"] == "stages.4.blocks.0"


def test_a_repeated_unit_leaves_what_follows_with_its_own() -> None:
    parent = base("cmunext-s")
    paths = matching_paths(edited(parent, {"stage_depth_3": 1}, 256), parent)
    assert paths["stages.3.blocks.6"] == "stages.3.blocks.3"


def test_recalibrated_norms_have_the_statistics_of_the_images() -> None:
    network = trained(base("unext"))
    batches = [torch.randn(4, 1, 64, 64) for _ in range(3)]
    recalibrate(network, iter(batches))
    conv, norm = network.stages[0].blocks[0].body.conv, network.stages[0].blocks[0].body.norm
    with torch.no_grad():
        seen = torch.stack([conv(batch.repeat(1, 3, 1, 1)).mean(dim=(0, 2, 3)) for batch in batches])
    torch.testing.assert_close(norm.running_mean, seen.mean(0), rtol=1e-4, atol=1e-5)
    assert norm.momentum == 0.1 and not network.training


def test_groups_that_make_fewer_channels_have_parts_of_their_own() -> None:
    """CMUNeXt's fusion has a group for the skip and one for what comes from below."""
    parent = trained(base("cmunext-s"))
    child, _ = child_of(parent, {"level_width_3": 0.5})
    mine, theirs = (network.state_dict()["levels.3.blocks.0.body.conv.weight"] for network in (child, parent))
    half, whole = len(mine) // 2, len(theirs) // 2
    assert torch.equal(mine[:half], theirs[:half, : mine.shape[1]])
    assert torch.equal(mine[half:], theirs[whole : whole + half, : mine.shape[1]])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_any_candidate_starts_from_any_of_its_base(seed: int) -> None:
    """The channels that are told apart add up to those that there are."""
    generator, space = np.random.default_rng(seed), SearchSpace.standard(64)
    relatives: dict[str, tuple[Architecture, dict[str, Tensor]]] = {}
    met = 0
    while met < 8:
        choices = space.draw(generator)
        network = build(space.told(choices))
        for name, layout in parameter_layouts(network.architecture).items():
            shape = network.get_parameter(name).shape
            assert [sum(segments) for segments in layout.segments] == list(shape[: len(layout.segments)]), name
        if choices["base"] in relatives:
            assert 0 <= inherit(network, *relatives[choices["base"]]).share <= 1
            met += 1
        relatives[choices["base"]] = (network.architecture, network.state_dict())
