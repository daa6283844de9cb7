from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from ussearch.hardware_profiles import Kernel, trace_kernels


def flop_counter_macs(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Count independently: PyTorch's own counter, two floating point operations a MAC."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(shape))
    return int(counter.get_total_flops()) // 2


def operators(kernels: tuple[Kernel, ...]) -> list[str]:
    return [kernel.operator for kernel in kernels]


def test_a_convolution_with_batch_norm_and_activation_is_one_kernel() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
    (kernel,) = trace_kernels(network, (1, 3, 16, 16))
    assert (kernel.name, kernel.operator, kernel.epilogue) == ("0", "conv", ("relu",))
    assert kernel.macs == 8 * 8 * 8 * 3 * 9
    assert kernel.parameters == 8 * 3 * 9 + 8
    assert kernel.bytes == 4 * (3 * 16 * 16 + 8 * 8 * 8 + kernel.parameters)
    assert kernel.sources == (-1,)


@pytest.mark.parametrize(
    ("module", "operator"),
    [
        (nn.Conv2d(4, 4, 3, padding=1), "conv"),
        (nn.Conv2d(4, 6, 1), "pointwise_conv"),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4), "depthwise_conv"),
        (nn.Conv2d(4, 8, 3, padding=1, groups=2), "grouped_conv"),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), "transposed_conv"),
        (nn.MaxPool2d(2), "max_pool"),
        (nn.AvgPool2d(2), "average_pool"),
        (nn.AdaptiveAvgPool2d(1), "global_pool"),
        (nn.Upsample(scale_factor=2), "resize_nearest"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), "resize_bilinear"),
        (nn.Upsample(size=(5, 7), mode="bilinear"), "resize_bilinear"),
        (nn.Upsample(scale_factor=1.4), "resize_nearest"),
        (nn.ReLU6(inplace=True), "relu6"),
        (nn.GroupNorm(2, 4), "group_norm"),
        (nn.BatchNorm2d(4), "batch_norm"),
        (nn.Softmax(1), "softmax"),
        (nn.Hardswish(), "hardswish"),
        (nn.PixelShuffle(2), "depth_to_space"),
    ],
)
def test_each_operator_alone_is_a_kernel_with_bytes(module: nn.Module, operator: str) -> None:
    (kernel,) = trace_kernels(module, (1, 4, 8, 8))
    assert kernel.operator == operator
    assert kernel.bytes > 0
    assert kernel.macs == flop_counter_macs(module, (1, 4, 8, 8))
    assert kernel.parameters == sum(tensor.numel() for tensor in module.parameters()) or operator == "batch_norm"
    with torch.no_grad():
        assert kernel.output_shape == tuple(module.eval()(torch.zeros(1, 4, 8, 8)).shape)


@st.composite
def convolutions(draw: st.DrawFn) -> nn.Module:
    groups, kernel = draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([1, 3, 5]))
    kind = draw(st.sampled_from([nn.Conv2d, nn.ConvTranspose2d]))
    stride, dilation = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    channels = groups * draw(st.integers(1, 4))
    module: nn.Module = kind(8, channels, kernel, stride, kernel // 2, dilation=dilation, groups=groups)
    return module


@given(module=convolutions(), side=st.integers(8, 20))
def test_macs_of_convolutions_are_those_of_pytorch(module: nn.Module, side: int) -> None:
    shape = (1, 8, side + 8, side)
    assert sum(each.macs for each in trace_kernels(module, shape)) == flop_counter_macs(module, shape)


class Everything(nn.Module):
    """Squeeze-and-excitation, residual, attention by matrix products, per-sample kernels, skip and resize."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())
        self.linear = nn.Linear(4, 4)
        self.mix = nn.Parameter(torch.randn(4, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        stem = functional.silu(self.stem(x))
        gate = self.gate(stem)
        y = stem * gate + stem
        tokens = y.flatten(2).transpose(1, 2)
        scores = torch.softmax(tokens @ tokens.transpose(1, 2) / 2.0, dim=-1)
        y = (self.linear(scores @ tokens)).transpose(1, 2).reshape(y.shape)
        y = functional.conv2d(y, self.mix * gate.view(4, 1, 1, 1))
        return torch.cat([functional.interpolate(y, scale_factor=2.0), functional.interpolate(x, scale_factor=2.0)], 1)


def test_nothing_is_silently_free() -> None:
    network = Everything()
    kernels = trace_kernels(network, (1, 1, 8, 8))
    assert " ".join(operators(kernels)) == (
        "conv global_pool pointwise_conv mul add transpose transpose matmul softmax matmul matmul transpose"
        " mul dynamic_conv resize_nearest resize_nearest concat"
    )
    assert sum(kernel.macs for kernel in kernels) == flop_counter_macs(network, (1, 1, 8, 8))
    assert kernels[0].epilogue == ("silu",)
    assert kernels[2].epilogue == ("sigmoid",)
    assert kernels[2].name == "gate.1"
    assert kernels[4].sources == (3, 0)
    assert kernels[-1].sources == (14, 15)


def test_every_output_of_a_split_has_the_same_source() -> None:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            left, right = x.chunk(2, dim=1)
            return left + right

    kernels = trace_kernels(Halves(), (1, 4, 8, 8))
    assert operators(kernels) == ["split", "add"]
    assert kernels[0].output_shape == (1, 4, 8, 8)
    assert kernels[1].sources == (0, 0)


def test_a_scale_per_channel_folds_into_the_convolution_but_not_into_pooling() -> None:
    class Scaled(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module
            self.scale = nn.Parameter(torch.ones(4, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.module(x) * self.scale
            return result

    assert trace_kernels(Scaled(nn.Conv2d(4, 4, 3)), (1, 4, 8, 8))[0].epilogue == ()
    assert trace_kernels(Scaled(nn.MaxPool2d(2)), (1, 4, 8, 8))[0].epilogue == ("mul",)


def test_tracing_leaves_the_network_alone() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trace_kernels(network, (1, 1, 8, 8))
    assert [module.training for module in network] == [True, False, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_a_network_on_the_meta_device_gives_the_same_kernels() -> None:
    with torch.device("meta"):
        empty = Everything()
    assert trace_kernels(empty, (1, 1, 8, 8)) == trace_kernels(Everything(), (1, 1, 8, 8))
