"""Memory of a training: maps stored channels-last."""

from __future__ import annotations

from itertools import chain
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def to_channels_last(module: Module, device: torch.device | str | None = None) -> Module:
    """Move ``module`` to ``device``, if given, and store its tensors of four dimensions channels-last, in place.

    NOTE: ``module.to(memory_format=torch.channels_last)`` raises where a tensor has five, such as dynamic kernels.
    """
    if device is not None:
        module.to(device)
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return module
