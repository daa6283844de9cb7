"""Several trained networks, each perhaps on the mirrored picture too, that answer as one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


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

    Both sides of the odds are summed, as logarithms from beginning to end: a sigmoid near 0 is rounded away, by
    onnxruntime from logits of about 18 on, and its logarithm with it.
    """
    return _log_of_sum([-softplus(-each) for each in answers]) - _log_of_sum([-softplus(each) for each in answers])


def _log_of_sum(logarithms: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of a sum by those of its terms, the greatest of which is set apart."""
    greatest = reduce(torch.maximum, logarithms)
    terms = [torch.exp(each - greatest) for each in logarithms]
    return greatest + torch.log(reduce(torch.add, terms))
