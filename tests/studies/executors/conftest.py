"""Executors of every kind, and tasks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ussearch.evaluators import Evaluator
from ussearch.studies.executors import EXECUTORS, Executor, ExecutorSettings, Message, TaskOutcome

MakeExecutor = Callable[[Evaluator], Executor]


@pytest.fixture(params=list(EXECUTORS))
def make_executor(request: pytest.FixtureRequest) -> Iterator[MakeExecutor]:
    """Make executors of every registered kind, with two workers where it can have several; closed afterwards."""
    name = request.param
    address = request.getfixturevalue("cluster").address if name == "ray" else None
    settings = ExecutorSettings(workers=1 if name == "local" else 2, ray_address=address)
    made: list[Executor] = []

    def make(evaluator: Evaluator) -> Executor:
        made.append(EXECUTORS[name](evaluator, settings))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


def collected(executor: Executor, count: int) -> tuple[dict[int, TaskOutcome], dict[int, list[str]]]:
    """Collect ``count`` outcomes; return them and the kinds of messages before, both by slot."""
    messages: dict[int, list[str]] = {}

    def tell(message: Message) -> None:
        messages.setdefault(message.trial_id, []).append(type(message).__name__)

    outcomes = [executor.collect(tell) for _ in range(count)]
    assert len({outcome.trial_id for outcome in outcomes}) == count
    return {outcome.trial_id: outcome for outcome in outcomes}, messages
