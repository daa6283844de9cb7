"""A moving average of weights, which a short training gains most from."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)
Lists = tuple[list[Tensor], list[Tensor]]
_AVERAGED_BUFFERS = ("running_mean", "running_var")


class EMA(Generic[NetworkT]):
    """Exponential moving average of a network's parameters and batch-norm statistics.

    The decay after ``n`` updates is min(decay, (1 + n) / (10 + n)): the average always spans about the last
    tenth of what has been trained, so that the random start never weighs in a training of few steps. Other
    buffers (counters, λ of deep training) are copied, as a mean of them would be a state never trained.
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        self.network: NetworkT = copy.deepcopy(network).requires_grad_(False)
        self.updates = 0
        """How many steps were taken; a continued average is given its weights and this number."""
        self._decay = decay
        self._known: tuple[NetworkT, Lists, list[Lists]] | None = None

    @torch.no_grad()
    def update(self, source: NetworkT) -> None:
        """Take one step towards ``source``, whose tensors must stay where they are from one call to the next."""
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        # NOTE: collecting the tensors takes longer than averaging them, and networks are trained in place.
        if self._known is None or self._known[0] is not source:
            self._known = (source, *self._lists(source))
        _, averaged, copied = self._known
        if averaged[0]:
            torch._foreach_lerp_(*averaged, 1 - decay)
        for targets, values in copied:
            torch._foreach_copy_(targets, values)

    def _lists(self, source: NetworkT) -> tuple[Lists, list[Lists]]:
        """Return targets with values to average, and those to copy by their type: lists of one type are one launch."""
        values = source.state_dict()
        parameters = {name for name, _ in source.named_parameters()}
        averaged: Lists = ([], [])
        copied: dict[torch.dtype, Lists] = {}
        for name, target in self.network.state_dict().items():
            smooth = name in parameters or name.rpartition(".")[2] in _AVERAGED_BUFFERS
            lists = averaged if smooth else copied.setdefault(target.dtype, ([], []))
            lists[0].append(target)
            lists[1].append(values[name])
        return averaged, list(copied.values())
