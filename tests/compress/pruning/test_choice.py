"""Which channels go: the worthless ones first, within the rules that widths must keep."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from ussearch.compress.pruning import IMPORTANCES, masked, prune
from ussearch.compress.pruning.channel_groups import channel_groups_of
from ussearch.compress.pruning.channels import read_channels
from ussearch.compress.pruning.choice import PruningChoice
from ussearch.compress.pruning.importance import Evidence
from ussearch.compress.pruning.rules import rules_of
from ussearch.errors import UserError
from ussearch.evaluators.inheritance.axes import parameter_axes
from ussearch.search_spaces import (
    Architecture,
    Block,
    DecoderLevel,
    Network,
    Skip,
    Stage,
    build,
    count,
    deploy,
    load_preset,
    preset_names,
)

Build = Callable[..., Network]
SIZE = 16


def chain(*widths: int) -> Architecture:
    return Architecture(name="chain", stages=tuple(Stage(blocks=(Block(kind="conv", width=w),)) for w in widths))


def silence(network: Network, layer: str, positions: list[int]) -> None:
    """Make channels of a convolution with norm worthless: nothing comes out, and nobody listens."""
    body = network.get_submodule(layer)
    for parameter in (body.conv.weight, body.norm.weight, body.norm.bias):
        parameter.data[positions] = 0.0


@pytest.mark.parametrize("importance", ["l2", "lamp", "taylor"])
def test_silent_channels_go_first_and_nothing_changes(importance: str, lived_in: Build) -> None:
    network = lived_in(chain(16, 32, 24))
    dead = {"stages.0.blocks.0.body": list(range(1, 16, 2)), "stages.1.blocks.0.body": [0, 3, *range(8, 20), 22, 30]}
    for layer, positions in dead.items():
        silence(network, layer, positions)
        following = f"stages.{int(layer[7]) + 1}.blocks.0.body.conv"
        network.get_submodule(following).weight.data[:, positions] = 0.0
    images, masks = torch.randn(2, 1, SIZE, SIZE), torch.ones(2, 1, SIZE, SIZE)

    def loss(outputs: Sequence[Tensor], targets: Tensor) -> Tensor:
        return (outputs[0] - targets).square().mean()

    pruned = prune(network, SIZE, ratio=24 / 72, importance=importance, batches=[(images, masks)], loss=loss)
    for layer, positions in dead.items():
        assert set(pruned.kept[f"{layer}.conv"]) == set(range(len(network.get_submodule(layer).conv.weight))) - set(
            positions
        )
    assert [stage.blocks[0].width for stage in pruned.architecture.stages] == [8, 16, 24]
    with torch.no_grad():
        torch.testing.assert_close(pruned.network(images), network(images), rtol=1e-5, atol=1e-5)


def test_importances_by_hand(lived_in: Build) -> None:
    """One pair of convolutions, sums written out."""
    network = lived_in(chain(8, 8))
    channels = read_channels(network, SIZE)
    units = channel_groups_of(channels, rules_of(network, channels))
    numbers = torch.from_numpy(channels.axes["stages.0.blocks.0.body.conv", "out"])
    evidence = Evidence((), None, seed=5)
    first, second = network.stages[0].blocks[0].body, network.stages[1].blocks[0].body  # type: ignore[index,union-attr]
    parts = (
        first.conv.weight.square().sum((1, 2, 3)),
        first.norm.weight.square(),
        second.conv.weight.square().sum((0, 2, 3)),
    )
    expected = sum(part.detach().double() for part in parts) / 3
    l2 = IMPORTANCES["l2"](network, channels, units, evidence)[numbers]
    torch.testing.assert_close(l2, expected, rtol=1e-5, atol=0.0)
    lamp = IMPORTANCES["lamp"](network, channels, units, evidence)[numbers]
    by_hand = torch.stack([value / expected[expected >= value].sum() for value in expected])
    torch.testing.assert_close(lamp, by_hand, rtol=1e-5, atol=0.0)
    random = IMPORTANCES["random"](network, channels, units, evidence)
    assert torch.equal(random, IMPORTANCES["random"](network, channels, units, evidence))
    assert not torch.equal(random, IMPORTANCES["random"](network, channels, units, Evidence((), None, seed=6)))


def test_taylor_is_the_first_order_change_of_the_loss(lived_in: Build) -> None:
    """With a loss that is linear in the only layer's weights, that change is the change itself."""
    network = lived_in(
        Architecture(stages=(Stage(blocks=(Block(kind="conv", width=8, norm="none", activation="none"),)),))
    )
    channels = read_channels(network, SIZE)
    units = channel_groups_of(channels, rules_of(network, channels))
    images = torch.randn(1, 1, SIZE, SIZE)

    def loss(outputs: Sequence[Tensor], targets: Tensor) -> Tensor:
        return outputs[0].mean()

    name = "stages.0.blocks.0.body.conv"
    numbers = channels.axes[name, "out"]
    scores = IMPORTANCES["taylor"](network, channels, units, Evidence(((images, images),), loss, 0))[numbers]
    changes = []
    for position in range(8):
        without = copy.deepcopy(network)
        without.get_submodule(name).weight.data[position] = 0.0
        changes.append(float(((loss([network(images)], 0) - loss([without(images)], 0)) ** 2).detach()))
    torch.testing.assert_close(scores, torch.tensor(changes, dtype=torch.float64), rtol=1e-2, atol=1e-9)


def test_no_pruning_changes_nothing(lived_in: Build) -> None:
    network = lived_in(load_preset("lv-unet").architecture)
    pruned = prune(network, 128, ratio=0.0)
    assert pruned.before == pruned.after
    assert pruned.architecture.name == "lv-unet pruned"
    images = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        assert torch.equal(pruned.network(images), network(images))
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in pruned.network.state_dict().items())
    again = build(Architecture.from_yaml(pruned.architecture.to_yaml()))
    again.load_state_dict(pruned.network.state_dict())


def test_the_largest_ratio_is_named_and_works(lived_in: Build) -> None:
    network = lived_in(chain(16, 24, 40))
    with pytest.raises(UserError, match=r"multiples of 8 it can lose 0\.7 of its channels"):  # 1 - 3 · 8 / 80
        prune(network, SIZE, ratio=0.71)
    assert prune(network, SIZE, ratio=0.7).after == 24
    with pytest.raises(UserError, match="can lose 0 of its channels"):
        prune(network, SIZE, ratio=0.1, round_to=64)


def test_what_saves_more_of_the_cost_goes_earlier(lived_in: Build) -> None:
    """Two layers, one worth twice the other: the order turns around where it saves more than twice as much."""
    network = lived_in(chain(24, 24))
    channels = read_channels(network, SIZE)
    rules = rules_of(network, channels)
    units = channel_groups_of(channels, rules)
    first = next(
        place
        for place, unit in enumerate(units)
        if channels.axes["stages.0.blocks.0.body.conv", "out"][0] in unit.strands
    )
    scores = np.ones(channels.number)
    scores[units[first].strands] = 2.0
    choice = PruningChoice(channels, rules, units, scores, round_to=8)
    second = 1 - first
    assert choice.order() == [second, second, first, first]
    for saving, expected in ((1.9, [second, second, first, first]), (2.1, [first, first, second, second])):
        savings = [1.0, 1.0]
        savings[first] = saving
        assert choice.order(savings) == expected


@pytest.mark.parametrize("importance", ["l2", pytest.param("random", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [pytest.param("lv-unet", marks=pytest.mark.slow), "cmunext-s"])
def test_a_share_of_the_cost_goes_where_costs_are_given(name: str, importance: str, lived_in: Build) -> None:
    """MACs as cost: they are counted by another module, and need fewer channels than without costs."""
    architecture = load_preset(name).architecture
    size = architecture.size_divisor
    network = lived_in(architecture)

    def macs(each: Architecture) -> float:
        return count(each, size).macs

    plain = prune(network, size, ratio=0.3, importance=importance)
    share = 1 - macs(plain.architecture) / macs(architecture)
    by_cost = prune(network, size, ratio=share, importance=importance, cost=macs)
    assert macs(by_cost.architecture) <= macs(plain.architecture)
    assert by_cost.after > plain.after


def test_the_largest_share_of_the_cost_is_named(lived_in: Build) -> None:
    network = lived_in(chain(16, 16))

    def overhead_and_widths(each: Architecture) -> float:
        return 68.0 + sum(block.width for block in each.blocks)

    with pytest.raises(UserError, match=r"it can lose 0\.16 of its cost; give that or less"):
        prune(network, SIZE, ratio=0.5, cost=overhead_and_widths)
    assert prune(network, SIZE, ratio=0.16, cost=overhead_and_widths).after == 16
    assert prune(network, SIZE, ratio=0.0, cost=overhead_and_widths).after == 32


@pytest.mark.parametrize("ratio", [-0.1, 1.0])
def test_ratios_are_shares(ratio: float, lived_in: Build) -> None:
    with pytest.raises(UserError, match="share of channels"):
        prune(lived_in(chain(8)), SIZE, ratio=ratio)


def test_bad_requests_say_what_to_give(lived_in: Build) -> None:
    network = lived_in(chain(16))
    with pytest.raises(UserError, match="Unknown importance 'l3': did you mean l2"):
        prune(network, SIZE, ratio=0.1, importance="l3")
    with pytest.raises(UserError, match="give batches and a loss"):
        prune(network, SIZE, ratio=0.1, importance="taylor")
    with pytest.raises(UserError, match="training form"):
        prune(deploy(network), SIZE, ratio=0.1)


@pytest.mark.parametrize("round_to", [1, 4, 16])
def test_widths_are_multiples_of_what_was_asked(round_to: int, lived_in: Build) -> None:
    pruned = prune(lived_in(chain(12, 50, 64)), SIZE, ratio=0.3, round_to=round_to)
    widths = [stage.blocks[0].width for stage in pruned.architecture.stages]
    assert all(new == old or new % round_to == 0 for new, old in zip(widths, (12, 50, 64), strict=True))
    assert sum(widths) == pruned.after <= 0.7 * pruned.before


def test_a_convolution_that_equal_widths_would_leave_out_stays(lived_in: Build) -> None:
    """``build`` has no first convolution where ``hidden`` equals the input: such widths are avoided."""
    block = Block(kind="mbconv", width=16, hidden=16)
    network = lived_in(Architecture(stages=(Stage(blocks=(Block(kind="conv", width=24), block)),)))
    for seed in range(3):  # half of all channels: every width would end at 8
        pruned = prune(network, SIZE, ratio=0.5, importance="random", seed=seed)
        conv, mbconv = pruned.architecture.stages[0].blocks
        assert conv.width != mbconv.hidden


def test_a_projected_skip_stays_projected(lived_in: Build) -> None:
    level = DecoderLevel(blocks=(), up=(Block(kind="conv", width=24),), skip=Skip(op="add", stage=0))
    stages = (Stage(blocks=(Block(kind="conv", width=16),)), Stage(blocks=(Block(kind="conv", width=16),)))
    network = lived_in(Architecture(stages=stages, decoder=(level,)))
    for seed in range(3):
        pruned = prune(network, SIZE, ratio=0.5, importance="random", seed=seed)
        assert pruned.architecture.stages[0].blocks[0].width != pruned.architecture.decoder[0].up[0].width


JOINED = {
    "bmis": 14,
    "cea-net-standin": 4,
    "cmunext": 4,
    "cmunext-s": 4,
    "efficientnet-lite0-unet": 3,
    "laednet-s": 12,
    "lightawnet": 5,
    "unext": 8,
}
"""Convolutions of published networks whose input is joined of parts."""
LEFT_OUT = {"laednet-m", "laednet-l", "unet", "lv-unet", "efficientnet-lite2-unet", "mobilenetv2-unet"}
"""Built like another; LV-UNet joins nothing."""


def test_every_preset_is_compared_or_left_out_for_a_reason() -> None:
    assert JOINED.keys() | LEFT_OUT == set(preset_names())


@pytest.mark.parametrize("name", JOINED)
def test_axes_found_by_another_method_agree(name: str, lived_in: Build) -> None:
    """``inheritance.axes`` follows a forward pass instead of gradients: parts of concatenations are the same."""
    architecture = load_preset(name).architecture
    size = max(32, architecture.size_divisor)
    network = lived_in(architecture)
    channels = read_channels(network, size)
    shape = (1, architecture.image_channels, size, size)
    followed = parameter_axes(build(architecture, device="meta").eval(), shape)
    compared = 0
    for (layer, side), numbers in channels.axes.items():
        segments = followed.get(f"{layer}.weight")
        module = dict(network.named_modules()).get(layer)
        if segments is None or not isinstance(module, torch.nn.Conv2d) or side != "in" or module.groups > 1:
            continue
        if len(segments[1]) > 1 and sum(segments[1]) == len(numbers):
            parts = np.split(numbers, np.cumsum(segments[1])[:-1])
            makers = [axis for (_, s), axis in channels.axes.items() if s == "out"]
            assert all(any(np.isin(part, maker).all() for maker in makers) for part in parts)
            compared += 1
    assert compared == JOINED[name]


def test_masked_networks_keep_their_widths(lived_in: Build) -> None:
    network = lived_in(chain(16, 24))
    pruned = prune(network, SIZE, ratio=0.3)
    silent = masked(network, SIZE, pruned.kept)
    assert silent.architecture == network.architecture
    zeros = sum(int((value == 0).sum()) for value in silent.state_dict().values())
    assert zeros > sum(int((value == 0).sum()) for value in network.state_dict().values())


def test_the_inside_of_an_attention_gate_follows_the_skip(lived_in: Build) -> None:
    level = DecoderLevel(up=(Block(kind="conv", width=48),), skip=Skip(op="attention_gate", stage=0))
    stages = (Stage(blocks=(Block(kind="conv", width=64),)), Stage(blocks=(Block(kind="conv", width=48),)))
    network = lived_in(Architecture(stages=stages, decoder=(level,)))
    for seed in range(4):
        pruned = prune(network, SIZE, ratio=0.25, importance="random", seed=seed)
        skip = pruned.architecture.stages[0].blocks[0].width
        assert len(pruned.kept["levels.0.merge.query"]) == len(pruned.kept["levels.0.merge.key"]) == max(skip // 2, 8)
