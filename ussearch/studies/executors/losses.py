"""Which outcomes are worth a second try: those that say nothing about the candidate."""

from __future__ import annotations

from ussearch.evaluators import Evaluation
from ussearch.studies.executors.base import Outcome

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""What torch says on GPUs and CPUs, in lower case."""


def loss_of(outcome: Outcome) -> str | None:
    """Return why an outcome does not count yet: the worker was lost, or memory ran out, perhaps to a neighbour."""
    if outcome.evaluation is None:
        return outcome.reason
    return outcome.evaluation.failure if _ran_out_of_memory(outcome.evaluation) else None


def _ran_out_of_memory(evaluation: Evaluation) -> bool:
    failure = (evaluation.failure or "").lower()
    return any(words in failure for words in _OUT_OF_MEMORY)
