"""How a pair came about: what was typed and decided, so that it can be made again."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePath
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ussearch.studies.config import command_line

if TYPE_CHECKING:
    from ussearch.studies import Study


_ABSOLUTE = re.compile(r"(?<![\w./~])/(?:[^\s/]+/)*([^\s/]+)")


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
        return self.model_copy(update={"commands": _with(self.commands, shareable(command_line()))})


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


def shareable(command: str) -> str:
    """Return a command as it may travel: absolute paths, which tell of a machine and its users, by their last name."""
    program, *words = shlex.split(command) or [""]
    name = PurePath(program).name
    return shlex.join(["ussearch" if name == "__main__.py" else name, *map(_short, words)])


def without_places(text: str) -> str:
    """Return a sentence with absolute paths by their last name."""
    return _ABSOLUTE.sub(r"\1", text)


def _short(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{equals}{PurePath(value).name or value}" if PurePath(value).is_absolute() else word


def _with(commands: tuple[str, ...], command: str) -> tuple[str, ...]:
    return commands if commands[-1:] == (command,) else (*commands, command)
