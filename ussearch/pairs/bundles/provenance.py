"""How a pair came about: what was typed and decided, so that it can be made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ussearch.pairs.bundles.shareable import shareable
from ussearch.studies.config import command_line

if TYPE_CHECKING:
    from ussearch.studies import Study


class PairProvenance(BaseModel):
    """The study that a pair was chosen from, in numbers; its folder tells the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commands: tuple[str, ...] = Field(description="in order: the search, and what wrote or changed the bundle")
    begun: str = Field(description="ISO 8601, UTC")
    seed: int
    workers: int
    sampler: str
    evaluator: str
    trials: int = Field(description="finished")
    final_epochs: int
    final_restarts: int
    trained_on: tuple[str, ...]

    def changed_now(self) -> PairProvenance:
        """Return the same with the command that is running, unless it is the last one already."""
        before = tuple(map(shareable, self.commands))  # those of older versions named folders
        return self.model_copy(update={"commands": _with(before, shareable(command_line()))})


def provenance_of(study: Study) -> PairProvenance:
    """Return what a bundle tells of ``study``."""
    config, records = study.config, study.trials()
    return PairProvenance(
        commands=_with((shareable(config.command_line),), shareable(command_line())),
        begun=config.created,
        seed=config.seed,
        workers=config.workers,
        sampler=config.sampler.name,
        evaluator=config.evaluator,
        trials=len(records),
        final_epochs=config.final_epochs,
        final_restarts=config.final_restarts,
        trained_on=tuple(sorted({record.evaluation.accelerator for record in records})),
    )


def _with(commands: tuple[str, ...], command: str) -> tuple[str, ...]:
    return commands if commands[-1:] == (command,) else (*commands, command)
