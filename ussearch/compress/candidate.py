"""A network on its way through the chain: architecture, weights, and the form in which it leaves the house."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ussearch import schema
from ussearch.errors import UserError
from ussearch.evaluators.training.checkpoints import digest_of
from ussearch.files import sha256_of, write_atomically
from ussearch.hardware_profiles.profile import Precision
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.search_spaces import Architecture, Network, build

ONNX, TFLITE = ".onnx", ".tflite"


class RunningModel(Protocol):
    """A model file that was loaded: one thread, batch 1."""

    def probabilities(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the probabilities float32 [N, 1, S, S] of grey images uint8 [N, 1, S, S]."""


def running(path: Path) -> RunningModel:
    """Load a model file: LiteRT computes ``.tflite`` files, onnxruntime all others; raises UserError."""
    if path.suffix == TFLITE:
        from ussearch.compress.quantisation.litert import LiteRtNetwork

        return LiteRtNetwork(path)
    return OnnxNetwork(path)


ARCHITECTURE, WEIGHTS, FORM = "architecture.yaml", "weights.safetensors", "form.json"
MODEL = "model"
"""Stem of a candidate's own file."""


@dataclass(frozen=True)
class CompressionCandidate:
    """One state of a network; every step returns another one.

    ``weights`` is the state of the training form, with its norms, so that any step can train it again. ``fused`` says
    whether the deploy form leaves the house. ``file`` is a model file that no export of the weights gives (INT8, in the
    format of ONNX or LiteRT); its ``settings`` say how it was made.
    """

    architecture: Architecture
    weights: Mapping[str, Tensor] = field(repr=False)
    fused: bool = False
    precision: Precision = "fp32"
    file: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def network(self) -> Network:
        """Return the training form with its weights, in evaluation mode."""
        network = build(self.architecture)
        network.load_state_dict(dict(self.weights))
        return network.eval()

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that name the content."""
        content = [
            self.architecture.id,
            digest_of(self.weights),
            self.fused,
            self.precision,
            None if self.file is None else sha256_of(self.file),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write everything into ``folder``; ``load`` reads it."""
        write_atomically(folder / WEIGHTS, save({name: value.contiguous() for name, value in self.weights.items()}))
        write_atomically(folder / ARCHITECTURE, self.architecture.to_yaml())
        suffix = ONNX if self.file is None else self.file.suffix
        if self.file is not None and self.file != folder / f"{MODEL}{suffix}":
            write_atomically(folder / f"{MODEL}{suffix}", self.file.read_bytes())
        form = {
            "fused": self.fused,
            "precision": self.precision,
            "own_file": self.file is not None,
            "suffix": suffix,
            "settings": dict(self.settings),
        }
        write_atomically(folder / FORM, schema.FORM.to_json(form, indent=1))

    @classmethod
    def load(cls, folder: Path) -> CompressionCandidate:
        """Read what ``save`` wrote; raises UserError where it is damaged."""
        try:
            form = schema.FORM.read(folder / FORM)
            architecture = Architecture.from_yaml((folder / ARCHITECTURE).read_text(encoding="utf-8"), ARCHITECTURE)
            return cls(
                architecture,
                load_file(folder / WEIGHTS),
                fused=form["fused"],
                precision=form["precision"],
                file=folder / f"{MODEL}{_suffix(form)}" if form["own_file"] else None,
                settings=form["settings"],
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise UserError(
                f"{folder} holds no network of a chain ({str(error).splitlines()[0][:200]}): delete the folder, and "
                "the same command makes it again."
            ) from error


def _suffix(form: Mapping[str, Any]) -> str:
    """Return the suffix of a candidate's own file; raises ValueError where it is that of no known format."""
    suffix = str(form.get("suffix", ONNX))
    if suffix not in (ONNX, TFLITE):
        raise ValueError(f"unknown format {suffix}")
    return suffix
