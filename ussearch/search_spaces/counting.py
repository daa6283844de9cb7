"""Exact counts of parameters and multiply-accumulates, on the meta device: nothing is allocated or run.

MACs are convolution, linear and matrix products at the ATen level (torch's own formulas for each operator, halved),
which sees functional and dynamic convolutions; module-hook counters miss two thirds of LightAWNet (papers.md 0.1).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ussearch.search_spaces.architecture import Architecture
from ussearch.search_spaces.deploy import deploy
from ussearch.search_spaces.network import build


@dataclass(frozen=True)
class Counts:
    """Sizes of one architecture; MACs speak of the deploy form at ``input_size``."""

    parameters_training: int
    parameters_reparametrised: int
    parameters_deploy: int
    parameters_with_bn_statistics: int
    encoder_parameters_with_bn_statistics: int
    macs_training_conv: int
    macs_training_matmul: int
    macs_conv: int
    macs_matmul: int
    input_channels: int
    input_size: int
    classes: int

    @property
    def macs(self) -> int:
        """All multiply-accumulates of the deploy form."""
        return self.macs_conv + self.macs_matmul

    def to_dict(self) -> dict[str, int]:
        """Return the fields as a dictionary."""
        return asdict(self)


def parameter_count(network: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def _with_bn_statistics(network: nn.Module) -> int:
    """Return parameters and running statistics: how Keras prints totals."""
    statistics = sum(2 * m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    return parameter_count(network) + statistics


class _OperatorFlops(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its hooks untyped
    """Adds up torch's FLOP formulas by operator; ``FlopCounterMode`` also tracks modules, at twice the time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conv, self.matmul = 0, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula:
            flops = int(formula(*args, **(kwargs or {}), out_val=out))
            if "convolution" in str(func):
                self.conv += flops
            else:
                self.matmul += flops
        return out


def macs_of(network: nn.Module, image_channels: int, image_size: int) -> tuple[int, int]:
    """Return MACs of (convolutions, matrix products) of a network on the meta device, for one image."""
    counter = _OperatorFlops()
    with counter, torch.no_grad():
        network.eval()(torch.empty(1, image_channels, image_size, image_size, device="meta"))
    return counter.conv // 2, counter.matmul // 2


def count(architecture: Architecture, image_size: int) -> Counts:
    """Return the counts of an architecture at ``image_size`` pixels a side."""
    network = build(architecture, device="meta")
    training = macs_of(network, architecture.image_channels, image_size)
    with_statistics = _with_bn_statistics(network)
    bare = parameter_count(network) - parameter_count(network.auxiliary_heads)
    folded = deploy(network)
    deployed = macs_of(folded, architecture.image_channels, image_size)
    return Counts(
        parameters_training=parameter_count(network),
        parameters_reparametrised=parameter_count(deploy(network, folding="fusible")) if network.has_schedule else bare,
        parameters_deploy=parameter_count(folded),
        parameters_with_bn_statistics=with_statistics,
        encoder_parameters_with_bn_statistics=_with_bn_statistics(network.stages),
        macs_training_conv=training[0],
        macs_training_matmul=training[1],
        macs_conv=deployed[0],
        macs_matmul=deployed[1],
        input_channels=architecture.input_channels,
        input_size=image_size,
        classes=architecture.classes,
    )
