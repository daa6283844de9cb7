"""A training on disk: everything that its next step depends on, in one file that appears at once or not at all."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ussearch import schema
from ussearch.accelerators import state_on_host, to_host
from ussearch.errors import UserError
from ussearch.files import write_atomically

Tensors = Mapping[str, Tensor]
INTERVAL_S = 30.0
"""A killed process loses at most so many seconds of training and the epoch that was running."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands: JSON-ready ``progress`` and named groups of tensors, on the CPU."""

    progress: Mapping[str, Any]
    groups: Mapping[str, Tensors]

    def write(self, path: Path, made_from: Mapping[str, Any]) -> None:
        """Write everything to ``path``; ``made_from`` (JSON-ready) is what the training depends on."""
        tensors = {
            f"{group}/{name}": value
            for group, members in self.groups.items()
            for name, value in state_on_host(members).items()
        }
        metadata = {"made_from": json.dumps(made_from), "progress": json.dumps(self.progress)}
        write_atomically(path, save(tensors, schema.CHECKPOINT.header(metadata)))

    @classmethod
    def read(cls, path: Path, made_from: Mapping[str, Any]) -> Checkpoint | None:
        """Return what ``path`` holds, None where there is no file.

        Raises UserError where it is damaged or belongs to a training that was made from something else.
        """
        if not path.is_file():
            return None
        groups: dict[str, dict[str, Tensor]] = {}
        try:
            with safe_open(path, "pt") as file:
                metadata = schema.CHECKPOINT.from_header(file.metadata(), str(path))
                before, progress = (json.loads(metadata[key]) for key in ("made_from", "progress"))
                for key in file.keys():  # noqa: SIM118 (the file is no mapping)
                    group, _, name = key.partition("/")
                    groups.setdefault(group, {})[name] = file.get_tensor(key)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"The checkpoint {path} is damaged ({str(error).splitlines()[0][:200]}): delete it to train from the "
                "start."
            ) from error
        differing = [key for key in {**before, **made_from} if before.get(key) != made_from.get(key)]
        if differing:
            raise UserError(
                f"The checkpoint {path} belongs to a training with another {' and '.join(differing)}: continue it with "
                "the same, or delete it to train from the start."
            )
        return cls(progress, groups)


@dataclass
class CheckpointManager:
    """Writes and reads the checkpoint of one training; does nothing where there is no ``path``."""

    path: Path | None
    made_from: Mapping[str, Any]
    kept_at: float = field(default_factory=time.monotonic)

    def read(self) -> Checkpoint | None:
        """Return what to continue from; see ``Checkpoint.read``."""
        return None if self.path is None else Checkpoint.read(self.path, self.made_from)

    def write(self, make: Callable[[], Checkpoint], *, now: bool) -> None:
        """Write what ``make`` returns if ``now`` or the last one is old."""
        if self.path is not None and (now or time.monotonic() - self.kept_at >= INTERVAL_S):
            make().write(self.path, self.made_from)
            self.kept_at = time.monotonic()


def digest_of(tensors: Tensors) -> str:
    """Return a SHA-256 of names, shapes and values."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(to_host(value).contiguous().numpy().tobytes())
    return digest.hexdigest()


def moments_of(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of every parameter as ``NUMBER.NAME``, numbered in the order of the optimiser."""
    return {
        f"{number}.{name}": value
        for number, parameter in enumerate(_parameters(optimiser))
        for name, value in optimiser.state.get(parameter, {}).items()
    }


def set_moments(optimiser: torch.optim.Optimizer, moments: Tensors) -> None:
    """Give an optimiser of the same parameters the state that ``moments_of`` returned.

    NOTE: ``load_state_dict`` would leave the moments of channels-last weights in another order than the weights, which
    makes fused steps slower.
    """
    parameters = _parameters(optimiser)
    for key, value in moments.items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        like = parameter if value.shape == parameter.shape else value
        optimiser.state[parameter][name] = torch.empty_like(like, device=parameter.device).detach().copy_(value)


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
