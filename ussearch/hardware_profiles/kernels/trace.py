"""From a network to the kernels that a runtime would launch, without running or exporting it.

The forward pass is executed on the meta device (shapes only) under a ``TorchDispatchMode`` that sees every
ATen operator, functional and dynamic convolutions included, which counters hung on modules miss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from ussearch.hardware_profiles.kernels import kernel
from ussearch.hardware_profiles.kernels.kernel import BYTES_PER_ELEMENT, Kernel
from ussearch.hardware_profiles.kernels.shapes import quick_result

INPUT = -1
"""Index that stands for the network's input among the sources of a kernel."""


def trace_kernels(
    network: nn.Module, input_shape: Sequence[int] = (1, 1, 256, 256), named: Callable[[str], str] = str
) -> tuple[Kernel, ...]:
    """Return the kernels of ``network`` (deploy form) for one input of ``input_shape`` [B, C, H, W], in
    order. ``named`` makes a kernel's name of the path of the module that it belongs to.

    Batch norms disappear into the convolution before them, activations become the epilogue of their
    producer, every other operator is a kernel. The network's parameters are neither read nor changed; it is
    traced in evaluation mode.
    """
    modules = dict(network.named_modules())
    constants = _elsewhere(modules)
    image = torch.empty(tuple(input_shape), device="meta")
    recorder = _Recorder()
    recorder.remember(image, INPUT)
    with _evaluating(modules), _module_paths(modules, recorder.path), torch.no_grad(), recorder:
        functional_call(network, constants, (image,)) if constants else network(image)
    return recorder.kernels(named)


def _elsewhere(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return shapes in place of the tensors that are not on the meta device already, by name."""
    tensors = (
        (f"{path}.{name}" if path else name, tensor)
        for path, module in modules.items()
        for name, tensor in chain(module._parameters.items(), module._buffers.items())
    )
    return {name: tensor.detach().to("meta") for name, tensor in tensors if tensor is not None and not tensor.is_meta}


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its base unannotated
    """Collects a kernel for every operator that works on something made from the network's input."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.path: list[str] = []
        self._drafts: list[dict[str, Any]] = []
        self._epilogues: list[list[str]] = []
        self._makers: dict[int, int] = {}
        self._alive: list[Tensor] = []  # NOTE: keeps every tensor alive, so that no id is used twice

    def kernels(self, named: Callable[[str], str]) -> tuple[Kernel, ...]:
        """Return what was collected."""
        drafts = zip(self._drafts, self._epilogues, strict=True)
        return tuple(
            Kernel(**{**draft, "name": named(draft["name"])}, epilogue=tuple(epilogue)) for draft, epilogue in drafts
        )

    def remember(self, tensor: Tensor, maker: int) -> None:
        """Note which kernel made ``tensor``."""
        self._makers[id(tensor)] = maker
        self._alive.append(tensor)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and keeping the compiler out costs a call for every operator

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        result = quick_result(name, args)
        if result is None:
            result = func(*args, **(kwargs or {}))
        outputs, inputs = tensors_in((result,)), tensors_in(args)
        if outputs and any(id(tensor) in self._makers for tensor in inputs):
            maker = self._maker(name.removesuffix("_"), args, inputs, outputs)
            for tensor in outputs:
                self.remember(tensor, maker)
        return result

    def _maker(self, name: str, args: Sequence[Any], inputs: list[Tensor], outputs: list[Tensor]) -> int:
        """Return the index of the kernel that makes ``outputs``: an earlier one that absorbs the operator,
        or a new one.
        """
        moving = [tensor for tensor in inputs if id(tensor) in self._makers]
        maker = self._makers[id(moving[0])]
        if name in kernel.FREE or (name in kernel.SLICES and outputs[0].numel() == moving[0].numel()):
            return maker
        made = maker != INPUT
        convolved = made and self._drafts[maker]["operator"].endswith("conv") and not self._epilogues[maker]
        if convolved and name in kernel.FOLDED:
            return maker
        if convolved and name in kernel.BINARY and len(moving) == 1 and _per_channel(inputs, moving[0]):
            return maker
        unary = name in kernel.ACTIVATIONS or (name in kernel.BINARY and len(moving) == 1)
        if made and unary and outputs[0].shape == moving[0].shape:
            self._epilogues[maker].append(kernel.ACTIVATIONS.get(name, name))
            return maker
        self._drafts.append(self._draft(name, args, inputs, outputs))
        self._epilogues.append([])
        return len(self._drafts) - 1

    def _draft(self, name: str, args: Sequence[Any], inputs: list[Tensor], outputs: list[Tensor]) -> dict[str, Any]:
        """Return the fields of a kernel; its epilogue is not known yet."""
        moving = [tensor for tensor in inputs if id(tensor) in self._makers]
        parameters = sum(tensor.numel() for tensor in inputs if id(tensor) not in self._makers)
        output = outputs if name in {"split", "split_with_sizes", "unbind"} else outputs[:1]
        shape = tuple(moving[0].shape) if len(output) > 1 else tuple(outputs[0].shape)
        operator, macs = kernel.KERNELS.get(name, kernel.ACTIVATIONS.get(name, name)), 0
        geometry: dict[str, Any] = {}
        if name == "convolution":
            operator = kernel.convolution_class(args, id(args[1]) not in self._makers)
            macs = kernel.convolution_macs(args, shape)
            geometry = kernel.convolution_geometry(args)
        elif name in kernel.MATRIX_PRODUCTS:
            macs = kernel.matmul_macs(name, args, shape)
        elif name == "mean" and shape[2:] == (1, 1):
            operator = "global_pool"
        elements = sum(tensor.numel() for tensor in moving) + prod(shape) + parameters
        return {
            "name": self.path[-1] if self.path else "",
            "operator": operator,
            "input_shapes": tuple(tuple(tensor.shape) for tensor in moving),
            "output_shape": shape,
            "macs": macs,
            "bytes": elements * BYTES_PER_ELEMENT,
            "parameters": parameters,
            "sources": tuple(self._makers[id(tensor)] for tensor in moving),
            **geometry,
        }


def _per_channel(inputs: list[Tensor], image: Tensor) -> bool:
    """Whether every other operand is a number or one constant per channel, which folds into a convolution."""
    channels = image.shape[1] if image.ndim > 1 else 1
    return all(tensor is image or tensor.numel() in {1, channels} for tensor in inputs)


def tensors_in(values: Sequence[Any]) -> list[Tensor]:
    """Return the tensors among ``values`` and in lists and tuples among them."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += tensors_in(value)
    return found


@contextmanager
def _evaluating(modules: Mapping[str, nn.Module]) -> Iterator[None]:
    """Put every module into evaluation mode for the block and restore those that were training."""
    training = [module for module in modules.values() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _module_paths(modules: Mapping[str, nn.Module], path: list[str]) -> Iterator[None]:
    """Keep in ``path`` the names of the modules that are being executed, innermost last.

    Two hooks for all modules are set sooner than two for each; those of other networks have no name here.
    """
    names = {id(module): name for name, module in modules.items()}

    def enter(module: nn.Module, _: Any) -> None:
        if id(module) in names:
            path.append(names[id(module)])

    def leave(module: nn.Module, *_: Any) -> None:
        if id(module) in names:
            path.pop()

    handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
