"""Nothing finished is lost: ``run``, ``export``, ``route`` and ``compress`` are killed at the n-th file operation.

Each command is watched once on a tiny study without being disturbed. Then, for places spread over every stage, it is
killed (SIGKILL) just before a write, sync, rename or removal; what was finished has to be there, a bundle has to
verify, and the next command (``run --resume``, the others again) has to end in what the undisturbed one gave, without
training anything finished again, and to leave nothing behind. Writes a row a place to ``benchmarks/data/kills.csv``;
places that have a row there are not tried again, so that the program continues where it was stopped.

    python benchmarks/kills.py [--places N] [--commands run,export] [--rows FILE] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from csv_rows import append, lines
from killed.checks import (
    BUNDLE,
    digests,
    files_in,
    finished_before,
    left_over,
    outcome,
    stage_of,
    trained_again,
    training_seconds,
    verified,
)
from killed.commands import COMMANDS, Command, executed, finished_study, warm_up
from killed.operations import Operation

ROWS = Path(__file__).resolve().parent / "data" / "kills.csv"
PLACES = 15
"""In each stage of a command, or all that it has."""
NOTHING = "nothing"


@dataclass(frozen=True)
class Row:
    """One place: what was about to be done, how much was finished, and what was wrong afterwards."""

    command: str
    stage: str
    operation: str
    n: int
    path: str
    finished: int
    lost: str
    bundle: str
    next_status: int
    trained_again: str
    differs: str
    left_over: str

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        wrong = {self.lost, self.trained_again, self.differs, self.left_over} != {NOTHING}
        return not wrong and self.next_status == 0 and self.bundle != "damaged"


@dataclass(frozen=True)
class Undisturbed:
    """A command that was not killed: what it did, and what it left."""

    command: Command
    finished: Path
    before: tuple[str, ...]
    operations: tuple[Operation, ...]
    outcome: dict[str, Any]

    @classmethod
    def watched(cls, command: Command, work: Path) -> Undisturbed:
        """Run the command to its end."""
        finished = finished_study(work, command.phantoms)
        study = command.prepare(finished, work / "place")
        before = tuple(files_in(study))
        status, operations = executed(command.arguments, work / "place")
        if status:
            raise SystemExit(f"{command.name} ends with {status}: {(work / 'place' / 'log.txt').read_text()}")
        return cls(command, finished, before, tuple(operations), outcome(study))

    def places(self, count: int) -> Iterator[list[tuple[Undisturbed, int]]]:
        """Yield for every stage the numbers of its operations at which the command is killed.

        These are both renames of each folder that is replaced, and ``count`` spread over all (all where it has fewer).
        """
        stages: dict[str, list[int]] = {}
        for number, operation in enumerate(self.operations, 1):
            stages.setdefault(stage_of(operation), []).append(number)
        for numbers in stages.values():
            chosen = min(count, len(numbers))
            swaps = [n for n in numbers if self.operations[n - 1].sets_aside]
            spread = [numbers[(2 * index + 1) * len(numbers) // (2 * chosen)] for index in range(chosen)]
            both = [each for n in swaps for each in (n, n + 1)]
            yield [(self, n) for n in dict.fromkeys([*both, *spread])]

    def killed(self, n: int, work: Path) -> Row:
        """Kill the command before its n-th operation, give the next one, and return what was found."""
        operation = self.operations[n - 1]
        study = self.command.prepare(self.finished, work / "place")
        expected = finished_before(self.before, self.operations[: n - 1])
        status, _ = executed(self.command.arguments, work / "place", kill_at=n)
        if status != -9:
            raise SystemExit(f"{self.command.name} was not killed at operation {n}: it ended with {status}")
        found, seconds = digests(study, expected), training_seconds(study, expected)
        bundle = "none" if BUNDLE not in expected else "whole" if verified(study / "bundle") else "damaged"
        next_status, _ = executed(self.command.again, work / "place")
        after = {} if next_status else outcome(study)
        return Row(
            command=self.command.name,
            stage=stage_of(operation),
            operation=operation.kind,
            n=n,
            path=operation.title,
            finished=len(expected),
            lost=_listed(expected - found.keys()),
            bundle=bundle,
            next_status=next_status,
            trained_again=_listed(trained_again(study, found, seconds)),
            differs=_listed(
                key for key in self.outcome.keys() | after.keys() if self.outcome.get(key) != after.get(key)
            ),
            left_over=_listed(left_over(study)),
        )


def _listed(names: Any) -> str:
    return " ".join(sorted(names)) or NOTHING


def main() -> None:
    """Kill at every place that has no row yet, and add its row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--places", type=int, default=PLACES, help="in each stage of a command")
    parser.add_argument("--commands", default=",".join(each.name for each in COMMANDS))
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--work", type=Path, help="folder for studies; a temporary one else")
    arguments = parser.parse_args()
    work = (arguments.work or Path(tempfile.mkdtemp(prefix="kills-"))).resolve()
    os.environ.setdefault("USSEARCH_CACHE_DIR", str(work / "cache"))
    warm_up()
    try:
        chosen = [each for each in COMMANDS if each.name in arguments.commands.split(",")]
        kill([Undisturbed.watched(each, work) for each in chosen], arguments.places, arguments.rows, work)
    finally:
        if arguments.work is None:
            shutil.rmtree(work, ignore_errors=True)
    rows = read(arguments.rows)
    failed = [row for row in rows if not row.passed]
    print(f"{len(rows)} places, {len(failed)} with something wrong")
    if failed:
        raise SystemExit(1)


def kill(watched: Sequence[Undisturbed], count: int, path: Path, work: Path) -> None:
    """Kill every command at its places, stages and commands in turn: whenever this is stopped, each has its rows."""
    known = {(row.command, row.n) for row in read(path)}
    for places in zip_longest(*(stage for each in watched for stage in each.places(count))):
        for undisturbed, n in filter(None, places):
            if (undisturbed.command.name, n) not in known:
                row = undisturbed.killed(n, work)
                append(path, row)
                print(f"{'ok  ' if row.passed else 'WRONG'} {row}", flush=True)


def read(path: Path) -> list[Row]:
    """Return the rows that there are."""
    numbers = ("n", "finished", "next_status")
    return [Row(**{**row, **{name: int(row[name]) for name in numbers}}) for row in lines(path)]


if __name__ == "__main__":
    main()
