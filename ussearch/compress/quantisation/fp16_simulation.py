"""What FP16 on a Jetson Nano does to the answer: a simulation, for its engine is built on the board."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map


class _HalfPrecision(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it without
    """Rounds what every operator returns to float16 and keeps it in float32, in which the next one accumulates.

    Operators, not modules: sums of residuals and concatenations belong to none.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return tree_map(rounded, func(*args, **(kwargs or {})))


def rounded(value: Any) -> Any:
    """Return a float tensor as float16 holds it, infinite beyond 65504; anything else as it is."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.half().to(value.dtype)
    return value


def fp16_outputs(network: nn.Module, images: Tensor) -> Tensor:
    """Return the float32 outputs of a deploy form for ``images`` [N, C, H, W] as FP16 arithmetic gives them.

    Every weight and every activation is rounded to float16 (overflow to infinity included), sums are formed in
    float32, as Maxwell's FP16 engines of TensorRT may do; an engine that also accumulates in float16 is less exact. The
    network is not changed; the file that is shipped stays FP32.
    """
    halved = copy.deepcopy(network).eval()
    with torch.no_grad():
        for tensor in (*halved.parameters(), *halved.buffers()):
            tensor.copy_(rounded(tensor))
        with _HalfPrecision():  # type: ignore[no-untyped-call]
            outputs: Tensor = halved(rounded(images))
    return outputs
