"""The named tensors of a file of weights, read without executing anything of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ussearch.errors import UserError
from ussearch.weights.files import MOST_BYTES


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a safetensors file, or of what ``torch.save`` wrote of a state dict.

    Raises UserError where it is no such file.
    """
    expected = "expected a .safetensors file or a PyTorch state dict"
    if not path.is_file():
        raise UserError(f"{path} does not exist: {expected}.")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path} is larger than {MOST_BYTES >> 30} GiB: {expected}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of unusual pickles, which are read or refused
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's unpickler raises whatever bytes that are no weights lead it to
        raise UserError(f"{path} cannot be read as weights, or is damaged: {expected}.") from error
    nested = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not nested or not all(isinstance(each, Tensor) for each in nested.values()):
        raise UserError(f"{path} holds no named tensors: {expected}.")
    return dict(nested)
