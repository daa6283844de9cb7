"""Evaluations on their way back: JSON and safetensors, the same as they are kept in."""

from __future__ import annotations

from dataclasses import dataclass

from ussearch.evaluators import Evaluation
from ussearch.studies.executors.base import Outcome


@dataclass(frozen=True)
class Letter:
    """An outcome as plain bytes: ``evaluation`` is JSON, ``weights`` safetensors, each None where there is none."""

    slot: int
    evaluation: str | None
    weights: bytes | None
    reason: str
    seconds: float

    @classmethod
    def of(cls, outcome: Outcome) -> Letter:
        """Write down an outcome."""
        from safetensors.torch import save

        evaluation, weights = outcome.evaluation, None
        if evaluation is not None and evaluation.weights is not None:
            weights = save({name: tensor.contiguous() for name, tensor in evaluation.weights.items()})
        text = None if evaluation is None else evaluation.model_dump_json()
        return cls(outcome.slot, text, weights, outcome.reason, outcome.seconds)

    def read(self) -> Outcome:
        """Return the outcome, equal to the one that was written down."""
        from safetensors.torch import load

        evaluation = None if self.evaluation is None else Evaluation.model_validate_json(self.evaluation)
        if evaluation is not None and self.weights is not None:
            evaluation = evaluation.model_copy(update={"weights": load(self.weights)})
        return Outcome(self.slot, evaluation, self.reason, self.seconds)
