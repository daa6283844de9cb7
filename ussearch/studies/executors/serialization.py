"""What travels between driver and workers: the evaluator and tasks on their way there, outcomes on their way back."""

from __future__ import annotations

import io
import mmap
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from ussearch.accelerators import cards_of, is_card
from ussearch.evaluators import Evaluation, Evaluator, TrainingTask
from ussearch.studies.executors.base import TaskOutcome


@dataclass(frozen=True)
class SerializedTask:
    """A task with its ``initial`` weights, or its relative's, as safetensors; one with its own loss cannot travel."""

    task: TrainingTask
    weights: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, task: TrainingTask) -> SerializedTask:
        """Write down a task; raises ValueError for one that makes its own loss, which only this process knows."""
        if task.make_loss is not None:
            raise ValueError(f"the task {task.title!r} has a loss of its own: carry it out in this process")
        if task.relative is not None:
            return cls(replace(task, relative=replace(task.relative, state={})), weights_to_bytes(task.relative.state))
        initial = None if task.initial is None else weights_to_bytes(task.initial)
        return cls(replace(task, initial=None), initial)

    def open(self) -> TrainingTask:
        """Return the task, equal to the one that was written down."""
        if self.weights is None:
            return self.task
        if self.task.relative is not None:
            return replace(self.task, relative=replace(self.task.relative, state=load(self.weights)))
        return replace(self.task, initial=load(self.weights))


def weights_to_bytes(weights: Mapping[str, Tensor], header: dict[str, str] | None = None) -> bytes:
    """Return named tensors as a safetensors file, each in the order of its axes."""
    return save({name: tensor.contiguous() for name, tensor in weights.items()}, header)


@dataclass(frozen=True)
class SerializedOutcome:
    """An outcome as plain bytes: ``evaluation`` is JSON, ``weights`` safetensors, each None where there is none."""

    trial_id: int
    evaluation: str | None
    weights: bytes | None
    reason: str
    seconds: float
    traceback: str

    @classmethod
    def of(cls, outcome: TaskOutcome) -> SerializedOutcome:
        """Write down an outcome."""
        evaluation, weights = outcome.evaluation, None
        if evaluation is not None and evaluation.weights is not None:
            weights = weights_to_bytes(evaluation.weights)
        text = None if evaluation is None else evaluation.model_dump_json()
        return cls(outcome.trial_id, text, weights, outcome.reason, outcome.seconds, outcome.traceback)

    def open(self) -> TaskOutcome:
        """Return the outcome, equal to the one that was written down."""
        evaluation = None if self.evaluation is None else Evaluation.model_validate_json(self.evaluation)
        if evaluation is not None and self.weights is not None:
            evaluation = evaluation.model_copy(update={"weights": load(self.weights)})
        return TaskOutcome(self.trial_id, evaluation, self.reason, self.seconds, self.traceback)


@dataclass(frozen=True)
class SerializedEvaluator:
    """A description of an evaluator (``body``) and the arrays that it refers to, as flat bytes.

    ``cards`` are the numbers of the cards that its workers share here: each worker sees only its own, so that the
    evaluator's device has no number any more where it is unpacked.
    """

    body: bytes
    arrays: tuple[np.ndarray[Any, np.dtype[np.uint8]], ...]
    cards: tuple[int, ...] = ()

    @classmethod
    def of(cls, evaluator: Evaluator, *, same_machine: bool, device: torch.device | None = None) -> SerializedEvaluator:
        """Pack an evaluator.

        On the ``same_machine`` memory-mapped arrays (the prepared data) travel as the names of their files, to be
        mapped again by the worker; others and all those for other machines travel beside the description. ``device``
        is where the workers train; None: where the evaluator would.
        """
        body, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
        packer = _Packer(body, buffers, same_machine, device)
        packer.dump(evaluator)
        return cls(body.getvalue(), tuple(np.frombuffer(each.raw(), np.uint8) for each in buffers), packer.cards)

    def open(self) -> Evaluator:
        """Return the evaluator; arrays that came along are shared with these bytes and cannot be written to."""
        read_only = [array.data.toreadonly() for array in self.arrays]
        evaluator: Evaluator = pickle.loads(self.body, buffers=read_only)  # noqa: S301  (the driver's own)
        return evaluator


class _Packer(pickle.Pickler):
    """Pickles with large arrays aside; knows that a memory map is a view of a file, and a card one of a machine."""

    def __init__(
        self, file: io.BytesIO, buffers: list[pickle.PickleBuffer], same_machine: bool, device: torch.device | None
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffers.append)
        self._same_machine, self._device = same_machine, device
        self.cards: tuple[int, ...] = ()

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, torch.device):
            if is_card(value):
                self.cards = cards_of(value)
            return torch.device, ((self._device or value).type,)
        if not isinstance(value, np.memmap):
            return NotImplemented
        # NOTE: a part of a map inherits the file's name and the whole map's offset; only the whole can be mapped again.
        whole = isinstance(value.base, mmap.mmap) and value.filename is not None
        if self._same_machine and whole and value.mode == "r":
            return _mapped, (str(value.filename), value.dtype.str, value.offset, value.shape, _order(value))
        return np.asarray(value).__reduce_ex__(5)


def _order(array: np.ndarray[Any, Any]) -> str:
    return "C" if array.flags.c_contiguous else "F"


def _mapped(name: str, dtype: str, offset: int, shape: tuple[int, ...], order: Any) -> Any:
    return np.memmap(Path(name), np.dtype(dtype), mode="r", offset=offset, shape=shape, order=order)
