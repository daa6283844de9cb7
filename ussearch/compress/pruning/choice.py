"""Which channels go: all units compete for the chunk that is worth least, and widths stay multiples of ``round_to``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ussearch.compress.pruning.channel_groups import ChannelGroup
from ussearch.compress.pruning.channels import IMAGE, Axis, Channels
from ussearch.compress.pruning.rules import Rules

LEAST_SAVING = 1e-6
"""Share of the cost that a channel is taken to save at least: what saves nothing goes last."""


@dataclass
class _Ranked:
    """A unit with its channels in order of importance, and how many each strand keeps."""

    unit: ChannelGroup
    order: np.ndarray
    scores: np.ndarray
    round_to: int
    saving: float
    kept: int

    @property
    def removable(self) -> int:
        """Channels that each strand can still lose in one chunk, down to the next multiple, never below the first."""
        if self._width <= self.round_to:
            return 0
        return self._width % self.round_to or self.round_to

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
    def price(self) -> float:
        """Importance of the next chunk for what its channels save."""
        gone = self.unit.width - self.kept
        return float(self.scores[:, gone : gone + self.removable].mean()) * len(self.unit.strands) / self.saving

    def shrink(self) -> None:
        """Lose the next chunk."""
        self.kept -= self.removable

    @property
    def removed(self) -> np.ndarray:
        """The channels that go."""
        return self.order[:, : self.unit.width - self.kept].reshape(-1)

    def give_back(self) -> None:
        """Keep one chunk more."""
        self.kept = min(self.unit.width, self.kept + self.round_to - self._width % self.round_to)


@dataclass(frozen=True)
class PruningChoice:
    """Units that may lose chunks, with what each channel is worth.

    ``scores`` [channels.number] are importances that may be compared between units. Widths stay multiples of
    ``round_to``.
    """

    channels: Channels
    rules: Rules
    units: Sequence[ChannelGroup]
    scores: np.ndarray
    round_to: int

    def order(self, savings: Sequence[float] | None = None) -> list[int]:
        """Return the places in ``units`` that lose a chunk, one after the other, until nothing is left to lose.

        The chunk of least importance for what it saves goes first. ``savings``: by unit, what the network costs less
        when each of its strands loses a channel, in any measure; without them all channels save the same.
        """
        ranked = self._ranked(savings)
        places = []
        while open_places := [place for place, each in enumerate(ranked) if each.removable]:
            cheapest = min(open_places, key=lambda place: ranked[place].price)
            ranked[cheapest].shrink()
            places.append(cheapest)
        return places

    def savings(self, saved: Callable[[Sequence[int]], float]) -> list[float]:
        """Return what ``order`` takes as savings, by each unit's first chunk; ``saved``: share of a cost, by chunks."""
        return [
            max(saved([place]) / each.removable, LEAST_SAVING) if each.removable else LEAST_SAVING
            for place, each in enumerate(self._ranked())
        ]

    def share(self, places: Sequence[int]) -> float:
        """Return the share of the channels of all units that goes with these chunks, before any is given back."""
        total = sum(unit.strands.size for unit in self.units)
        kept = sum(each.kept * len(each.unit.strands) for each in self._after(places))
        return (total - kept) / max(total, 1)

    def removed(self, places: Sequence[int]) -> np.ndarray:
        """Return the numbers of the channels that go when each of ``places`` loses a chunk.

        Each strand loses its own least important channels. Where a rule needs two widths to differ, a chunk is given
        back; what is a function of other widths follows them.
        """
        ranked = self._after(places)
        _keep_distinct(self.channels, self.rules, ranked)
        removed = np.concatenate([np.empty(0, np.int64), *(each.removed for each in ranked)])
        return np.concatenate([removed, _removed_with(self.channels, self.rules, removed, self.scores)])

    def _after(self, places: Sequence[int]) -> list[_Ranked]:
        ranked = self._ranked()
        for place in places:
            ranked[place].shrink()
        return ranked

    def _ranked(self, savings: Sequence[float] | None = None) -> list[_Ranked]:
        same = [float(len(unit.strands)) for unit in self.units]
        return [
            _ranked(unit, self.scores, self.round_to, saving)
            for unit, saving in zip(self.units, savings or same, strict=True)
        ]


def _ranked(unit: ChannelGroup, scores: np.ndarray, round_to: int, saving: float) -> _Ranked:
    own = scores[unit.strands]
    order = np.argsort(own, axis=1, kind="stable")
    strands, ascending = np.take_along_axis(unit.strands, order, 1), np.take_along_axis(own, order, 1)
    return _Ranked(unit, strands, ascending, round_to, saving, unit.width)


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
