"""A moving average of weights, which a short training gains most from."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)
Pair = tuple[Tensor, Tensor]
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
        self._known: tuple[NetworkT, list[Pair], list[Pair]] | None = None

    @torch.no_grad()
    def update(self, source: NetworkT) -> None:
        """Take one step towards ``source``, whose tensors must stay where they are from one call to the next."""
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        # NOTE: collecting the pairs takes longer than averaging them, and networks are trained in place.
        if self._known is None or self._known[0] is not source:
            self._known = (source, *self._pairs(source))
        _, averaged, copied = self._known
        if averaged:
            targets, values = zip(*averaged, strict=True)
            torch._foreach_lerp_(list(targets), list(values), 1 - decay)
        if copied:
            targets, values = zip(*copied, strict=True)
            torch._foreach_copy_(list(targets), list(values))

    def _pairs(self, source: NetworkT) -> tuple[list[Pair], list[Pair]]:
        values = source.state_dict()
        parameters = {name for name, _ in source.named_parameters()}
        averaged: list[Pair] = []
        copied: list[Pair] = []
        for name, target in self.network.state_dict().items():
            smooth = name in parameters or name.rpartition(".")[2] in _AVERAGED_BUFFERS
            (averaged if smooth else copied).append((target, values[name]))
        return averaged, copied
