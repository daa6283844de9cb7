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
    final_epochs: int = Field(description="of the edge network's full training")
    final_restarts: int
    cloud_final_epochs: int | None = Field(default=None, description="of the cloud's; null: the same as the edge's")
    cloud_final_restarts: int | None = None
    trained_on: tuple[str, ...]

    @property
    def full_training(self) -> str:
        """How long the pair was trained, in words."""
        edge = told_length(self.final_epochs, self.final_restarts)
        if self.cloud_final_epochs is None:
            return f"the pair trained for {edge}"
        cloud = told_length(self.cloud_final_epochs, self.cloud_final_restarts or 0)
        return f"the edge network trained for {edge}, the cloud's for {cloud}"

    def changed_now(self) -> PairProvenance:
        """Return the same with the command that is running, unless it is the last one already."""
        before = tuple(map(shareable, self.commands))  # those of older versions named folders
        return self.model_copy(update={"commands": _with(before, shareable(command_line()))})


def told_length(epochs: int, restarts: int) -> str:
    """Return the length of a full training in words."""
    return f"{epochs} epoch{'' if epochs == 1 else 's'} from {restarts} random start{'' if restarts == 1 else 's'}"


def provenance_of(study: Study) -> PairProvenance:
    """Return what a bundle tells of ``study``."""
    config, records = study.config, study.trials()
    cloud = config.cloud_length
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
        cloud_final_epochs=None if cloud is None else cloud.epochs,
        cloud_final_restarts=None if cloud is None else cloud.restarts,
        trained_on=tuple(sorted({record.evaluation.accelerator for record in records})),
    )


def _with(commands: tuple[str, ...], command: str) -> tuple[str, ...]:
    return commands if commands[-1:] == (command,) else (*commands, command)
