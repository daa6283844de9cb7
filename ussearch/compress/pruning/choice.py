"""Which channels go: all units compete for the least important chunk, and widths stay multiples of ``round_to``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ussearch.compress.pruning.channels import IMAGE, Axis, Channels
from ussearch.compress.pruning.rules import Rules
from ussearch.compress.pruning.strands import Unit
from ussearch.errors import UserError


@dataclass
class _Ranked:
    """A unit with its channels in order of importance, and how many each strand keeps."""

    unit: Unit
    order: np.ndarray
    scores: np.ndarray
    round_to: int
    kept: int

    @property
    def removable(self) -> int:
        """Channels that each strand can still lose in one chunk, down to the next multiple, never below the first."""
        if self._width <= self.round_to:
            return 0
        return self._width % self.round_to or self.round_to

    @property
    def least(self) -> int:
        """What each strand keeps when all chunks have gone."""
        return min(self.unit.width, self.round_to - self._beside)

    @property
    def _width(self) -> int:
        """The width that is to be a multiple."""
        return self.kept + self._beside

    @property
    def _beside(self) -> int:
        """What stands beside the strand, where both together are a multiple (but for whole multiples)."""
        beside = self.unit.beside % self.round_to
        return beside if (self.unit.width + beside) % self.round_to == 0 else 0

    @property
    def cost(self) -> float:
        """Mean importance of the next chunk."""
        gone = self.unit.width - self.kept
        return float(self.scores[:, gone : gone + self.removable].mean())

    @property
    def removed(self) -> np.ndarray:
        """The channels that go."""
        return self.order[:, : self.unit.width - self.kept].reshape(-1)

    def give_back(self) -> None:
        """Keep one chunk more."""
        self.kept = min(self.unit.width, self.kept + self.round_to - self._width % self.round_to)


def removed_channels(
    channels: Channels, rules: Rules, units: Sequence[Unit], scores: Tensor, *, ratio: float, round_to: int
) -> np.ndarray:
    """Return the numbers of the channels to remove: at least ``ratio`` of those in ``units``.

    ``scores`` [channels.number] are importances that may be compared between units. Each strand loses its own least
    important channels. Where a rule needs two widths to differ, a chunk is given back, whatever the ratio.

    Raises UserError when no more channels can go, naming the largest ratio that can be reached.
    """
    ranked = [_ranked(unit, scores.numpy(), round_to) for unit in units]
    total = sum(each.unit.strands.size for each in ranked)
    _check_reach(ranked, total, ratio, round_to)
    gone = 0
    while gone < ratio * total:
        cheapest = min((each for each in ranked if each.removable), key=lambda each: each.cost)
        gone += cheapest.removable * len(cheapest.unit.strands)
        cheapest.kept -= cheapest.removable
    _keep_distinct(channels, rules, ranked)
    removed = np.concatenate([np.empty(0, np.int64), *(each.removed for each in ranked)])
    return np.concatenate([removed, _removed_with(channels, rules, removed, scores.numpy())])


def _check_reach(ranked: Sequence[_Ranked], total: int, ratio: float, round_to: int) -> None:
    """Raise UserError where ``ratio`` of all channels is more than can go."""
    most = sum((each.unit.width - each.least) * len(each.unit.strands) for each in ranked)
    if ratio * total > most or (ratio and not total):
        largest = np.floor(100 * most / max(total, 1)) / 100
        raise UserError(
            f"A pruning ratio of {ratio:g} leaves too little of this network: with widths in multiples of {round_to} "
            f"it can lose {largest:g} of its channels; give that or less."
        )


def _ranked(unit: Unit, scores: np.ndarray, round_to: int) -> _Ranked:
    own = scores[unit.strands]
    order = np.argsort(own, axis=1, kind="stable")
    return _Ranked(
        unit, np.take_along_axis(unit.strands, order, 1), np.take_along_axis(own, order, 1), round_to, unit.width
    )


def _keep_distinct(channels: Channels, rules: Rules, ranked: Sequence[_Ranked]) -> None:
    """Give chunks back until widths that must differ do."""
    unit_of = {int(channel): each for each in ranked for channel in each.unit.strands.reshape(-1)}

    def clash() -> tuple[Axis, Axis] | None:
        gone = set(np.concatenate([np.empty(0, np.int64), *(each.removed for each in ranked)]).tolist())
        width = {
            axis: sum(c not in gone for c in channels.axes[axis].tolist()) for pair in rules.distinct for axis in pair
        }
        return next((pair for pair in rules.distinct if width[pair[0]] == width[pair[1]]), None)

    while pair := clash():
        concerned = [unit_of[c] for axis in pair for c in channels.axes[axis].tolist() if c in unit_of]
        next(each for each in concerned if each.kept < each.unit.width).give_back()


def _removed_with(channels: Channels, rules: Rules, removed: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the channels that go because their number is a function of another width."""
    gone = [np.empty(0, np.int64)]
    for axis, base, width in rules.derived:
        numbers = channels.axes[axis]
        kept = width(int(np.isin(channels.axes[base], removed, invert=True).sum()))
        gone.append(numbers[np.argsort(scores[numbers], kind="stable")][: len(numbers) - kept])
    return np.concatenate(gone)


def kept_positions(channels: Channels, removed: np.ndarray) -> Mapping[str, tuple[int, ...]]:
    """Return, for each layer of the network, the positions of its outputs that stay."""
    return {
        name: tuple(np.flatnonzero(~np.isin(numbers, removed)).tolist())
        for (name, side), numbers in channels.axes.items()
        if side == "out" and name != IMAGE[0]
    }
