"""Several trained networks, each perhaps on the mirrored picture too, that answer as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

TINY = 1e-30
"""Keeps the logarithm of a probability that is 0 in float32 finite, and changes no other."""


class Ensemble(nn.Module):
    """The mean of the probabilities of ``members``, as logits; with ``flips`` each answers the mirrored picture, too.

    Left and right are exchanged: an ultrasound image is as likely either way, while up and down are not (the probe is
    at the top). As one module it is exported, priced and parity-checked like a single network.
    """

    def __init__(self, members: Sequence[nn.Module], flips: bool = False) -> None:
        super().__init__()
        if not members:
            raise ValueError("an ensemble needs a member")
        self.members = nn.ModuleList(members)
        self.flips = flips

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes, H, W]."""
        answers = [member(x) for member in self.members]
        if self.flips:
            mirrored = x.flip(-1)
            answers += [member(mirrored).flip(-1) for member in self.members]
        return mean_logits(answers)


def mean_logits(answers: Sequence[Tensor]) -> Tensor:
    """Return the logits of the mean probability of several answers, all logits of one shape.

    Both sides of the odds are summed, so that an answer of which all are sure keeps its size; no more than 69 either
    way. A runtime that computes in half precision would cut that to about 10.
    """
    lesion = sum((torch.sigmoid(each) for each in answers[1:]), torch.sigmoid(answers[0]))
    background = sum((torch.sigmoid(-each) for each in answers[1:]), torch.sigmoid(-answers[0]))
    return torch.log(lesion + TINY) - torch.log(background + TINY)
