"""INT8 for LiteRT (Raspberry Pi, phones, Coral): from the torch network, to a ``.tflite`` file."""

from __future__ import annotations

import contextlib
import copy
import io
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ussearch.compress.quantisation.ranges import Images
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.runtime.onnx_network import sigmoid


class Cropped(nn.Module):
    """A square transposed convolution with output padding as one without any padding, cut to size."""

    def __init__(self, conv: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.start = int(conv.padding[0])
        self.lost = 2 * self.start - conv.output_padding[0]
        self.conv = copy.deepcopy(conv)
        self.conv.padding, self.conv.output_padding = (0, 0), (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, stride H, stride W]."""
        whole: Tensor = self.conv(x)
        height, width = (side - self.lost for side in whole.shape[2:])
        return whole[:, :, self.start : self.start + height, self.start : self.start + width]


def expressible(network: nn.Module) -> nn.Module:
    """Return a copy of ``network`` that computes the same in what LiteRT can express; what else it lacks stays."""
    network = copy.deepcopy(network)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.ConvTranspose2d) and any(module.output_padding):
            network.set_submodule(name, Cropped(module))
    return network


WHITE = 255.0
"""The largest grey level."""
LARGEST_WEIGHT = 127
"""The integer that the largest weight of a channel becomes."""
PACKAGES = ("litert_torch", "ai_edge_quantizer", "ai_edge_litert")


def missing() -> str:
    """Return which package of the extra is not installed, with the hint; an empty string where all are."""
    absent = [name for name in PACKAGES if find_spec(name) is None]
    return _mend(absent[0]) if absent else ""


def quantise_litert(network: nn.Module, images: Images, out: Path) -> None:
    """Write ``network`` as a LiteRT file in which every tensor is INT8 (biases INT32), the input and output included.

    ``network`` is as it is shipped, a deploy form with the normalisation in front; ``images`` are uint8 or float32
    [N, C, S, S] in grey levels and fix the ranges by their extremes. The input has scale 1, so that it is the grey
    level minus 128; logits at or above 0 belong to the lesion. Weights are symmetric per channel, activations
    asymmetric. Raises UserError where the extra is not installed or LiteRT cannot express the network in integers.
    """
    if images.ndim != 4 or len(images) == 0:
        raise UserError(f"Calibration images have the shape {tuple(images.shape)}, expected [N, C, S, S] with N >= 1.")
    quantizer, recipe = _extra("ai_edge_quantizer.quantizer"), _extra("ai_edge_quantizer.recipe")
    with tempfile.TemporaryDirectory() as folder, _quietly():
        path = Path(folder) / "float.tflite"
        _write_float(network, tuple(images.shape[1:]), path)
        signatures = _interpreter(path).get_signature_list()
        (key, signature), *_ = signatures.items()
        feeds = [{signature["inputs"][0]: image[None].astype(np.float32)} for image in images]
        working = quantizer.Quantizer(str(path))
        working.load_quantization_recipe(recipe.static_wi8_ai8())
        calibrated = working.calibrate({key: feeds})
        _span_all_grey_levels(calibrated, _interpreter(path).get_input_details()[0]["name"])
        quantised = Path(folder) / "int8.tflite"
        working.quantize(calibrated).export_model(str(quantised))
        _check_integers(quantised)
        write_atomically(out, quantised.read_bytes())


class LiteRtNetwork:
    """A LiteRT file of this module, or a float one, as its runtime computes it on this machine: one thread, batch 1."""

    def __init__(self, path: Path) -> None:
        """Raises UserError where the extra is not installed or the file is damaged."""
        with _quietly():
            try:
                self._interpreter = _interpreter(path)
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                raise UserError(f"LiteRT cannot load {path} ({error}); export the network again.") from error
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]

    def logits(self, images: Images) -> npt.NDArray[np.float32]:
        """Return the logits float32 [N, classes, S, S] of images [N, C, S, S] in grey levels."""
        return np.concatenate([self._run(image[None].astype(np.float32)) for image in images])

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Return the probabilities float32 [N, classes, S, S] of images [N, C, S, S] in grey levels."""
        return sigmoid(self.logits(images))

    def types(self) -> set[str]:
        """Return the names of the types of all tensors."""
        return {np.dtype(tensor["dtype"]).name for tensor in self._interpreter.get_tensor_details()}

    def _run(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self._input["dtype"] == np.int8:
            scale, zero = self._input["quantization"]
            image = np.clip(np.round(image / scale) + zero, -128, 127).astype(np.int8)
        self._interpreter.set_tensor(self._input["index"], image)
        self._interpreter.invoke()
        values = self._interpreter.get_tensor(self._output["index"])
        if values.dtype == np.int8:
            scale, zero = self._output["quantization"]
            values = (values.astype(np.float32) - zero) * scale
        return np.asarray(values, np.float32)


def _write_float(network: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    converter = _extra("litert_torch")
    try:
        converted = converter.convert(expressible(network).cpu().eval(), (torch.zeros(1, *shape),))
    except Exception as error:  # NOTE: the converter's errors share no base class but this one
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"LiteRT cannot express the network ({reason}): choose another architecture or runtime."
        ) from error
    converted.export(str(path))


def _check_integers(path: Path) -> None:
    """Raise UserError where the quantiser left tensors in float, without running the file: such a one may crash."""
    tensors = _interpreter(path).get_tensor_details()
    left = sorted({str(each["name"]).split(";")[0].rsplit("/", 1)[-1] for each in tensors if not _is_integer(each)})
    if left:
        raise UserError(
            f"LiteRT has no INT8 for a part of the network ({', '.join(left)[:200]}): choose another architecture, or "
            "leave the step out."
        )


def _is_integer(tensor: Mapping[str, Any]) -> bool:
    return bool(np.dtype(tensor["dtype"]).kind == "i")


def _span_all_grey_levels(calibrated: dict[str, Any], image: str) -> None:
    """Widen the range of the image to 0..255, in place: grey levels beyond those of the images must not be clipped."""
    extremes = calibrated[image]
    extremes["min"], extremes["max"] = np.zeros_like(extremes["min"]), np.full_like(extremes["max"], WHITE)


def _interpreter(path: Path) -> Any:
    """Return LiteRT with its own kernels: XNNPACK's aborts the process on some INT8 files on x86 (double free)."""
    litert = _extra("ai_edge_litert.interpreter")
    own_kernels = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return litert.Interpreter(str(path), num_threads=1, experimental_op_resolver_type=own_kernels)


def _extra(module: str) -> Any:
    """Return a module of the extra ``litert``; raises UserError that names it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f"{_mend(module.partition('.')[0])}.") from error


def _mend(package: str) -> str:
    return (
        f"LiteRT needs {package}, which is not installed: pip install 'ussearch[litert]' in an environment of its own, "
        "by constraints-litert.txt"
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the converter's and the quantiser's progress, by print and by warnings, off the terminal."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
